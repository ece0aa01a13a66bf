#!/usr/bin/env bash
# Look at somebody's image, publish it under another name without pulling it, and keep a list up to date.
#
# The pages that this follows say `docker manifest inspect`, `docker pull`, `docker tag`, `docker push`, and `docker manifest`
# with rm, create and push to replace a list, because docker cannot say which lists it has.
#   REGISTRY, MIRROR     the registry of the others and ours, HOST[:PORT]
#   FIXTURES             images made by buildx, containerd and skopeo
set -euo pipefail
shopt -s inherit_errexit

export BARGE_LAYOUT=$PWD/lists
public=$REGISTRY/library/hello
ours=$MIRROR/team/hello

# Somebody published an image for two platforms.
skopeo copy -q --all --preserve-digests --dest-tls-verify=false \
    "oci-archive:$FIXTURES/buildx-amd64-arm64.tar" "docker://$public:1.0"

platforms() {
    python3 -c 'import json, sys
for it in json.load(sys.stdin)["manifests"]:
    platform = it["platform"]
    print("/".join(platform[key] for key in ("os", "architecture", "variant") if key in platform), it["digest"])' | sort
}

# Look at it, where it is.
barge manifest inspect "docker://$public:1.0" | platforms | tee public
grep -q '^linux/amd64 ' public
barge manifest inspect --verbose "docker://$public:1.0" |
    python3 -c 'import json, sys; assert all("Descriptor" in it and "OCIManifest" in it for it in json.load(sys.stdin))'
barge inspect --config --platform linux/arm64 "docker://$public:1.0" | grep -q '"architecture": "arm64"'

# Another tag in its repository, and our own name in our registry: nothing lands on this disk, and all platforms go along.
barge tag "docker://$public:1.0" stable
barge copy "docker://$public:1.0" "docker://$ours:1.0"
barge tag "docker://$ours:1.0" "$ours:1" "$ours:latest"
test ! -e "$BARGE_LAYOUT"

# Look at it after the push: the same, whatever it is called.
digest=$(barge manifest inspect --json "docker://$public:1.0" | python3 -c 'import json, sys; print(json.load(sys.stdin)["results"][0]["digest"])')
for name in "$public:stable" "$ours:1.0" "$ours:1" "$ours:latest"; do
    barge manifest inspect "docker://$name" | platforms | diff public -
    skopeo inspect --tls-verify=false --raw "docker://$name" | sha256sum | diff <(echo "${digest#sha256:}  -") -
done

# A list of our own, with an image that the others do not have.
barge manifest create "$ours:multi" "docker://$ours:1.0" "$FIXTURES/containerd-s390x"
barge manifest push "$ours:multi"
barge manifest inspect "docker://$ours:multi" | platforms >first
test "$(wc -l <first)" = 5 # with two attestations of buildx

# An update: there is another image for a platform. The list is made anew, as with docker.
barge copy "$FIXTURES/buildah-riscv64.tar" "$BARGE_LAYOUT:$ours:riscv64"
barge manifest rm "$ours:multi"
barge manifest create "$ours:multi" "docker://$ours:1.0" "$FIXTURES/containerd-s390x" "$ours:riscv64"
barge manifest push "$ours:multi"
barge manifest inspect "docker://$ours:multi" | platforms >second
comm -13 first second | grep -q '^linux/riscv64 '
comm -23 first second | diff /dev/null -

# Or it is changed where it lies, which docker cannot do.
barge manifest remove "$ours:multi" linux/s390x
barge manifest push "$ours:multi"
if skopeo inspect --tls-verify=false --raw "docker://$ours:multi" | platforms | grep s390x; then
    echo "linux/s390x is still there" >&2
    exit 1
fi

# Which lists there are here.
barge manifest ls | tee lists.txt
grep -q "^$ours:multi .*linux/amd64,linux/arm64.* sparse" lists.txt
test "$(grep -c "^$MIRROR" lists.txt)" = 1
