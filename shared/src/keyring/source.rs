//! Where the keyring comes from, and when it is read again: every few minutes, and when a token names a key that the
//! ring does not have, though at most once a minute for that.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::public::{PublicJwk, public_keys};
use super::secret::Secret;
use super::{KeyringError, KeyringText, ProductKeys};
use crate::aws::Endpoint;
use crate::config::Reader;
use crate::log::KeyringLine;
use crate::moment::Timestamp;

/// How old a ring may grow before it is read again. `promote` waits for this long too, so that no instance signs with a
/// key that another has not yet read.
pub const REREAD_INTERVAL: Duration = Duration::from_mins(5);
/// How often an unknown `kid` may have the ring read again: what a flood of forged tokens can cost.
pub const UNKNOWN_KID_INTERVAL: Duration = Duration::from_mins(1);

/// A place that a keyring document is read from.
#[derive(Clone, Debug)]
pub enum KeyringSource {
    /// A file: the local stack's.
    File(PathBuf),
    /// A secret in Secrets Manager.
    Secret {
        /// Which.
        secret: Secret,
        /// What [`KeyringSource::read_ahead`] found in it, for those who open keyrings from it.
        ahead: Option<KeyringText>,
    },
}

impl KeyringSource {
    /// Where this deployment's keyring is: in `KEYRING_SECRET_ID` or, locally, in `KEYRING_FILE`. What is wrong is noted
    /// with the reader.
    pub fn configured(reader: &mut Reader) -> Self {
        match (reader.raw("KEYRING_SECRET_ID").map(str::to_owned), reader.raw("KEYRING_FILE").map(PathBuf::from)) {
            (Some(id), None) => {
                Self::secret(Secret::new(id, Endpoint::configured(reader, "AWS_ENDPOINT_URL_SECRETS_MANAGER")))
            }
            (None, Some(path)) => Self::File(path),
            (Some(_), Some(path)) => {
                reader.problem("KEYRING_FILE", "must not be set beside KEYRING_SECRET_ID: there is one keyring");
                Self::File(path)
            }
            (None, None) => {
                reader.problem("KEYRING_SECRET_ID", "must be set, or KEYRING_FILE where the keyring is a file");
                Self::File(PathBuf::new())
            }
        }
    }

    /// Whether a deployment has a keyring to speak of.
    #[must_use]
    pub fn is_named(reader: &Reader) -> bool {
        ["KEYRING_SECRET_ID", "KEYRING_FILE"].iter().any(|name| reader.raw(name).is_some())
    }

    /// A secret of which nothing is known yet.
    #[must_use]
    pub const fn secret(secret: Secret) -> Self {
        Self::Secret { secret, ahead: None }
    }

    /// Reads what has to be waited for, so that a cold start can do something else meanwhile, and that opening several
    /// keyrings costs one reading.
    ///
    /// # Errors
    /// [`KeyringError::Unreadable`] and [`KeyringError::Absent`]: either may pass.
    pub async fn read_ahead(&mut self) -> Result<(), KeyringError> {
        match self {
            Self::File(_) => {}
            Self::Secret { secret, ahead } => *ahead = Some(secret.read().await?),
        }
        Ok(())
    }

    /// What is there without waiting.
    fn at_hand(&self) -> Result<KeyringText, KeyringError> {
        match self {
            Self::File(path) => read_file(path),
            Self::Secret { secret, ahead } => {
                let not_read = || KeyringError::Unreadable(format!("secret {}: it was not read yet", secret.id()));
                ahead.clone().ok_or_else(not_read)
            }
        }
    }

    /// Reads the document, whatever was read ahead.
    ///
    /// # Errors
    /// [`KeyringError::Unreadable`] and [`KeyringError::Absent`]: either may pass.
    pub async fn read(&self) -> Result<KeyringText, KeyringError> {
        match self {
            Self::File(path) => read_file(path),
            // On the heap: a reading every few minutes is not to make every request's future larger.
            Self::Secret { secret, .. } => Box::pin(secret.read()).await,
        }
    }

    /// The same place, for one who has read it and will read it again.
    fn emptied(self) -> Self {
        match self {
            Self::File(_) => self,
            Self::Secret { secret, .. } => Self::secret(secret),
        }
    }
}

