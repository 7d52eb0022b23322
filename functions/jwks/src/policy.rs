//! What the function is told: how long an answer may be kept, and where it is reached.

use std::time::Duration;

use rondo_shared::config::Reader;

/// Its place in log lines.
pub const FUNCTION: &str = "jwks";
/// An answer may be kept for five minutes: a verifier asks some three hundred times a day, and a key that is forgotten
/// in an emergency is gone from every cache soon.
pub const MAX_AGE_SECS: u64 = 5 * 60;

/// All of the function's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `JWKS_MAX_AGE_SECS`: how long anybody may keep an answer. Before a key signs, it has to have been published for
    /// this long and for as long as an instance keeps its ring.
    pub max_age: Duration,
    /// `JWKS_PUBLIC_URL`: the issuer that the discovery document speaks for.
    pub public_url: Option<PublicUrl>,
}

impl Policy {
    /// Reads the function's settings; what is wrong is noted with the reader.
    pub fn read(reader: &mut Reader) -> Self {
        let url = reader.raw("JWKS_PUBLIC_URL").map(PublicUrl::new);
        if url == Some(None) {
            reader.problem("JWKS_PUBLIC_URL", "must be https://<host>, with a path or without, and nothing after it");
        }
        Self { max_age: reader.secs("JWKS_MAX_AGE_SECS", MAX_AGE_SECS, 60..=86_400), public_url: url.flatten() }
    }
}

/// An issuer's URL (RFC 8414 §2): https, without a query or a fragment; or http on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// From its text; `None` where it is no such URL.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let host = rest.split(['/', ':']).next()?;
        let local = matches!(host, "127.0.0.1" | "localhost");
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@' | '"' | '\\' | '<' | '>');
        let fits = !host.is_empty() && rest.chars().all(plain) && (scheme == "https" || (scheme == "http" && local));
        fits.then(|| Self(text.to_owned()))
    }

    /// Exactly as it was set, with the slash at its end or without: what tokens have as their `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0
    }

    /// Where the key set is.
    #[must_use]
    pub fn keys(&self) -> String {
        format!("{}{}", self.0.trim_end_matches('/'), crate::request::KEYS_PATH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&'static str, &'static str)]) -> Result<Policy, String> {
        let mut reader = Reader::new(settings.iter().copied());
        let policy = Policy::read(&mut reader);
        reader.finish().map(|()| policy).map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_is_kept_for_a_minute_to_a_day_and_for_five_minutes_unless_told() {
        assert_eq!(read(&[]).unwrap(), Policy { max_age: Duration::from_secs(300), public_url: None });
        for (text, fits) in [("59", false), ("60", true), ("86400", true), ("86401", false), ("soon", false)] {
            assert_eq!(read(&[("JWKS_MAX_AGE_SECS", text)]).is_ok(), fits, "{text}");
        }
    }

    #[test]
    fn a_public_url_is_one_that_an_issuer_may_have() {
        for url in
            ["https://auth.example.com", "https://auth.example.com/", "https://h:8443/prod", "http://127.0.0.1:9000"]
        {
            assert!(read(&[("JWKS_PUBLIC_URL", url)]).unwrap().public_url.is_some(), "{url}");
        }
        for url in [
            "auth.example.com",
            "http://auth.example.com",
            "http://127.0.0.1.example.com",
            "https://",
            "https:///x",
            "https://h?x",
            "https://h#x",
            "https://user@h",
            "https://h/a b",
            "ftp://h",
        ] {
            assert!(read(&[("JWKS_PUBLIC_URL", url)]).unwrap_err().contains("JWKS_PUBLIC_URL"), "{url}");
        }
    }

    #[test]
    fn the_key_set_is_below_the_issuer_whether_it_ends_with_a_slash_or_not() {
        for issuer in ["https://h/prod", "https://h/prod/"] {
            let url = PublicUrl::new(issuer).unwrap();
            assert_eq!((url.issuer(), url.keys().as_str()), (issuer, "https://h/prod/.well-known/jwks.json"));
        }
    }
}
