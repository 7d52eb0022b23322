//! What Replyke decides: times, rates, names, each with where its number comes from. A deployment sets them within
//! bounds, by the variables named here.

use std::num::NonZeroU32;

use rondo_shared::config::{Common, Reader};
use rondo_shared::identity::{Client, Tenant};
use rondo_shared::limit::Allowance;
use rondo_shared::mint::AccessPolicy;
use rondo_shared::rotation::policy::{GRACE_WINDOW_MAX, Grace, RotationPolicy};
use rondo_shared::session::Terms;
use rondo_shared::store::{Key, keys};
use rondo_shared::token::TokenAuthority;
use rondo_shared::wire::CrossSitePolicy;
use rondo_shared::wire::cookies::{CookieShape, SameSite};

use crate::access_token_of_user;

/// The product's name: what its tenants begin with, its keys in the keyring, its place in log lines.
pub const PRODUCT: &str = "replyke";
/// The refresh cookie, as the product documents it.
pub const COOKIE_NAME: &str = "replyke-refresh-jwt";
/// What follows the project in the endpoint's path.
pub const PATH_AFTER_PROJECT: &str = "/auth/request-new-access-token";
/// The `iss` and the `aud` that the product's tokens have.
const AUTHORITY: &str = "replyke.com";
/// Access tokens live 30 minutes, as the product's do.
const ACCESS_TOKEN_SECS: u64 = 30 * 60;
/// With rotation turned on, a retry is believed for 30 seconds: the product's clients send several refreshes of one
/// token at once, and all must succeed.
const GRACE_SECS: u64 = 30;
/// A refresh token lives 30 days, as the product's does. Without rotation it is the only one of its session, so that
/// the idle time and the absolute time are one.
const SESSION_SECS: u64 = 30 * DAY_SECS;
const DAY_SECS: u64 = 24 * 60 * 60;
/// Calls per period and address, as the product limits them.
const RATE_LIMIT: NonZeroU32 = NonZeroU32::new(50).unwrap();
/// The period that the product's limit is for: the 5 minutes that a limited client is told to wait.
const RATE_PERIOD_SECS: u64 = 5 * 60;
/// Largest body that is read: the product's server reads no larger one (`100kb`).
pub const BODY_MAX_BYTES: usize = 100 * 1024;

/// All of the product's settings.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What a refresh token must say.
    pub authority: TokenAuthority,
    /// What an access token says.
    pub access: AccessPolicy,
    /// Grace, idle and absolute times.
    pub rotation: RotationPolicy,
    /// Whether a token that was delivered in the cookie rotates. One that was delivered in the body never does: its
    /// client keeps the one that it has.
    pub rotate_cookies: bool,
    /// Of each address's two buckets: the one in the store, for calls whose token verifies, and the one in memory.
    pub allowance: Allowance,
    /// Who may call from a browser with the cookie.
    pub cross_site: CrossSitePolicy,
    /// The refresh cookie, set where a token was rotated.
    pub cookie: CookieShape,
}

impl Policy {
    /// Reads the settings; what is wrong is noted with the reader.
    pub fn read(reader: &mut Reader, common: &Common) -> Self {
        let issuer = reader.text("REPLYKE_ISSUER", AUTHORITY);
        let grace = reader.secs("REPLYKE_GRACE_SECS", GRACE_SECS, 0..=GRACE_WINDOW_MAX.as_secs());
        Self {
            authority: TokenAuthority::over_refresh_tokens(issuer, common.sessions_not_before),
            access: AccessPolicy {
                audience: reader.text("REPLYKE_AUDIENCE", AUTHORITY),
                client_id: PRODUCT.to_owned(),
                lifetime: reader.secs("REPLYKE_ACCESS_TOKEN_SECS", ACCESS_TOKEN_SECS, 1..=DAY_SECS),
            },
            rotation: RotationPolicy {
                grace: Grace::window_secs(grace.as_secs()),
                idle: reader.secs("REPLYKE_IDLE_SECS", SESSION_SECS, 1..=365 * DAY_SECS),
                absolute: reader.secs("REPLYKE_ABSOLUTE_SECS", SESSION_SECS, 1..=365 * DAY_SECS),
                amnesty: common.amnesty,
            },
            rotate_cookies: reader.flag("REPLYKE_ROTATE_COOKIES"),
            allowance: allowance(reader),
            cross_site: cross_site(reader),
            cookie: CookieShape {
                name: COOKIE_NAME,
                path: "/",
                domain: reader.cookie_domain("REPLYKE_COOKIE_DOMAIN"),
                // As the contract has it under the local stack, too, though browsers take none without `Secure`.
                same_site: SameSite::None,
                secure: !common.insecure_cookies,
            },
        }
    }

