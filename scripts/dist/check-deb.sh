#!/usr/bin/env bash
# Looks at a package of barge with lintian, where a warning is a failure; installs it below an empty root, runs what it brought, and
# removes it: nothing may be left (root).
#   check-deb.sh PACKAGE
set -euo pipefail
package=$(realpath "$1")
root=$(mktemp -d "${TMPDIR:-/tmp}/barge-root.XXXXXX")
trap 'rm -rf "$root"' EXIT
# no bug of Debian's asks for a package that is not uploaded to Debian
lintian --allow-root --fail-on error,warning --tag-display-limit 0 --suppress-tags initial-upload-closes-no-bugs "$package" >&2
mkdir -p "$root"/var/lib/dpkg/{info,updates,triggers}
touch "$root/var/lib/dpkg/status"
# what it depends on is this machine's, not this root's
dpkg() { command dpkg --root="$root" --force-depends --log=/dev/null "$@" >"$root/said" 2>&1 || { cat "$root/said" >&2 && exit 1; }; }

dpkg --install "$package"
version=$(dpkg-deb --field "$package" Version)
[ "$("$root/usr/bin/barge" --version)" = "barge ${version%-*}" ] || { echo "$package: its barge is no barge $version" >&2 && exit 1; }
for file in \
    usr/share/man/man1/barge.1.gz usr/share/man/man1/barge-merge.1.gz usr/share/bash-completion/completions/barge \
    usr/share/zsh/vendor-completions/_barge usr/share/fish/vendor_completions.d/barge.fish \
    usr/share/doc/barge/{copyright,changelog.gz,changelog.Debian.gz,third-party-notices.gz,README.md}; do
    [ -s "$root/$file" ] || { echo "$package: it has no $file" >&2 && exit 1; }
done
(cd "$root" && md5sum --quiet -c var/lib/dpkg/info/barge.md5sums)
dpkg --purge barge
rm "$root/said"
left=$(find "$root" -path "$root/var/lib/dpkg" -prune -o -type f -print)
[ -z "$left" ] || { echo "$package: purged, it leaves $left" >&2 && exit 1; }
echo "$(basename "$package"): installed, run and purged"
