#!/usr/bin/env python3
"""Writes what a released binary is made of as CycloneDX 1.5 JSON: every crate with its version, licence and SHA-256, and who needs
whom. The same source, compiler and system give the same bytes.
    sbom.py TARGET dynamic|static BINARY [--certificates PACKAGE] >OUT
With `static` the C library is in it too. `--certificates` names a Debian package whose certificates stand beside the binary.
"""

import datetime
import hashlib
import json
import os
import subprocess
import sys
import uuid

import crates


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def crate(package, checksums, scope):
    """A component for a crate; `scope` is `required` for what is linked, `excluded` for what only built it."""
    component = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "scope": scope,
        "purl": purl(package),
        "hashes": [{"alg": "SHA-256", "content": checksums[(package["name"], package["version"])]}],
        "licenses": [{"expression": spdx(crates.expression(package["license"]))}],
    }
    if package["description"]:
        component["description"] = " ".join(package["description"].split())
    if package["repository"]:
        component["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return component


def spdx(tree, inner=False):
    """Writes an expression in today's form: without slashes."""
    if isinstance(tree, str):
        return tree
    text = f"{spdx(tree[1], tree[0] == 'and')} {tree[0].upper()} {spdx(tree[2], tree[0] == 'and')}"
    return f"({text})" if inner and tree[0] == "or" else text


def system(name, version, licence, at):
    """A component that is no crate."""
    return {
        "type": "library",
        "bom-ref": at,
        "name": name,
        "version": version,
        "scope": "required",
        "purl": at,
        "licenses": [{"expression": licence}],
    }


def compiler():
    """The compiler, with whose standard library everything is linked."""
    told = subprocess.run([os.environ.get("RUSTC", "rustc"), "-vV"], check=True, stdout=subprocess.PIPE, text=True).stdout
    release = next(line.split(": ")[1] for line in told.splitlines() if line.startswith("release: "))
    return system("rust-std", release, "MIT OR Apache-2.0", f"pkg:generic/rust-std@{release}")


def debian(package, licence):
    """A Debian package as it is installed here, whose files went into the binary or beside it."""
    form = "${Version} ${Architecture}"
    told = subprocess.run(["dpkg-query", "-W", "-f", form, package], check=True, stdout=subprocess.PIPE, text=True).stdout
    version, architecture = told.split()
    at = f"pkg:deb/debian/{package}@{version.replace('+', '%2B')}?arch={architecture}"
    return system(package, version, licence, at)


C_LIBRARIES = {"x86_64": "libc6-dev", "aarch64": "libc6-dev-arm64-cross"}


def main():
    target, linking, binary = sys.argv[1:4]
    certificates = sys.argv[5] if sys.argv[4:5] == ["--certificates"] else None
    graph = crates.Graph(target)
    checksums = crates.checksums()
    linked, built_with = graph.linked(), graph.built_with()
    components = [crate(graph.packages[key], checksums, "required") for key in linked - {graph.root}]
    components += [crate(graph.packages[key], checksums, "excluded") for key in built_with]
    beside = [compiler()]
    if linking == "static":
        beside.append(debian(C_LIBRARIES[target.split("-")[0]], "LGPL-2.1-or-later"))
    if certificates:
        beside.append(debian(certificates, "MPL-2.0 AND GPL-2.0-or-later"))
    components.sort(key=lambda component: component["bom-ref"])

    needs = {}
    for key in linked | built_with:
        to = {purl(graph.packages[other]) for other in graph.dependencies(key, (None, "build")) if other in linked | built_with}
        needs[purl(graph.packages[key])] = to
    root = graph.packages[graph.root]
    needs[purl(root)] |= {component["bom-ref"] for component in beside}
    needs.update({component["bom-ref"]: set() for component in beside})

    with open(binary, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    made = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": purl(root),
                "name": root["name"],
                "version": root["version"],
                "description": root["description"],
                "purl": purl(root),
                "hashes": [{"alg": "SHA-256", "content": digest}],
                "licenses": [{"expression": root["license"]}],
                "properties": [{"name": "barge:target", "value": target}, {"name": "barge:linking", "value": linking}],
            },
        },
        "components": components + beside,
        "dependencies": [{"ref": ref, "dependsOn": sorted(to)} for ref, to in sorted(needs.items())],
    }
    json.dump(bom, sys.stdout, indent=1, ensure_ascii=False)
    print()


main()
