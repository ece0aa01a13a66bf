#!/usr/bin/env bash
# What `save --compact` makes of one file system, whoever packed it as a layer: a table of packers, ways, sizes and times.
#
#   benches/packers.sh ROOT.tar
#
# Packed by every program that is found of go, docker (with docker-registry), podman, buildah, skopeo, umoci, gzip, pigz and python3; as root,
# since owners are kept. What is loaded is compared with what was packed. BARGE is the program to measure, target/release/barge if not said; everything
# happens in a directory that is removed again, below TMPDIR.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
. "$(dirname "$0")/image.sh"
tar=$(realpath "$1") barge=$(realpath "${BARGE:-target/release/barge}") gopack=$(realpath "$(dirname "$0")/gopack.go")
work=$(mktemp -d "${TMPDIR:-/tmp}/packers-XXXXXX")
trap 'ended; rm -rf "$work"' EXIT
cd "$work"
mkdir root
tar -xf "$tar" -C root --numeric-owner
diff_id=sha256:$(openssl dgst -sha256 -r "$tar" | cut -d' ' -f1)

found() { for program in "$@"; do command -v "$program" >/dev/null || return 1; done; }
# packed COMMAND...: the layer that the command makes of the tar at its standard input
packed() { "$@" <"$tar" >layer && image_of layer.v1.tar+gzip "$diff_id" amd64 v1; }
built() { "$barge" build -q -o plain -t v1 --platform linux/amd64 --from scratch --add root:/ --compression "$1" >/dev/null; }

# The daemon packs what it pushes
by_docker() {
    local port=5077 docker="docker -H unix://$work/docker.sock" tried=0
    printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s/registry}}\nhttp: {addr: 127.0.0.1:%s}\n' "$work" "$port" >registry.yml
    docker-registry serve registry.yml >registry.log 2>&1 &
    started+=($!)
    dockerd --storage-driver=vfs --iptables=false --bridge=none --data-root "$work/docker" --exec-root "$work/exec" \
        --pidfile "$work/docker.pid" -H "unix://$work/docker.sock" >docker.log 2>&1 &
    started+=($!)
    until $docker version >/dev/null 2>&1; do
        tried=$((tried + 1))
        [ "$tried" -lt 60 ] || { tail docker.log >&2; exit 1; }
        sleep 0.5
    done
    $docker import "$tar" "127.0.0.1:$port/made:v1" >/dev/null
    $docker push -q "127.0.0.1:$port/made:v1" >/dev/null
    "$barge" pull -q -o image "docker://127.0.0.1:$port/made:v1" >/dev/null
    ended
}
started=()
ended() {
    [ ${#started[@]} = 0 ] || kill "${started[@]}" 2>/dev/null || true
    wait
    started=()
}

line() { printf '%-24s %-28s %11s %11s %7s %7s %7s\n' "$@"; }
# row WHO LAYOUT
row() {
    local from=$2 layer facts start saved loaded
    layer=$(find "$from/blobs/sha256" -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2)
    start=$(date +%s.%N)
    "$barge" save -q --json -o compact.tar --compact "$from" >facts
    saved=$(date +%s.%N)
    "$barge" load -q -i compact.tar -o to >/dev/null
    loaded=$(date +%s.%N)
    cmp "$layer" "to/blobs/sha256/$(basename "$layer")"
    facts=$(python3 <<'FACTS'
import json
packers = json.load(open("facts"))["stats"]["compact"]["packers"]
print(", ".join(f"{by['name'] or 'not packed'} {by.get('level') or ''}".strip() for by in packers) or "as it is")
FACTS
)
    line "$1" "$facts" "$(stat -c %s "$layer")" "$(stat -c %s compact.tar)" \
        "$(awk "BEGIN { printf \"%.0f %%\", 100 * $(stat -c %s compact.tar) / $(stat -c %s "$layer") }")" \
        "$(awk "BEGIN { printf \"%.1f s\", $saved - $start }")" "$(awk "BEGIN { printf \"%.1f s\", $loaded - $saved }")"
    rm -rf "$from" to compact.tar facts plain
}

line "$(stat -c %s "$tar") bytes" "made again as" "layer" "compact" "" "saved" "loaded"
if found go; then
    GOFLAGS=-mod=mod GOCACHE="$work/cache" go build -o gopack "$gopack"
    for level in 1 6 9; do
        packed ./gopack "$level"
        row "$(go version | cut -d' ' -f3) -$level" image
    done
fi
if found dockerd docker docker-registry; then
    by_docker
    row "docker $(docker --version | grep -o '[0-9][0-9.]*' | head -1)" image
fi
if found podman; then
    podman --root "$work/pod" --runroot "$work/podrun" --storage-driver vfs import -q "$tar" localhost/made:v1 >/dev/null
    podman --root "$work/pod" --runroot "$work/podrun" --storage-driver vfs push -q localhost/made:v1 oci:image:v1
    row "podman $(podman --version | grep -o '[0-9][0-9.]*')" image
fi
if found buildah; then
    buildah="buildah --root $work/bud --runroot $work/budrun --storage-driver vfs"
    container=$($buildah from scratch)
    $buildah add -q "$container" root / >/dev/null
    $buildah commit -q --disable-compression=false "$container" oci:image:v1 >/dev/null
    row "buildah $(buildah --version | grep -o '[0-9][0-9.]*' | head -1)" image
fi
if found skopeo; then
    built none
    skopeo copy -q oci:plain oci:image:v1
    row "skopeo $(skopeo --version | grep -o '[0-9][0-9.]*' | head -1)" image
fi
if found umoci; then
    umoci init --layout image
    umoci new --image image:v1
    umoci insert --image image:v1 root / >/dev/null 2>&1
    row "umoci $(umoci --version | grep -o '[0-9][0-9.]*' | head -1)" image
fi
if found gzip; then packed gzip -6 && row "gzip $(gzip --version | grep -o '[0-9][0-9.]*' | head -1) -6" image; fi
if found pigz; then packed pigz -6 && row "pigz $(pigz --version 2>&1 | grep -o '[0-9][0-9.]*') -6" image; fi
if found python3; then
    packed python3 -c 'import gzip, shutil, sys; shutil.copyfileobj(sys.stdin.buffer, gzip.GzipFile("", "wb", 6, sys.stdout.buffer), 1 << 20)'
    row "zlib of python3 -6" image
fi
built gzip && mv plain image && row "barge -5" image
built none && mv plain image && row "not packed" image
built zstd && mv plain image && row "barge, zstd" image
