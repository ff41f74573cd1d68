#!/usr/bin/env python3
"""Narrows a bill of materials of cargo-cyclonedx, from standard input, to the crates that `cargo tree` finds in the program.

    bill_of_materials.py TARGET <bom.json

cargo-cyclonedx asks Cargo about the whole workspace, so it lists what the features of its other packages bring too."""

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
TREE = ["cargo", "tree", "--locked", "--package", "streamwarden", "--edges", "normal", "--prefix", "none", "--no-dedupe", "--target"]


def main() -> None:
    tree = subprocess.run([*TREE, sys.argv[1]], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    linked = {tuple(line.split(" ")[:2]) for line in tree.splitlines()}
    # Without this machine's path in the references.
    bill = json.loads(sys.stdin.read().replace(f"path+file://{PROJECT}", "path+file://streamwarden"))
    bill["components"] = [part for part in bill["components"] if (part["name"], f"v{part['version']}") in linked]
    kept = {part["bom-ref"] for part in [*bill["components"], bill["metadata"]["component"]]}
    bill["dependencies"] = [
        entry | {"dependsOn": [on for on in entry.get("dependsOn", []) if on in kept]}
        for entry in bill["dependencies"] if entry["ref"] in kept
    ]
    # The program itself is the one line of the tree that is no component.
    assert len(bill["components"]) == len(linked) - 1, f"{len(bill['components'])} components of {len(linked) - 1} crates"
    json.dump(bill, sys.stdout, indent=1)


main()
