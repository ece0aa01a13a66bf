# The image that registries are measured with; to be sourced.

# Makes the layout `image` with one image of one layer of random bytes; the digest of the layer is left in $blob.
one_layer_image() { # MEBIBYTES NAME
    local layer config manifest
    mkdir -p image/blobs/sha256
    echo '{"imageLayoutVersion":"1.0.0"}' >image/oci-layout
    head -c "$1M" /dev/urandom >layer
    layer=$(put layer.v1.tar layer)
    blob=$(echo "$layer" | grep -o 'sha256:[0-9a-f]*')
    echo "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"$blob\"]}}" >config
    config=$(put config.v1+json config)
    echo "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":$config,\"layers\":[$layer]}" >manifest
    manifest=$(put manifest.v1+json manifest)
    manifest=${manifest%\}},"\"annotations\":{\"org.opencontainers.image.ref.name\":\"$2\"}}"
    echo "{\"schemaVersion\":2,\"manifests\":[$manifest]}" >image/index.json
}

# Moves a file among the blobs and prints its descriptor.
put() { # MEDIA_TYPE FILE
    local digest size
    digest=$(openssl dgst -sha256 -r "$2" | cut -d' ' -f1)
    size=$(stat -c %s "$2")
    mv "$2" "image/blobs/sha256/$digest"
    echo "{\"mediaType\":\"application/vnd.oci.image.$1\",\"digest\":\"sha256:$digest\",\"size\":$size}"
}
