"""The harmonization methods that are here, by what their folders declare (docs/methods.md); and their check."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from command.places import PYTHON, ROOT, shown


@dataclass(frozen=True)
class Declared:
    """What a method's method.yml says, as far as a list shows it."""

    folder: Path
    entries: dict[str, str]
    """Entries of one line by name."""
    variants: tuple[str, ...]

    def __getitem__(self, name: str) -> str:
        return self.entries.get(name, "")


def _plain(text: str) -> str:
    """A value without its quotes or the comment behind it."""
    quoted = re.match(r"""^(["'])(.*?)\1\s*(#.*)?$""", text)
    return quoted[2] if quoted else re.sub(r"\s+#.*$", "", text).strip()


def read_declared(folder: Path) -> Declared:
    """Read the entries of a method.yml that stand on one line, and the names of its variants; YAML needs a package that
    is not here before set-up."""
    text = (folder / "method.yml").read_text(encoding="utf-8", errors="replace")
    entries = {name: _plain(value) for name, value in re.findall(r"^(\w+): *(\S.*)$", text, re.MULTILINE)}
    block = re.search(r"^variants:\s*\n((?:(?: +.*| *#.*)?\n?)*)", text, re.MULTILINE)
    variants = re.findall(r"^  (\w+):", block[1], re.MULTILINE) if block else []
    return Declared(folder, entries, tuple(variants))


def find_methods(folders: list[Path]) -> list[Declared]:
    """Find the methods below `methods/` of the checkout and below further folders, each a method or holding methods."""
    found = []
    for place in [ROOT / "methods", *folders]:
        own = (
            [place] if (place / "method.yml").is_file() else sorted(path.parent for path in place.glob("*/method.yml"))
        )
        found += [read_declared(folder) for folder in own]
    return found


def list_text(methods: list[Declared]) -> str:
    """Return a line for each method: its name, what it maps and may see, its title, its variants."""
    lines = []
    for method in methods:
        about = " ".join([method["level"], method["information"], *([method["role"]] if method["role"] else [])])
        more = f" (variants: {', '.join(method.variants)})" if method.variants else ""
        lines.append(f"  {method['name']:<24} {about:<32} {method['title']}{more}")
    lines.append("\n./ct4bench run --methods NAME,NAME.VARIANT compares them; ./ct4bench methods NAME says more")
    return "\n".join(lines)


def detail_text(method: Declared) -> str:
    """Return what a method declares, line by line."""
    names = ("title", "about", "version", "citation", "licence", "role", "level", "information", "unseen", "learns")
    lines = [f"{method['name']}: {shown(method.folder)}"]
    lines += [f"  {name:<12} {method[name]}" for name in names if method[name]]
    lines += [f"  {'variants':<12} {', '.join(method.variants)}"] if method.variants else []
    return "\n".join(lines)


def main(name: str | None, folders: list[Path]) -> int:
    """Write the list of methods, or what one of them declares; 1 where there is none of that name."""
    methods = find_methods(folders)
    if name is None:
        print(list_text(methods))
        return 0
    wanted = [method for method in methods if method["name"] == name.split(".")[0]]
    if not wanted:
        print(f"there is no method {name}; ./ct4bench methods lists them", file=sys.stderr)
        return 1
    print("\n".join(detail_text(method) for method in wanted))
    return 0


def check(folder: Path, seed: int | None) -> int:
    """Run the check of a method (tools/check_method.py) in place of this process; 2 before set-up."""
    if not os.access(PYTHON, os.X_OK):
        print("checking a method needs the packages of set-up: 'make setup' gets them", file=sys.stderr)
        return 2
    words = [str(PYTHON), str(ROOT / "tools" / "check_method.py"), str(folder)]
    os.execv(PYTHON, words + (["--seed", str(seed)] if seed is not None else []))  # noqa: S606
