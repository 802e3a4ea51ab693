"""Where the report of a folder of results is, and how it is made again."""

from __future__ import annotations

import csv
import json
import time
import webbrowser
from pathlib import Path

from command.parameters import read_schema
from command.places import shown


def newest_results(root: Path) -> Path | None:
    """Find the folder of results below results/ that was finished last."""
    marks = sorted(root.glob("results/*/pipeline_info/complete.json"), key=lambda path: path.stat().st_mtime)
    return marks[-1].parents[1] if marks else None


def describe(folder: Path) -> tuple[int, str]:
    """Say where the report is, how large and how old, and what else there is to look at; (exit status, text)."""
    page, mark = folder / "report.html", folder / "pipeline_info" / "complete.json"
    if not page.is_file():
        begun = " (a run was begun there; it did not finish)" if (folder / "pipeline_info").is_dir() else ""
        return 1, f"{shown(folder)} has no report.html{begun}"
    about = page.stat()
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(about.st_mtime))
    lines = [f"report:  {page.resolve()}", f"         {about.st_size / 1e6:.1f} MB, of {made}; opens offline"]
    if not mark.is_file():
        lines.append("         the folder has no mark of a whole run (pipeline_info/complete.json)")
    pages = sorted(path.name for path in folder.glob("report_*.html"))
    if pages:
        lines.append(f"methods: {len(pages)} pages beside it: {', '.join(pages[:3])}{', …' if len(pages) > 3 else ''}")
    methods = sorted(path.parent.name for path in folder.glob("*/tables"))
    for method in methods:
        lines.append(f"tables:  {shown(folder / method / 'tables')}, figures: {shown(folder / method / 'figures')}")
    left_out = folder / "index" / "quarantine.csv"
    if left_out.is_file():
        with open(left_out, encoding="utf-8", newline="") as stream:
            n = sum(1 for _ in csv.DictReader(stream))
        lines.append(f"set aside: {n} files or series ({shown(left_out)})" if n else "set aside: nothing")
    return 0, "\n".join(lines)


def open_page(folder: Path) -> bool:
    """Open the report in the browser that the system names; return whether there was one."""
    return webbrowser.open((folder / "report.html").resolve().as_uri())


def words_of_run(folder: Path) -> list[str]:
    """Return the parameters that a run was given, as words of its command: those that are not the defaults.

    `ValueError` where the folder does not say.
    """
    path = folder / "pipeline_info" / "run.json"
    try:
        given = dict(json.loads(path.read_text(encoding="utf-8"))["parameters"])
    except OSError as problem:
        raise ValueError(
            f"{shown(path)} does not tell how the run was started ({problem.strerror}); name the --outdir of a run"
        ) from problem
    except (ValueError, KeyError, TypeError) as problem:
        raise ValueError(
            f"{shown(path)} does not tell how the run was started; start the run itself again"
        ) from problem
    known, words = read_schema(), []
    for name, value in given.items():
        default = known.get(name, {}).get("default")
        if name == "outdir" or value == default or value is None or name not in known:
            continue
        words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return ["--outdir", str(folder), *words]
