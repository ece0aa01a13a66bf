#!/usr/bin/env bash
# Makes a release of HEAD in dist/, and tries everything that it made. The same commit gives the same bytes.
#   make.sh [OUT]        OUT: dist; PLATFORMS: "amd64 arm64"; objects are kept in $DIST_WORK (target/dist)
# See docs/packaging.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(realpath -m "${1:-dist}")
work=$(realpath -m "${DIST_WORK:-target/dist}")
platforms=${PLATFORMS:-amd64 arm64}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH PYTHONDONTWRITEBYTECODE=1
[ -z "$(git status --porcelain)" ] || echo "make.sh: there are changes that are not committed: the release is that of HEAD" >&2

step() { echo "== $*" >&2; }
machine_of() { case $1 in amd64) echo x86_64 ;; arm64) echo aarch64 ;; *) echo "make.sh: no platform $1" >&2 && exit 1 ;; esac }

rm -rf "$out"
mkdir -p "$out" "$work"

step "source"
source=$out/barge-$version-source.tar.xz
scripts/dist/source.sh "$source"
# from here on the commit alone counts: what runs and what is built is what the archive holds
tree=$work/barge-$version-source
rm -rf "$tree"
tar -x -C "$work" -f "$source"
cd "$tree"

here=$(dpkg --print-architecture)
build() { # PLATFORM LINKING OUT
    local target compiler=
    target=$(machine_of "$1")-unknown-linux-gnu
    step "$(basename "$3")"
    if [ "$1" != "$here" ]; then compiler=$(scripts/dist/toolchain.sh "$1" "$work/toolchain-$1"); fi
    RUSTC_FOR_DIST=$compiler DIST_TARGET=$work/objects-$1 scripts/dist/build.sh "$tree" "$target" "$2" "$3"
    DIST_PATHS=$work scripts/dist/check-binary.sh "$3" "$2"
    RUSTC=${compiler:-rustc} scripts/dist/sbom.py "$target" "$2" "$3" --certificates ca-certificates >"$3.cdx.json"
}
dynamic=$out/barge-$version-linux-$here
build "$here" dynamic "$dynamic"
static=()
for platform in $platforms; do
    binary=$out/barge-$version-linux-$platform-static
    build "$platform" static "$binary"
    static+=("linux/$platform=$binary=$binary.cdx.json")
done

step "package"
package=$(scripts/dist/deb.sh "$dynamic" "$out")
scripts/dist/check-deb.sh "$package"

step "image"
image=$out/barge-image.tar
scripts/dist/image.sh "$dynamic" "$image" localhost/barge "${static[@]}"
for platform in $platforms; do
    scripts/dist/check-image.sh "$image" "$platform"
done

step "the fixtures, with each binary that runs here"
for binary in "$dynamic" "$out"/barge-*-"$here"-static; do
    scripts/demo.sh "$binary" >"$work/demo.log" 2>&1 || { cat "$work/demo.log" >&2 && exit 1; }
done

step "sums"
cd "$out"
find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS
sha256sum --quiet -c SHA256SUMS
cat SHA256SUMS
