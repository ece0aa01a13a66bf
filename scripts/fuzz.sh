#!/usr/bin/env bash
# Tries every fuzz target for some seconds, from its corpus: scripts/fuzz.sh [SECONDS [TARGET...]]
# With RUNS set, each is tried that many times at most, the same way every time: a check, not a search.
# What is found new stays in fuzz/target/corpus, what fails in fuzz/target/found. Rust's stable compiler does: libFuzzer is
# linked in, and needs no sanitizer where there is no unsafe code.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=${1:-10}
fixed=()
[ -z "${RUNS:-}" ] || fixed=(-runs="$RUNS" -seed=1)
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=($(cd fuzz_targets && ls | sed 's/\.rs$//'))

host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
# without --target the flags would reach what runs while building, too
cargo build --locked --release --quiet --target "$host" --bins

mkdir -p target/corpus target/found
try() { # TARGET
  local target=$1 log="target/found/$1.log" runs peak edges
  mkdir -p "target/corpus/$target" "corpus/$target"
  if ! "target/$host/release/$target" "target/corpus/$target" "corpus/$target" -max_total_time="$seconds" "${fixed[@]}" -timeout=30 \
    -rss_limit_mb=512 -max_len=65536 -len_control=50 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="target/found/$target-" >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "fuzz: $target failed; the input is in fuzz/target/found" >&2
    return 1
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
  edges=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1)
  printf '%-16s %9s runs  %s edges  %s MiB\n' "$target" "$runs" "${edges#cov: }" "$peak"
}

# one on each processor
free=$(nproc) failed=0
one_ends() {
  wait -n || failed=1
  free=$((free + 1))
}
for target in "${targets[@]}"; do
  [ "$free" -gt 0 ] || one_ends
  try "$target" &
  free=$((free - 1))
done
while [ "$free" -lt "$(nproc)" ]; do one_ends; done
exit "$failed"
