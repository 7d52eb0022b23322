//! Password hashes: argon2id (RFC 9106) in the PHC string format, with one set of parameters, so that trying any password
//! against any hash costs the same. No IO.

use argon2::password_hash::Error;
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use rondo_shared::store::StoreError;
use rondo_shared::store::item::Credential;

use crate::request::Password;

/// Memory of one hash, in KiB: the OWASP password storage cheat sheet's minimum for argon2id, and 19 MiB of a function's
/// memory while one is computed.
pub const MEMORY_KIB: u32 = 19_456;
/// Passes over that memory: what the same sheet pairs with it.
pub const PASSES: u32 = 2;
/// Lanes: one, since a function has no second processor to fill it.
pub const LANES: u32 = 1;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;

const PARAMETERS: Params = match Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)) {
    Ok(parameters) => parameters,
    Err(_) => panic!("the parameters are within argon2's bounds"),
};

/// What a password is tried against where there is no user. Salt and hash are random bytes: no password is known that
/// gives them, and one that did would open nothing.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$kp4RoCzzv4lp400lcymA+w$ZQcKvxCgpEUNTbN5XvL1KIcgh21MyDU4PfLnwoYbKKk";

/// A hash of exactly this file's parameters.
#[derive(Clone)]
pub struct StoredHash(PasswordHash);

impl std::fmt::Debug for StoredHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoredHash(…)")
    }
}

impl StoredHash {
    /// From a user's credential. One that was made with other parameters is refused: what it costs to try it would tell
    /// it from the others, and how much that is would be its writer's choice.
    ///
    /// # Errors
    /// [`StoreError::Malformed`], which shows nothing of the hash.
    pub fn read(credential: &Credential) -> Result<Self, StoreError> {
        Self::parse(credential.password_hash()).ok_or_else(|| {
            Credential::malformed(&format!("is not $argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$…"))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let hash = PasswordHash::new(text).ok()?;
        let is_ours = hash.algorithm == ARGON2ID_IDENT
            && hash.version == Some(Version::V0x13.into())
            && hash.salt.is_some()
            && Params::try_from(&hash).is_ok_and(|parameters| parameters == PARAMETERS);
        is_ours.then_some(Self(hash))
    }

    /// The hash of nobody, which costs what any other does.
    #[must_use]
    #[expect(clippy::missing_panics_doc, clippy::expect_used, reason = "the text is a constant, and a test parses it")]
    pub fn nobodys() -> Self {
        Self::parse(NOBODYS_HASH).expect("a hash of these parameters")
    }
}

/// The memory for a hash could not be had, so that nothing is known of the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password could not be hashed: {0}")]
pub struct HashingError(String);

/// What tries passwords: a port, so that tests can count how many hashes an answer cost.
pub trait Verifier: Send + Sync {
    /// Whether the password gives the hash. Computes exactly one hash, whatever the answer is.
    ///
    /// # Errors
    /// [`HashingError`] where nobody can tell.
    fn matches(&self, password: &Password, hash: &StoredHash) -> Result<bool, HashingError>;
}

/// Argon2id with this file's parameters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Argon2id;

impl Verifier for Argon2id {
    fn matches(&self, password: &Password, hash: &StoredHash) -> Result<bool, HashingError> {
        match hasher().verify_password(password.bytes(), &hash.0) {
            Ok(()) => Ok(true),
            Err(Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(HashingError(error.to_string())),
        }
    }
}

/// The credential of a new password, under 16 random bytes that no other password has.
///
/// # Errors
/// [`HashingError`] where the memory for a hash cannot be had.
pub fn credential(password: &Password, salt: [u8; 16]) -> Result<Credential, HashingError> {
    let hash = hasher().hash_password_with_salt(password.bytes(), &salt);
    hash.map(|hash| Credential::new(hash.to_string())).map_err(|error| HashingError(error.to_string()))
}

fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMETERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    #[test]
    fn a_password_gives_its_own_hash_and_no_other() {
        let stored = StoredHash::read(&credential(&password("correct horse"), [7; 16]).unwrap()).unwrap();
        assert_eq!(Argon2id.matches(&password("correct horse"), &stored), Ok(true));
        assert_eq!(Argon2id.matches(&password("correct horsf"), &stored), Ok(false));
        assert_eq!(Argon2id.matches(&password("correct horse"), &StoredHash::nobodys()), Ok(false));
    }

    #[test]
    fn a_hash_is_as_the_reference_implementation_makes_it() {
        // Made by the reference implementation: `printf password | argon2 somesaltsomesalt -id -k 19456 -t 2 -p 1 -l 32`.
        let made = credential(&password("password"), *b"somesaltsomesalt").unwrap();
        assert_eq!(made.password_hash(), REFERENCE);
    }

    const REFERENCE: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$K13EBUiG7JV+9ZxztmHFTdb7J0WQsnj2V8bZaqyPptE";

    #[test]
    fn a_hash_of_other_parameters_is_malformed_and_is_not_shown() {
        let good = credential(&password("p"), [7; 16]).unwrap();
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("argon2id", "scrypt"),
            ("v=19", "v=16"),
            ("v=19$", ""),
            ("m=19456", "m=19457"),
            ("m=19456", "m=4000000000"),
            ("t=2", "t=3"),
            ("p=1", "p=2"),
            ("p=1", "p=1,keyid=AAAA"),
            ("$", ""),
        ] {
            let other = good.password_hash().replace(from, to);
            let error = StoredHash::read(&Credential::new(other.clone())).unwrap_err().to_string();
            assert!(error.contains("password_hash is not $argon2id$v=19$m=19456,t=2,p=1$"), "{error}");
            assert!(!error.contains(good.password_hash().rsplit('$').next().unwrap()), "{other}");
        }
        let (without_hash, hash) = good.password_hash().rsplit_once('$').unwrap();
        for text in ["", without_hash, &format!("{without_hash}${}", &hash[..22])] {
            assert!(StoredHash::read(&Credential::new(text.to_owned())).is_err(), "{text}");
        }
    }

    #[test]
    fn neither_a_password_nor_a_hash_is_shown_by_debug() {
        let shown = format!("{:?} {:?}", password("correct horse"), StoredHash::nobodys());
        assert_eq!(shown, "Password(…) StoredHash(…)");
    }
}
