#!/usr/bin/env bash
# RUSTC_WORKSPACE_WRAPPER of the fuzzer's build: libFuzzer's coverage counters in this repository's own crates, and in
# none of what they depend on, so that all of that is taken as the tests' build left it.
exec "$@" \
    --cfg fuzzing -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1 \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
