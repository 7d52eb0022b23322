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

/// What a refresh cookie looks like; its value and age are given when one is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieShape {
    /// Its name.
    pub name: &'static str,
    /// The path below which clients send it.
    pub path: &'static str,
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
        let Self { name, path, same_site, secure } = *self;
        let secure = if secure { " Secure;" } else { "" };
        let same_site = same_site.as_str();
        let secs = max_age.as_secs().saturating_add(u64::from(max_age.subsec_nanos() > 0));
        format!("{name}={value}; Path={path}; HttpOnly;{secure} SameSite={same_site}; Max-Age={secs}")
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
        let shape = CookieShape { name: "r", path: "/v1/auth", same_site: SameSite::Strict, secure: true };
        let set = shape.set("x.y.z", Duration::from_secs(60));
        assert_eq!(set, "r=x.y.z; Path=/v1/auth; HttpOnly; Secure; SameSite=Strict; Max-Age=60");
        assert_eq!(shape.clear(), "r=; Path=/v1/auth; HttpOnly; Secure; SameSite=Strict; Max-Age=0");
        for (millis, told) in [(1, 1), (999, 1), (1_000, 1), (1_001, 2)] {
            assert!(shape.set("x", Duration::from_millis(millis)).ends_with(&format!("Max-Age={told}")), "{millis}");
        }
        assert!(!CookieShape { secure: false, ..shape }.set("x", Duration::ZERO).contains("Secure"));
    }
}
