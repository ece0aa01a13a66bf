#!/usr/bin/env bash
# Per-arch tags, a list of them for a version and for `latest`, and the proof that what is published is what is here.
#
# The release scripts that this follows say `docker load`, `docker tag`, `docker push` and `docker manifest`.
#   REGISTRY     the registry, HOST[:PORT]
#   FIXTURES     a directory with one image for each architecture, made by docker, buildah and skopeo
set -euo pipefail
shopt -s inherit_errexit

export BARGE_LAYOUT=$PWD/dist
image=$REGISTRY/team/app
version=v1.2
declare -A made=(
    [arm]=docker-armv7.tar [riscv64]=buildah-riscv64.tar [arm64]=skopeo-arm64.tar
    [amd64]=umoci-amd64 [s390x]=containerd-s390x
)

# What the builders left behind gets its tags, and each tag is pushed.
for arch in "${!made[@]}"; do
    barge copy "$FIXTURES/${made[$arch]}" "$BARGE_LAYOUT:$image:$version-$arch"
    barge tag "$image:$version-$arch" "$image:latest-$arch"
    barge push "$image:$version-$arch"
    barge push "$image:latest-$arch"
done

for tag in "$version" latest; do
    # Of the run before there may be a list, or none.
    barge manifest rm "$image:$tag" 2>/dev/null || true
    barge manifest create --insecure "$image:$tag" \
        --amend "$image:$tag-amd64" \
        --amend "$image:$tag-arm64" \
        --amend "$image:$tag-arm" \
        --amend "$image:$tag-riscv64" \
        --amend "$image:$tag-s390x"
    barge manifest annotate "$image:$tag" "$image:$tag-arm" --os linux --arch arm --variant v7
    barge manifest push --insecure "$image:$tag"
    # Once more sends nothing.
    barge manifest push "$image:$tag" 2>&1 >/dev/null | grep -q '^nothing to do: everything is there'
done

# A second run of a release starts with the lists of the first one.
barge manifest rm "$image:$version" "$image:latest"
if barge manifest exists "$image:latest"; then
    echo "the list is still there" >&2
    exit 1
fi
for tag in "$version" latest; do
    barge manifest create --amend "$image:$tag" "$image:$tag"-{s390x,amd64,riscv64,arm64,arm}
    barge manifest push --purge "$image:$tag" "$image:$tag"
done

# What is published under both tags is what the per-arch tags are here.
digests() {
    python3 -c 'import json, sys; print(*sorted(it["digest"] for it in json.load(sys.stdin)["manifests"]), sep="\n")'
}
for tag in "$version" latest; do
    for arch in "${!made[@]}"; do
        barge inspect --raw "$image:$tag-$arch" | sha256sum | sed 's/^/sha256:/; s/ .*//'
    done | sort >"local-$tag"
    barge manifest inspect "docker://$image:$tag" | digests >"published-$tag"
    diff "local-$tag" "published-$tag"
    skopeo inspect --tls-verify=false --raw "docker://$image:$tag" | digests | diff "local-$tag" -
done
