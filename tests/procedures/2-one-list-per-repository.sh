#!/usr/bin/env bash
# One list for each of eight repositories, under a local name that nobody sees, pushed to two registries under two tags each.
#
# The release scripts that this follows say `buildah manifest create` and `buildah manifest push --all`, and their images come
# from a registry, from the local storage, or from the files that the builders for each architecture sent.
#   REGISTRY, MIRROR     two registries, HOST[:PORT]; the images for each architecture are in the first one
set -euo pipefail
shopt -s inherit_errexit

version=41
repositories=(base minimal init toolbox httpd nginx postgresql redis)
all=(amd64 arm64 ppc64le s390x)

# The builders: buildah commits an image for each architecture into a file, and skopeo pushes it.
container=$(buildah from scratch)
export SOURCE_DATE_EPOCH=1700000000
for at in "${!repositories[@]}"; do
    repository=${repositories[at]}
    architectures[at]="${all[*]:0:$((2 + at % 3))}"
    echo "$repository" >name
    buildah copy -q "$container" name /etc/ >/dev/null
    for arch in ${architectures[at]}; do
        buildah config --arch "$arch" --os linux --label name="$repository" "$container"
        buildah commit -q --timestamp 1700000000 "$container" "oci-archive:$repository-$arch.tar:$version" >/dev/null
        skopeo copy -q --preserve-digests --dest-tls-verify=false \
            "oci-archive:$repository-$arch.tar" "docker://$REGISTRY/fedora/$repository:$version-$arch"
    done
done
buildah rm "$container" >/dev/null

for at in "${!repositories[@]}"; do
    repository=${repositories[at]}
    list=release-$repository-$$
    references=() files=() names=()
    for arch in ${architectures[at]}; do
        references+=("docker://$REGISTRY/fedora/$repository:$version-$arch")
        files+=("oci-archive:$repository-$arch.tar")
        names+=("$repository:$version-$arch")
        barge copy -q "$repository-$arch.tar" "local:$repository:$version-$arch" >/dev/null
    done

    # What the images are called where they come from does not show in the list: three times the same.
    barge -L remote manifest create "$list" "${references[@]}" >digest
    barge -L files manifest create "$list" "${files[@]}" | diff digest -
    barge -L local manifest create "$list" "${names[@]}" | diff digest -
    for layout in remote files local; do
        barge -L "$layout" manifest inspect "$list" >"$layout.json"
    done
    diff remote.json files.json
    diff remote.json local.json

    # Of the first form nothing but documents is here; the layers go from one registry to the other on the way.
    barge -L remote manifest ls --json |
        python3 -c 'import json, sys; assert json.load(sys.stdin)["results"][-1]["state"] == "sparse"'
    for registry in "$REGISTRY" "$MIRROR"; do
        for tag in "$version" latest; do
            barge -L remote manifest push --all "$list" "docker://$registry/fedora/$repository:$tag"
        done
    done
    barge -L files manifest push --all --digestfile pushed "$list" "docker://$MIRROR/fedora/$repository:latest"
    diff digest <(cat pushed && echo)
    # The name was for this run alone.
    for layout in remote files local; do
        barge -L "$layout" manifest rm "$list"
    done

    for registry in "$REGISTRY" "$MIRROR"; do
        for tag in "$version" latest; do
            skopeo inspect --tls-verify=false --raw "docker://$registry/fedora/$repository:$tag" |
                sha256sum | sed 's/^/sha256:/; s/ .*//' | diff digest -
        done
        # Every piece of every architecture is there.
        rm -rf check
        skopeo copy -q --all --src-tls-verify=false "docker://$registry/fedora/$repository:latest" dir:check
        python3 -c 'import json; print(*sorted(it["platform"]["architecture"] for it in json.load(open("check/manifest.json"))["manifests"]))' |
            diff <(echo "${architectures[at]}") -
    done
done
