# Debian's packages as root file systems of any architecture, without running anything of them; to be sourced.

# Begins a tree with debootstrap, whose packages are then in DIRECTORY/var/cache/apt/archives; ARCHITECTURE.log says what happened.
fetch() { # SUITE PACKAGES ARCHITECTURE DIRECTORY
    debootstrap --foreign --variant=minbase --include="$2" --arch="$3" "$1" "$4" >"$3.log" 2>&1
}

# Unpacks a package over what is there.
unpack() { # PACKAGE DIRECTORY
    dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink
}
