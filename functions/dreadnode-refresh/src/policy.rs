//! What Dreadnode decides: times, rates, names, each with where its number comes from. A deployment sets them within
//! bounds, by the variables named here.

use std::num::NonZeroU32;
use std::time::Duration;

use rondo_shared::config::{Common, Reader};
use rondo_shared::identity::{Subject, Tenant};
use rondo_shared::limit::Allowance;
use rondo_shared::mint::AccessPolicy;
use rondo_shared::rotation::policy::{GRACE_WINDOW_MAX, Grace, RotationPolicy};
use rondo_shared::session::Terms;
use rondo_shared::store::{Key, keys};
use rondo_shared::token::TokenAuthority;
use rondo_shared::wire::CrossSitePolicy;
use rondo_shared::wire::cookies::{CookieShape, SameSite};

/// The product's name: its tenant, its keys in the keyring, its place in log lines.
pub const PRODUCT: &str = "dreadnode";
/// The refresh cookie, and the body's field, as the product documents them.
pub const REFRESH_TOKEN: &str = "refresh_token";
/// The cookie by which the CLI authenticates its other calls.
pub const ACCESS_COOKIE_NAME: &str = "access_token";
/// Access tokens live 15 minutes.
const ACCESS_TOKEN_SECS: u64 = 15 * 60;
/// A retry is believed for 10 seconds: longer than an SDK takes to try again on a bad line.
const GRACE_SECS: u64 = 10;
/// A refresh token that nobody uses for 14 days is dead.
const IDLE_SECS: u64 = 14 * DAY_SECS;
/// A session ends after 90 days, however much it is used.
const ABSOLUTE_SECS: u64 = 90 * DAY_SECS;
const DAY_SECS: u64 = 24 * 60 * 60;
/// Refreshes per second and user. The workers of one SDK session find its access token expired at the same instant:
/// 64 of them pass at once, with room for the same user's browser and CLI.
const USER_LIMIT: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// Requests without a valid token per second and address, of one function instance.
const ADDRESS_LIMIT: NonZeroU32 = NonZeroU32::new(50).unwrap();
/// Largest body that is read: four times the largest token, so that a token too long is told from a body too large.
pub const BODY_MAX_BYTES: usize = 16 * 1024;
/// The product's clients, as their `User-Agent` names them.
const CLIENTS: [&str; 2] = ["dreadnode-sdk", "dreadnode-cli"];

/// All of the product's settings.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The product's one tenant.
    pub tenant: Tenant,
    /// What a refresh token must say.
    pub authority: TokenAuthority,
    /// What an access token says.
    pub access: AccessPolicy,
    /// Grace, idle and absolute times.
    pub rotation: RotationPolicy,
    /// Of each user's bucket, in the store.
    pub user_allowance: Allowance,
    /// Of each address's bucket, in memory.
    pub address_allowance: Allowance,
    /// Who may call from a browser.
    pub cross_site: CrossSitePolicy,
    /// The refresh cookie. Its path is `/`, or the CLI ends with two cookies of one name.
    pub refresh_cookie: CookieShape,
    /// The access cookie.
    pub access_cookie: CookieShape,
    /// The oldest client that is served; any, where there is none.
    pub min_client_version: Option<Version>,
}

