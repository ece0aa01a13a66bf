#!/usr/bin/env bash
# Unpacks Debian's own Rust with the standard library of another architecture: for a release where rustup cannot fetch one. Nothing
# is installed; packages come from wherever this machine's apt takes them.
#   toolchain.sh ARCHITECTURE DIR     Debian's name: arm64. Prints the compiler.
set -euo pipefail
architecture=$1
mkdir -p "$2"
dir=$(realpath "$2")
rustc=$dir/rustc
if [ -x "$rustc" ]; then
    echo "$rustc"
    exit 0
fi
mkdir -p "$dir"/lists/partial "$dir"/cache/archives/partial "$dir"/root
cat >"$dir/apt.conf" <<END
APT::Architectures { "$(dpkg --print-architecture)"; "$architecture"; };
Dir::State::lists "$dir/lists";
Dir::Cache "$dir/cache";
APT::Sandbox::User "root";
END
export APT_CONFIG=$dir/apt.conf DEBIAN_FRONTEND=noninteractive
{
    # a source without this architecture is only warned of
    apt-get update -qq
    apt-get install -y -qq --download-only --no-install-recommends rustc-web
    (cd "$dir/cache/archives" && apt-get download -qq "libstd-rust-web-dev:$architecture")
} >&2
for package in "$dir"/cache/archives/*.deb; do
    dpkg -x "$package" "$dir/root"
done
rm -r "$dir/cache" "$dir/lists"
cat >"$rustc.partial" <<END
#!/bin/sh
LD_LIBRARY_PATH=$dir/root/usr/lib/$(gcc -print-multiarch) exec $dir/root/usr/bin/rustc "\$@"
END
chmod +x "$rustc.partial"
"$rustc.partial" --version >&2
mv "$rustc.partial" "$rustc"
echo "$rustc"
