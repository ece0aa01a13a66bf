#!/usr/bin/env bash
# Makes a version of what `latest` lists in the registry, by digest, so that the version stays what it is.
#
#   IMAGE=HOST/REPOSITORY version.sh vX
set -euo pipefail
version=$1

images=()
while read -r digest; do
    images+=("docker://$IMAGE@$digest")
done < <(barge manifest inspect "docker://$IMAGE:latest" |
    python3 -c 'import json, sys; [print(it["digest"]) for it in json.load(sys.stdin)["manifests"]]')

barge manifest create "$IMAGE:$version" "${images[@]}"
barge manifest push --purge "$IMAGE:$version"
