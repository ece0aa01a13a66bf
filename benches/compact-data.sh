#!/usr/bin/env bash
# Makes the file systems that compact archives are measured on, once, in a directory that is kept: benches/compact-data.sh DIRECTORY
#   old.tar      a root file system of Debian for amd64 (as root on amd64; debootstrap and apt have to reach packages)
#   new.tar      the same with 30 packages upgraded, or as many as there are two versions of; upgraded.txt says which
#   touched.tar  old.tar with other times everywhere and one file in twenty changed
#   arm64.tar    old.tar for arm64
# Nothing of them is run: packages are unpacked one over the other.
set -euo pipefail
. "$(dirname "$0")/debian.sh"
mkdir -p "$1"
cd "$1"
suite=bookworm packages=git,perl,python3,openssl,curl,vim-nox,openssh-client most=30

get() { # ARCHITECTURE: the packages, in ARCHITECTURE/var/cache/apt/archives
    fetch "$suite" "$packages" "$1" "$1"
    mkdir -p "debs-$1"
    mv "$1"/var/cache/apt/archives/*.deb "debs-$1"
    rm -rf "$1"
}
# layer TREE FILE: the order of names, as tar and most builders have it, and the times that the packages say
layer() { tar --sort=name --owner=0 --group=0 --numeric-owner --exclude=./dev -C "$1" -c . >"$2.part" && mv "$2.part" "$2"; }

for architecture in amd64 arm64; do [ -d "debs-$architecture" ] || get "$architecture"; done
if [ ! -e arm64.tar ]; then
    rm -rf tree && mkdir tree
    for package in debs-arm64/*.deb; do unpack "$package" tree; done
    layer tree arm64.tar
fi
if [ ! -e new.tar ]; then
    rm -rf tree newer updates && mkdir tree newer updates
    : >upgraded.txt
    for package in debs-amd64/*.deb; do
        name=$(dpkg-deb -f "$package" Package)
        # what a release and its security updates have of it
        versions=$(apt-cache madison "$name" | awk -F' *[|] *' '{ print $2 }' | sort -uV)
        before=$(echo "$versions" | head -1) after=$(echo "$versions" | tail -1)
        old=$package new=$package
        if [ "$(wc -l <upgraded.txt)" -lt "$most" ] && [ "$before" != "$after" ]; then
            (cd updates && apt-get -qq download "$name=$before" "$name=$after" 2>/dev/null)
            echo "$name $before -> $after" >>upgraded.txt
            for file in updates/"$name"_*.deb; do
                if [ "$(dpkg-deb -f "$file" Version)" = "$before" ]; then old=$file; else new=$file; fi
            done
        fi
        unpack "$old" tree
        unpack "$new" newer
    done
    layer tree old.tar
    number=0
    while read -r file; do
        number=$((number + 1))
        [ $((number % 20)) = 0 ] || continue
        printf 'changed in one place: %s\n' "$number" | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") / 2)) conv=notrunc status=none
    done < <(find tree -type f -size +0 | LC_ALL=C sort)
    find tree -exec touch -h -d @1700000000 {} +
    layer tree touched.tar
    layer newer new.tar
fi
rm -rf tree newer
wc -l <upgraded.txt | sed 's/$/ packages upgraded/'
ls -l ./*.tar
