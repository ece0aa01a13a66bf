#!/usr/bin/env bash
# Runs the lab of faults in full: `make test` takes a part of the same experiments. Words go to the test runner: to take one kind,
# give its name, such as `power`.
set -euo pipefail
cd "$(dirname "$0")/.."
export BARGE_FAULTS=full
if cargo nextest --version >/dev/null 2>&1; then
    exec cargo nextest run --locked --no-fail-fast --profile faults --test faults --success-output final "$@"
fi
exec cargo test --locked --no-fail-fast --test faults -- --nocapture "$@"
