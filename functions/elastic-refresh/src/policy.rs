//! What Elastic Cloud Enterprise decides: times, rates, names, each with where its number comes from. A deployment sets
//! them within bounds, by the variables named here.

use std::num::NonZeroU32;
use std::time::Duration;

use rondo_shared::config::{Common, Reader};
use rondo_shared::identity::{Client, Subject, Tenant};
use rondo_shared::limit::Allowance;
use rondo_shared::mint::AccessPolicy;
use rondo_shared::rotation::policy::{Grace, RotationPolicy};
use rondo_shared::session::Terms;
use rondo_shared::store::{Key, keys};
use rondo_shared::token::{TokenAuthority, TokenForm};
use rondo_shared::wire::CrossSitePolicy;

/// The product's name: its tenant, its keys in the keyring, its place in log lines.
pub const PRODUCT: &str = "elastic";
/// A token lives for 60 minutes, as one of a session of the product's does. It is the access token and what is rotated
/// in one, so that this is the idle time too.
const TOKEN_SECS: u64 = 60 * 60;
/// A session ends after 24 hours, however much it is used: an administrator signs in once a day.
const ABSOLUTE_SECS: u64 = DAY_SECS;
const DAY_SECS: u64 = 24 * 60 * 60;
/// The product's client refreshes every 60 seconds in the background and keeps the old token on an error, so that a lost
/// answer is noticed a minute later or more: four tries, and a little, are believed while the successor is unused. This
/// is also the most that a deployment may set; zero is off.
const GRACE_SECS: u64 = 5 * 60;
/// Refreshes per second and user: everything that runs under one account's session may refresh in one instant, as the
/// 64 workers of one job do, and find room beside it.
const USER_LIMIT: NonZeroU32 = NonZeroU32::new(100).unwrap();
/// Requests without credentials that may count, per second and address, of one function instance.
const ADDRESS_LIMIT: NonZeroU32 = NonZeroU32::new(50).unwrap();
/// Passwords tried per minute and address, whosever they are: an office signing in after lunch, not a list of names.
const PASSWORD_ADDRESS_LIMIT: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// Passwords tried per minute for one user name from one address: a person who mistypes. It counts by address too, so
/// that nobody can lock a user out from elsewhere.
const PASSWORD_USER_LIMIT: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// All of the product's settings.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The product's one tenant.
    pub tenant: Tenant,
    /// What a token must say.
    pub authority: TokenAuthority,
    /// What a token says beside that as an access token.
    pub access: AccessPolicy,
    /// Grace, idle and absolute times.
    pub rotation: RotationPolicy,
    /// Of each user's bucket for refreshes, in the store.
    pub user_allowance: Allowance,
    /// Of each address's bucket, in memory.
    pub address_allowance: Allowance,
    /// Of each address's bucket for passwords, in the store.
    pub password_address_allowance: Allowance,
    /// Of each user name's bucket for passwords from one address, in the store.
    pub password_user_allowance: Allowance,
    /// Who may call from a browser. No cookie authenticates here, so that nothing is refused by it.
    pub cross_site: CrossSitePolicy,
}

impl Policy {
    /// Reads the settings; what is wrong is noted with the reader.
    pub fn read(reader: &mut Reader, common: &Common) -> Self {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let lifetime = reader.secs("ELASTIC_TOKEN_SECS", TOKEN_SECS, 1..=DAY_SECS);
        let audience = reader.text("ELASTIC_AUDIENCE", "elastic-api");
        let grace = reader.secs("ELASTIC_GRACE_SECS", GRACE_SECS, 0..=GRACE_SECS);
        let mut allowance = |name, limit, period| Allowance::per_period(reader.limit(name, limit), period);
        let user_allowance = allowance("ELASTIC_RATE_LIMIT", USER_LIMIT, second);
        let address_allowance = allowance("ELASTIC_ADDRESS_RATE_LIMIT", ADDRESS_LIMIT, second);
        let password_address_allowance =
            allowance("ELASTIC_PASSWORD_ATTEMPTS_PER_ADDRESS", PASSWORD_ADDRESS_LIMIT, minute);
        let password_user_allowance = allowance("ELASTIC_PASSWORD_ATTEMPTS_PER_USER", PASSWORD_USER_LIMIT, minute);
        Self {
            tenant: tenant(),
            authority: TokenAuthority {
                issuer: reader.text("ELASTIC_ISSUER", "elastic"),
                audience: audience.clone(),
                form: TokenForm::Combined,
                sessions_not_before: common.sessions_not_before,
            },
            access: AccessPolicy { audience, client_id: PRODUCT.to_owned(), lifetime },
            rotation: RotationPolicy {
                grace: until_successor_used(grace),
                idle: lifetime,
                absolute: reader.secs("ELASTIC_ABSOLUTE_SECS", ABSOLUTE_SECS, 1..=365 * DAY_SECS),
                amnesty: common.amnesty,
            },
            user_allowance,
            address_allowance,
            password_address_allowance,
            password_user_allowance,
            cross_site: cross_site(reader),
        }
    }

