#!/usr/bin/env bash
# A root file system, as a directory, becomes a gzip layer in an OCI layout: by barge, by `tar c | pigz -6`, by umoci and by
# buildah in turns. Prints the median seconds of each, the size of the layer, the most memory (VmHWM, MiB) and the ratio to
# barge. Only ratios of one run mean something. `tar | pigz` hashes nothing and makes no image: it is the bar for speed, as
# gzip -6 plus 2 % is for the size and 256 MiB for memory. Where barge misses one, the script says so and fails.
#   TMPDIR=/dev/shm benches/build.sh [BARGE [ROOTFS [ROUNDS]]]
# ROOTFS is a directory that may be read; without one, Debian's minbase is fetched with debootstrap.
set -euo pipefail
cd "$(dirname "$0")/.."
barge=$(realpath "${1:-target/release/barge}")
rootfs=${2:-}
rounds=${3:-5}
for program in pigz tar /usr/bin/time; do
    command -v "$program" >/dev/null || { echo "skipped: no $program" >&2; exit 0; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/barge-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ -z "$rootfs" ]; then
    rootfs=$work/rootfs
    debootstrap --variant=minbase bookworm "$rootfs" >"$work/log" 2>&1 || { echo "skipped: no debootstrap" >&2; exit 0; }
fi
rootfs=$(realpath "$rootfs")
cd "$work"
mkdir home
export HOME=$work/home XDG_RUNTIME_DIR=$work/home XDG_DATA_HOME=$work/home XDG_CONFIG_HOME=$work/home
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json

with_barge() {
    "$barge" -q build --progress none --no-sync -o out/barge -t app:v1 --from scratch --owner keep --keep-times --add "$rootfs:/" >/dev/null
}
with_pigz() { mkdir -p out/pigz && tar -C "$rootfs" --numeric-owner -c . | pigz -6 >out/pigz/layer.tar.gz; }
with_umoci() {
    umoci init --layout out/umoci && umoci new --image out/umoci:v1 && umoci insert --image out/umoci:v1 "$rootfs" / >/dev/null
}
with_buildah() {
    local from
    from=$(buildah --root "$work/storage" --runroot "$work/run" from scratch)
    buildah --root "$work/storage" --runroot "$work/run" add -q "$from" "$rootfs" / >/dev/null
    buildah --root "$work/storage" --runroot "$work/run" commit -q --disable-compression=false --signature-policy policy.json "$from" oci:out/buildah:v1 >/dev/null 2>&1
}
export -f with_barge with_pigz with_umoci with_buildah
export barge rootfs work

programs=(barge pigz)
for program in umoci buildah; do
    if command -v "$program" >/dev/null; then programs+=("$program"); else echo "without $program: it is not there" >&2; fi
done
once() { # PROGRAM: appends seconds and KiB of the largest process to a file of its name
    rm -rf out storage run
    mkdir out
    /usr/bin/time -a -o "times-$1" -f '%e %M' bash -c "with_$1"
    find "out/$1" -type f -printf '%s\n' | sort -n | tail -1 >"size-$1"
}
median() { sort -n "times-$1" | awk -v field="$2" '{ value[NR] = $field } END { print value[int((NR + 1) / 2)] }'; }

tar -C "$rootfs" -c . | cat >/dev/null # everything is in memory before anybody is measured
for round in $(seq "$rounds"); do
    order=("${programs[@]}")
    if [ $((round % 2)) = 0 ]; then order=($(printf '%s\n' "${programs[@]}" | tac)); fi
    for program in "${order[@]}"; do once "$program"; done
done
# what the same tar comes to with gzip -6, the measure for the size
gzip_size=$(tar -C "$rootfs" --numeric-owner -c . | gzip -6 | wc -c)
echo "$(du -sm "$rootfs" | cut -f1) MiB in $(find "$rootfs" | wc -l) files, medians of $rounds; gzip -6 makes $((gzip_size / 1024)) KiB of it"
ours=$(median barge 1) our_size=$(cat size-barge)
for program in "${programs[@]}"; do
    awk -v name="$program" -v time="$(median "$program" 1)" -v ours="$ours" -v size="$(cat "size-$program")" \
        -v gzip="$gzip_size" -v memory="$(median "$program" 2)" 'BEGIN {
        printf "%-8s %6.2f s  (%.2f times barge)  %8d KiB (%.3f of gzip -6)  %6.1f MiB of memory\n",
            name, time, time / ours, size / 1024, size / gzip, memory / 1024 }'
done
missed=0
bar() { # WHAT VALUE BAR: says when the value is above the bar
    awk -v value="$2" -v bar="$3" 'BEGIN { exit !(value <= bar) }' || { echo "missed: $1 ($2, at most $3)" >&2; missed=1; }
}
bar "seconds, beside tar | pigz -6" "$ours" "$(median pigz 1)"
bar "bytes of the layer, beside gzip -6 and 2 %" "$our_size" $((gzip_size * 102 / 100))
bar "KiB of memory" "$(median barge 2)" $((256 * 1024))
exit $missed
