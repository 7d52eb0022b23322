//! What Uniqos decides: times, rates, names, each with where its number comes from. A deployment sets them within
//! bounds, by the variables named here.

use std::num::NonZeroU32;
use std::time::Duration;

use rondo_shared::config::{Common, Reader};
use rondo_shared::identity::{OrgKey, Subject, Tenant};
use rondo_shared::limit::Allowance;
use rondo_shared::mint::AccessPolicy;
use rondo_shared::rotation::policy::{GRACE_WINDOW_MAX, Grace, RotationPolicy};
use rondo_shared::session::Terms;
use rondo_shared::store::{Key, keys};
use rondo_shared::token::TokenAuthority;
use rondo_shared::wire::CrossSitePolicy;
use rondo_shared::wire::cookies::{CookieShape, SameSite};

/// The product's name: its tenant, its keys in the keyring, its place in log lines.
pub const PRODUCT: &str = "uniqos";
/// The refresh cookie, as the product documents it.
pub const COOKIE_NAME: &str = "uniqos_refresh";
/// Access tokens live 15 minutes: the `expires_in` of 900 that clients are told.
const ACCESS_TOKEN_SECS: u64 = 15 * 60;
/// A retry is believed for 10 seconds: longer than a page takes to load again on a bad line.
const GRACE_SECS: u64 = 10;
/// A refresh token that nobody uses for 14 days is dead.
const IDLE_SECS: u64 = 14 * DAY_SECS;
/// A session ends after 90 days, however much it is used.
const ABSOLUTE_SECS: u64 = 90 * DAY_SECS;
const DAY_SECS: u64 = 24 * 60 * 60;
/// Refreshes per second and organization; the burst is the same, so that `Remaining` never exceeds `Limit`.
const ORG_LIMIT: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// Requests without a valid token per second and address, of one function instance.
const ADDRESS_LIMIT: NonZeroU32 = NonZeroU32::new(50).unwrap();
/// Largest body that is read. None is needed; the SDK sends `{}`.
pub const BODY_MAX_BYTES: usize = 16 * 1024;
/// Refresh cookies of a token's form that are verified in one request, the first ones. Browsers send one for each path
/// and domain; more than a few are an attack, and each costs a signature check.
pub const COOKIES_MAX: usize = 16;

/// Where the product's own documentation explains errors.
const DOCUMENTATION_URL: &str = "https://docs.uniqos.com/errors";

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
    /// Of each organization's bucket, in the store.
    pub org_allowance: Allowance,
    /// Of each address's bucket, in memory.
    pub address_allowance: Allowance,
    /// Who may call from a browser.
    pub cross_site: CrossSitePolicy,
    /// The refresh cookie.
    pub cookie: CookieShape,
    /// Where errors are explained; the code is appended as a fragment.
    pub documentation_url: String,
}

impl Policy {
    /// Reads the settings; what is wrong is noted with the reader.
    ///
    /// # Panics
    /// Never: the tenant's name is this file's own.
    pub fn read(reader: &mut Reader, common: &Common) -> Self {
        let second = Duration::from_secs(1);
        let absolute = reader.secs("UNIQOS_ABSOLUTE_SECS", ABSOLUTE_SECS, 1..=365 * DAY_SECS);
        let grace = reader.secs("UNIQOS_GRACE_SECS", GRACE_SECS, 0..=GRACE_WINDOW_MAX.as_secs());
        Self {
            tenant: tenant(),
            authority: TokenAuthority::over_refresh_tokens(
                reader.text("UNIQOS_ISSUER", "uniqos"),
                common.sessions_not_before,
            ),
            access: AccessPolicy {
                audience: reader.text("UNIQOS_AUDIENCE", "uniqos-api"),
                client_id: PRODUCT.to_owned(),
                lifetime: reader.secs("UNIQOS_ACCESS_TOKEN_SECS", ACCESS_TOKEN_SECS, 1..=DAY_SECS),
            },
            rotation: RotationPolicy {
                grace: Grace::window_secs(grace.as_secs()),
                idle: reader.secs("UNIQOS_IDLE_SECS", IDLE_SECS, 1..=365 * DAY_SECS),
                absolute,
                amnesty: common.amnesty,
            },
            org_allowance: Allowance::per_period(reader.limit("UNIQOS_RATE_LIMIT", ORG_LIMIT), second),
            address_allowance: Allowance::per_period(reader.limit("UNIQOS_ADDRESS_RATE_LIMIT", ADDRESS_LIMIT), second),
            cross_site: cross_site(reader),
            cookie: CookieShape {
                name: COOKIE_NAME,
                path: "/v1/auth",
                domain: reader.cookie_domain("UNIQOS_COOKIE_DOMAIN"),
                same_site: SameSite::Strict,
                secure: !common.insecure_cookies,
            },
            documentation_url: documentation_url(reader),
        }
    }

    /// What opening a session asks of this product.
    #[must_use]
    pub fn terms(self) -> Terms {
        let Self { authority, rotation, access, cookie, .. } = self;
        Terms { refresh_cookie: Some(cookie), ..Terms::of(PRODUCT, authority, rotation, access) }
    }

    /// The bucket of a verified request: its organization's, or its user's where the session acts for none.
    #[must_use]
    pub fn bucket(&self, org: Option<&OrgKey>, subject: &Subject) -> Key {
        match org {
            Some(org) => keys::bucket("uniqos-org", &[org.as_str()]),
            None => keys::bucket("uniqos-user", &[subject.as_str()]),
        }
    }
}

/// Where errors are explained, which a function that could not start has to say too. No text is wrong for it.
pub fn documentation_url(reader: &mut Reader) -> String {
    reader.text("UNIQOS_DOCUMENTATION_URL", DOCUMENTATION_URL)
}

/// Who may call from a browser, which a function that could not start has to tell too.
pub fn cross_site(reader: &mut Reader) -> CrossSitePolicy {
    CrossSitePolicy {
        origins: reader.origins("UNIQOS_ALLOWED_ORIGINS"),
        methods: "POST",
        request_headers: "content-type, authorization, x-uniqos-sdk, idempotency-key",
        exposed_headers: "x-request-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, \
                          retry-after, x-quota-turns-used, x-quota-turns-limit, \
                          x-quota-relationships-used, x-quota-relationships-limit, x-quota-reset",
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

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let mut reader = Reader::new([("TABLE_NAME", "t"), ("KEYRING_FILE", "k")]);
        let common = Common::read(&mut reader);
        let policy = Policy::read(&mut reader, &common);
        reader.finish().unwrap();
        assert_eq!(policy.tenant.as_str(), "uniqos");
        assert_eq!(policy.access.lifetime.as_secs(), 900);
        assert_eq!(policy.rotation.grace, Grace::Window(Duration::from_secs(10)));
        assert_eq!(policy.rotation.idle.as_secs(), 14 * 86_400);
        assert_eq!(policy.rotation.absolute.as_secs(), 90 * 86_400);
        assert!(policy.cookie.secure);
    }

    #[test]
    fn a_grace_window_above_its_maximum_is_refused_by_name() {
        let mut reader = Reader::new([("TABLE_NAME", "t"), ("KEYRING_FILE", "k"), ("UNIQOS_GRACE_SECS", "61")]);
        let common = Common::read(&mut reader);
        Policy::read(&mut reader, &common);
        assert!(
            reader
                .finish()
                .unwrap_err()
                .to_string()
                .contains("UNIQOS_GRACE_SECS must be a number of seconds from 0 to 60")
        );
    }
}