impl Policy {
    /// Reads the settings; what is wrong is noted with the reader.
    pub fn read(reader: &mut Reader, common: &Common) -> Self {
        let second = Duration::from_secs(1);
        let absolute = reader.secs("DREADNODE_ABSOLUTE_SECS", ABSOLUTE_SECS, 1..=365 * DAY_SECS);
        let grace = reader.secs("DREADNODE_GRACE_SECS", GRACE_SECS, 0..=GRACE_WINDOW_MAX.as_secs());
        // No domain can be set: the CLI fills its jar with cookies of the host, and with one more of each name beside them
        // it crashes, keeps nothing, and comes back with a retired token.
        let (same_site, secure) = (SameSite::Lax, !common.insecure_cookies);
        let cookie = |name| CookieShape { name, path: "/", domain: None, same_site, secure };
        Self {
            tenant: tenant(),
            authority: TokenAuthority::over_refresh_tokens(
                reader.text("DREADNODE_ISSUER", "dreadnode"),
                common.sessions_not_before,
            ),
            access: AccessPolicy {
                audience: reader.text("DREADNODE_AUDIENCE", "dreadnode-api"),
                client_id: PRODUCT.to_owned(),
                lifetime: reader.secs("DREADNODE_ACCESS_TOKEN_SECS", ACCESS_TOKEN_SECS, 1..=DAY_SECS),
            },
            rotation: RotationPolicy {
                grace: Grace::window_secs(grace.as_secs()),
                idle: reader.secs("DREADNODE_IDLE_SECS", IDLE_SECS, 1..=365 * DAY_SECS),
                absolute,
                amnesty: common.amnesty,
            },
            user_allowance: Allowance::per_period(reader.limit("DREADNODE_RATE_LIMIT", USER_LIMIT), second),
            address_allowance: Allowance::per_period(
                reader.limit("DREADNODE_ADDRESS_RATE_LIMIT", ADDRESS_LIMIT),
                second,
            ),
            cross_site: cross_site(reader),
            refresh_cookie: cookie(REFRESH_TOKEN),
            access_cookie: cookie(ACCESS_COOKIE_NAME),
            min_client_version: min_client_version(reader),
        }
    }

    /// What opening a session asks of this product.
    #[must_use]
    pub fn terms(self) -> Terms {
        let Self { authority, rotation, access, refresh_cookie, access_cookie, .. } = self;
        Terms {
            refresh_cookie: Some(refresh_cookie),
            access_cookie: Some(access_cookie),
            ..Terms::of(PRODUCT, authority, rotation, access)
        }
    }

    /// The bucket of a verified request: its user's.
    #[must_use]
    pub fn bucket(&self, subject: &Subject) -> Key {
        keys::bucket("dreadnode-user", &[subject.as_str()])
    }

    /// Whether a `User-Agent` names a client of the product that is older than any served. One whose version cannot be
    /// told is served.
    #[must_use]
    pub fn is_outdated(&self, user_agent: &str) -> bool {
        let Some(minimum) = self.min_client_version else { return false };
        let mut told = user_agent.split_whitespace().filter_map(|product| {
            let (name, version) = product.split_once('/')?;
            CLIENTS.contains(&name).then(|| Version::of_client(version))?
        });
        told.any(|version| version < minimum)
    }
}

/// Major, minor and patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

impl Version {
    /// From exactly three numbers.
    fn parse(text: &str) -> Option<Self> {
        match text.split('.').map(number).collect::<Option<Vec<_>>>()?.as_slice() {
            [major, minor, patch] => Some(Self(*major, *minor, *patch)),
            _ => None,
        }
    }

    /// As a client tells its own: numbers that are left out are zero, and what follows them (`rc1`, `-beta`, `+build`)
    /// does not count, so that a pre-release is as good as its release. `None` where it does not begin with a number.
    fn of_client(text: &str) -> Option<Self> {
        let core = text.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut numbers = core.split('.').map(number);
        let major = numbers.next()??;
        let mut rest = || numbers.next().flatten().unwrap_or(0);
        Some(Self(major, rest(), rest()))
    }
}

/// Digits and nothing else, which `str::parse` does not insist on.
fn number(digits: &str) -> Option<u32> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn min_client_version(reader: &mut Reader) -> Option<Version> {
    let name = "DREADNODE_MIN_CLIENT_VERSION";
    let version = Version::parse(reader.raw(name)?);
    if version.is_none() {
        reader.problem(name, "must be a version of three numbers such as 1.2.3");
    }
    version
}

