//! Configuration: read once, at the edge, from environment variables; every bad variable is named in one error.
//!
//! Variables of one product carry its name as a prefix (`UNIQOS_GRACE_SECS`), so that all functions can share one
//! environment, as they do under `cargo lambda watch`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::keyring::source::KeyringSource;
use crate::moment::Timestamp;
use crate::rotation::policy::Amnesty;
use crate::store::dynamo::Endpoint;
use crate::wire::cookies::CookieDomain;

/// Every variable that is missing or wrong, each with what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad configuration: {}", .problems.join("; "))]
pub struct ConfigError {
    problems: Vec<String>,
}

/// Reads variables and collects what is wrong with them. Shown, it has their names alone: among the values are credentials.
#[derive(Clone)]
pub struct Reader {
    variables: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reader").field(&self.variables.keys().collect::<Vec<_>>()).finish()
    }
}

impl Reader {
    /// Reads this process's environment. To be called at start, and where starting is tried again.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn from_environment() -> Self {
        Self::new(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))))
    }

    /// Reads the given variables.
    #[must_use]
    pub fn new<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self { variables, problems: Vec::new() }
    }

    /// The same variables with this one set: for a tool that takes from its arguments what a function takes from its
    /// environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The variables whose names begin with `prefix`, each with its value.
    pub fn starting_with(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().filter(move |(name, _)| name.starts_with(prefix)).map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// The raw variable, if it is set and not empty.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Notes that a variable is wrong.
    pub fn problem(&mut self, name: &str, rule: &str) {
        self.problems.push(format!("{name} {rule}"));
    }

    /// A variable that must be set. Where it is not, an empty text goes on until [`Reader::finish`] tells.
    pub fn required(&mut self, name: &str) -> String {
        if let Some(value) = self.raw(name) {
            return value.to_owned();
        }
        self.problem(name, "must be set");
        String::new()
    }

    /// A text, or its default.
    pub fn text(&mut self, name: &str, default: &str) -> String {
        self.raw(name).unwrap_or(default).to_owned()
    }

    fn parsed<T: FromStr>(&mut self, name: &str, rule: &str, fits: impl Fn(&T) -> bool) -> Option<T> {
        let parsed = self.raw(name)?.parse().ok().filter(fits);
        if parsed.is_none() {
            self.problem(name, rule);
        }
        parsed
    }

    /// A whole number of seconds within bounds, or its default.
    pub fn secs(&mut self, name: &str, default: u64, bounds: RangeInclusive<u64>) -> Duration {
        let rule = format!("must be a number of seconds from {} to {}", bounds.start(), bounds.end());
        Duration::from_secs(self.parsed(name, &rule, |secs| bounds.contains(secs)).unwrap_or(default))
    }

    /// A whole number of days within bounds, or its default.
    pub fn days(&mut self, name: &str, default: u64, bounds: RangeInclusive<u64>) -> Duration {
        let rule = format!("must be a number of days from {} to {}", bounds.start(), bounds.end());
        let days = self.parsed(name, &rule, |days| bounds.contains(days)).unwrap_or(default);
        Duration::from_secs(days.saturating_mul(24 * 60 * 60))
    }

    /// A rate limit, requests in a period, or its default.
    pub fn limit(&mut self, name: &str, default: NonZeroU32) -> NonZeroU32 {
        let fits = |limit: &NonZeroU32| limit.get() <= 1_000;
        self.parsed(name, "must be a number from 1 to 1000", fits).unwrap_or(default)
    }

    /// `true` or `false`, the latter if unset.
    pub fn flag(&mut self, name: &str) -> bool {
        self.parsed(name, "must be true or false", |_| true).unwrap_or(false)
    }

    /// A comma-separated list of origins: scheme, host and port, nothing after them.
    pub fn origins(&mut self, name: &str) -> Vec<String> {
        let listed = self.raw(name).unwrap_or_default().to_owned();
        let origins: Vec<String> =
            listed.split(',').map(str::trim).filter(|o| !o.is_empty()).map(str::to_ascii_lowercase).collect();
        let is_origin = |origin: &String| {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).unwrap_or_default();
            !host.is_empty() && !host.contains(|c: char| matches!(c, '/' | '?' | '#' | '*' | '@') || c.is_whitespace())
        };
        if !origins.iter().all(is_origin) {
            self.problem(name, "must list origins such as https://app.example.com, without a path or a wildcard");
        }
        origins
    }

    /// The domain of a cookie, if set.
    pub fn cookie_domain(&mut self, name: &str) -> Option<CookieDomain> {
        let domain = CookieDomain::parse(self.raw(name)?);
        if domain.is_none() {
            self.problem(name, "must be a domain such as example.com, in lower case, without a leading dot or a port");
        }
        domain
    }

    /// An instant, RFC 3339, if set.
    pub fn instant(&mut self, name: &str) -> Option<Timestamp> {
        let parsed = Timestamp::parse(self.raw(name)?);
        if parsed.is_none() {
            self.problem(name, "must be an instant such as 2026-11-22T10:00:00Z");
        }
        parsed
    }

    /// `REUSE_AMNESTY`: two instants, `from/to`, if set.
    pub fn amnesty(&mut self, name: &str) -> Option<Amnesty> {
        let parsed = self.raw(name)?.split_once('/').and_then(|(from, to)| {
            let amnesty = Amnesty { from: Timestamp::parse(from)?, to: Timestamp::parse(to)? };
            (amnesty.from < amnesty.to).then_some(amnesty)
        });
        if parsed.is_none() {
            self.problem(name, "must be two instants, from/to, in that order");
        }
        parsed
    }

    /// Everything read so far, or all that was wrong with it.
    ///
    /// # Errors
    /// [`ConfigError`] naming every bad variable.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigError { problems: self.problems }) }
    }
}

