#!/usr/bin/env python3
"""Build the documentation: the pages of docs/, and those that are made from schema, methods and code.

    tools/build_docs.py --output results/docs       # results/docs/index.html; warnings are errors

Sphinx lies in `.docs` (`make docs-setup`). Nothing is fetched: neither by the build, nor by the site.
"""

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TOOLS = ROOT / ".docs"
OUTSIDE = {"../README.md": "project/readme.md", "../CHANGELOG.md": "project/changes.md"}
"""Pages of the project that lie outside docs/, and where they stand in the site."""
ATTRIBUTES = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")


def moved(target: str) -> str:
    """Return where a link of a page of docs/ leads in the site: files outside docs/ are copied to project/."""
    path, mark, anchor = target.partition("#")
    if not path.startswith("../"):
        return target
    return OUTSIDE.get(path, f"project/{path.removeprefix('../')}") + mark + anchor


def linked_outside(text: str) -> set[str]:
    """Return the files outside docs/ that a page links to."""
    return {target.partition("#")[0] for _, target, _ in ATTRIBUTES.findall(text) if target.startswith("../")}


def stage(folder: Path) -> None:
    """Lay out docs/ in a folder, with the files outside it that its pages link to, and links that fit."""
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("conf.py", "*.pyc", "__pycache__"), dirs_exist_ok=True)
    wanted = set(OUTSIDE)
    for page in sorted(folder.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        wanted |= linked_outside(text)
        page.write_text(ATTRIBUTES.sub(lambda found: f"{found[1]}{moved(found[2])}{found[3]}", text), encoding="utf-8")
    for name in sorted(wanted):
        target = folder / moved(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(DOCS / name, target)
    for page in sorted((folder / "project").rglob("*.md")):
        page.write_text(of_project(page, folder), encoding="utf-8")


def of_project(page: Path, folder: Path) -> str:
    """Return a page of project/ with its links to docs/ as they are in the site; of other links the words stay."""
    depth = "../" * (len(page.relative_to(folder).parts) - 1)

    def link(found: re.Match) -> str:
        target = found[2]
        if re.match(r"https?://|mailto:|#", target):
            return found[0]
        inside = target.removeprefix("docs/")
        if target.startswith("docs/") and (folder / inside.partition("#")[0]).exists():
            return f"{found[1]}{depth}{inside}{found[3]}"
        if (folder / "project" / target).is_file() or f"../{target}" in OUTSIDE:
            return f"{found[1]}{depth}{moved(f'../{target}')}{found[3]}"
        return re.sub(r"^!?\[([^\]]*)\]\($", r"\1", found[1])

    return ATTRIBUTES.sub(link, page.read_text(encoding="utf-8"))


def cell(text) -> str:
    """Return a text for a cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def parameters_page() -> str:
    """Make the page of all parameters from nextflow_schema.json."""
    schema = json.loads((ROOT / "nextflow_schema.json").read_text(encoding="utf-8"))
    lines = [
        "# Parameters",
        "",
        "All parameters of `nextflow run`, with two dashes, or without them in a file for `-params-file`; made from "
        "`nextflow_schema.json`. [Usage](usage.md) says what to choose.",
    ]
    for group in schema["$defs"].values():
        lines += [
            "",
            f"## {group['title']}",
            "",
            "| parameter | what it is | values | default |",
            "| --- | --- | --- | --- |",
        ]
        for name, rule in group["properties"].items():
            if not rule.get("hidden"):
                lines.append(
                    f"| `--{name}` | {cell(rule['description'])} | {cell(values_of(rule))} | {default_of(rule)} |"
                )
    return "\n".join(lines) + "\n"


def values_of(rule: dict) -> str:
    """Return what a parameter may be, in words."""
    if "enum" in rule:
        return ", ".join(f"`{value}`" for value in rule["enum"])
    if rule["type"] == "boolean":
        return "`true`, `false`"
    kind = {"integer": "whole number", "number": "number", "string": "text"}[rule["type"]]
    kind = {"directory-path": "folder", "file-path": "file"}.get(rule.get("format"), kind)
    low, high = rule.get("minimum"), rule.get("maximum")
    limits = (
        f"{low} to {high}" if low is not None and high is not None else f"at least {low}" if low is not None else ""
    )
    return f"{kind}, {limits}" if limits else f"{kind}s, with commas between" if rule.get("list") else kind


def default_of(rule: dict) -> str:
    """Return the default of a parameter as code, blank where it has none."""
    value = rule.get("default")
    if value is None or value == "":
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def methods_pages() -> dict[str, str]:
    """Make a page for each harmonization method from its method.yml, and one that lists them; none without methods."""
    from ruamel.yaml import YAML

    found = {path.parent.name: YAML(typ="safe").load(path) for path in sorted(ROOT.glob("methods/*/method.yml"))}
    if not found:
        return {}
    pages = {f"methods/{name}.md": method_page(values, ROOT / "methods" / name) for name, values in found.items()}
    rows = [
        f"| [{values.get('title', name)}](methods/{name}.md) | {cell(values.get('about', ''))} | {values['level']} | "
        f"{values['information']} | {values.get('role', 'method')} |"
        for name, values in found.items()
    ]
    head = ["| method | what it does | level | may see | role |", "| --- | --- | --- | --- | --- |"]
    about = "Made from `methods/*/method.yml`. What the words mean, and how a method of your own is written, is in "
    own = "[methods.md](methods.md)." if (DOCS / "methods.md").is_file() else "the schema of `method.yml`."
    pages["shipped-methods.md"] = "\n".join(["# Shipped methods", "", about + own, "", *head, *rows]) + "\n"
    return pages


def method_page(values: dict, folder: Path) -> str:
    """Make the page of a method: what it declares, its parameters and variants, and its source's own words."""
    title = values.get("title", values["name"])
    lines = [f"# {title}", "", f"{values.get('about', '')}.", "", "| declared | |", "| --- | --- |"]
    for name, value in values.items():
        if name not in ("title", "about", "parameters", "variants") and not isinstance(value, dict):
            shown = (
                ", ".join(f"`{part}`" if part else "without a variant" for part in value)
                if isinstance(value, list)
                else cell(value)
            )
            lines.append(f"| {name} | {shown} |")
    if values.get("parameters"):
        lines += ["", "## Parameters", "", "| parameter | value |", "| --- | --- |"]
        lines += [f"| `{name}` | `{json.dumps(value)}` |" for name, value in values["parameters"].items()]
    if values.get("variants"):
        lines += ["", "## Variants", "", "| variant | changes |", "| --- | --- |"]
        lines += [f"| `{name}` | `{json.dumps(value)}` |" for name, value in values["variants"].items()]
    files = [f"`{path.name}`" for path in sorted(folder.iterdir()) if path.is_file()]
    lines += ["", f"Files: {', '.join(files)} in `methods/{folder.name}/`."]
    return "\n".join(lines) + "\n"


def api_pages() -> dict[str, str]:
    """Make a page for each package, with the public functions of its modules by their docstrings."""
    with open(DOCS / "packages.csv", encoding="utf-8", newline="") as stream:
        packages = list(csv.DictReader(stream))
    pages = {}
    for row in packages:
        name = row["package"]
        lines = [f"# {name}", "", f"Floor {row['floor']}: {row['holds']}.", ""]
        for path in sorted((ROOT / "bin" / "ct4bench" / name).glob("*.py")):
            if path.stem != "__init__":
                module = f"ct4bench.{name}.{path.stem}"
                lines += [f"## {path.stem}", "", "```{eval-rst}", f".. automodule:: {module}", "```", ""]
        pages[f"api/{name}.md"] = "\n".join(lines)
    rows = [
        f"| [{row['package']}](api/{row['package']}.md) | {row['floor']} | {cell(row['holds'])} |" for row in packages
    ]
    head = ["| package | floor | holds |", "| --- | --- | --- |"]
    about = (
        "The packages of `bin/ct4bench`, by their docstrings. A package imports from lower floors only "
        "([architecture](architecture.md)); add `bin` to `PYTHONPATH` to import them."
    )
    pages["api.md"] = "\n".join(["# Python API", "", about, "", *head, *rows]) + "\n"
    return pages


def with_toctrees(index: str, made: dict[str, str], there: set[str]) -> str:
    """Return the index with a list of contents under each heading, from the links below it, and with the made pages.

    A page that no heading names, such as one that was added since, stands under the last.
    """
    sections = re.split(r"^(?=## )", index, flags=re.M)
    top = [
        name
        for name in ("parameters.md", "shipped-methods.md", "api.md", "project/changes.md")
        if name in made or name in there
    ]
    listed = set(re.findall(r"\]\(([\w./-]+\.md)\)", index)) | set(made) | {"index.md", "project/readme.md"}
    rest = sorted(name for name in there - listed if not name.startswith("project/"))
    words = {"parameters.md": "all parameters", "shipped-methods.md": "harmonization methods that are shipped",
             "api.md": "the code's functions", "project/changes.md": "what changed"}  # fmt: skip
    sections[-1] = sections[-1].rstrip() + "\n" + "".join(f"- [{words[name]}]({name})\n" for name in top)
    text = [sections[0]]
    for section in sections[1:]:
        pages = list(dict.fromkeys(re.findall(r"\]\(([\w./-]+\.md)\)", section)))
        pages += rest if section is sections[-1] else []
        title = re.match(r"## (.*)", section)[1]
        text.append(section.rstrip() + "\n\n" + toctree(pages, title) + "\n")
    return "\n".join(text)


def toctree(pages: list[str], caption: str = "") -> str:
    """Return a list of contents that is seen in the side bar alone."""
    head = ["```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), ""]
    return "\n".join([*head, *(page.removesuffix(".md") for page in pages), "```"])


def lay_out(folder: Path) -> None:
    """Write all pages of the site, as Markdown, into a folder."""
    stage(folder)
    made = {"parameters.md": parameters_page(), **methods_pages(), **api_pages()}
    for name in ("api.md", "shipped-methods.md"):
        below = [page for page in made if page.startswith({"api.md": "api/", "shipped-methods.md": "methods/"}[name])]
        if name in made:
            made[name] += "\n" + toctree(sorted(below)) + "\n"
    for name, text in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}
    index = folder / "index.md"
    index.write_text(with_toctrees(index.read_text(encoding="utf-8"), made, there), encoding="utf-8")
    for page in sorted((folder / "project").rglob("*.md")):
        if page.relative_to(folder).as_posix() not in ("project/changes.md",):
            page.write_text("---\norphan: true\n---\n" + page.read_text(encoding="utf-8"), encoding="utf-8")


def build(output: Path, builder: str = "html") -> int:
    """Build the site; return Sphinx's exit status, which is not 0 where it warns."""
    if not (TOOLS / "sphinx").is_dir():
        print("Sphinx is not there; run 'make docs-setup'", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "pages"
        lay_out(source)
        environment = {**os.environ, "PYTHONPATH": str(TOOLS), "NUMBA_DISABLE_JIT": "1"}
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", builder, "-c", str(DOCS),
                   "-d", f"{place}/doctrees", str(source), str(output)]  # fmt: skip
        return subprocess.run(command, env=environment, check=False).returncode


def main(argv=None) -> int:
    """Build the site into a folder, or only lay out its pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default=ROOT / "results" / "docs", type=Path, help="folder of the site")
    parser.add_argument("--pages", type=Path, help="lay out the pages in this folder, and build nothing")
    args = parser.parse_args(argv)
    if args.pages:
        lay_out(args.pages)
        return 0
    status = build(args.output)
    if not status:
        print(f"the documentation is {args.output / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
