#!/usr/bin/env bash
# Makes what `make bench` works on, once, in a directory that is kept: benches/peers/data.sh DIRECTORY BARGE
#   rootfs/      a Debian root file system for this machine, as a directory
#   ARCH.tar     for each of five architectures an oci-archive with a Debian root file system as one gzip layer
#   multi/       a layout with all of them under one name; multi.tar is the same as an archive
# Debian's packages come from wherever debootstrap gets them; where it cannot, generated files take their place, half of them
# text and half of them noise, and the tables say so.
set -euo pipefail
. "$(dirname "$0")/../image.sh"
. "$(dirname "$0")/../debian.sh"
mkdir -p "$1"
cd "$1"
barge=$2
suite=bookworm
packages=git,perl,python3,gcc,vim-nox
architectures=(amd64 arm64 armhf i386 s390x)

# A root file system: the packages, unpacked one over the other.
debian() { # ARCHITECTURE DIRECTORY
    fetch "$suite" "$packages" "$1" "$2" || return 1
    local package
    for package in "$2"/var/cache/apt/archives/*.deb; do
        unpack "$package" "$2"
    done
    rm -rf "$2/var/cache/apt/archives" "$2/debootstrap"
}

generated() { # ARCHITECTURE DIRECTORY
    local number
    mkdir -p "$2/usr/lib" "$2/usr/share"
    for number in $(seq 1500); do
        head -c 100000 /dev/urandom >"$2/usr/lib/$1-$number"
        seq "$number" "$((number + 15000))" >"$2/usr/share/$1-$number"
    done
}

[ -e source ] || : >source
for architecture in "${architectures[@]}"; do
    [ ! -e "$architecture.tar" ] || continue
    rm -rf tree image
    if debian "$architecture" tree; then echo "Debian $suite" >source; else rm -rf tree; generated "$architecture" tree; echo generated >source; fi
    # what other tools make of it is the same size then, and nobody needs to be root
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --exclude=./dev -C tree -c . >layer.tar
    diff_id=$(openssl dgst -sha256 -r layer.tar | cut -d' ' -f1)
    gzip -n6 <layer.tar >layer
    rm layer.tar
    platform=${architecture/armhf/arm}
    image_of layer.v1.tar+gzip "sha256:$diff_id" "${platform/i386/386}" v1
    if [ "$architecture" = amd64 ]; then rm -rf rootfs tree/dev; mv tree rootfs; fi
    tar -C image -cf "$architecture.tar.part" .
    mv "$architecture.tar.part" "$architecture.tar"
    rm -rf tree image
done
if [ ! -e multi.tar ]; then
    rm -rf multi
    "$barge" -q merge "${architectures[@]/%/.tar}" -o multi -t app:v1 >/dev/null
    tar -C multi --sort=name -cf multi.tar.part .
    mv multi.tar.part multi.tar
fi
