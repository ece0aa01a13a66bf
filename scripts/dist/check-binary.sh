#!/usr/bin/env bash
# What holds for every binary that is released. Prints one line that says what was found.
#   check-binary.sh BINARY dynamic|static
set -euo pipefail
binary=$1 linking=$2
megabytes=15
# the C library is in it too
if [ "$linking" = static ]; then megabytes=17; fi
newest=2.36 # Debian 12

wrong() {
    echo "$binary: $*" >&2
    exit 1
}

size=$(stat -c %s "$binary")
[ "$size" -lt $((megabytes * 1000 * 1000)) ] || wrong "$size bytes are more than $megabytes MB"
! readelf -SW "$binary" | grep -qE '\.(symtab|debug_info)\b' || wrong "it is not stripped"

# paths of the machine where it was built: home directories, temporary ones, cargo's, and whatever DIST_PATHS names
paths='/(root|home)/[A-Za-z0-9._-]+/|/tmp/[A-Za-z0-9._-]+/|\.cargo/|registry/src/|\.rustup/'
if found=$(strings -n 6 "$binary" | grep -E "$paths${DIST_PATHS:+|$DIST_PATHS}"); then
    wrong "it holds paths of this machine:"$'\n'"$(head -5 <<<"$found")"
fi

needed=$(readelf -dW "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
if [ "$linking" = static ]; then
    [ -z "$needed" ] || wrong "it is not static: it needs $needed"
    ! readelf -lW "$binary" | grep -q INTERP || wrong "it is not static: it names a loader"
    echo "$(basename "$binary"): $size bytes, static"
    exit 0
fi
for library in $needed; do
    case $library in
    libc.so.6 | libm.so.6 | libgcc_s.so.1 | ld-linux-*) ;;
    *) wrong "it needs $library, which not every Debian has" ;;
    esac
done
highest=$(readelf -VW "$binary" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -1)
highest=${highest#GLIBC_}
[ "$(printf '%s\n' "$highest" "$newest" | sort -V | tail -1)" = "$newest" ] || wrong "it needs glibc $highest, and Debian 12 has $newest"
echo "$(basename "$binary"): $size bytes, glibc $highest or newer"
