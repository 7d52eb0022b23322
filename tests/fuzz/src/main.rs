//! One binary for all targets, so that there is one to build: `FUZZ_TARGET` says which is meant.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use rondo_fuzz::{Target, target};

static TARGET: OnceLock<Target> = OnceLock::new();

#[expect(clippy::disallowed_methods, reason = "libFuzzer takes no arguments but its own")]
fn chosen() -> Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET names no target: {name:?}"))
}

fuzz_target!(init: { TARGET.get_or_init(chosen); }, |data: &[u8]| (TARGET.get_or_init(chosen))(data));
