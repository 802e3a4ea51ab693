#!/usr/bin/env python3
"""Write what schema and docs say of pair metrics, scores, questions, ablations, classifiers, extractors, tables,
columns, reasons of quarantine and deviations from the paper, from the lists in the source.

    .venv/bin/python tools/write_lists.py            # after an entry was added or changed
    .venv/bin/python tools/write_lists.py --check    # says which files are not as the lists, and ends with status 1

The schema's patterns for --tasks and --ablations come from `splits/tasks.py`, that for --other_classifiers from
`learning/other_classifiers.csv`; docs have a table between two marks, as `<!-- tasks: by tools/write_lists.py -->` and
`<!-- end of tasks -->`.
"""

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bin"))

from ct4bench.core.contract import read_contract  # noqa: E402
from ct4bench.core.extractors import read_extractors  # noqa: E402
from ct4bench.core.metrics import BY_NAME, PAIR_METRICS  # noqa: E402
from ct4bench.core.reasons import read_reasons  # noqa: E402
from ct4bench.core.yaml_files import read_schema  # noqa: E402
from ct4bench.harmonization.methods import find_methods, variants_of  # noqa: E402
from ct4bench.leaderboard.score_list import read_scores  # noqa: E402
from ct4bench.learning.other_classifiers import CLASSIFIERS  # noqa: E402
from ct4bench.results import deviations  # noqa: E402
from ct4bench.splits.tasks import (  # noqa: E402
    ABLATION_LABELS,
    CHEAP_ABLATIONS,
    FURTHER_ABLATIONS,
    FURTHER_TASKS,
    TASKS,
)

SCHEMA = "nextflow_schema.json"
DEVIATIONS = "docs/deviations.md"
LISTS = {
    "tasks": ("default", FURTHER_TASKS),
    "ablations": ("default", FURTHER_ABLATIONS),
    "other_classifiers": ("", tuple(CLASSIFIERS)),
}
"""Parameters that take names of a list: the word for its shipped part, where there is one, and the names."""


def pattern(word: str, names: tuple[str, ...]) -> str:
    """Regular expression of the word, `all`, `none`, or names with commas."""
    one = f"({'|'.join(names)})"
    return f"^({f'{word}|' if word else ''}all|none|{one}(,{one})*)$"


