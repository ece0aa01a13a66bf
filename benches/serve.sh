#!/usr/bin/env bash
# The same image pulled from `barge serve` (a layout, and an archive in place) and from Debian's docker-registry, in turns on
# one machine: requests per second for a manifest and mebibytes per second for a large blob, as medians and as ratios to
# docker-registry. Only ratios of one run mean something: the clients take their share of the processors.
#   TMPDIR=/dev/shm benches/serve.sh [BARGE [MEBIBYTES [ROUNDS]]]
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/image.sh
barge=$(realpath "${1:-target/release/barge}")
mebibytes=${2:-512}
rounds=${3:-5}
requests=20000
for program in docker-registry ab curl openssl; do
    command -v "$program" >/dev/null || { echo "skipped: no $program" >&2; exit 0; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/barge-bench.XXXXXX")
servers=()
trap 'kill "${servers[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
cd "$work"
mkdir home
export HOME=$work/home XDG_CONFIG_HOME=$work/home XDG_RUNTIME_DIR=$work/home

one_layer_image "$mebibytes" docker.io/org/app:v1
"$barge" -q save -o image.tar oci:image >/dev/null

declare -A at
for place in image image.tar; do
    "$barge" serve "$place" --listen 127.0.0.1:0 --log none >"url-$place" 2>"log-$place" &
    servers+=($!)
    for _ in $(seq 100); do [ -s "url-$place" ] && break; sleep 0.05; done
    [ -s "url-$place" ] || { cat "log-$place" >&2; exit 1; }
    at[$place]=$(cat "url-$place")
done
port=$((20000 + RANDOM % 20000))
{
    echo "version: 0.1"
    echo "log: {level: error, accesslog: {disabled: true}}"
    echo "storage: {filesystem: {rootdirectory: $work/storage}}"
    echo "http: {addr: 127.0.0.1:$port}"
} >config.yml
docker-registry serve config.yml >registry.log 2>&1 &
servers+=($!)
for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.05; done
at[registry]=http://127.0.0.1:$port
"$barge" -q push --plain-http oci:image "127.0.0.1:$port/org/app:v1" >/dev/null

manifests() { # SERVER: manifests per second, 16 clients that keep their connections
    ab -q -k -n "$requests" -c 16 -H 'Accept: application/vnd.oci.image.manifest.v1+json' "${at[$1]}/v2/org/app/manifests/v1" 2>/dev/null |
        awk '/Requests per second/ { print $4 } /Failed requests|Non-2xx/ { if ($NF != 0) { print "failed" > "/dev/stderr"; exit 1 } }'
}
blobs() { # SERVER: MiB per second, 4 clients at once
    local began ended urls=()
    for _ in 1 2 3 4; do urls+=(-o /dev/null "${at[$1]}/v2/org/app/blobs/$blob"); done
    began=$(date +%s%N)
    curl -f --no-progress-meter -Z --parallel-max 4 "${urls[@]}" 2>curl.log || { cat curl.log >&2; exit 1; }
    ended=$(date +%s%N)
    awk -v ns=$((ended - began)) -v mib=$((mebibytes * 4)) 'BEGIN { printf "%.0f\n", mib / ns * 1e9 }'
}
median() { sort -g "$1" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

echo "one blob of $mebibytes MiB to 4 clients, one manifest $requests times to 16 clients, medians of $rounds"
for server in image image.tar registry; do blobs "$server" >/dev/null; done # the first time an archive's blob is hashed
for _ in $(seq "$rounds"); do
    for server in image registry image.tar; do
        manifests "$server" >>"manifests-$server"
        blobs "$server" >>"blobs-$server"
    done
done
for what in manifests blobs; do
    theirs=$(median "$what-registry")
    for server in image image.tar; do
        ours=$(median "$what-$server")
        awk -v what="$what" -v server="$server" -v ours="$ours" -v theirs="$theirs" 'BEGIN {
            printf "%-9s per second (%s)  barge %-9s %8.0f  docker-registry %8.0f  ratio %.2f\n",
                what, what == "blobs" ? "MiB" : "requests", server, ours, theirs, ours / theirs }'
    done
done
