#!/usr/bin/env bash
# Builds an image for every architecture named in the file beside it, and a list of them: `latest`.
#
#   IMAGE=HOST/REPOSITORY [DO_NOT_PUSH=true] build.sh
set -euo pipefail
here=$(dirname "$0")

images=()
while read -r arch; do
    tag=$IMAGE:latest-$arch
    mkdir -p "out/$arch"
    echo "compiled for $arch" >"out/$arch/app"
    barge build -t "$tag" --platform "linux/$arch" --from scratch --add 'out/{arch}/app:/app' --entrypoint /app
    [ "${DO_NOT_PUSH:-}" = true ] || barge push "$tag"
    images+=("$tag")
done <"$here/architectures"

barge manifest rm "$IMAGE:latest" 2>/dev/null || true
barge manifest create "$IMAGE:latest" "${images[@]}"
[ "${DO_NOT_PUSH:-}" = true ] || barge manifest push "$IMAGE:latest"
