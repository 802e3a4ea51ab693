#!/usr/bin/env python3
"""Inventory of an image: CycloneDX 1.5 and the licence texts of all that is in it. Standard library only.

inventory.py NAME VERSION FOLDER writes sbom.cdx.json and licences.txt for the Python that runs it and, on Debian, for
the system's packages.
"""

import json
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

LICENCE_FILES = ("licen", "copying", "notice", "copyright", "eula")


def licence_of(package: Distribution) -> str:
    """SPDX expression where there is one, else the licence's name, else its classifiers."""
    meta = package.metadata
    words = meta.get("License-Expression") or (meta.get("License") or "").strip().splitlines()[:1]
    named = words if isinstance(words, str) else "".join(words)
    if named and len(named) < 100:
        return named
    classifiers = [line.split(" :: ")[-1] for line in meta.get_all("Classifier", []) if line.startswith("License ::")]
    return " and ".join(classifiers) or named[:100] or "not stated"


def python_components() -> list[dict]:
    """A component for each installed distribution, by name."""
    found = {}
    for package in distributions():
        name = package.metadata["Name"].lower().replace("_", "-")
        found[name] = {
            "type": "library", "name": name, "version": package.version,
            "purl": f"pkg:pypi/{name}@{package.version}", "bom-ref": f"pkg:pypi/{name}@{package.version}",
            "licenses": [{"license": {"name": licence_of(package)}}],
        }  # fmt: skip
    return [found[name] for name in sorted(found)]


def system_components() -> list[dict]:
    """A component for each package that dpkg knows; none where there is no dpkg."""
    try:
        text = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Package}\t${Version}\t${Architecture}\n"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []
    rows = sorted(line.split("\t") for line in text.splitlines())
    return [
        {
            "type": "library", "name": name, "version": version,
            "purl": f"pkg:deb/debian/{name}@{version}?arch={arch}",
            "bom-ref": f"pkg:deb/debian/{name}@{version}?arch={arch}",
        }
        for name, version, arch in rows
    ]  # fmt: skip


def licence_texts() -> str:
    """Licence files of every distribution, one after another, each under its package's name."""
    parts = []
    for package in sorted(distributions(), key=lambda item: item.metadata["Name"].lower()):
        name = f"{package.metadata['Name']} {package.version}: {licence_of(package)}"
        files = [file for file in package.files or [] if file.name.lower().startswith(LICENCE_FILES)]
        texts = [Path(file.locate()).read_text(errors="replace") for file in files if Path(file.locate()).is_file()]
        parts.append("\n".join(["=" * 100, name, "=" * 100, *(texts or ["(the package brings no licence file)"])]))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write both files."""
    name, version, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": {"type": "container", "name": f"ct4bench-{name}", "version": version}},
        "components": python_components() + system_components(),
    }  # fmt: skip
    (folder / "sbom.cdx.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "licences.txt").write_text(licence_texts())


if __name__ == "__main__":
    main()