fn read_file(path: &Path) -> Result<KeyringText, KeyringError> {
    let unreadable = |error: std::io::Error| KeyringError::Unreadable(format!("{}: {}", path.display(), error.kind()));
    std::fs::read_to_string(path).map(KeyringText::new).map_err(unreadable)
}

/// Keys, kept current: those of one product, or whatever else is taken from a keyring's document.
pub struct Keyring<K = ProductKeys> {
    source: KeyringSource,
    parse: Parse<K>,
    state: Mutex<State<K>>,
    /// Held while the source is read, so that many requests cost one reading.
    reading: tokio::sync::Mutex<()>,
}

/// Takes from a document what is wanted of it, as it is read at an instant.
type Parse<K> = Box<dyn Fn(&str, Timestamp) -> Result<K, KeyringError> + Send + Sync>;

impl<K: fmt::Debug> fmt::Debug for Keyring<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("source", &self.source).field("state", &self.state).finish_non_exhaustive()
    }
}

/// What is published of all products' keys, kept current.
pub type PublishedKeys = Keyring<Vec<PublicJwk>>;

#[derive(Debug)]
struct State<K> {
    keys: Arc<K>,
    attempted_at: Timestamp,
    last_failure: Option<KeyringError>,
}

impl Keyring {
    /// One product's keys, from what is at hand of a source: see [`KeyringSource::read_ahead`].
    ///
    /// # Errors
    /// [`KeyringError`] where there is no ring, or none that can be used: a function without keys serves nobody.
    pub fn open(source: KeyringSource, product: &str, now: Timestamp) -> Result<Self, KeyringError> {
        let product = product.to_owned();
        let parse = move |document: &str, now: Timestamp| {
            let keys = ProductKeys::parse(document, &product)?;
            KeyringLine::of(&product, &keys, now).emit();
            Ok(keys)
        };
        Self::open_with(source, parse, now)
    }
}

impl PublishedKeys {
    /// All products' public keys, from what is at hand of a source: see [`KeyringSource::read_ahead`].
    ///
    /// # Errors
    /// [`KeyringError`] where there is no ring, or none that can be published; see [`public_keys`].
    pub fn open_published(source: KeyringSource, now: Timestamp) -> Result<Self, KeyringError> {
        Self::open_with(source, |document, _| public_keys(document), now)
    }
}

impl<K> Keyring<K> {
    fn open_with(
        source: KeyringSource,
        parse: impl Fn(&str, Timestamp) -> Result<K, KeyringError> + Send + Sync + 'static,
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        let keys = Arc::new(parse(source.at_hand()?.as_str(), now)?);
        let state = State { keys, attempted_at: now, last_failure: None };
        let (state, reading) = (Mutex::new(state), tokio::sync::Mutex::default());
        Ok(Self { source: source.emptied(), parse: Box::new(parse), state, reading })
    }

    /// The keys, read again first if they have grown old. A failed reading keeps the ring that is there. While another
    /// request reads, nobody waits: the ring that is there is as good as it was.
    pub async fn current(&self, now: Timestamp) -> Arc<K> {
        if self.is_due(REREAD_INTERVAL, now)
            && let Ok(_reading) = self.reading.try_lock()
        {
            self.reread_if_due(REREAD_INTERVAL, now).await;
        }
        Arc::clone(&self.state().keys)
    }

