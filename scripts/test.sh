#!/usr/bin/env bash
# Runs every test; the runner's summary comes last. With cargo-nextest where it is installed, else with cargo test.
# In CI a test whose tool is missing fails; elsewhere it says that it was skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
if cargo nextest --version >/dev/null 2>&1; then
    cargo test --locked --doc
    # half as many again as there are processors: many tests wait for a disk or for another program
    export NEXTEST_TEST_THREADS=${NEXTEST_TEST_THREADS:-$(($(nproc) * 3 / 2))}
    exec cargo nextest run --locked --no-fail-fast "$@"
fi
exec cargo test --locked --no-fail-fast "$@"
