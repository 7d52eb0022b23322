//! Where each item stands. Every key begins with its kind and its tenant, and every component that comes from outside
//! is percent-encoded, so that `a#b` + `c` never meets `a` + `b#c`.
//!
//! The same table as a sheet, with operations and costs, is `infra/access-patterns.md`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::identity::{FamilyId, OrgKey, Subject, Tenant};

/// Sorts first among a family's generations.
pub const GENERATION_PREFIX: &str = "GEN#";
/// Sorts last in a family, so that a query from the newest end meets it first.
pub const SEAL: &str = "SEAL";
/// Reissue notes sort before generations, so that the newest-two query never meets them.
pub const REISSUE_PREFIX: &str = "CLIENT#";
/// A user's sessions.
pub const SESSION_PREFIX: &str = "SESSION#";
/// The receipts of a user's openings, by what each was named.
pub const RECEIPT_PREFIX: &str = "OPENED#";
/// A user's memberships.
pub const MEMBERSHIP_PREFIX: &str = "ORG#";
/// An organization's quota periods, by the day on which each began.
pub const QUOTA_PREFIX: &str = "QUOTA#";
/// A user's, an organization's or a project's own item.
pub const PROFILE: &str = "PROFILE";
/// A user's password, as its hash.
pub const PASSWORD: &str = "PASSWORD";
/// A rate bucket's one item.
pub const BUCKET: &str = "BUCKET";
/// Sorts after every character that a key component may hold.
pub const AFTER: char = '~';

/// What a component keeps as it is: letters, digits, `-`, `_`, `.` and the `:` within a tenant. Never `#` or `~`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b':');

/// The primary key of one item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

fn encoded(component: &str) -> String {
    utf8_percent_encode(component, ENCODED).to_string()
}

/// The item collection of a family.
#[must_use]
pub fn family(tenant: &Tenant, family: FamilyId) -> String {
    format!("FAMILY#{}#{family}", encoded(tenant.as_str()))
}

/// Whose collection a partition key of [`family`] is; none for a key of another kind.
#[must_use]
pub fn family_of(pk: &str) -> Option<(Tenant, FamilyId)> {
    let (tenant, family) = pk.strip_prefix("FAMILY#")?.split_once('#')?;
    Some((Tenant::new(tenant).ok()?, family.parse().ok()?))
}

/// The sort key of a generation. Ten digits hold every `u32`, so that text order is number order.
#[must_use]
pub fn generation(number: u32) -> String {
    format!("{GENERATION_PREFIX}{number:010}")
}

/// The sort key of the note that generation `number` was reissued to a client other than the one that rotated to it.
#[must_use]
pub fn reissue(number: u32, client_hash: &str) -> String {
    format!("{REISSUE_PREFIX}{number:010}#{client_hash}")
}

/// The item collection of a user: profile, password, memberships, sessions and their receipts.
#[must_use]
pub fn user(tenant: &Tenant, subject: &Subject) -> String {
    format!("USER#{}#{}", encoded(tenant.as_str()), encoded(subject.as_str()))
}

/// The sort key of a session in its user's collection. ULIDs sort by the time at which they were made.
#[must_use]
pub fn session(family: FamilyId) -> String {
    format!("{SESSION_PREFIX}{family}")
}

/// The sort key of the receipt of an opening in its user's collection; `token` is a [`digest`].
#[must_use]
pub fn receipt(token: &str) -> String {
    format!("{RECEIPT_PREFIX}{token}")
}

/// The sort key of a membership in its user's collection.
#[must_use]
pub fn membership(org: &OrgKey) -> String {
    format!("{MEMBERSHIP_PREFIX}{}", encoded(org.as_str()))
}

/// The item collection of an organization: profile and quota periods.
#[must_use]
pub fn org(tenant: &Tenant, org: &OrgKey) -> String {
    format!("ORG#{}#{}", encoded(tenant.as_str()), encoded(org.as_str()))
}

/// The item collection of the project that a tenant is; none of a tenant that is a whole product.
#[must_use]
pub fn project(tenant: &Tenant) -> Option<String> {
    tenant.project().map(|_| format!("PROJECT#{}", encoded(tenant.as_str())))
}

/// The sort key of a quota period that began on `day` (`2026-11-01`).
#[must_use]
pub fn quota(day: &str) -> String {
    format!("{QUOTA_PREFIX}{}", encoded(day))
}

/// A rate bucket: `policy` says what is counted, `names` for whom. The names are hashed, so that a bucket's key has one
/// size and tells nobody's name.
#[must_use]
pub fn bucket(policy: &str, names: &[&str]) -> Key {
    Key { pk: format!("RATE#{}#{}", encoded(policy), digest(names)), sk: BUCKET.to_owned() }
}

/// 128 bits of SHA-256 over texts, each with its length, in base64url (22 characters): a name for them that cannot be
/// mistaken for that of others.
#[must_use]
pub fn digest(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    }
    let whole: [u8; 32] = hash.finalize().into();
    let (first, _) = whole.split_at(16);
    URL_SAFE_NO_PAD.encode(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_within_a_name_never_makes_two_keys_meet() {
        let tenant = Tenant::new("uniqos").unwrap();
        let pk = user(&tenant, &Subject::new("a#b").unwrap());
        assert_eq!(pk, "USER#uniqos#a%23b");
        assert_ne!(bucket("a", &["bc", "d"]).pk, bucket("a", &["b", "cd"]).pk);
    }

    #[test]
    fn a_familys_key_tells_whose_it_is_and_no_other_key_does() {
        let id: FamilyId = "01JD0000000000000000000000".parse().unwrap();
        for name in ["uniqos", "replyke:a.b-c_d"] {
            let tenant = Tenant::new(name).unwrap();
            assert_eq!(family_of(&family(&tenant, id)), Some((tenant, id)));
        }
        for other in ["USER#uniqos#01JD0000000000000000000000", "FAMILY#uniqos", "FAMILY#uniqos#1", "FAMILY##1"] {
            assert_eq!(family_of(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_tenant_that_is_a_project_has_a_projects_key() {
        assert_eq!(project(&Tenant::new("one:a.b-c_d").unwrap()).as_deref(), Some("PROJECT#one:a.b-c_d"));
        assert_eq!(project(&Tenant::new("one").unwrap()), None);
    }

    #[test]
    fn within_a_family_notes_sort_before_generations_and_the_seal_after_them() {
        let mut sorted = [SEAL.to_owned(), generation(u32::MAX), generation(9), generation(10), reissue(10, "ff")];
        sorted.sort();
        assert_eq!(sorted, [reissue(10, "ff"), generation(9), generation(10), generation(u32::MAX), SEAL.to_owned()]);
    }

    #[test]
    fn names_of_the_greatest_length_keep_a_key_within_what_dynamodb_allows() {
        let pk = user(&Tenant::new("x".repeat(80)).unwrap(), &Subject::new("#".repeat(128)).unwrap());
        assert!(pk.len() <= 2048, "{}", pk.len());
    }
}
