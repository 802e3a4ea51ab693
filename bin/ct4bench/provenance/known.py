"""What a folder of results knows of its run, without a path of the machine that it was made on."""

# code-table: index/quarantine.csv
# code-table: index/series.csv
# code-table: methods.csv

import csv
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ct4bench.core.benchmark import NO_METHOD
from ct4bench.core.json_files import read_object
from ct4bench.results.run_facts import read_run_facts, read_settings

CODE = Path(__file__).resolve().parents[1]
RUN = "pipeline_info/run.json"
FOLDER = "provenance"
SCHEMA = f"{FOLDER}/nextflow_schema.json"
NOT_SHOWN = "(a path of the machine, not shown)"
OF_THE_MACHINE = "executors"
"""Group of the schema that says where a run was, and nothing of its results."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a run, as it may be shown."""

    name: str
    value: str
    type: str
    """As JSON schema names it."""
    description: str
    is_default: bool


@dataclass(frozen=True)
class Known:
    """What provenance is made of; `files` has the size and SHA-256 of each file by its name in the results."""

    parameters: tuple[Parameter, ...]
    versions: dict
    """ct4bench, nextflow, container_engine, contract, code_sha256, packages."""
    facts: dict[str, dict]
    """run_facts.json by method, that of images and features as they are first."""
    settings: dict[str, dict]
    """Settings of the extractors by name."""
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    series: tuple[dict, ...] = ()
    """Rows of index/series.csv; empty where the run started from features."""
    n_quarantined: int | None = None
    harmonization: tuple[dict, ...] = ()
    """Rows of methods.csv."""

    @property
    def method(self) -> str:
        """The first method, whose files documents name."""
        return next(iter(self.facts))

    @property
    def first(self) -> dict:
        """Facts of the first method."""
        return self.facts[self.method]

    def value(self, name: str) -> str:
        """Return the value of a parameter, blank where it has none."""
        return next((parameter.value for parameter in self.parameters if parameter.name == name), "")


def without_paths(value: str) -> str:
    """Return a text in which whatever could be a path is replaced."""
    return re.sub(r"[^\s,=]*[/\\][^\s,]*", NOT_SHOWN, value)


def shown_parameters(values: Mapping, schema: Mapping) -> tuple[Parameter, ...]:
    """Return the parameters of a run that say what was done, in the schema's order, without values that are paths."""
    found = []
    for group, entry in schema["$defs"].items():
        for name, rule in entry["properties"].items():
            if group == OF_THE_MACHINE or name not in values or name == "help":
                continue
            value = values[name]
            text = str(value).lower() if isinstance(value, bool) else str(value)
            is_path = str(rule.get("format", "")).endswith("path")
            shown = NOT_SHOWN if is_path else without_paths(text)
            found.append(Parameter(name, shown, rule["type"], rule["description"], value == rule.get("default")))
    return tuple(found)


def code_digest(folder: Path = CODE) -> str:
    """Compute the SHA-256 of all files of the code, their names included."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (".py", ".csv", ".json", ".yml", ".yaml", ".bib"):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def package_versions(usage: list[dict]) -> dict[str, str]:
    """Return the versions of Python and packages that tasks of a run had loaded, by name."""
    found: dict[str, set[str]] = {}
    for task in usage:
        for name, version in task.get("versions", {}).items():
            found.setdefault(name, set()).add(str(version))
    return {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}


def _rows(path: Path) -> tuple[dict, ...]:
    if not path.is_file():
        return ()
    with open(path, encoding="utf-8", newline="") as stream:
        return tuple(csv.DictReader(stream))


def read_known(results: Path, usage: list[dict], files: Mapping[str, tuple[int, str]]) -> Known:
    """Read what a folder of results knows; `usage` is what tasks noted of themselves, `files` sizes and SHA-256."""
    run = read_object(results / RUN)
    # a folder of each method: none first, then as the run named them
    found = {path.parents[1].name: read_run_facts(path) for path in sorted(results.glob("*/tables/run_facts.json"))}
    named = str(run["parameters"].get("methods", "")).split(",")
    places = {name: named.index(name) if name in named else len(named) for name in found}
    facts = {name: found[name] for name in sorted(found, key=lambda name: (name != NO_METHOD, places[name], name))}
    first = next(iter(facts.values()))
    quarantine = results / "index/quarantine.csv"
    return Known(
        parameters=shown_parameters(run["parameters"], read_object(results / SCHEMA)),
        versions={
            **{name: str(version) for name, version in run["versions"].items()},
            "container_engine": str(run.get("container_engine", "")),
            "contract": first["contract"],
            "code_sha256": code_digest(),
            "packages": package_versions(usage),
        },
        facts=facts,
        settings=read_settings(sorted((results / next(iter(facts)) / "features").glob("*.json"))),
        files=dict(files),
        series=_rows(results / "index/series.csv"),
        n_quarantined=len(_rows(quarantine)) if quarantine.is_file() else None,
        harmonization=_rows(results / "methods.csv"),
    )
