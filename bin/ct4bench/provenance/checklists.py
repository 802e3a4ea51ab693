"""Checklists for reports of radiomics studies, filled in where a run knows the answer and open where it does not."""

# code-data: ct4bench/core/schemas/checklist.json
# code-data: ct4bench/provenance/clear.yml
# code-data: ct4bench/provenance/metrics.yml

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path

from ct4bench.core.yaml_files import read_yaml

CHECKLISTS = ("clear", "metrics")
OPEN = "open"
DOCUMENTATION = "docs/"


def read_checklist(name: str) -> dict:
    """Read a checklist: name, citation, licence and items."""
    return read_yaml(Path(__file__).with_name(f"{name}.yml"), "checklist", "a checklist", "take the one of ct4bench")


def answer(item: Mapping, words: Mapping[str, str]) -> str:
    """Return what a run answers to an item; blank where one of the words that the answer needs is not known."""
    text = item.get("answer", "")
    needed = re.findall(r"\{(\w+)\}", text)
    return (
        text.format_map(words)
        if text and all(words.get(name, "") != "" for name in needed if name != "collection_words")
        else ""
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _where(item: Mapping, words: Mapping[str, str], files: Iterable[str]) -> str:
    """Places of an answer: pages of the documentation, and what is there of the files of the results."""
    places = [place for place in item.get("where", "").format_map(words).split(", ") if place]
    return ", ".join(p for p in places if p.startswith(DOCUMENTATION) or any(fnmatch(file, f"{p}*") for file in files))


def fill(name: str, words: Mapping[str, str], files: Iterable[str]) -> str:
    """Fill a checklist, in Markdown: a row for an item, with what the run answers and where, or that it is open.

    `files` are the names of the results; of the places where an answer is, those that are there are named.
    """
    checklist = read_checklist(name)
    weighed = any("weight" in item for item in checklist["items"])
    answers = [answer(item, words) for item in checklist["items"]]
    known = sum(map(bool, answers))
    head = ["No.", "Section", "Item", *(["Weight"] if weighed else []), "Answer of the run", "Where"]
    lines = [
        f"# {checklist['name']} {checklist['version']}",
        "",
        f"{known} of {len(answers)} items are answered by the run; the others are open and wait for the authors of a "
        "study. Whether an answer satisfies its item is for them and their readers to say.",
        "",
        f"Items: {checklist['citation']} [doi:{checklist['doi']}](https://doi.org/{checklist['doi']}), "
        f"{checklist['licence']}, {checklist['source']}.",
        "",
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
    ]
    for item, text in zip(checklist["items"], answers, strict=True):
        why = f"{OPEN}: {item['open']}" if item.get("open") else OPEN
        where = _where(item, words, files) if text else ""
        weight = [f"{item['weight']:g}"] if weighed else []
        cells = [str(item["number"]), item["section"], item["item"], *weight, text or why, where]
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines) + "\n"
