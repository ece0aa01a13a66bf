#!/usr/bin/env bash
# Installs the Debian packages that the tests need, as root on Debian. Elsewhere it says what the tests will skip.
#   test-tools.sh [FILE...]    the package lists, one name a line
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- scripts/test-packages.txt fixtures/packages.txt

missing=()
while read -r package; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done < <(cat "$@" | sed 's/#.*//' | awk 'NF {print $1}' | sort -u)

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed: ${missing[*]}: tests that need them are skipped (run this as root on Debian to have them)" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