def schema_text(text: str) -> str:
    """The schema with patterns and descriptions of `LISTS`; a property stands on a line of its own."""
    for name, (word, names) in LISTS.items():
        (line,) = re.findall(rf'^ *"{name}": (\{{.*\}}),?$', text, re.MULTILINE)
        rule = json.loads(line)
        before, middle, _ = rule["description"].partition("all, none, or of ")
        rule |= {"pattern": pattern(word, names), "description": f"{before}{middle}{', '.join(names)}"}
        text = text.replace(line, json.dumps(rule, ensure_ascii=False))
    return text


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    cells = [heads, ("---",) * len(heads), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def tasks_table() -> str:
    """Questions of --tasks."""
    rows = [
        (f"`{name}`", task.description, task.trained_on, task.tested_on, "yes" if task.default else "on request")
        for name, task in TASKS.items()
        if name in FURTHER_TASKS
    ]
    return table(("name", "question", "trained on", "tested on", "default"), rows)


def ablations_table() -> str:
    """Choices of --ablations."""
    rows = [
        (f"`{name}`", ABLATION_LABELS[name], "yes" if name in CHEAP_ABLATIONS else "on request")
        for name in FURTHER_ABLATIONS
    ]
    return table(("name", "what is changed", "default"), rows)


def classifiers_table() -> str:
    """Names of --other_classifiers."""
    return table(("name", "settings"), [(f"`{name}`", settings) for name, settings in CLASSIFIERS.items()])


def metrics_table() -> str:
    """Metrics of a pair of series."""
    rows = [
        (f"`{m.name}`", f"{m.meaning}: {m.direction}", f"{m.of_self:g}",
         f"`{m.table}.csv`" if m.table else f"`{BY_NAME[m.shown_next_to].table}.csv`, next to {m.shown_next_to}",
         f"Table {m.paper_table}" if m.paper_table else "none", f"`{m.figure}`" if m.figure else "")
        for m in PAIR_METRICS
    ]  # fmt: skip
    return table(("column", "what it is", "of a series with itself", "table", "published", "figure"), rows)


def scores_table() -> str:
    """Scores of the leaderboard."""
    rows = [
        (f"`{s.score}`{' (ranks)' if s.ranks else ''}", s.meaning, s.formula, f"{s.direction} is better" if s.direction
         else "", f"{s.zero} to {s.one}" if s.zero else "not scaled", s.citation)
        for s in read_scores().values()
    ]  # fmt: skip
    return table(("score", "what it says", "formula", "direction", "0 and 1 of the scale", "source"), rows)


def reasons_table(of_download: bool = False) -> str:
    """Codes of quarantine.csv, or of download/missing.csv."""
    found = [r for r in read_reasons().values() if (r.found_by == "download") == of_download]
    return table(("reason", "what it means", "what to do"), [(f"`{r.reason}`", r.meaning, r.remedy) for r in found])


def tables_list() -> str:
    """Each table of the contract with its columns."""
    parts = []
    for entry in read_contract().values():
        names = [f"`{c.column}`{' (not in every run)' if c.column in entry.optional else ''}" for c in entry.columns]
        meaning = f"{entry.meaning[0].upper()}{entry.meaning[1:]}."
        parts.append(f"### `{entry.table}`\n{meaning}\n\n{', '.join(names)}")
    return "\n\n".join(parts)


def columns_table() -> str:
    """Each column of the contract, in the order of the tables; where a table's differs, a row of its own."""
    rows, seen = [], set()
    for entry in read_contract().values():
        for column in entry.columns:
            if column in seen:
                continue
            other = any(name == column.column for name, *_ in seen)
            seen.add(column)
            name = f"`{column.column}`" + (f" in `{entry.table}`" if other else "")
            rows.append((name, column.type, column.unit, column.meaning, column.blank))
    return table(("column", "type", "unit", "what it says", "blank"), rows)


def extractors_table() -> str:
    """Extractors of assets/extractors.yaml."""
    rows = [
        (f"`{name}`", entry.title, str(entry.features), entry.about,
         f"`--{entry.weights['parameter']}`" if "parameter" in entry.weights
         else f"`--extractor_weights {name}=FILE`" if entry.module else "none",
         "stability, classification, embedding" if entry.classified else "stability")
        for name, entry in read_extractors().items()
    ]  # fmt: skip
    return table(("extractor", "in tables", "features", "what it computes", "weights", "used for"), rows)


def settings_table() -> str:
    """Entries of an encoder's settings."""
    rows = [(f"`{name}`", rule["description"]) for name, rule in read_schema("encoder_settings")["properties"].items()]
    return table(("entry", "what it is"), rows)


def entries_table() -> str:
    """Entries of assets/extractors.yaml."""
    rules = read_schema("extractors")["additionalProperties"]["properties"]
    return table(("entry", "what it is"), [(f"`{name}`", rule["description"]) for name, rule in rules.items()])


def methods_table() -> str:
    """Methods of methods/ and their variants."""
    rows = []
    for declared in find_methods().values():
        for variant in variants_of(declared):
            own = variant.declaration
            words = ", ".join(
                f"{key}: {value}" for key, value in declared.variants.get(variant.name.partition(".")[2], {}).items()
            )
            usual = variant.name.partition(".")[2] in declared.default
            rows.append((f"`{variant.name}`", own.level, own.information, "" if own.role == "method" else own.role,
                         words.replace("[", "").replace("]", "") or own.about, "yes" if usual else ""))  # fmt: skip
    return table(("name", "level", "information", "not ranked", "what it does", "default"), rows)


def method_entries_table() -> str:
    """Entries of a method.yml."""
    rule = read_schema("method")
    rows = [
        (f"`{name}`", "yes" if name in rule["required"] else "", entry["description"])
        for name, entry in rule["properties"].items()
    ]
    return table(("entry", "needed", "what it is"), rows)


BLOCKS = {
    "docs/input.md": {"reasons": reasons_table},
    "docs/download.md": {"reasons": lambda: reasons_table(of_download=True)},
    "docs/columns.md": {"tables": tables_list, "columns": columns_table},
    "docs/encoders.md": {
        "extractors": extractors_table,
        "settings of an encoder": settings_table,
        "entries of an extractor": entries_table,
    },
    "docs/methods.md": {"methods": methods_table, "entries of a method": method_entries_table},
    "docs/learning.md": {"tasks": tasks_table, "ablations": ablations_table, "other classifiers": classifiers_table},
    "docs/outputs.md": {"pair metrics": metrics_table},
    "docs/statistics.md": {"scores": scores_table},
}
"""Tables by page and mark."""


def page_text(text: str, blocks: dict) -> str:
    """A page with its tables anew."""
    for mark, make in blocks.items():
        first, last = f"<!-- {mark}: by tools/write_lists.py -->", f"<!-- end of {mark} -->"
        parts = re.split(f"({re.escape(first)}|{re.escape(last)})", text)
        if len(parts) != 5:
            raise SystemExit(f"a page lacks the marks {first} and {last}, each once")
        parts[2] = f"\n{make()}\n"
        text = "".join(parts)
    return text


def texts(root: Path) -> dict[str, str]:
    """What each file should hold, by its path in the project."""
    found = {
        SCHEMA: schema_text((root / SCHEMA).read_text(encoding="utf-8")),
        DEVIATIONS: deviations.markdown(*deviations.read_deviations()),
    }
    return found | {
        page: page_text((root / page).read_text(encoding="utf-8"), blocks) for page, blocks in BLOCKS.items()
    }


def main(argv=None) -> int:
    """Write the files, or say which are not as they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args(argv)
    old = {name: text for name, text in texts(ROOT).items() if (ROOT / name).read_text(encoding="utf-8") != text}
    for name, text in old.items():
        print(f"{name} {'is not as the lists say: run make lists' if args.check else 'written'}")
        if not args.check:
            (ROOT / name).write_text(text, encoding="utf-8")
    return 1 if args.check and old else 0


if __name__ == "__main__":
    sys.exit(main())
