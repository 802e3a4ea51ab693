#!/usr/bin/env python3
"""What each process runs: the script of bin/ and all that it imports, by the rule of subworkflows/utilities/code.nf.

An edit of a file in a process's closure makes -resume run that process again, and an edit of any other file does not.

    .venv/bin/python tools/closures.py [PROCESS ...]   all files of these processes; without a name, the number of each
    .venv/bin/python tools/closures.py --write         the numbers into docs/processes.csv, which a test compares
"""

import argparse
import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
DATA = re.compile(r"^# code-data: (\S+)", re.MULTILINE)
TABLES = re.compile(r"^# code-((?:table|text)): (\S+)", re.MULTILINE)
IMPORT = re.compile(r"^[ \t]*import[ \t]+([^\n;]+)", re.MULTILINE)
FROM = re.compile(r"^[ \t]*from[ \t]+([.\w]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n;]+)", re.MULTILINE)


def _names(listed: str) -> list[str]:
    """`(a, b as c)` -> a, b."""
    items = re.sub(r"[()*]", " ", listed).split(",")
    return [item.split()[0] for item in items if item.strip()]


def _absolute(module: str, name: str) -> str:
    """`.x`, seen from the package that holds the file `name` -> `package.x`."""
    rest = module.lstrip(".")
    dots = len(module) - len(rest)
    if not dots:
        return module
    parts = name.split("/")
    return ".".join([*parts[: max(0, len(parts) - dots)], *filter(None, rest.split("."))])


def _files(dotted: str) -> list[str]:
    """`a.b` -> a/__init__.py, a.py, a/b/__init__.py, a/b.py."""
    parts = dotted.split(".")
    paths = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return [name for path in paths for name in (f"{path}/__init__.py", f"{path}.py")]


def imports(source: str, name: str) -> list[str]:
    """Files, relative to bin/, that the source of the file `name` may import, and what its `# code-…:` lines name.

    Those are data files, relative to bin/, and `table NAME` or `text NAME` of the contract of tables.
    """
    text = re.sub(r"\\\r?\n", " ", re.sub(r"#[^\n]*", "", source))
    dotted = [item for listed in IMPORT.findall(text) for item in _names(listed)]
    for module, listed in FROM.findall(text):
        base = _absolute(module, name)
        dotted += [base, *(f"{base}.{item}" if base else item for item in _names(listed))]
    tables = [" ".join(found) for found in TABLES.findall(source)]
    return DATA.findall(source) + tables + [path for item in dotted if item for path in _files(item)]


def closure(script: str, bin_: Path = ROOT / "bin") -> list[str]:
    """Sorted files, relative to bin/, that a script of bin/ runs: itself, all that it imports from bin/, and data."""
    seen, waiting = set(), [script]
    while waiting:
        name = waiting.pop()
        if name not in seen and (" " in name or (bin_ / name).is_file()):
            seen.add(name)
            waiting += imports((bin_ / name).read_text(encoding="utf-8"), name) if name.endswith(".py") else []
    return sorted(seen)


def modules(files: list[str]) -> list[str]:
    """Those of a closure's files that are modules of the package, as `package.module`."""
    inside = [name.removeprefix("ct4bench/") for name in files if re.fullmatch(r"ct4bench/.*\.py", name)]
    return [name.removesuffix(".py").replace("/", ".") for name in inside if not name.endswith("__init__.py")]


def processes() -> list[str]:
    """Processes in the order of docs/processes.csv."""
    table = pd.read_csv(ROOT / "docs" / "processes.csv", keep_default_na=False)
    return [name for name in table["process"] if name]


def write() -> None:
    """Write the number of modules of each process or script into docs/processes.csv."""
    path = ROOT / "docs" / "processes.csv"
    table = pd.read_csv(path, keep_default_na=False)
    scripts = table["process"].str.lower().where(table["process"] != "", table["module"].str.split(".").str[1])
    numbers = [len(modules(closure(f"{script}.py"))) for script in scripts]
    table.assign(modules=numbers)[["process", "module", "modules", "does"]].to_csv(path, index=False)


def main() -> None:
    """Print the table, or the files of some processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("process", nargs="*", type=str.upper, help="as docs/processes.csv names them")
    parser.add_argument("--write", action="store_true", help="the numbers into docs/processes.csv")
    args = parser.parse_args()
    if unknown := [name for name in args.process if name not in processes()]:
        parser.error(f"{', '.join(unknown)} is not one of {', '.join(processes())}")
    if args.write and args.process:
        parser.error("--write takes all processes")
    if args.write:
        write()
        return
    for process in args.process or processes():
        files = closure(f"{process.lower()}.py")
        print(f"{process:18}{len(modules(files)):3} modules")
        if args.process:
            print("\n".join(f"  {name}" for name in files))


if __name__ == "__main__":
    main()
