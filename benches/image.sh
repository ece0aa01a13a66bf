# The image that registries are measured with; to be sourced.

# Makes the layout `image` with one image of one layer of random bytes; the digest of the layer is left in $blob.
one_layer_image() { # MEBIBYTES NAME
    head -c "$1M" /dev/urandom >layer
    image_of layer.v1.tar "sha256:$(openssl dgst -sha256 -r layer | cut -d' ' -f1)" amd64 "$2"
}

# Makes the layout `image` with one image of the file `layer`, which goes; the digest of the layer is left in $blob.
image_of() { # LAYER_TYPE DIFF_ID ARCHITECTURE NAME
    local layer config manifest
    mkdir -p image/blobs/sha256
    echo '{"imageLayoutVersion":"1.0.0"}' >image/oci-layout
    layer=$(put "$1" layer)
    blob=$(echo "$layer" | grep -o 'sha256:[0-9a-f]*')
    echo "{\"os\":\"linux\",\"architecture\":\"$3\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"$2\"]}}" >config
    config=$(put config.v1+json config)
    echo "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":$config,\"layers\":[$layer]}" >manifest
    manifest=$(put manifest.v1+json manifest)
    manifest=${manifest%\}},"\"annotations\":{\"org.opencontainers.image.ref.name\":\"$4\"}}"
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
