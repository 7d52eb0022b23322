//! What this function decides for itself, each with where its number comes from. What a product decides is in
//! [`crate::products`].

use std::num::NonZeroU32;

use rondo_shared::config::{Common, Reader};
use rondo_shared::store::dynamo::Endpoint;

/// Its place in log lines, where the refresh functions have their product's.
pub const NAME: &str = "sessions";
/// Largest body that is read: a label, a user agent and five names have room in a quarter of it.
pub const BODY_MAX_BYTES: usize = 16 * 1024;
/// Longest client token, in bytes: a UUID or a digest of any kind, with room.
pub const CLIENT_TOKEN_MAX_BYTES: usize = 128;
/// Sessions on a page, unless more or fewer are asked for: more than most users have.
pub const PAGE_DEFAULT: u8 = 20;
/// Sessions on a page at most. Each costs a query.
pub const PAGE_MAX: u8 = 100;
/// After how many seconds a passing failure may be tried again: longer than the store's client has tried by itself to
/// no avail would help nobody.
pub const RETRY_AFTER_SECS: u32 = 1;

/// All of the function's own settings.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `SESSIONS_PER_USER_MAX`: live sessions of one user at most; any number, where it is unset.
    pub sessions_per_user_max: Option<NonZeroU32>,
    /// `SESSIONS_WITHOUT_IAM`: serves events without an IAM identity, which is what `cargo lambda watch` sends. Only
    /// with a local store, and never in Lambda.
    pub without_iam: bool,
}

impl Policy {
    /// Reads the settings; what is wrong is noted with the reader.
    pub fn read(reader: &mut Reader, common: &Common) -> Self {
        let is_capped = reader.raw("SESSIONS_PER_USER_MAX").is_some();
        let sessions_per_user_max = is_capped.then(|| reader.limit("SESSIONS_PER_USER_MAX", NonZeroU32::MIN));
        let without_iam = reader.flag("SESSIONS_WITHOUT_IAM");
        // Lambda sets this variable in every function; nothing that runs locally does.
        let is_deployed = reader.raw("AWS_LAMBDA_INITIALIZATION_TYPE").is_some()
            || !matches!(common.endpoint, Endpoint::Local { .. });
        if without_iam && is_deployed {
            reader.problem("SESSIONS_WITHOUT_IAM", "must not be set in a deployment: it is for the local stack alone");
        }
        Self { sessions_per_user_max, without_iam }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: (&str, &str) = ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000");

    fn read(more: &[(&str, &str)]) -> Result<Policy, String> {
        let mut reader = Reader::new([("TABLE_NAME", "t"), ("KEYRING_FILE", "k")].iter().chain(more).copied());
        let common = Common::read(&mut reader);
        let policy = Policy::read(&mut reader, &common);
        reader.finish().map(|()| policy).map_err(|error| error.to_string())
    }

    #[test]
    fn by_default_nobody_is_served_without_an_iam_identity_and_nothing_is_capped() {
        let policy = read(&[]).unwrap();
        assert!(!policy.without_iam);
        assert_eq!(policy.sessions_per_user_max, None);
    }

    #[test]
    fn only_the_local_stack_may_do_without_iam() {
        let without = ("SESSIONS_WITHOUT_IAM", "true");
        assert!(read(&[LOCAL, without]).unwrap().without_iam);
        let deployed: [&[(&str, &str)]; 3] = [
            &[without],
            &[without, ("AWS_ENDPOINT_URL_DYNAMODB", "")],
            &[without, LOCAL, ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")],
        ];
        for settings in deployed {
            assert!(read(settings).unwrap_err().contains("SESSIONS_WITHOUT_IAM must not be set"), "{settings:?}");
        }
    }

    #[test]
    fn a_cap_is_a_number_of_sessions() {
        let capped = |max| read(&[("SESSIONS_PER_USER_MAX", max)]);
        assert_eq!(capped("5").unwrap().sessions_per_user_max, NonZeroU32::new(5));
        for bad in ["0", "-1", "many", "1001"] {
            assert!(capped(bad).unwrap_err().contains("SESSIONS_PER_USER_MAX must be"), "{bad}");
        }
    }
}
