#!/usr/bin/env bash
# Makes the image of barge with barge: the static binary, certificates, and a place to work. Each platform has its SBOM attached.
#   image.sh BARGE OUT.tar NAME PLATFORM=BINARY=SBOM...      for example linux/amd64=dist/barge-linux-amd64=sbom.json
set -euo pipefail
barge=$(realpath "$1") out=$(realpath -m "$2") name=$3
shift 3
cd "$(dirname "$0")/../.."
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:?}
umask 022
stage=$(mktemp -d "${TMPDIR:-/tmp}/barge-image.XXXXXX")
trap 'rm -rf "$stage"' EXIT
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
description=$(sed -n 's/^description = "\(.*\)"/\1/p' Cargo.toml)

# Mozilla's, as Debian has them: a machine's own bundle may have more
certificates=/usr/share/ca-certificates/mozilla
[ -d "$certificates" ] || { echo "image.sh: $certificates is absent (Debian package ca-certificates)" >&2 && exit 1; }

platforms=()
for each in "$@"; do
    IFS='=' read -r platform binary sbom <<<"$each"
    platforms+=("$platform")
    root=$stage/rootfs-${platform#linux/}
    install -D -m 0755 "$binary" "$root/usr/bin/barge"
    mkdir -p "$root/etc/ssl/certs" "$root/usr/share/doc/barge" "$root/work"
    install -d -m 1777 "$root/tmp"
    find "$certificates" -name '*.crt' -print0 | LC_ALL=C sort -z | xargs -0 cat >"$root/etc/ssl/certs/ca-certificates.crt"
    # the C library asks these two, and nothing that it would have to load
    echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
    cp LICENSE "$root/usr/share/doc/barge/"
    case ${platform#linux/} in amd64) machine=x86_64 ;; arm64) machine=aarch64 ;; esac
    scripts/dist/copyright.py "$machine-unknown-linux-gnu" --notices >"$root/usr/share/doc/barge/third-party-notices"
done
cyclonedx=application/vnd.cyclonedx+json
list=$(IFS=, && echo "${platforms[*]}")

rm -f "$out"
mkdir -p "$(dirname "$out")"
"$barge" build --quiet -o "$out" -t "$name:$version" --index --platform "$list" --from scratch --add "$stage/rootfs-{arch}/:/" \
    --entrypoint /usr/bin/barge --workdir /work --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    --annotation org.opencontainers.image.title=barge \
    --annotation "org.opencontainers.image.version=$version" \
    --annotation "org.opencontainers.image.description=$description" \
    --annotation org.opencontainers.image.licenses=Apache-2.0
for each in "$@"; do
    IFS='=' read -r platform binary sbom <<<"$each"
    "$barge" attach --quiet "$out:$name:$version" "$sbom" --type "$cyclonedx" --media-type "$cyclonedx" --platform "$platform" >/dev/null
done
"$barge" verify --quiet --deep "$out" >&2
echo "$out"
