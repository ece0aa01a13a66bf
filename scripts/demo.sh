#!/usr/bin/env bash
# The main job on the fixtures: images for six platforms, made by five tools, become one multi-arch image.
#   demo.sh BARGE
set -euo pipefail
cd "$(dirname "$0")/.."
barge=$1
dist=$(mktemp -d "${TMPDIR:-/tmp}/barge-demo.XXXXXX")
trap 'rm -rf "$dist"' EXIT

run() {
    echo
    echo "\$ barge $*"
    "$barge" "$@"
}

sources=(
    fixtures/umoci-amd64
    fixtures/skopeo-arm64.tar
    fixtures/docker-armv7.tar
    fixtures/hybrid-ppc64le.tar
    fixtures/containerd-s390x
    fixtures/skopeo-docker-riscv64.tar
)
run merge -o "$dist/hello.tar" -t example.com/hello:v1 "${sources[@]}"
run merge -o "$dist/layout" -t example.com/hello:v1 -t example.com/hello:latest "${sources[@]}"
run verify --deep "$dist/hello.tar" "$dist/layout"
run ls "$dist/hello.tar" "$dist/layout"
run tree "$dist/hello.tar"
