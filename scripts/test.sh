#!/usr/bin/env bash
# Runs every test; the runner's summary comes last. With cargo-nextest where it is installed, else with cargo test.
# In CI a test whose tool is missing fails; elsewhere it says that it was skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
# the tests start daemons and measure memory of this very binary
cargo build --locked --release
if cargo nextest --version >/dev/null 2>&1; then
    cargo test --locked --doc
    exec cargo nextest run --locked --no-fail-fast "$@"
fi
exec cargo test --locked --no-fail-fast "$@"
