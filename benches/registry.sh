#!/usr/bin/env bash
# One large blob to a registry and back, by barge and by skopeo in turns, over plain HTTP and over TLS: prints the median
# seconds of each and the ratio. Only ratios of one run mean something, and a push is mostly the registry's own time: it is
# Debian's docker-registry, on loopback, with an empty storage for every push. Everything lies where TMPDIR does.
#   TMPDIR=/dev/shm benches/registry.sh [BARGE [MEBIBYTES [ROUNDS]]]
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/image.sh
barge=$(realpath "${1:-target/release/barge}")
mebibytes=${2:-1024}
rounds=${3:-5}
for program in docker-registry openssl skopeo; do
    command -v "$program" >/dev/null || { echo "skipped: no $program" >&2; exit 0; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/barge-bench.XXXXXX")
registry=
stop() {
    if [ -n "$registry" ]; then
        kill "$registry" 2>/dev/null || true
        wait "$registry" 2>/dev/null || true
        registry=
    fi
}
trap 'stop; rm -rf "$work"' EXIT
cd "$work"
mkdir home
export HOME=$work/home XDG_CONFIG_HOME=$work/home XDG_RUNTIME_DIR=$work/home XDG_DATA_HOME=$work/home
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json

one_layer_image "$mebibytes" v1

openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
    -keyout server.key -out server.crt 2>/dev/null
mkdir certs
cp server.crt certs/ca.crt

# Each time at another port: skopeo remembers which registry has a blob, and would look for it there.
start() { # plain|tls
    local port=$((20000 + RANDOM % 20000))
    host=127.0.0.1:$port
    {
        echo "version: 0.1"
        echo "log: {level: error, accesslog: {disabled: true}}"
        echo "storage: {filesystem: {rootdirectory: $work/storage}}"
        echo "http:"
        echo "  addr: $host"
        if [ "$1" = tls ]; then
            echo "  tls: {certificate: $work/server.crt, key: $work/server.key}"
        fi
    } >config.yml
    docker-registry serve config.yml >registry.log 2>&1 &
    registry=$!
    for _ in $(seq 100); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
        sleep 0.05
    done
    cat registry.log >&2
    exit 1
}

barge_push() { "$barge" -q push --progress none "${barge_options[@]}" image:v1 "$host/app:v1" >/dev/null; }
skopeo_push() { skopeo --policy policy.json copy -q --preserve-digests "${skopeo_to[@]}" oci:image:v1 "docker://$host/app:v1"; }
barge_pull() { "$barge" -q pull --progress none "${barge_options[@]}" -o back "$host/app:v1" >/dev/null; }
skopeo_pull() { skopeo --policy policy.json copy -q --preserve-digests "${skopeo_from[@]}" "docker://$host/app:v1" oci:back:v1; }

seconds() { # COMMAND: appends its time to a file of its name
    local began ended
    began=$(date +%s%N)
    "$1"
    ended=$(date +%s%N)
    echo $(((ended - began) / 1000)) >>"times-$mode-$1"
}
median() { sort -n "times-$mode-$1" | awk '{ time[NR] = $1 } END { print time[int((NR + 1) / 2)] / 1e6 }'; }

echo "one blob of $mebibytes MiB, medians of $rounds, in seconds"
for mode in plain tls; do
    if [ "$mode" = plain ]; then
        barge_options=(--plain-http) skopeo_to=(--dest-tls-verify=false) skopeo_from=(--src-tls-verify=false)
    else
        barge_options=(--ca-file server.crt) skopeo_to=(--dest-cert-dir certs) skopeo_from=(--src-cert-dir certs)
    fi
    for round in $(seq "$rounds"); do
        programs=(barge skopeo)
        if [ $((round % 2)) = 0 ]; then programs=(skopeo barge); fi
        for program in "${programs[@]}"; do
            stop
            rm -rf storage back
            start "$mode"
            seconds "${program}_push"
            seconds "${program}_pull"
        done
    done
    for act in push pull; do
        ours=$(median "barge_$act") theirs=$(median "skopeo_$act")
        awk -v mode="$mode" -v act="$act" -v ours="$ours" -v theirs="$theirs" 'BEGIN {
            printf "%-5s %s  barge %.2f  skopeo %.2f  (skopeo takes %.2f times as long)\n", mode, act, ours, theirs, theirs / ours }'
    done
done
