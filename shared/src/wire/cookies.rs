//! Cookies in and out (RFC 6265bis).

use std::time::Duration;

use cookie::{Cookie, SameSite};
use lambda_http::http::HeaderMap;

/// Every value of the named cookie, in the order in which the client sent them: browsers send the one with the
/// narrowest path first. Of an empty value nothing is told from an absent one.
#[must_use]
pub fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let pairs = headers.get_all("cookie").iter().map(|header| String::from_utf8_lossy(header.as_bytes()).into_owned());
    let mut values = Vec::new();
    for header in pairs {
        for pair in header.split(';') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if key.trim() == name && !value.trim().is_empty() {
                values.push(value.trim().trim_matches('"').to_owned());
            }
        }
    }
    values
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
    /// A `Set-Cookie` that keeps `value` for `max_age`, out of reach of scripts.
    #[must_use]
    pub fn set(&self, value: &str, max_age: Duration) -> String {
        let max_age = cookie::time::Duration::try_from(max_age).unwrap_or(cookie::time::Duration::ZERO);
        let mut cookie = Cookie::build((self.name, value)).path(self.path).http_only(true).same_site(self.same_site);
        // A flag that is set to false would be left out too; saying it only where it is true keeps this plain.
        if self.secure {
            cookie = cookie.secure(true);
        }
        cookie.max_age(max_age).build().to_string()
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
        let map = headers(&["a=1; r=first;r=second", "ar=no; r = \"third\" ; r=; r"]);
        assert_eq!(values(&map, "r"), ["first", "second", "third"]);
    }

    #[test]
    fn a_cookie_is_set_with_all_its_attributes_and_cleared_with_the_same_path() {
        let shape = CookieShape { name: "r", path: "/v1/auth", same_site: SameSite::Strict, secure: true };
        let set = shape.set("x.y.z", Duration::from_secs(60));
        assert_eq!(set, "r=x.y.z; HttpOnly; SameSite=Strict; Secure; Path=/v1/auth; Max-Age=60");
        assert_eq!(shape.clear(), "r=; HttpOnly; SameSite=Strict; Secure; Path=/v1/auth; Max-Age=0");
        assert!(!CookieShape { secure: false, ..shape }.set("x", Duration::ZERO).contains("Secure"));
    }
}
