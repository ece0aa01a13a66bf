#!/usr/bin/env bash
# An image for every architecture named in a file, `latest` as a list of them, and versions of what `latest` lists.
#
# The repositories that this follows have a build.sh and a version.sh around `docker buildx build` and `docker manifest`; ours
# are in the directory beside this file.
#   REGISTRY     the registry, HOST[:PORT]
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "$0")" && pwd)/5-build-and-version
export BARGE_LAYOUT=$PWD/dist IMAGE=$REGISTRY/org/tool
digests() {
    python3 -c 'import json, sys; [print(it["digest"]) for it in json.load(sys.stdin)["manifests"]]'
}
published() {
    skopeo inspect --tls-verify=false --raw "docker://$IMAGE:$1"
}

# On a machine that must not publish: everything is made, and nobody sees it.
DO_NOT_PUSH=true "$here/build.sh"
barge --no-network manifest inspect "$IMAGE:latest" | digests | tee made
test "$(wc -l <made)" = "$(wc -l <"$here/architectures")"
if published latest 2>/dev/null; then
    echo "it was pushed" >&2
    exit 1
fi

# The same sources give the same images, so what is published now is what was made before.
"$here/build.sh"
published latest | digests | diff made -
while read -r arch; do
    published "latest-$arch" | sha256sum | sed 's/ .*//; s/^/sha256:/'
done <"$here/architectures" | diff made -

# A list from digests is the list from tags.
mapfile -t by_digest < <(sed "s|^|$IMAGE@|" made)
barge manifest create "$IMAGE:by-digest" "${by_digest[@]}" >digest
barge manifest inspect "$IMAGE:by-digest" | diff - <(barge manifest inspect "$IMAGE:latest")

# A version of what `latest` lists, made where nothing was built.
for version in v1 v1.0; do
    BARGE_LAYOUT=$PWD/release "$here/version.sh" "$version"
    published "$version" | digests | diff made -
    published "$version" | sha256sum | sed 's/ .*//; s/^/sha256:/' | diff digest -
done

# `latest` goes on, and the version does not.
printf '%s\n' amd64 riscv64 >fewer
mkdir next && cp "$here/build.sh" next/ && cp fewer next/architectures
next/build.sh
published latest | digests | diff <(sed -n '1p;3p' made) -
published v1 | digests | diff made -
