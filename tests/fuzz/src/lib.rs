//! What Rondo reads from outside, as fuzz targets. Each takes any bytes and panics where a promise does not hold.
//!
//! `tests/fuzz/run.sh` runs them under libFuzzer (`make fuzz-short`, `make fuzz`); `tests/fuzz/tests/corpus.rs` replays
//! what has been kept of their inputs in `tests/fuzz/corpus/`, with the pinned stable compiler and without the fuzzer.

pub mod configuration;
pub mod cookies;
pub mod event;
pub mod functions;
pub mod keyring;
pub mod message;
pub mod ring;
pub mod stream;
pub mod token;

/// A target: any bytes go in.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its folder in `tests/fuzz/corpus/`.
pub const TARGETS: [(&str, Target); 12] = [
    ("configuration", configuration::run),
    ("cookies", cookies::run),
    ("dreadnode", functions::dreadnode::run),
    ("elastic", functions::elastic::run),
    ("event", event::run),
    ("events", stream::run),
    ("jwks", functions::jwks::run),
    ("keyring", keyring::run),
    ("replyke", functions::replyke::run),
    ("sessions", functions::sessions::run),
    ("token", token::run),
    ("uniqos", functions::uniqos::run),
];

/// The target with this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
