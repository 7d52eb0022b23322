//! Where the keyring comes from, and when it is read again: every few minutes, and when a token names a key that the
//! ring does not have, though at most once a minute for that.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::public::{PublicJwk, public_keys};
use super::{KeyringError, ProductKeys};
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
}

impl KeyringSource {
    /// Where this deployment's keyring is: `KEYRING_FILE`. What is wrong is noted with the reader.
    pub fn configured(reader: &mut Reader) -> Self {
        Self::File(PathBuf::from(reader.required("KEYRING_FILE")))
    }

    fn read(&self) -> Result<String, KeyringError> {
        match self {
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| KeyringError::Unreadable(format!("{}: {}", path.display(), error.kind()))),
        }
    }
}

/// Keys, kept current: those of one product, or whatever else is taken from a keyring's document.
pub struct Keyring<K = ProductKeys> {
    source: KeyringSource,
    parse: Parse<K>,
    state: Mutex<State<K>>,
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
    /// Reads one product's keys for the first time.
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
    /// Reads all products' public keys for the first time.
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
        let keys = Arc::new(parse(&source.read()?, now)?);
        let state = State { keys, attempted_at: now, last_failure: None };
        Ok(Self { source, parse: Box::new(parse), state: Mutex::new(state) })
    }

    /// The keys, read again first if they have grown old. A failed reading keeps the ring that is there.
    pub fn current(&self, now: Timestamp) -> Arc<K> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if is_due(state.attempted_at, REREAD_INTERVAL, now) {
            self.reread(&mut state, now);
        }
        Arc::clone(&state.keys)
    }

    /// The keys after a token named one that [`Keyring::current`] did not have.
    ///
    /// # Errors
    /// [`KeyringError`] where the latest reading failed: then nobody can tell whether the key exists, and the request
    /// has to be answered as a passing failure.
    pub fn after_unknown_kid(&self, now: Timestamp) -> Result<Arc<K>, KeyringError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if is_due(state.attempted_at, UNKNOWN_KID_INTERVAL, now) {
            self.reread(&mut state, now);
        }
        match &state.last_failure {
            Some(error) => Err(error.clone()),
            None => Ok(Arc::clone(&state.keys)),
        }
    }

    fn reread(&self, state: &mut State<K>, now: Timestamp) {
        state.attempted_at = now;
        match self.source.read().and_then(|document| (self.parse)(&document, now)) {
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

    #[test]
    fn a_ring_is_read_again_when_it_has_grown_old() {
        let ring = ring("old");
        write_with_next_mac_key_named(&ring, "m4");
        assert!(ring.ring.current(at(299)).mac.find("m4").is_none());
        assert!(ring.ring.current(at(300)).mac.find("m4").is_some());
    }

    #[test]
    fn a_ring_is_read_again_when_the_clock_has_been_set_back() {
        let ring = ring("set-back");
        write_with_next_mac_key_named(&ring, "m4");
        assert!(ring.ring.after_unknown_kid(at(-3_600)).unwrap().mac.find("m4").is_some());
        write_with_next_mac_key_named(&ring, "m5");
        assert!(ring.ring.current(at(-3_601)).mac.find("m5").is_some());
        // From there on it grows old as ever.
        write_with_next_mac_key_named(&ring, "m6");
        assert!(ring.ring.current(at(-3_302)).mac.find("m6").is_none());
        assert!(ring.ring.current(at(-3_301)).mac.find("m6").is_some());
    }

    #[test]
    fn an_unknown_key_has_the_ring_read_again_once_a_minute_at_most() {
        let ring = ring("unknown");
        write_with_next_mac_key_named(&ring, "m4");
        assert!(ring.ring.after_unknown_kid(at(59)).unwrap().mac.find("m4").is_none());
        assert!(ring.ring.after_unknown_kid(at(60)).unwrap().mac.find("m4").is_some());
        write_with_next_mac_key_named(&ring, "m5");
        assert!(ring.ring.after_unknown_kid(at(61)).unwrap().mac.find("m5").is_none());
        assert!(ring.ring.after_unknown_kid(at(120)).unwrap().mac.find("m5").is_some());
    }

    #[test]
    fn a_failed_reading_keeps_the_ring_and_leaves_unknown_keys_undecided() {
        let ring = ring("failed");
        std::fs::remove_file(&ring.path).unwrap();
        assert!(ring.ring.current(at(300)).mac.find("m2").is_some());
        assert!(matches!(ring.ring.after_unknown_kid(at(301)), Err(KeyringError::Unreadable(_))));
        write_with_next_mac_key_named(&ring, "m4");
        assert!(ring.ring.after_unknown_kid(at(360)).unwrap().mac.find("m4").is_some());
    }
}
