#!/usr/bin/env bash
# The source of a release with every crate that a released target takes, as one archive that builds without a network. The same
# commit gives the same bytes: entries are sorted, owners are 0, times are SOURCE_DATE_EPOCH.
#   source.sh OUT.tar.xz [COMMIT]    the tree is that of COMMIT (HEAD), not what lies beside it
set -euo pipefail
out=$(realpath -m "$1")
commit=${2:-HEAD}
cd "$(dirname "$0")/../.."
name=$(basename "$out" .tar.xz)
stage=$(mktemp -d "${TMPDIR:-/tmp}/barge-source.XXXXXX")
trap 'rm -rf "$stage"' EXIT
tree=$stage/$name

git archive --format=tar --prefix="$name/" "$commit" | tar -x -C "$stage"
(cd "$tree" && ${CARGO:-cargo} vendor --quiet --locked --versioned-dirs vendor)
PYTHONDONTWRITEBYTECODE=1 "$tree/scripts/dist/empty.py" "$tree/vendor"
mkdir -p "$tree/.cargo"
cat >"$tree/.cargo/config.toml" <<'END'
# Every crate is here: cargo asks nobody.
[source.crates-io]
replace-with = "vendored-sources"

[source.vendored-sources]
directory = "vendor"
END

# a checkout has the modes of somebody's umask
chmod -R u=rwX,go=rX "$tree"
mkdir -p "$(dirname "$out")"
tar -c -C "$stage" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:?}" "$name" |
    xz -6 -T2 >"$out.partial"
mv "$out.partial" "$out"
