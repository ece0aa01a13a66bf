#!/usr/bin/env bash
# A layout saved as an archive and loaded again on btrfs and on xfs, each in a file of its own: with --align, where blobs are
# cloned, and without, where they are copied; beside it cp and tar, which check nothing. For each: median seconds with the sync,
# MiB of the file system taken, MiB written to its device, and MiB of what was made that are shared. What is cloned is read from
# the device to be hashed, since the system keeps what it has read of a file for that file alone; the device is a file, of which
# it keeps what it read as well. Only ratios of one run mean something. Needs root, to mount.
#   benches/clone.sh [BARGE [MEBIBYTES [ROUNDS [DIRECTORY]]]]
# DIRECTORY holds the file systems, 6 times MEBIBYTES, which should be on the disk that counts [default: TMPDIR].
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/image.sh
barge=$(realpath "${1:-target/release/barge}")
mebibytes=${2:-512}
rounds=${3:-5}
directory=${4:-${TMPDIR:-/tmp}}
PATH=$PATH:/usr/sbin:/sbin
for program in mkfs.btrfs mkfs.xfs filefrag openssl tar; do
    command -v "$program" >/dev/null || { echo "skipped: no $program" >&2; exit 0; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: not root" >&2; exit 0; }

work=$(mktemp -d "$directory/barge-bench.XXXXXX")
trap 'cd /; umount "$work/mounted" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
mkdir home mounted
export HOME=$work/home XDG_CONFIG_HOME=$work/home XDG_RUNTIME_DIR=$work/home
one_layer_image "$mebibytes" docker.io/org/app:v1

save_aligned() { "$barge" -q save --align -o made.tar image >/dev/null; }
save_plain() { "$barge" -q save -o made.tar image >/dev/null; }
save_tar() { tar -C image -cf made.tar . && sync -f .; }
load_aligned() { "$barge" -q load -i aligned.tar -o made >/dev/null; }
load_plain() { "$barge" -q load -i plain.tar -o made >/dev/null; }
load_tar() { mkdir made && tar -C made -xf plain.tar && sync -f .; }
copy_barge() { "$barge" -q copy image made >/dev/null; }
copy_cloning() { cp -r --reflink=always image made && sync -f .; }
copy_plain() { cp -r --reflink=never image made && sync -f .; }
ways=(save_aligned save_plain save_tar load_aligned load_plain load_tar copy_barge copy_cloning copy_plain)

taken() { df --output=used -B1 . | tail -1; }
written() { awk '{ printf "%.0f\n", $7 * 512 }' "/sys/block/$device/stat"; }
shared() { # of the largest file that was made, in bytes
    find made* -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2- | xargs filefrag -v -b1024 |
        awk -F: '/shared/ { sum += $4 } END { printf "%.0f\n", sum * 1024 }'
}
once() { # WAY: appends seconds, bytes taken, written and shared to a file of its name
    local before began ended wrote
    rm -rf made made.tar
    sync -f .
    cat image/blobs/*/* aligned.tar plain.tar >/dev/null # everything that is read is in memory
    before=$(taken) wrote=$(written)
    began=$(date +%s%N)
    "$1"
    ended=$(date +%s%N)
    sync -f .
    echo "$((ended - began)) $(($(taken) - before)) $(($(written) - wrote)) $(shared)" >>"$work/$kind-$1"
}
median() { sort -n "$1" | awk '{ line[NR] = $0 } END { print line[int((NR + 1) / 2)] }'; }

for kind in btrfs xfs; do
    truncate -s "$((mebibytes * 6 + 512))M" disk
    "mkfs.$kind" -q -f disk >mkfs.log 2>&1 || { cat mkfs.log >&2; exit 1; }
    mount -o loop disk mounted
    device=$(findmnt -n -o SOURCE mounted)
    device=${device#/dev/}
    cp -r image mounted/image
    cd mounted
    "$barge" -q save --align -o aligned.tar image >/dev/null
    "$barge" -q save -o plain.tar image >/dev/null
    for round in $(seq "$rounds"); do
        order=("${ways[@]}")
        if [ $((round % 2)) = 0 ]; then order=($(printf '%s\n' "${ways[@]}" | tac)); fi
        for way in "${order[@]}"; do once "$way"; done
    done
    cd "$work"
    umount mounted
    rm disk
    echo "$kind, one blob of $mebibytes MiB, medians of $rounds"
    for way in "${ways[@]}"; do
        median "$kind-$way" | awk -v way="${way/_/ }" '{ printf "  %-14s %7.3f s  %7.1f MiB taken  %7.1f MiB written  %7.1f MiB shared\n",
            way, $1 / 1e9, $2 / 1048576, $3 / 1048576, $4 / 1048576 }'
    done
done
