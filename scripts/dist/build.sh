#!/usr/bin/env bash
# Builds the released binary for one target from an unpacked source archive: no network, an empty CARGO_HOME, and no path of this
# machine in what comes out.
#   build.sh SOURCE TARGET dynamic|static OUT
# Objects are kept in $DIST_TARGET (default: SOURCE/target). RUSTC_FOR_DIST is another compiler than the one that PATH has.
set -euo pipefail
source=$(realpath "$1") target=$2 linking=$3 out=$4
objects=${DIST_TARGET:-$source/target}/$linking
mkdir -p "$objects" "$(dirname "$out")"
objects=$(realpath "$objects")
home=$(mktemp -d "${TMPDIR:-/tmp}/barge-home.XXXXXX")
trap 'rm -rf "$home"' EXIT

# the programs themselves: rustup's stand-ins would look for a home
sysroot=$(rustc --print sysroot)
flags="--remap-path-prefix=$source=/barge --remap-path-prefix=$objects=/objects"
if [ "$linking" = static ]; then flags+=" -C target-feature=+crt-static"; fi
settings=(
    "PATH=$sysroot/bin:/usr/bin:/bin" "HOME=$home" "CARGO_HOME=$home/cargo" "LC_ALL=C.UTF-8"
    "CARGO_TARGET_DIR=$objects" "CARGO_NET_OFFLINE=true" "SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:?}"
    "RUSTFLAGS=$flags" "CFLAGS=-ffile-prefix-map=$source=/barge -ffile-prefix-map=$objects=/objects"
)
if [ -n "${RUSTC_FOR_DIST:-}" ]; then
    settings+=("RUSTC=$RUSTC_FOR_DIST")
fi
if [ "${target%%-*}" != "$(uname -m)" ]; then
    prefix=${target/-unknown-/-}
    upper=$(tr a-z- A-Z_ <<<"$target")
    settings+=("CARGO_TARGET_${upper}_LINKER=$prefix-gcc" "CC_${target//-/_}=$prefix-gcc" "AR_${target//-/_}=$prefix-ar")
fi

# a network name space of its own has no network, which is more than a promise not to use it
alone=()
for way in "unshare --net" "unshare --user --map-root-user --net"; do
    if $way true 2>/dev/null; then
        alone=($way)
        break
    fi
done
[ ${#alone[@]} -gt 0 ] || echo "build.sh: no network name space here: the network is only forbidden to cargo" >&2

cd "$source"
env -i "${settings[@]}" "${alone[@]}" cargo build --quiet --release --locked --bin barge --target "$target"
install -m 0755 "$objects/$target/release/barge" "$out"
