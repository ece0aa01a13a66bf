#!/usr/bin/env python3
"""Empties the vendored crates that no released target takes, most of them import libraries of Windows: two thirds of all bytes.
Cargo still finds each under its name and version, as Cargo.lock wants it.
    empty.py VENDOR_DIRECTORY
"""

import json
import os
import shutil
import sys

import crates


def main():
    vendor = sys.argv[1]
    taken = set()
    for target in crates.policy()["graph"]["targets"]:
        graph = crates.Graph(target)
        taken.update(f"{package['name']}-{package['version']}" for package in graph.packages.values())
    for name in sorted(set(os.listdir(vendor)) - taken):
        crate = os.path.join(vendor, name)
        with open(os.path.join(crate, ".cargo-checksum.json"), encoding="utf-8") as file:
            checksum = json.load(file)
        for entry in os.scandir(crate):
            if entry.name == "Cargo.toml":
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.remove(entry.path)
        os.mkdir(os.path.join(crate, "src"))
        with open(os.path.join(crate, "src", "lib.rs"), "w", encoding="utf-8"):
            pass
        with open(os.path.join(crate, ".cargo-checksum.json"), "w", encoding="utf-8") as file:
            json.dump({"files": {}, "package": checksum["package"]}, file)


main()