    /// What opening a session asks of this product.
    #[must_use]
    pub fn terms(self) -> Terms {
        let Self { authority, rotation, access, cookie, .. } = self;
        Terms {
            has_projects: true,
            refresh_cookie: Some(cookie),
            access_token_of_user: Some(access_token_of_user),
            ..Terms::of(PRODUCT, authority, rotation, access)
        }
    }

    /// The bucket of a verified request: its address's.
    #[must_use]
    pub fn bucket(&self, client: &Client) -> Key {
        keys::bucket("replyke-address", &[&client.network()])
    }
}

/// The tenant of one of the product's projects; `None` where no project can be called so.
#[must_use]
pub fn tenant(project: &str) -> Option<Tenant> {
    Tenant::new(format!("{PRODUCT}:{project}")).ok()
}

/// The project of one of the product's tenants, as the product calls it.
#[must_use]
pub fn project_of(tenant: &Tenant) -> &str {
    tenant.project().unwrap_or_default()
}

/// Who may call from a browser, which a function that could not start has to tell too.
pub fn cross_site(reader: &mut Reader) -> CrossSitePolicy {
    CrossSitePolicy {
        origins: reader.origins("REPLYKE_ALLOWED_ORIGINS"),
        methods: "POST",
        request_headers: "content-type, authorization",
        exposed_headers: "x-request-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, \
                          retry-after",
    }
}

/// What an address's bucket allows, which a function that could not start has to tell too: by its default where the
/// setting is what keeps it from starting.
pub fn allowance(reader: &mut Reader) -> Allowance {
    let limit = reader.limit("REPLYKE_RATE_LIMIT", RATE_LIMIT);
    Allowance::per_period(limit, reader.secs("REPLYKE_RATE_PERIOD_SECS", RATE_PERIOD_SECS, 1..=DAY_SECS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn read(more: &[(&str, &str)]) -> Result<Policy, String> {
        let mut reader = Reader::new([("TABLE_NAME", "t"), ("KEYRING_FILE", "k")].iter().chain(more).copied());
        let common = Common::read(&mut reader);
        let policy = Policy::read(&mut reader, &common);
        reader.finish().map(|()| policy).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let policy = read(&[]).unwrap();
        assert_eq!((policy.authority.issuer.as_str(), policy.access.audience.as_str()), ("replyke.com", "replyke.com"));
        assert_eq!(policy.access.lifetime.as_secs(), 1_800);
        assert_eq!(policy.rotation.grace, Grace::Window(Duration::from_secs(30)));
        assert_eq!((policy.rotation.idle.as_secs(), policy.rotation.absolute.as_secs()), (2_592_000, 2_592_000));
        assert_eq!((policy.allowance.burst(), policy.allowance.full_millis()), (50, 300_000));
        assert!(policy.cookie.secure && !policy.rotate_cookies);
    }

    #[test]
    fn bad_settings_are_refused_by_name() {
        for (name, value) in [
            ("REPLYKE_GRACE_SECS", "61"),
            ("REPLYKE_RATE_LIMIT", "0"),
            ("REPLYKE_RATE_PERIOD_SECS", "0"),
            ("REPLYKE_ROTATE_COOKIES", "yes"),
            ("REPLYKE_ALLOWED_ORIGINS", "*"),
            ("REPLYKE_COOKIE_DOMAIN", ".example.com"),
        ] {
            assert!(read(&[(name, value)]).unwrap_err().contains(&format!("{name} must")), "{name}");
        }
    }

    #[test]
    fn a_project_is_a_tenant_of_its_own_and_a_name_that_none_can_have_is_no_project() {
        assert_eq!(project_of(&tenant("2f1c-a").unwrap()), "2f1c-a");
        for name in ["", "a:b", "a b", "%20", "a#b", "é", &"x".repeat(73)] {
            assert_eq!(tenant(name), None, "{name}");
        }
    }
}