    /// The keys after a token named one that [`Keyring::current`] did not have.
    ///
    /// # Errors
    /// [`KeyringError`] where the latest reading failed: then nobody can tell whether the key exists, and the request
    /// has to be answered as a passing failure.
    pub async fn after_unknown_kid(&self, now: Timestamp) -> Result<Arc<K>, KeyringError> {
        {
            // Whoever reads already may find the key: wait for them.
            let _reading = self.reading.lock().await;
            self.reread_if_due(UNKNOWN_KID_INTERVAL, now).await;
        }
        let state = self.state();
        match &state.last_failure {
            Some(error) => Err(error.clone()),
            None => Ok(Arc::clone(&state.keys)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self, interval: Duration, now: Timestamp) -> bool {
        is_due(self.state().attempted_at, interval, now)
    }

    async fn reread_if_due(&self, interval: Duration, now: Timestamp) {
        if !self.is_due(interval, now) {
            return;
        }
        let read = self.source.read().await.and_then(|text| (self.parse)(text.as_str(), now));
        let mut state = self.state();
        state.attempted_at = now;
        match read {
            Ok(keys) => {
                state.keys = Arc::new(keys);
                state.last_failure = None;
            }
            Err(error) => {
                tracing::warn!(%error, "the keyring could not be read again; the one in use is kept");
                state.last_failure = Some(error);
            }
        }
    }
}

/// Whether the ring is to be read again: after the interval, and at once where the clock has been set back, since nobody
/// can tell then how old the ring is.
fn is_due(attempted_at: Timestamp, interval: Duration, now: Timestamp) -> bool {
    now < attempted_at || now.since(attempted_at) >= interval
}

#[cfg(test)]
mod tests {
    use super::super::tests::document;
    use super::*;

    struct Ring {
        path: PathBuf,
        ring: Keyring,
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn ring(name: &str) -> Ring {
        let path = std::env::temp_dir().join(format!("rondo-keyring-{name}-{}.json", std::process::id()));
        std::fs::write(&path, document().to_string()).unwrap();
        let ring = Keyring::open(KeyringSource::File(path.clone()), "uniqos", at(0)).unwrap();
        Ring { path, ring }
    }

    fn write_with_next_mac_key_named(ring: &Ring, kid: &str) {
        let mut document = document();
        *document.pointer_mut("/products/uniqos/mac/2/kid").unwrap() = kid.into();
        std::fs::write(&ring.path, document.to_string()).unwrap();
    }

    #[tokio::test]
    async fn a_ring_is_read_again_when_it_has_grown_old() {
        let ring = ring("old");
        write_with_next_mac_key_named(&ring, "m4");
        assert!(ring.ring.current(at(299)).await.mac.find("m4").is_none());
        assert!(ring.ring.current(at(300)).await.mac.find("m4").is_some());
    }

    #[tokio::test]
    async fn a_ring_is_read_again_when_the_clock_has_been_set_back() {
        let ring = ring("set-back");
        write_with_next_mac_key_named(&ring, "m4");
        assert!(ring.ring.after_unknown_kid(at(-3_600)).await.unwrap().mac.find("m4").is_some());
        write_with_next_mac_key_named(&ring, "m5");
        assert!(ring.ring.current(at(-3_601)).await.mac.find("m5").is_some());
        // From there on it grows old as ever.
        write_with_next_mac_key_named(&ring, "m6");
        assert!(ring.ring.current(at(-3_302)).await.mac.find("m6").is_none());
        assert!(ring.ring.current(at(-3_301)).await.mac.find("m6").is_some());
    }

    #[tokio::test]
    async fn an_unknown_key_has_the_ring_read_again_once_a_minute_at_most() {
        let ring = ring("unknown");
        write_with_next_mac_key_named(&ring, "m4");
        assert!(ring.ring.after_unknown_kid(at(59)).await.unwrap().mac.find("m4").is_none());
        assert!(ring.ring.after_unknown_kid(at(60)).await.unwrap().mac.find("m4").is_some());
        write_with_next_mac_key_named(&ring, "m5");
        assert!(ring.ring.after_unknown_kid(at(61)).await.unwrap().mac.find("m5").is_none());
        assert!(ring.ring.after_unknown_kid(at(120)).await.unwrap().mac.find("m5").is_some());
    }

    #[tokio::test]
    async fn a_failed_reading_keeps_the_ring_and_leaves_unknown_keys_undecided() {
        let ring = ring("failed");
        std::fs::remove_file(&ring.path).unwrap();
        assert!(ring.ring.current(at(300)).await.mac.find("m2").is_some());
        assert!(matches!(ring.ring.after_unknown_kid(at(301)).await, Err(KeyringError::Unreadable(_))));
        write_with_next_mac_key_named(&ring, "m4");
        assert!(ring.ring.after_unknown_kid(at(360)).await.unwrap().mac.find("m4").is_some());
    }
}
