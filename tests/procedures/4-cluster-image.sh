#!/usr/bin/env bash
# A cluster image for two platforms: built, saved, loaded, looked at, carried over a registry, taken apart, removed.
#
# The pages that this follows say `sealer build`, `save`, `load`, `inspect`, `push`, `pull`, `images` and `delete`.
#   REGISTRY     a registry, HOST[:PORT]
set -euo pipefail
shopt -s inherit_errexit

export BARGE_LAYOUT=$PWD/images
name=$REGISTRY/cluster/kubernetes:v1.25
platforms=(linux/arm64/v8 linux/amd64)

mkdir -p context/{arm64,amd64}/bin context/manifests
for arch in arm64 amd64; do
    echo "kubelet for $arch" >context/$arch/bin/kubelet
    chmod +x context/$arch/bin/kubelet
done
echo 'kind: Namespace' >context/manifests/app.yaml
cat >context/Kubefile <<'KUBEFILE'
FROM scratch
COPY ${ARCH}/bin bin
COPY manifests manifests
CMD ["kubectl apply -f manifests"]
KUBEFILE
barge build -t "$name" --platform "$(IFS=,; echo "${platforms[*]}")" -f context/Kubefile context

# What there is, for people and for programs: an id, a moment, a size and a platform for each.
barge images
entries() {
    python3 -c 'import json, sys
for image in json.load(sys.stdin)["results"]:
    for entry in image["entries"]:
        assert entry["id"].startswith("sha256:") and entry["size"] > 0 and entry["created"].endswith("Z"), entry
        print(entry["platform"], entry["digest"])'
}
barge manifest ls --json | entries | tee entries
barge images --json | entries | diff entries -
# linux/arm64 is what linux/arm64/v8 is called for short
diff <(printf '%s\n' linux/amd64 linux/arm64) <(cut -d' ' -f1 entries | sort)

# To another machine in a file: both platforms, or one.
barge save -o all.tar "$name"
barge save -o arm64.tar "$name" --platform linux/arm64/v8
barge -L elsewhere load -i all.tar
barge -L elsewhere manifest ls --json | entries | diff entries -
barge -L small load -i arm64.tar
barge -L small manifest ls --json | entries | diff <(grep arm64 entries) -

for platform in "${platforms[@]}"; do
    barge inspect --config "$name" --platform "$platform" | tee config.json
    IFS=/ read -r _ arch _ <<<"$platform"
    grep -q "\"architecture\": \"$arch\"" config.json
    barge inspect --json "$name" --platform "$platform" |
        python3 -c 'import json, sys; it = json.load(sys.stdin)["results"][0]; print(it["platform"], it["digest"])' |
        diff <(grep "$arch" entries) -
done

# One registry has both, and each node takes its own.
barge push "$name"
for platform in "${platforms[@]}"; do
    IFS=/ read -r _ arch _ <<<"$platform"
    node=node-$arch
    barge -L "$node" pull "$name" --platform "$platform"
    barge -L "$node" unpack "$name" "$node-root"
    diff -r context/"$arch"/bin "$node-root/bin"
    diff -r context/manifests "$node-root/manifests"
    test "$(find "$node-root" -type f | wc -l)" = 2
    # straight from the list of both, it is the same
    barge unpack --platform "$platform" "$name" "$arch-root"
    diff -r "$node-root" "$arch-root"
    skopeo inspect --tls-verify=false --override-os linux --override-arch "$arch" "docker://$name" |
        grep -q "\"Architecture\": \"$arch\""
    # nothing of the other platform came to the node
    for other in arm64 amd64; do
        test "$other" = "$arch" && continue
        blob=$(barge inspect "$name" --platform "linux/$other" |
            python3 -c 'import json, sys; print(json.load(sys.stdin)["layers"][0]["digest"].split(":")[1])')
        test -e "$BARGE_LAYOUT/blobs/sha256/$blob"
        test ! -e "$node/blobs/sha256/$blob"
    done
done

# One platform alone under its own name, as an image for which there is no other.
barge tag "$name" "$name-arm64"
barge push "$name-arm64" --platform linux/arm64/v8
skopeo inspect --tls-verify=false --raw "docker://$name-arm64" |
    python3 -c 'import json, sys; [it] = json.load(sys.stdin)["manifests"]; assert it["platform"]["architecture"] == "arm64"'

# A platform goes, then the whole image.
barge -L elsewhere delete "$name" --platform linux/amd64
barge -L elsewhere manifest ls --json | entries | diff <(grep arm64 entries) -
barge -L elsewhere delete "$name"
test -z "$(barge -L elsewhere images)"