/// Who may call from a browser, which a function that could not start has to tell too.
pub fn cross_site(reader: &mut Reader) -> CrossSitePolicy {
    CrossSitePolicy {
        origins: reader.origins("DREADNODE_ALLOWED_ORIGINS"),
        methods: "POST",
        request_headers: "content-type, authorization",
        exposed_headers: "x-request-id, retry-after",
    }
}

/// The product's one tenant.
#[must_use]
#[expect(clippy::missing_panics_doc, clippy::expect_used, reason = "the name is a constant, and a test makes it")]
pub fn tenant() -> Tenant {
    Tenant::new(PRODUCT).expect("the product's name is a tenant's name")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &[(&str, &str)]) -> Result<Policy, String> {
        let mut reader = Reader::new([("TABLE_NAME", "t"), ("KEYRING_FILE", "k")].iter().chain(more).copied());
        let common = Common::read(&mut reader);
        let policy = Policy::read(&mut reader, &common);
        reader.finish().map(|()| policy).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let policy = read(&[]).unwrap();
        assert_eq!(policy.tenant.as_str(), "dreadnode");
        assert_eq!((policy.authority.issuer.as_str(), policy.access.audience.as_str()), ("dreadnode", "dreadnode-api"));
        assert_eq!(policy.access.lifetime.as_secs(), 900);
        assert_eq!(policy.rotation.grace, Grace::Window(Duration::from_secs(10)));
        assert_eq!(policy.rotation.idle.as_secs(), 14 * 86_400);
        assert_eq!(policy.rotation.absolute.as_secs(), 90 * 86_400);
        assert!(policy.user_allowance.burst() >= 64);
        assert!(policy.refresh_cookie.secure && policy.access_cookie.secure);
        assert!(!policy.is_outdated("dreadnode-sdk/0.0.1"), "off by default");
    }

    #[test]
    fn bad_settings_are_refused_by_name() {
        assert!(read(&[("DREADNODE_GRACE_SECS", "61")]).unwrap_err().contains("DREADNODE_GRACE_SECS must be"));
        for version in ["1", "1.2", "1.2.x", "1.2.3.4", "v1.2.3", "1.2.3-rc1", "+1.2.3", "1..3"] {
            let error = read(&[("DREADNODE_MIN_CLIENT_VERSION", version)]).unwrap_err();
            assert!(error.contains("DREADNODE_MIN_CLIENT_VERSION must be"), "{version}: {error}");
        }
    }

    #[test]
    fn a_client_is_outdated_only_if_it_says_that_it_is_older_than_the_minimum() {
        let policy = read(&[("DREADNODE_MIN_CLIENT_VERSION", "1.17.2")]).unwrap();
        for (outdated, user_agent) in [
            (true, "dreadnode-sdk/1.17.1"),
            (true, "dreadnode-cli/1.9.10"),
            (true, "dreadnode-cli/0.99.99"),
            (true, "dreadnode-sdk/1"),
            (true, "dreadnode-sdk/1.17"),
            (true, "dreadnode-sdk/1.17.1rc1"),
            (true, "python-httpx/0.27 dreadnode-sdk/1.17.1 (linux)"),
            (false, "dreadnode-sdk/1.17.2"),
            (false, "dreadnode-sdk/1.17.2-rc1"),
            (false, "dreadnode-sdk/1.17.10"),
            (false, "dreadnode-cli/2"),
            (false, "dreadnode-cli/2.0.0.dev3+g1"),
            (false, "dreadnode-sdk/"),
            (false, "dreadnode-sdk/unknown"),
            (false, "dreadnode-sdk/99999999999.0.0"),
            (false, "dreadnode-sdk"),
            (false, "my-dreadnode-sdk/1.0.0"),
            (false, "Mozilla/5.0"),
            (false, ""),
        ] {
            assert_eq!(policy.is_outdated(user_agent), outdated, "{user_agent}");
        }
    }
}
