"""Parameters and options of `nextflow run`: which names are unknown, by nextflow_schema.json and docs/renames.csv."""

from __future__ import annotations

import csv
import difflib
import json
import re
from pathlib import Path

from command.places import ROOT

ENGINE_OPTIONS = (
    "-E", "-ansi-log", "-bucket-dir", "-c", "-cache", "-config", "-disable-jobs-cancellation", "-dump-channels",
    "-dump-hashes", "-entry", "-help", "-lib", "-name", "-o", "-offline", "-output-dir", "-params-file", "-plugins",
    "-preview", "-profile", "-qs", "-queue-size", "-resume", "-stub", "-stub-run", "-w", "-with-apptainer",
    "-with-conda", "-with-dag", "-with-docker", "-with-notification", "-with-podman", "-with-report",
    "-with-singularity", "-with-timeline", "-with-tower", "-with-trace", "-with-weblog", "-without-docker",
    "-without-podman", "-work-dir",
)  # fmt: skip
"""Options of `nextflow run` (25.04), for hints and completion; others pass, too."""
BEFORE_RUN = {
    "-log": 1, "-syslog": 1, "-C": 1, "-trace": 1, "-q": 0, "-quiet": 0, "-bg": 0, "-remote-debug": 0,
    "-config-ignore-includes": 0,
}  # fmt: skip
"""Options of the engine that stand before `run`, with the number of their values."""


def read_schema() -> dict[str, dict]:
    """Read the rules of all parameters by name."""
    groups = json.loads((ROOT / "nextflow_schema.json").read_text(encoding="utf-8"))["$defs"].values()
    return {name: rule for group in groups for name, rule in group["properties"].items()}


def read_profiles() -> list[str]:
    """Read the names of the profiles of nextflow.config."""
    text = (ROOT / "nextflow.config").read_text(encoding="utf-8")
    block = text.split("profiles {")[1].split("\n}")[0]
    return re.findall(r"^    (\w+) \{", block, re.MULTILINE)


def new_name(name: str) -> str | None:
    """Return today's name of a parameter of an earlier version, with its dashes; None where it was none."""
    with open(ROOT / "docs" / "renames.csv", encoding="utf-8", newline="") as stream:
        found = [row["new"] for row in csv.DictReader(stream) if row["kind"] == "parameter" and row["old"] == name]
    return found[0] if found else None


def name_errors(words: list[str]) -> list[str]:
    """Return what is wrong with the names among the words of a command: parameters that are unknown, with the nearest,
    and dashes of the wrong number. Values are the pipeline's to check."""
    known, found = read_schema(), []
    for word in words:
        name = word.split("=", 1)[0]
        if re.match(r"--[A-Za-z]", name) and name[2:] not in known:
            found.append(_unknown(name, known))
        elif re.match(r"-[a-z]{2}", name) and name[1:] in known:
            found.append(f"{name} has one dash; parameters of the benchmark have two: -{name}")
    return found


def _unknown(name: str, known: dict[str, dict]) -> str:
    if name[1:] in ENGINE_OPTIONS or name[1:] in BEFORE_RUN:
        return f"{name} has two dashes; options of the engine have one: {name[1:]}"
    now = new_name(name)
    if now:
        return f"{name} is now {now} (docs/renames.csv)"
    plain = re.sub(r"([a-z])([A-Z])", r"\1_\2", name[2:]).lower().replace("-", "_")
    near = difflib.get_close_matches(plain, known, n=3, cutoff=0.6)
    said = f"; nearest: {', '.join('--' + one for one in near)}" if near else ""
    return f"{name} is not a parameter{said or '; ./ct4bench run --help lists all'}"


def help_text() -> str:
    """Return all parameters that are not hidden, by group, as `nextflow run . --help` shows them."""
    groups = json.loads((ROOT / "nextflow_schema.json").read_text(encoding="utf-8"))["$defs"].values()
    lines = []
    for group in groups:
        lines.append(f"\n{group['title']}")
        for name, rule in group["properties"].items():
            if rule.get("hidden"):
                continue
            choices = f" [{'|'.join(map(str, rule['enum']))}]" if "enum" in rule else ""
            default = rule.get("default")
            standard = "" if default in (None, "", False) else f" (default: {default})"
            lines.append(f"  --{name:30} {rule['description']}{choices}{standard}")
    return "\n".join(lines)


def value_of(words: list[str], *names: str) -> str | None:
    """Return the last value that one of the options has among the words; None where none of them is given."""
    found = None
    for word, after in zip(words, [*words[1:], None]):
        name, _, value = word.partition("=")
        if name in names:
            found = value if "=" in word else after
    return found


def outdir_of(words: list[str], folder: Path) -> Path:
    """Return the folder that a run started in `folder` writes its results to: `--outdir`, that of a parameters' file,
    of the last profile that names one, or the default."""
    given = value_of(words, "--outdir") or _from_file(value_of(words, "-params-file"), folder)
    for profile in reversed((value_of(words, "-profile") or "").split(",")):
        config = ROOT / "conf" / f"{profile}.config"
        if not given and profile and config.is_file():
            match = re.search(r"^\s*outdir = '(.*)'", config.read_text(encoding="utf-8"), re.MULTILINE)
            given = match[1] if match else None
    return folder / (given or read_schema()["outdir"]["default"])


def _from_file(name: str | None, folder: Path) -> str | None:
    """The outdir in a file of parameters, JSON or plain YAML; None where it cannot be told."""
    path = folder / name if name else None
    if path is None or not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".json":
        try:
            return json.loads(text).get("outdir")
        except (ValueError, AttributeError):
            return None
    match = re.search(r"""^\s*["']?outdir["']?\s*:\s*["']?([^"'#,\n]+?)["']?\s*,?\s*(#.*)?$""", text, re.MULTILINE)
    return match[1] if match else None
