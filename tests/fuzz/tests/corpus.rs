//! What fuzzing has found worth keeping, replayed: by the pinned stable compiler, without the fuzzer, in every test run.

use std::path::{Path, PathBuf};

use rondo_fuzz::TARGETS;

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_kept_input_keeps_every_promise() {
    for (name, target) in TARGETS {
        let inputs = inputs(name);
        assert!(inputs.len() > 3, "{name} has {} inputs", inputs.len());
        for input in inputs {
            println!("{}", input.display());
            target(&std::fs::read(&input).unwrap());
        }
    }
}

#[test]
fn the_corpora_are_small() {
    let sizes = TARGETS.iter().flat_map(|(name, _)| inputs(name)).map(|input| input.metadata().unwrap().len());
    let whole: u64 = sizes.sum();
    assert!(whole < 1_000_000, "{whole} bytes: `tests/fuzz/run.sh keep` minimises them");
}
