#!/usr/bin/env bash
# What `save --compact` makes of two versions of a file system: a table of ways, sizes, times and memory (with GNU time).
#
#   benches/compact.sh OLD.tar NEW.tar [LEVEL]
#
# The tars are root file systems, such as `tar --numeric-owner -cf old.tar -C rootfs .` of what debootstrap made with different
# packages or dates. Layers are packed by Go, which has to be installed. BARGE is the program to measure, target/release/barge if not said;
# everything happens in a directory that is removed again, below TMPDIR.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
old=$(realpath "$1") new=$(realpath "$2") level=${3:-6}
barge=$(realpath "${BARGE:-target/release/barge}") gopack=$(realpath "$(dirname "$0")/gopack.go")
. "$(dirname "$0")/image.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/compact-XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
cd "$work"

GOFLAGS=-mod=mod GOCACHE="$work/cache" go build -o gopack "$gopack"

# layout NAME TAR: an image of one layer, whose size is left in $size
layout() {
	./gopack "$level" < "$2" > layer
	size=$(stat -c %s layer)
	image_of layer.v1.tar+gzip "sha256:$(openssl dgst -sha256 -r "$2" | cut -d' ' -f1)" amd64 "$1"
	mv image "$1"
}
layout old "$old"; old_size=$size
layout new "$new"; new_size=$size

line() { printf '%-34s %12s %12s %7s %9s %9s\n' "$@"; }
# timed COMMAND...: runs it, and puts how long it took into `seconds` and its memory into `memory`
timed() {
	start=$(date +%s.%N)
	if [ -x /usr/bin/time ]; then /usr/bin/time -q -f %M -o memory "$@"; else "$@"; fi > log 2>&1 || { cat log >&2; exit 1; }
	seconds=$(awk "BEGIN { printf \"%.1f s\", $(date +%s.%N) - $start }")
	memory=$(awk '{ printf "%d MB", $1 / 1024 }' memory 2>/dev/null || echo -)
}
# measure WHAT BEFORE FILE COMMAND...
measure() {
	what=$1 before=$2 file=$3; shift 3
	timed "$@"
	after=$(stat -c %s "$file" 2>/dev/null || echo 0)
	percent=$(awk "BEGIN { if ($after > 0) printf \"%.1f %%\", 100 * $after / $before; else printf \"-\" }")
	line "$what" "$before" "$after" "$percent" "$seconds" "$memory"
	grep -E '^(compact|not compact|made against|[0-9]+ layers?, )' log | sed 's/^/    /' || true
}
line "level $level" "layers" "archive" "" "time" "memory"
timed sh -c "./gopack $level < '$new' > /dev/null"
line "the new layer, packed by Go" "$new_size" - - "$seconds" -
measure "one version, plain" "$new_size" plain.tar "$barge" save -q -o plain.tar new
measure "one version, compact" "$new_size" one.tar "$barge" save -o one.tar --compact new
measure "two versions, compact" $((old_size + new_size)) two.tar "$barge" save -o two.tar --compact old new
measure "the new one, for who has the old" "$new_size" update.tar "$barge" save -o update.tar --compact --base old new
if [ "${LOAD:-1}" = 1 ]; then
	measure "one version, loaded" "$new_size" none "$barge" load -q -i one.tar -o alone
	measure "two versions, loaded" $((old_size + new_size)) none "$barge" load -q -i two.tar -o arrived
	cp -r old site
	measure "the new one, loaded" "$new_size" none "$barge" load -q -i update.tar -o site
	for layout in arrived site; do
		for version in old new; do
			cmp "$layout"/blobs/sha256/"$(basename "$(ls -S $version/blobs/sha256/* | head -1)")" "$(ls -S $version/blobs/sha256/* | head -1)"
		done
	done
	echo "what was loaded is the same"
fi
