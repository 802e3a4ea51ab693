"""What a run says of how its results came about: crate, Croissant, checklists, methods paragraph, versions.

None of it has a path of the machine. The same results give the same bytes, but for the time in the crate and the day in
croissant.json.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from ct4bench.core.errors import UserError, error_words
from ct4bench.provenance.checklists import CHECKLISTS, fill
from ct4bench.provenance.crate import CRATE, MEANINGS, README, WORKFLOW, make_crate
from ct4bench.provenance.croissant import CROISSANT, make_croissant
from ct4bench.provenance.known import FOLDER, RUN, SCHEMA, Known, read_known
from ct4bench.provenance.words import bibliography, methods_text, words_of
from ct4bench.results.collect import files_of

ITSELF = (CRATE, CROISSANT, README, *(f"{FOLDER}/{name}.md" for name in CHECKLISTS), f"{FOLDER}/versions.yml")
"""Files that are written here and that checklists name."""
NEEDED = (RUN, SCHEMA, WORKFLOW)
"""Files of the results that say of which run they are."""


def read_usage(paths: Iterable[Path | str]) -> list[dict]:
    """Read what tasks noted of themselves, a JSON object on each line; `UserError` where a file is none."""
    notes = []
    for path in sorted(map(Path, paths)):
        try:
            notes += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read as JSON ({error_words(error)}); leave it out of --usage") from error
    return [note for note in notes if isinstance(note, dict)]


def _measured(folder: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of every file below a folder, by its name there."""
    contents = ((path.relative_to(folder).as_posix(), path.read_bytes()) for path in files_of(folder))
    return {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in contents}


def versions_text(known: Known) -> str:
    """Return versions.yml: code, engine, packages, what the data were. Values are written as JSON, which YAML reads."""
    facts = known.first
    data = {"origin": facts["origin"], "n_series": facts["n_series"], "part": facts["part"]}
    lines = [f"{name}: {json.dumps(value)}" for name, value in known.versions.items() if name != "packages"]
    for name, values in (("packages", known.versions["packages"]), ("data", data)):
        lines += [f"{name}:", *(f"  {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def readme_text(known: Known) -> str:
    """Return README.md of the results: what they are, and which file is for what."""
    facts = known.first
    lines = [
        "# Results of ct4bench",
        "",
        f"{facts['part']}; {facts['origin_words']}. ct4bench {known.versions['ct4bench']}, mode `{facts['mode']}`.",
        "",
        "| file | what it is |",
        "| --- | --- |",
        *(f"| [{name}]({name}) | {meaning} |" for name, meaning in sorted(MEANINGS.items()) if name != README),
        f"| [{CRATE}]({CRATE}) | files with their digests, parameters, workflow: a Workflow Run RO-Crate 0.5 |",
        "| [columns.csv](columns.csv) | every column of every table: type, unit, meaning |",
        "",
        "`pipeline_info/` has the engine's notes of the run and names folders of the machine; it is not in the crate.",
    ]
    return "\n".join(lines) + "\n"


def describe(results: Path, usage: Iterable[Path | str], ended: datetime) -> list[str]:
    """Write everything that says how a folder of results came about; return the names of the files.

    Nothing is written where the folder does not say of which run it is (`NEEDED`). `ended` has a time zone.
    """
    if not all((results / name).is_file() for name in NEEDED):
        return []
    notes = read_usage(usage)
    known = read_known(results, notes, _measured(results))
    words, text = words_of(known), methods_text(known)
    written = {
        README: readme_text(known),
        f"{FOLDER}/versions.yml": versions_text(known),
        f"{FOLDER}/methods.md": text + "\n",
        f"{FOLDER}/references.bib": bibliography(text, known),
        **{f"{FOLDER}/{name}.md": fill(name, words, [*known.files, *ITSELF]) for name in CHECKLISTS},
        CROISSANT: json.dumps(make_croissant(known, results, ended.date()), indent=1, ensure_ascii=False) + "\n",
    }
    for name, content in written.items():
        (results / name).write_text(content, encoding="utf-8")
    whole = read_known(results, notes, _measured(results))
    (results / CRATE).write_text(
        json.dumps(make_crate(whole, ended), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return [*written, CRATE]
