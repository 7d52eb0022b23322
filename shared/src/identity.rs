//! Who a session belongs to: tenant, user, organization, family, and the client that a request came from.
//!
//! Every name that comes from outside is bounded here, once, so that no item outgrows 1 KB and no key is ambiguous.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::moment::Timestamp;

/// Longest user or organization name, in bytes: what keeps every item under 1 KB, with room for a UUID or an e-mail.
pub const NAME_MAX_BYTES: usize = 128;
/// Longest tenant, in bytes: a product's name, a colon and a 64-character project id.
pub const TENANT_MAX_BYTES: usize = 80;
/// Characters kept of a `User-Agent` (printable ASCII only).
pub const USER_AGENT_MAX: usize = 200;

/// A name that is empty, too long or made of the wrong characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {what} is {rule}")]
pub struct InvalidName {
    what: &'static str,
    rule: &'static str,
}

/// A product, or one project of a product (`replyke:<projectId>`). Nothing of one tenant is valid for another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(String);

impl Tenant {
    /// A tenant by its name: letters, digits, `-`, `_` and `.`, with at most one colon between product and project.
    ///
    /// # Errors
    /// [`InvalidName`] for anything else, and over [`TENANT_MAX_BYTES`].
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        let name = name.into();
        let plain = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let (product, project) = name.split_once(':').map_or((name.as_str(), None), |(a, b)| (a, Some(b)));
        if name.len() <= TENANT_MAX_BYTES && plain(product) && project.is_none_or(plain) {
            return Ok(Self(name));
        }
        Err(InvalidName { what: "tenant", rule: "up to 80 letters, digits, '-', '_' or '.', with one ':' at most" })
    }

    /// The name, as keys and tokens carry it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The product.
    #[must_use]
    pub fn product(&self) -> &str {
        self.0.split_once(':').map_or(self.as_str(), |(product, _)| product)
    }

    /// The project, of a tenant that is one of a product's.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.0.split_once(':').map(|(_, project)| project)
    }
}

macro_rules! bounded_name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Bounds a name that came from outside: 1 to [`NAME_MAX_BYTES`] bytes, no control character.
            ///
            /// # Errors
            /// [`InvalidName`] where it is out of bounds.
            pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
                let name = name.into();
                if name.is_empty() || name.len() > NAME_MAX_BYTES || name.chars().any(char::is_control) {
                    return Err(InvalidName { what: $what, rule: "1 to 128 bytes without control characters" });
                }
                Ok(Self(name))
            }

            /// The name as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(name: String) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(name: &str) -> Result<Self, InvalidName> {
                Self::new(name)
            }
        }
    };
}

bounded_name!(
    /// A user, by the identifier that the product gives it: the `sub` of its tokens (RFC 7519 §4.1.2).
    Subject,
    "user"
);
bounded_name!(
    /// An organization, by its key.
    OrgKey,
    "organization"
);

impl TryFrom<String> for Tenant {
    type Error = InvalidName;
    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl From<Tenant> for String {
    fn from(tenant: Tenant) -> Self {
        tenant.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A family of refresh tokens: everything that grew from one sign-in. Its ULID holds the time of that sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FamilyId(Ulid);

impl FamilyId {
    /// The family with this ULID.
    #[must_use]
    pub const fn new(id: Ulid) -> Self {
        Self(id)
    }

    /// When the family was opened, as its ULID says.
    #[must_use]
    pub fn opened_at(self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for FamilyId {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match Ulid::from_string(text) {
            Ok(id) if id.to_string() == text => Ok(Self(id)),
            Ok(_) | Err(_) => Err(InvalidName { what: "family", rule: "a ULID of 26 upper-case characters" }),
        }
    }
}

impl TryFrom<String> for FamilyId {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl Serialize for FamilyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FamilyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a request came from, as far as the front door can tell: two requests of one client have both parts equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    ip: Option<IpAddr>,
    user_agent: String,
}

impl Client {
    /// A client at `ip` with the given `User-Agent`, of which 200 printable ASCII characters are kept.
    #[must_use]
    pub fn new(ip: Option<IpAddr>, user_agent: &str) -> Self {
        let printable = |c: &char| matches!(c, ' '..='~');
        Self { ip, user_agent: user_agent.chars().filter(printable).take(USER_AGENT_MAX).collect() }
    }

    /// The address, or `-` where the front door named none.
    #[must_use]
    pub fn ip(&self) -> String {
        self.ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string())
    }

    /// The kept part of the `User-Agent`.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// The name of this client's rate bucket: its IPv4 address, or the /64 of its IPv6 address, of which one
    /// subscriber commonly has all.
    #[must_use]
    pub fn network(&self) -> String {
        match self.ip.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
            Some(IpAddr::V4(ip)) => ip.to_string(),
            None => "-".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_a_product_or_one_project_of_it() {
        for (name, product, project) in [("one", "one", None), ("one:2f1c", "one", Some("2f1c"))] {
            let tenant = Tenant::new(name).unwrap();
            assert_eq!((tenant.product(), tenant.project()), (product, project));
        }
        for bad in ["", ":", "a:", ":b", "a:b:c", "a#b", "a b", &"x".repeat(81)] {
            assert!(Tenant::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_bounded() {
        assert!(Subject::new("x".repeat(128)).is_ok());
        for bad in [String::new(), "x".repeat(129), "a\nb".to_owned()] {
            assert!(Subject::new(bad).is_err());
        }
    }

    #[test]
    fn a_family_is_named_in_one_spelling_only() {
        assert!("01JD0000000000000000000000".parse::<FamilyId>().is_ok());
        assert!("01jd0000000000000000000000".parse::<FamilyId>().is_err());
        assert!("81JD0000000000000000000000".parse::<FamilyId>().is_err());
    }

    #[test]
    fn a_user_agent_is_kept_to_printable_ascii() {
        let client = Client::new(None, &format!("a\u{7}ü{}", "b".repeat(300)));
        assert_eq!(client.user_agent().len(), USER_AGENT_MAX);
        assert!(client.user_agent().starts_with("ab"));
    }

    #[test]
    fn ipv6_addresses_of_one_subscriber_share_a_bucket() {
        let at = |ip: &str| Client::new(Some(ip.parse().unwrap()), "").network();
        assert_eq!(at("2001:db8:1:2:3:4:5:6"), at("2001:db8:1:2::1"));
        assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
        assert_eq!(at("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