/// What every function needs, whatever its product.
#[derive(Clone, Debug)]
pub struct Common {
    /// `TABLE_NAME`.
    pub table: String,
    /// `AWS_ENDPOINT_URL_DYNAMODB`: an emulator on this machine; `AWS_ENDPOINT_URL`: that of all services; unset on AWS.
    pub endpoint: Endpoint,
    /// `KEYRING_SECRET_ID` or `KEYRING_FILE`.
    pub keyring: KeyringSource,
    /// `SESSIONS_NOT_BEFORE`: sessions opened earlier are over.
    pub sessions_not_before: Option<Timestamp>,
    /// `REUSE_AMNESTY`: the operator's remedy after an outage.
    pub amnesty: Option<Amnesty>,
    /// `FRONT_DOOR_SECRET`: what a front door puts into `X-Rondo-Front-Door` so that its `X-Forwarded-For` counts.
    pub front_door_secret: Option<FrontDoorSecret>,
    /// `INSECURE_COOKIES`: cookies without `Secure`, for plain HTTP clients of the local stack. Only with a local
    /// store, and never in Lambda.
    pub insecure_cookies: bool,
}

/// A shared secret that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct FrontDoorSecret(String);

impl FrontDoorSecret {
    /// Whether `presented` is the secret. Compares digests, so that the time taken tells nothing of it.
    #[must_use]
    pub fn matches(&self, presented: &[u8]) -> bool {
        use sha2::{Digest as _, Sha256};
        Sha256::digest(&self.0) == Sha256::digest(presented)
    }
}

impl std::fmt::Debug for FrontDoorSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FrontDoorSecret(…)")
    }
}

