#!/usr/bin/env bash
# Reads the image of barge with skopeo, unpacks it with umoci, and runs what is in it where nothing else is: its version, the
# fixtures, and names that its C library has to resolve. Needs root, for chroot.
#   check-image.sh IMAGE.tar PLATFORM      PLATFORM: amd64
set -euo pipefail
image=$(realpath "$1") platform=$2
cd "$(dirname "$0")/../.."
work=$(mktemp -d "${TMPDIR:-/tmp}/barge-check.XXXXXX")
serving=
trap '[ -z "$serving" ] || kill "$serving"; rm -rf "$work"' EXIT
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
wrong() {
    echo "$image: linux/$platform: $*" >&2
    exit 1
}

skopeo copy --quiet --override-os linux --override-arch "$platform" "oci-archive:$image:$version" "oci:$work/layout:barge"
umoci unpack --image "$work/layout:barge" "$work/bundle" >/dev/null
root=$work/bundle/rootfs

# from within, paths are below the root; another architecture is run by qemu, from outside of it
inside=(env -i HOME=/ "$(PATH=$PATH:/usr/sbin:/sbin command -v chroot)" "$root")
barge=("${inside[@]}" /usr/bin/barge)
if [ "$platform" != "$(dpkg --print-architecture)" ]; then
    case $platform in arm64) qemu=qemu-aarch64 ;; *) wrong "no way to run it here" ;; esac
    command -v "$qemu" >/dev/null || wrong "$qemu (Debian package qemu-user) is needed to run it"
    barge=(env -i "$(command -v "$qemu")" "$root/usr/bin/barge")
    [ "$("${barge[@]}" --version)" = "barge $version" ] || wrong "barge --version says something else"
    "${barge[@]}" merge --quiet -o "$work/hello.tar" -t example.com/hello:v1 fixtures/umoci-amd64 fixtures/skopeo-arm64.tar >/dev/null
    "${barge[@]}" verify --quiet --deep "$work/hello.tar"
    echo "$(basename "$image"): linux/$platform: read by skopeo, unpacked by umoci, run by $qemu"
    exit 0
fi

[ "$("${barge[@]}" --version)" = "barge $version" ] || wrong "barge --version says something else"
cp -r fixtures/umoci-amd64 fixtures/skopeo-arm64.tar "$root/work/"
"${barge[@]}" merge --quiet -o work/hello.tar -t example.com/hello:v1 work/umoci-amd64 work/skopeo-arm64.tar >/dev/null
"${barge[@]}" verify --quiet --deep work/hello.tar
grep -q 'BEGIN CERTIFICATE' "$root/etc/ssl/certs/ca-certificates.crt" || wrong "no certificates"

# names: from /etc/hosts, and a name that nobody has is an answer, not a crash
printf '127.0.0.1 localhost registry.test\n' >"$root/etc/hosts"
"${barge[@]}" serve --listen 127.0.0.1:0 work/hello.tar >"$work/served" 2>&1 &
serving=$!
for _ in $(seq 100); do
    port=$(grep -oE '127\.0\.0\.1:[0-9]+' "$work/served" | head -1 | cut -d: -f2) || true
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || wrong "barge serve did not start: $(cat "$work/served")"
for host in localhost registry.test; do
    "${barge[@]}" ls --plain-http "docker://$host:$port/example.com/hello:v1" >"$work/said" 2>&1 ||
        wrong "$host is not resolved: $(cat "$work/said")"
done
code=0
"${barge[@]}" ls --plain-http "docker://nobody.invalid:$port/hello:v1" >"$work/said" 2>&1 || code=$?
[ "$code" -eq 6 ] || wrong "a name that nobody has ends with $code: $(cat "$work/said")"
echo "$(basename "$image"): linux/$platform: read by skopeo, unpacked by umoci, run by itself"