    /// What opening a session asks of this product.
    #[must_use]
    pub fn terms(self) -> Terms {
        let Self { authority, rotation, access, .. } = self;
        Terms::of(PRODUCT, authority, rotation, access)
    }

    /// The bucket of a refresh: its user's.
    #[must_use]
    pub fn bucket(&self, subject: &Subject) -> Key {
        keys::bucket("elastic-user", &[subject.as_str()])
    }

    /// The bucket of every password that comes from an address.
    #[must_use]
    pub fn password_address_bucket(&self, client: &Client) -> Key {
        keys::bucket("elastic-password-address", &[&client.network()])
    }

    /// The bucket of the passwords that come from an address for one user name.
    #[must_use]
    pub fn password_user_bucket(&self, subject: &Subject, client: &Client) -> Key {
        keys::bucket("elastic-password-user", &[subject.as_str(), &client.network()])
    }
}

const fn until_successor_used(at_most: Duration) -> Grace {
    if at_most.is_zero() { Grace::Off } else { Grace::UntilSuccessorUsed { at_most } }
}

/// Who may call from a browser, which a function that could not start has to tell too.
pub fn cross_site(reader: &mut Reader) -> CrossSitePolicy {
    CrossSitePolicy {
        origins: reader.origins("ELASTIC_ALLOWED_ORIGINS"),
        methods: "POST",
        request_headers: "content-type, authorization",
        exposed_headers: "x-request-id, x-cloud-error-codes, retry-after",
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
        assert_eq!(policy.tenant.as_str(), "elastic");
        assert_eq!((policy.authority.form, policy.authority.audience.as_str()), (TokenForm::Combined, "elastic-api"));
        assert_eq!(policy.rotation.grace, Grace::UntilSuccessorUsed { at_most: Duration::from_secs(300) });
        assert_eq!(policy.rotation.idle.as_secs(), 3_600);
        assert_eq!(policy.rotation.absolute.as_secs(), 86_400);
        assert!(policy.user_allowance.burst() >= 64);
        assert_eq!((policy.password_address_allowance.burst(), policy.password_user_allowance.burst()), (30, 10));
        assert_eq!(policy.password_user_allowance.full_millis(), 60_000);
    }

    #[test]
    fn settings_out_of_bounds_are_refused_by_name() {
        for (name, value) in [
            ("ELASTIC_GRACE_SECS", "301"),
            ("ELASTIC_TOKEN_SECS", "0"),
            ("ELASTIC_ABSOLUTE_SECS", "31536001"),
            ("ELASTIC_PASSWORD_ATTEMPTS_PER_USER", "0"),
            ("ELASTIC_PASSWORD_ATTEMPTS_PER_ADDRESS", "1001"),
            ("ELASTIC_ALLOWED_ORIGINS", "*"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
        assert_eq!(read(&[("ELASTIC_GRACE_SECS", "0")]).unwrap().rotation.grace, Grace::Off);
    }

    #[test]
    fn passwords_for_one_name_are_counted_by_address_so_that_nobody_locks_a_user_out_from_elsewhere() {
        let policy = read(&[]).unwrap();
        let user = |name: &str, ip: &str| {
            let client = Client::new(Some(ip.parse().unwrap()), "");
            policy.password_user_bucket(&Subject::new(name).unwrap(), &client)
        };
        assert_eq!(user("a", "192.0.2.1"), user("a", "192.0.2.1"));
        assert_ne!(user("a", "192.0.2.1"), user("a", "192.0.2.2"));
        assert_ne!(user("a", "192.0.2.1"), user("b", "192.0.2.1"));
    }
}
