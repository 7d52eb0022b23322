#!/usr/bin/env bash
# Fuzzes each target for some seconds, one after the other, and prints what was executed. Needs a C++ compiler.
#   run.sh SECONDS [TARGET…]      all targets unless some are named
#   run.sh keep                   minimises what was found into the corpora that are committed
# SEED=1 has it begin with the same inputs each time. An input that takes a minute counts as one that never ends.
# What is found stays in target/fuzz/<target>/; an input that breaks a promise is printed with how to replay it.
set -euo pipefail
cd "$(dirname "$0")/../.."

CARGO_PROFILE_DEV_OPT_LEVEL=2 RUSTC_WORKSPACE_WRAPPER=$PWD/tests/fuzz/instrument.sh \
    cargo build --quiet --locked --package rondo-fuzz --features libfuzzer --target-dir target
fuzz=$PWD/target/debug/fuzz
corpora=tests/fuzz/corpus

if [[ ${1:?seconds for each target, or keep} == keep ]]; then
    for target in $(ls "$corpora"); do
        FUZZ_TARGET=$target "$fuzz" -merge=1 -max_len=2048 "$corpora/$target" "target/fuzz/$target" 2>/dev/null
        echo "$target: $(ls "$corpora/$target" | wc -l) inputs"
    done
    exit
fi

seconds=$1
shift
failed=0
TIMEFORMAT=%U
# On a busy machine the seconds of the clock say little, and those of the processor what was done.
printf '%-14s %12s %8s %8s %8s %8s\n' target executions seconds cpu edges inputs
for target in ${*:-$(ls "$corpora")}; do
    found=target/fuzz/$target
    log=$found.log
    mkdir -p "$found"
    if ! { time FUZZ_TARGET=$target "$fuzz" -seed="${SEED:-0}" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=1024 -max_len=4096 \
        -print_final_stats=1 -artifact_prefix="$found-" "$found" "$corpora/$target" >"$log" 2>&1; } 2>"$found.cpu"; then
        failed=1
        tail -n 40 "$log"
        echo "replay: FUZZ_TARGET=$target target/debug/fuzz <the file named above>"
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    took=$(sed -n 's/^Done .* in \([0-9]*\) second.*/\1/p' "$log" | tail -n 1)
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    printf '%-14s %12s %8s %8s %8s %8s\n' "$target" "${executions:-?}" "${took:-?}" "$(<"$found.cpu")" "${edges:-?}" \
        "$(ls "$found" | wc -l)"
done
exit "$failed"
