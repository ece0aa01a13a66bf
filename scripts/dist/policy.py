#!/usr/bin/env python3
"""Holds the dependencies to deny.toml's lists of licences, duplicates and sources, in a second and without a network.

The same file is read by cargo-deny (`make deny`), which also asks for advisories. Here each `target` of `[graph]` is looked at
with what its build and its tests take.
    policy.py [deny.toml]
"""

import collections
import sys

import crates

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def problems(policy, graph):
    """Yields a line for everything in the graph that the policy does not allow."""
    allowed = set(policy["licenses"]["allow"])
    skipped = {entry["crate"] for entry in policy["bans"].get("skip", [])}
    allowed_sources = set(policy["sources"].get("allow-registry", [CRATES_IO]))
    versions = collections.defaultdict(set)
    for crate in graph.nodes:
        package = graph.packages[crate]
        name = f"{package['name']} {package['version']}"
        try:
            known = package["license"] and crates.narrowed(crates.expression(package["license"]), allowed)
        except ValueError as wrong:
            yield f"{name}: licence: {wrong}"
            known = True
        if not known:
            yield f"{name}: licence: {package['license']} is not allowed by [licenses] allow"
        if package["source"] not in allowed_sources and crate != graph.root:
            yield f"{name}: source: {package['source'] or package['manifest_path']} is none of [sources]"
        if f"{package['name']}@{package['version']}" not in skipped:
            versions[package["name"]].add(package["version"])
    for name, several in sorted(versions.items()):
        if len(several) > 1:
            yield f"{name}: duplicates: {', '.join(sorted(several))}: [bans] skip has none of them"
    for dependency in graph.packages[graph.root]["dependencies"]:
        if dependency["req"] == "*":
            yield f"{dependency['name']}: wildcard: Cargo.toml takes any version"
    here = {f"{package['name']}@{package['version']}" for package in graph.packages.values()}
    for entry in sorted(skipped - here):
        yield f"{entry}: [bans] skip names a crate that is not there"


def main():
    policy = crates.policy(*sys.argv[1:])
    found, seen = set(), 0
    for target in policy["graph"]["targets"]:
        graph = crates.Graph(target)
        seen = max(seen, len(graph.nodes))
        found.update(problems(policy, graph))
    for problem in sorted(found):
        print(f"error: {problem}", file=sys.stderr)
    if found:
        sys.exit(1)
    print(f"{seen} crates: licences, duplicates and sources are as deny.toml allows")


main()
