//! Cookies in and out (RFC 6265bis).

use std::time::Duration;

use lambda_http::http::HeaderMap;

/// Every value of the named cookie, in the order in which the client sent them: browsers send the one with the
/// narrowest path first. Empty ones too: which of several counts is the product's affair. A name without `=` is none: browsers
/// send the value of a nameless cookie so.
#[must_use]
pub fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let pairs = headers.get_all("cookie").iter().map(|header| String::from_utf8_lossy(header.as_bytes()).into_owned());
    let mut values = Vec::new();
    for header in pairs {
        for pair in header.split(';') {
            if let Some((key, value)) = pair.split_once('=')
                && key.trim() == name
            {
                values.push(value.trim().trim_matches('"').to_owned());
            }
        }
    }
    values
}

/// On which cross-site requests clients send a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// On none.
    Strict,
    /// On navigations to us.
    Lax,
    /// On all.
    None,
}

impl SameSite {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// The domain below which clients send a cookie: that host and every subdomain of it (RFC 6265bis §5.6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieDomain(String);

impl CookieDomain {
    /// From a domain's name as DNS has it, in lower case: two labels at least, since browsers take no cookie for a whole
    /// top-level domain; no leading dot, which they ignore, no port and no address. `None` for anything else.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let is_label = |label: &str| {
            let has_form = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            has_form && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        };
        // An address's last label is a number; no top-level domain's begins with a digit.
        let (_, top) = name.rsplit_once('.')?;
        let is_name = top.starts_with(|first: char| first.is_ascii_lowercase());
        (name.len() <= 253 && name.split('.').all(is_label) && is_name).then(|| Self(name.to_owned()))
    }
}

/// What a refresh cookie looks like; its value and age are given when one is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieShape {
    /// Its name.
    pub name: &'static str,
    /// The path below which clients send it.
    pub path: &'static str,
    /// The domain below which clients send it; the very host that set it, where there is none.
    pub domain: Option<CookieDomain>,
    /// On which cross-site requests clients send it.
    pub same_site: SameSite,
    /// Left out under the local stack alone.
    pub secure: bool,
}

impl CookieShape {
    /// A `Set-Cookie` that keeps `value`, which is a token or empty, for `max_age`, out of reach of scripts. The age is
    /// rounded up to whole seconds: a cookie of 0 seconds would be forgotten while its token is good.
    #[must_use]
    pub fn set(&self, value: &str, max_age: Duration) -> String {
        let Self { name, path, domain, same_site, secure } = self;
        let domain = domain.as_ref().map(|CookieDomain(domain)| format!(" Domain={domain};")).unwrap_or_default();
        let secure = if *secure { " Secure;" } else { "" };
        let same_site = same_site.as_str();
        let secs = max_age.as_secs().saturating_add(u64::from(max_age.subsec_nanos() > 0));
        format!("{name}={value}; Path={path};{domain} HttpOnly;{secure} SameSite={same_site}; Max-Age={secs}")
    }

    /// A `Set-Cookie` that makes the client forget the cookie.
    #[must_use]
    pub fn clear(&self) -> String {
        self.set("", Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Add as _;

    fn headers(cookies: &[&str]) -> HeaderMap {
        cookies.iter().map(|value| ("cookie".parse().unwrap(), value.parse().unwrap())).fold(
            HeaderMap::new(),
            |mut map, (name, value): (lambda_http::http::HeaderName, _)| {
                map.append(name, value);
                map
            },
        )
    }

    #[test]
    fn every_value_of_the_name_is_found_in_order_across_headers() {
        let map = headers(&["a=1; r=first;r=second", "ar=no; r = \"third\" ; r=; r=\"\"; r"]);
        assert_eq!(values(&map, "r"), ["first", "second", "third", "", ""]);
    }

    #[test]
    fn a_cookie_is_set_with_all_its_attributes_and_cleared_with_the_same_path() {
        let (domain, same_site) = (None, SameSite::Strict);
        let shape = CookieShape { name: "r", path: "/v1/auth", domain, same_site, secure: true };
        let set = shape.set("x.y.z", Duration::from_secs(60));
        assert_eq!(set, "r=x.y.z; Path=/v1/auth; HttpOnly; Secure; SameSite=Strict; Max-Age=60");
        assert_eq!(shape.clear(), "r=; Path=/v1/auth; HttpOnly; Secure; SameSite=Strict; Max-Age=0");
        for (millis, told) in [(1, 1), (999, 1), (1_000, 1), (1_001, 2)] {
            assert!(shape.set("x", Duration::from_millis(millis)).ends_with(&format!("Max-Age={told}")), "{millis}");
        }
        assert!(!CookieShape { secure: false, ..shape }.set("x", Duration::ZERO).contains("Secure"));
    }

    #[test]
    fn a_cookie_of_a_domain_is_set_and_cleared_for_that_domain() {
        let domain = CookieDomain::parse("example.com");
        let shape = CookieShape { name: "r", path: "/", domain, same_site: SameSite::Lax, secure: true };
        let end = "Path=/; Domain=example.com; HttpOnly; Secure; SameSite=Lax; Max-Age=";
        assert_eq!(shape.set("x", Duration::from_secs(1)), format!("r=x; {end}1"));
        assert_eq!(shape.clear(), format!("r=; {end}0"));
    }

    #[test]
    fn a_domain_is_a_name_of_two_labels_at_least_and_can_hold_no_other_attribute() {
        for name in
            ["example.com", "app.example.co.uk", "xn--bcher-kva.example", "1.example", &"a.".repeat(125).add("abc")]
        {
            assert!(CookieDomain::parse(name).is_some(), "{name}");
        }
        let odd = "|.|com|localhost|.example.com|example.com.|a..b|Example.com|*.example.com|192.0.2.1|a.com:443|\
                   https://a.com|a.com/|a.com; Path=/|a.1x|a b.com|-a.com|a-.com|b\u{fc}cher.example";
        let too_long = [format!("{}.com", "a".repeat(64)), "a.".repeat(126).add("ab")];
        for name in odd.split('|').chain(too_long.iter().map(String::as_str)) {
            assert_eq!(CookieDomain::parse(name), None, "{name}");
        }
    }
}