impl Common {
    /// Reads what every function needs; what is wrong is noted with the reader.
    pub fn read(reader: &mut Reader) -> Self {
        let endpoint = Endpoint::configured(reader, "AWS_ENDPOINT_URL_DYNAMODB");
        let insecure_cookies = reader.flag("INSECURE_COOKIES");
        // Lambda sets this variable in every function; nothing that runs locally does.
        let is_local = matches!(endpoint, Endpoint::Local { .. });
        let deployed = reader.raw("AWS_LAMBDA_INITIALIZATION_TYPE").is_some() || !is_local;
        if insecure_cookies && deployed {
            reader.problem("INSECURE_COOKIES", "must not be set in a deployment: it is for `rondo dev` alone");
        }
        Self {
            table: reader.required("TABLE_NAME"),
            endpoint,
            keyring: KeyringSource::configured(reader),
            sessions_not_before: reader.instant("SESSIONS_NOT_BEFORE"),
            amnesty: reader.amnesty("REUSE_AMNESTY"),
            front_door_secret: reader.raw("FRONT_DOOR_SECRET").map(|secret| FrontDoorSecret(secret.to_owned())),
            insecure_cookies,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 3] =
        [("TABLE_NAME", "rondo"), ("KEYRING_FILE", "k.json"), ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000")];

    fn with(more: &[(&'static str, &'static str)]) -> Result<Common, String> {
        let mut reader = Reader::new(GOOD.iter().chain(more).copied());
        let common = Common::read(&mut reader);
        reader.finish().map(|()| common).map_err(|error| error.to_string())
    }

    #[test]
    fn every_bad_variable_is_named_in_one_error() {
        let mut reader =
            Reader::new([("REUSE_AMNESTY", "now"), ("SESSIONS_NOT_BEFORE", "then"), ("G", "61"), ("O", "https://a/b")]);
        Common::read(&mut reader);
        reader.secs("G", 10, 0..=60);
        reader.origins("O");
        reader.limit("UNSET", NonZeroU32::MIN);
        let error = reader.finish().unwrap_err().to_string();
        for name in ["TABLE_NAME", "KEYRING_FILE", "REUSE_AMNESTY", "SESSIONS_NOT_BEFORE", "G must", "O must"] {
            assert!(error.contains(name), "{name}: {error}");
        }
        assert!(!error.contains("UNSET"));
    }

    #[test]
    fn cookies_may_go_without_secure_on_this_machine_alone() {
        assert!(with(&[("INSECURE_COOKIES", "true")]).unwrap().insecure_cookies);
        for deployed in [("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"), ("AWS_ENDPOINT_URL_DYNAMODB", "")] {
            assert!(with(&[("INSECURE_COOKIES", "true"), deployed]).unwrap_err().contains("INSECURE_COOKIES"));
        }
    }

    #[test]
    fn a_store_address_is_on_this_machine_or_not_given() {
        assert_eq!(with(&[("AWS_ENDPOINT_URL_DYNAMODB", "")]).unwrap().endpoint, Endpoint::Function);
        assert!(with(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://example.com:80")]).is_err());
    }

    #[test]
    fn an_amnesty_runs_forwards() {
        assert!(with(&[("REUSE_AMNESTY", "2026-11-22T10:00:00Z/2026-11-22T11:00:00Z")]).unwrap().amnesty.is_some());
        assert!(with(&[("REUSE_AMNESTY", "2026-11-22T11:00:00Z/2026-11-22T10:00:00Z")]).is_err());
    }

    #[test]
    fn a_reader_shows_the_names_of_variables_and_no_value() {
        let reader = Reader::new([("AWS_SECRET_ACCESS_KEY", "open sesame"), ("TABLE_NAME", "rondo")]);
        assert_eq!(format!("{reader:?}"), r#"Reader(["AWS_SECRET_ACCESS_KEY", "TABLE_NAME"])"#);
    }

    #[test]
    fn the_front_doors_secret_is_compared_and_not_shown() {
        let common = with(&[("FRONT_DOOR_SECRET", "open sesame")]).unwrap();
        assert!(!format!("{common:?}").contains("sesame"));
        let secret = common.front_door_secret.unwrap();
        assert!(secret.matches(b"open sesame") && !secret.matches(b"open"));
    }
}
