#!/usr/bin/env bash
# Makes the Debian package of a binary that runs here.
#   deb.sh BARGE OUT_DIR      the binary: glibc, stripped
# It takes the version from Cargo.toml, times from SOURCE_DATE_EPOCH, and who answers for the package from $MAINTAINER.
set -euo pipefail
barge=$(realpath "$1") out=$(realpath -m "$2")
cd "$(dirname "$0")/../.."
maintainer=${MAINTAINER:-barge contributors <barge@packages.invalid>}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
architecture=$(dpkg --print-architecture)
target=$(uname -m)-unknown-linux-gnu
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:?}
umask 022
root=$(mktemp -d "${TMPDIR:-/tmp}/barge-deb.XXXXXX")
trap 'rm -rf "$root"' EXIT
chmod 0755 "$root"
doc=$root/usr/share/doc/barge

install -D -m 0755 "$barge" "$root/usr/bin/barge"

# what the program writes about itself: a package without it is not made
said() {
    "$@" || {
        echo "deb.sh: \`$(basename "$1") ${*:2}\` failed, and the package needs what it writes" >&2
        exit 1
    }
}
man=$root/usr/share/man/man1
mkdir -p "$man"
said "$barge" man --output "$man" >/dev/null
[ -s "$man/barge.1" ] || { echo "deb.sh: \`barge man --output DIR\` wrote no barge.1" >&2 && exit 1; }
gzip -9n "$man"/*.1
complete() {
    mkdir -p "$(dirname "$root/$2")"
    said "$barge" completions "$1" >"$root/$2"
    [ -s "$root/$2" ] || { echo "deb.sh: \`barge completions $1\` wrote nothing" >&2 && exit 1; }
}
complete bash usr/share/bash-completion/completions/barge
complete zsh usr/share/zsh/vendor-completions/_barge
complete fish usr/share/fish/vendor_completions.d/barge.fish

mkdir -p "$doc/docs"
scripts/dist/copyright.py "$target" >"$doc/copyright"
scripts/dist/copyright.py "$target" --notices | gzip -9n >"$doc/third-party-notices.gz"
gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
gzip -9n >"$doc/changelog.Debian.gz" <<END
barge ($version-1) unstable; urgency=medium

  * Version $version: see changelog.gz beside this file.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
install -m 0644 README.md SECURITY.md "$doc/"
find docs -maxdepth 1 -type f \( -name '*.md' -o -name '*.json' \) -exec install -m 0644 -t "$doc/docs" {} +

# the C library that it is linked against, by the newest symbol that it asks for
glibc=$(readelf -VW "$barge" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -1)
depends="libc6 (>= ${glibc#GLIBC_})"
if readelf -dW "$barge" | grep -q 'NEEDED.*libgcc_s'; then depends+=", libgcc-s1 (>= 4.2)"; fi

mkdir -m 0755 "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<END
Package: barge
Version: $version-1
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -k -s --apparent-size --exclude=DEBIAN "$root" | cut -f1)
Depends: $depends
Recommends: ca-certificates
Section: admin
Priority: optional
Description: build, merge, verify and carry multi-arch container images
 barge builds container images, merges those that were built for one platform
 each into one multi-arch image, checks every byte on the way, carries it over
 an air gap in bundles, and brings it to registries. Everything happens in OCI
 image layouts and archives: no daemon, no root, and a network for registries
 only.
END
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$out"
package=$out/barge_$version-1_$architecture.deb
dpkg-deb --root-owner-group --threads-max=1 -Zxz --build "$root" "$package" >/dev/null
echo "$package"
