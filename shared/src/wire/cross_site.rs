//! The cross-site rule for calls that a cookie authenticates, and CORS (Fetch standard) for the origins it lets in.

use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, header};

/// How long a browser may remember a preflight's answer, in seconds: two hours, as long as any browser does.
const PREFLIGHT_MAX_AGE: &str = "7200";

/// Who may call a product's endpoints from a browser, and what such a browser is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossSitePolicy {
    /// Origins, lower case, exact.
    pub origins: Vec<String>,
    /// `Access-Control-Allow-Methods`.
    pub methods: &'static str,
    /// `Access-Control-Allow-Headers`: what the product's clients send.
    pub request_headers: &'static str,
    /// `Access-Control-Expose-Headers`: what the product's clients read.
    pub exposed_headers: &'static str,
}

impl CrossSitePolicy {
    /// Whether a call may be believed to be meant by the user: from a listed origin, from the very same origin, typed
    /// in, or from no browser at all. A sibling subdomain (`same-site`) is another site here.
    #[must_use]
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        if self.listed_origin(headers).is_some() {
            return true;
        }
        match headers.get("sec-fetch-site") {
            Some(site) => matches!(site.as_bytes(), b"same-origin" | b"none"),
            None => !headers.contains_key(header::ORIGIN),
        }
    }

    /// The request's `Origin`, if it is one and is listed.
    fn listed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut sent = headers.get_all(header::ORIGIN).iter();
        let (origin, None) = (sent.next()?, sent.next()) else { return None };
        let text = origin.to_str().ok()?.to_ascii_lowercase();
        self.origins.contains(&text).then(|| origin.clone())
    }

    /// The headers that any answer to this request carries.
    #[must_use]
    pub fn answer_headers(&self, request: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let mut answer = vec![(header::VARY, HeaderValue::from_static("Origin"))];
        if let Some(origin) = self.listed_origin(request) {
            answer.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin));
            answer.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
            let exposed = HeaderValue::from_static(self.exposed_headers);
            answer.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed));
        }
        answer
    }

    /// The headers that the answer to a preflight carries beside those: none for an origin that is not listed.
    #[must_use]
    pub fn preflight_headers(&self, request: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        if self.listed_origin(request).is_none() {
            return Vec::new();
        }
        vec![
            (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(self.methods)),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(self.request_headers)),
            (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_MAX_AGE)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> CrossSitePolicy {
        CrossSitePolicy {
            origins: vec!["https://app.example.com".to_owned()],
            methods: "POST",
            request_headers: "content-type",
            exposed_headers: "x-request-id",
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            map
        })
    }

    #[test]
    fn the_cross_site_rule_row_by_row() {
        let listed = ("origin", "https://app.example.com");
        let foreign = ("origin", "https://evil.example");
        for (allowed, sent) in [
            (true, vec![]),
            (true, vec![listed]),
            (true, vec![("origin", "HTTPS://APP.EXAMPLE.COM")]),
            (true, vec![listed, ("sec-fetch-site", "cross-site")]),
            (true, vec![("sec-fetch-site", "same-origin")]),
            (true, vec![("sec-fetch-site", "none")]),
            (true, vec![foreign, ("sec-fetch-site", "same-origin")]),
            (false, vec![("sec-fetch-site", "same-site")]),
            (false, vec![("sec-fetch-site", "cross-site")]),
            (false, vec![("sec-fetch-site", "")]),
            (false, vec![foreign]),
            (false, vec![("origin", "null")]),
            (false, vec![foreign, ("sec-fetch-site", "cross-site")]),
            (false, vec![listed, foreign]),
            (false, vec![("origin", "https://app.example.com.evil.example")]),
        ] {
            assert_eq!(policy().allows(&headers(&sent)), allowed, "{sent:?}");
        }
    }

    #[test]
    fn a_browser_of_a_listed_origin_is_told_so_and_no_other_is() {
        let listed = headers(&[("origin", "https://app.example.com")]);
        let told = |names: Vec<(HeaderName, HeaderValue)>| {
            names.into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(told(policy().answer_headers(&listed)).len(), 4);
        assert_eq!(told(policy().preflight_headers(&listed)).len(), 3);
        let foreign = headers(&[("origin", "https://evil.example")]);
        assert_eq!(told(policy().answer_headers(&foreign)), ["vary"]);
        assert!(policy().preflight_headers(&foreign).is_empty());
    }
}
