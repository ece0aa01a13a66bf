"""What cargo knows of the crates: the graph for a target, which of them end up in the binary, and their licences."""

import json
import os
import re
import subprocess
import tomllib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CARGO = os.environ.get("CARGO", "cargo")


class Graph:
    """The crates that `cargo metadata` resolves for a target, by their ids."""

    def __init__(self, target):
        self.target = target
        command = [CARGO, "metadata", "--format-version=1", "--locked", "--offline"]
        command += ["--all-features", f"--filter-platform={target}"]
        told = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
        self.packages = {package["id"]: package for package in told["packages"]}
        self.nodes = {node["id"]: node for node in told["resolve"]["nodes"]}
        self.root = told["resolve"]["root"]

    def dependencies(self, crate, kinds=(None,)):
        """The ids that a crate names, of these kinds: None is a normal dependency, then `build` and `dev`."""
        return sorted(
            dep["pkg"] for dep in self.nodes[crate]["deps"] if any(kind["kind"] in kinds for kind in dep["dep_kinds"])
        )

    def linked(self):
        """The ids of what is in the binary: normal dependencies all the way, but not procedural macros."""
        return self._resolved("normal,no-proc-macro")

    def built_with(self):
        """The ids of what takes part in the build and is not in the binary: macros, build scripts, and what they need."""
        return self._resolved("normal,build") - self.linked()

    def _resolved(self, edges):
        # `cargo metadata` also has optional dependencies that a weak feature (`a?/b`) names and nothing turns on
        command = [CARGO, "tree", "--locked", "--offline", f"--target={self.target}", f"--edges={edges}"]
        command += ["--prefix=none", "--no-dedupe", "--format={p}"]
        told = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        resolved = {tuple(line.split()[:2]) for line in told.splitlines()}
        return {key for key, package in self.packages.items() if (package["name"], f"v{package['version']}") in resolved}


def checksums():
    """The SHA-256 of each crate's file, as Cargo.lock holds them, by name and version."""
    with open(os.path.join(ROOT, "Cargo.lock"), encoding="utf-8") as file:
        blocks = file.read().split("[[package]]")[1:]
    fields = [dict(re.findall(r'^(\w+) = "(.*)"$', block, re.MULTILINE)) for block in blocks]
    return {(crate["name"], crate["version"]): crate["checksum"] for crate in fields if "checksum" in crate}


def policy(path=os.path.join(ROOT, "deny.toml")):
    """What the dependencies are held to."""
    with open(path, "rb") as file:
        return tomllib.load(file)


def allowed():
    """The licences that deny.toml allows."""
    return set(policy()["licenses"]["allow"])


def expression(text):
    """Reads an SPDX expression (spdx-spec v2.3, annex D), and cargo's old `MIT/Apache-2.0`, into nested ("or", a, b),
    ("and", a, b) and names of licences, to which `WITH` an exception belongs."""
    words = re.findall(r"[()]|[^\s()]+", text.replace("/", " OR "))

    def level(operator, below):
        left = below()
        while words and words[0].upper() == operator:
            words.pop(0)
            left = (operator.lower(), left, below())
        return left

    def atom():
        word = words.pop(0)
        if word == "(":
            inner = disjunction()
            if not words or words.pop(0) != ")":
                raise ValueError(f"{text}: a parenthesis is not closed")
            return inner
        if not re.fullmatch(r"[A-Za-z0-9.+-]+", word) or word.upper() in ("AND", "OR", "WITH"):
            raise ValueError(f"{text}: {word} is no licence")
        if words and words[0].upper() == "WITH":
            words.pop(0)
            word += " WITH " + words.pop(0)
        return word

    def conjunction():
        return level("AND", atom)

    def disjunction():
        return level("OR", conjunction)

    try:
        found = disjunction()
    except IndexError:
        raise ValueError(f"{text}: something is missing") from None
    if words:
        raise ValueError(f"{text}: {words[0]} is one too many")
    return found


def narrowed(tree, allowed):
    """What is left of an expression when of alternatives only the allowed ones are kept; None when that is nothing."""
    if isinstance(tree, str):
        return tree if tree in allowed else None
    operator, left, right = tree[0], narrowed(tree[1], allowed), narrowed(tree[2], allowed)
    if operator == "and":
        return ("and", left, right) if left and right else None
    return ("or", left, right) if left and right else left or right


def names(tree):
    """The licences of an expression."""
    return {tree} if isinstance(tree, str) else names(tree[1]) | names(tree[2])
