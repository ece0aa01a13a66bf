#!/usr/bin/env python3
"""Writes the licences of everything that is linked into a binary.
    copyright.py TARGET >copyright          in Debian's machine-readable form (copyright-format 1.0)
    copyright.py TARGET --notices >notices  every licence file of every crate, word for word, each text once
"""

import collections
import os
import re
import sys

import crates

TEXTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "licences")
# Debian's names of licences, where they are not SPDX's
DEBIAN = {"MIT": "Expat", "BSD-3-Clause": "BSD-3-clause"}
LICENCE_FILE = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)
HOLDER = re.compile(r"\W*copyright\s+((?:\(c\)|©|\d{4}).*)|((?:\(c\)|©) \d{4}.*)", re.IGNORECASE)
# what licence texts say of themselves, and how to fill them in
TEMPLATE = re.compile(r"<year>|[{\[]|Free Software Foundation")
OURS = "the barge contributors"


def licence_files(package):
    """The paths of the files in which a crate, or what it carries along, says its licence."""
    root = os.path.dirname(package["manifest_path"])
    for directory, below, files in os.walk(root):
        below[:] = sorted(set(below) - {"target", "vendor", "tests", "benches"} if directory == root else below)
        for file in sorted(files):
            if LICENCE_FILE.match(file) and not file.endswith((".rs", ".c", ".h", ".py")):
                yield os.path.join(directory, file)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def holders(package):
    """Who holds the copyright: what the licence files say, else the authors that Cargo.toml names."""
    found = []
    for path in licence_files(package):
        for line in read(path).splitlines():
            match = HOLDER.match(line.strip())
            said = match and (match[1] or match[2])
            if said and not TEMPLATE.search(said):
                found.append(re.sub(r"^(\(c\)|©)\s*", "", said, flags=re.IGNORECASE).rstrip(". "))
    return list(dict.fromkeys(found)) or package["authors"] or [f"the authors of {package['name']}"]


def debian(tree, inner=False):
    """Writes an expression as copyright-format has it: `and` binds more tightly, and parentheses are not known."""
    if isinstance(tree, str):
        return DEBIAN.get(tree, tree)
    if tree[0] == "and" and not inner:
        # (A or B) and C becomes A and C, or B and C
        sides = [alternatives(tree[1]), alternatives(tree[2])]
        return " or ".join(f"{left} and {right}" for left in sides[0] for right in sides[1])
    return f"{debian(tree[1])} {tree[0]} {debian(tree[2])}"


def alternatives(tree):
    """The sides of an `or`, as text."""
    if not isinstance(tree, str) and tree[0] == "or":
        return alternatives(tree[1]) + alternatives(tree[2])
    return [debian(tree)]


def field(name, lines):
    """A field; when its first line is empty the text begins below its name."""
    first, *rest = lines
    return f"{name}:{' ' if first else ''}{first}\n" + "".join(f" {line}\n" if line.strip() else " .\n" for line in rest)


def text_of(licence):
    """The paragraph with the text of a licence: Debian has the Apache License on every system."""
    if licence == "Apache-2.0":
        place = "/usr/share/common-licenses/Apache-2.0."
        return field("License", [licence, "On Debian systems, the full text of the Apache License, Version 2.0 is in", place])
    path = os.path.join(TEXTS, licence)
    if not os.path.exists(path):
        sys.exit(f"copyright.py: scripts/dist/licences has no text of {licence}")
    return field("License", [licence, *read(path).splitlines()])


def machine_readable(graph, keys, allowed):
    root = graph.packages[graph.root]
    yield field("Format", ["https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"]) + field(
        "Upstream-Name", [root["name"]]
    ) + field(
        "Comment",
        ["", "The paths are those of the source archive, which has every crate that is linked into the program."]
        + ["Rust's standard library is linked too (Expat or Apache-2.0)."]
        + ["The licence files of all crates, word for word, are in third-party-notices.gz beside this file."],
    )
    yield field("Files", ["*"]) + field("Copyright", [OURS]) + field("License", ["Apache-2.0"])
    used = {"Apache-2.0"}
    for key in keys:
        package = graph.packages[key]
        kept = crates.narrowed(crates.expression(package["license"]), allowed)
        if kept is None:
            sys.exit(f"copyright.py: {package['name']}: {package['license']} is not among those that deny.toml allows")
        used |= {DEBIAN.get(licence, licence) for licence in crates.names(kept)}
        files = f"vendor/{package['name']}-{package['version']}/*"
        yield field("Files", [files]) + field("Copyright", holders(package)) + field("License", [debian(kept)])
    for path in own_licences():
        licence = os.path.splitext(os.path.basename(path))[0]
        lines = read(path).splitlines()
        said = [match[1] or match[2] for match in map(HOLDER.match, (line.strip() for line in lines)) if match]
        yield field("Files", [f"LICENSES/{os.path.basename(path)}", *derived(path)]) + field("Copyright", said or [OURS]) + field(
            "License", [licence, *lines]
        )
    for licence in sorted(used):
        yield text_of(licence)


def own_licences():
    """Licences of others' work that our own source derives from: LICENSES/NAME.txt."""
    directory = os.path.join(crates.ROOT, "LICENSES")
    return [os.path.join(directory, file) for file in sorted(os.listdir(directory))] if os.path.isdir(directory) else []


def derived(path):
    """The modules whose documentation says that they come under a licence of LICENSES."""
    said = "LICENSES/" + os.path.basename(path)
    for directory, _, files in sorted(os.walk(os.path.join(crates.ROOT, "src"))):
        if any(said in read(os.path.join(directory, file)) for file in sorted(files)):
            yield os.path.relpath(directory, crates.ROOT) + "/*"


def notices(graph, keys):
    texts = collections.defaultdict(list)
    for key in keys:
        package = graph.packages[key]
        root = os.path.dirname(package["manifest_path"])
        for path in licence_files(package):
            texts[read(path).strip()].append(f"{package['name']} {package['version']}: {os.path.relpath(path, root)}")
    for path in own_licences():
        texts[read(path).strip()].append(f"barge: LICENSES/{os.path.basename(path)}")
    for text, whose in texts.items():
        yield "\n".join(whose) + "\n\n" + text + "\n"


def main():
    graph = crates.Graph(sys.argv[1])
    keys = sorted(graph.linked() - {graph.root}, key=lambda key: (graph.packages[key]["name"], graph.packages[key]["version"]))
    if sys.argv[2:] == ["--notices"]:
        print(("\n" + "=" * 80 + "\n\n").join(notices(graph, keys)), end="")
    else:
        print("\n".join(machine_readable(graph, keys, crates.allowed())), end="")


main()
