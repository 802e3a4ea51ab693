"""Scanner, dose, reconstruction and repetition out of what a series is called, and its maker's name."""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from ct4bench.core.benchmark import RECONSTRUCTIONS
from ct4bench.core.errors import UserError

COLLECTION_PATTERN = (
    r"^(?P<scanner>[A-H][12])_Harmonized_(?P<dose>1|3|6|10|14)mGy_(?P<recon>FBP|IR|DL) - #(?P<repetition>\d+)$"
)
"""SeriesDescription of all series of the CT4Harmonization collection; StudyDescription is the scanner's code alone."""

_MAKERS = (
    ("siemens", "Siemens"),
    ("philips", "Philips"),
    ("ge medical", "GE"),
    ("ge healthcare", "GE"),
    ("toshiba", "Toshiba"),
    ("canon", "Toshiba"),
)


class SeriesName(NamedTuple):
    """What a description says. `scanner` is "" and `repetition` None where the pattern has no such group.

    `scanner` is as the description has it; `safe_names` makes it fit for a file.
    """

    scanner: str
    dose_mgy: float
    recon: str
    repetition: int | None


def compile_pattern(pattern: str | None) -> re.Pattern:
    """Compile the pattern of `--series_pattern`, or the collection's; a `UserError` says what is wrong with it.

    It is searched in two lines, StudyDescription and SeriesDescription: `^` and `$` stand for the ends of a line, and
    `\\n` joins the two. Groups `dose` (in mGy) and `recon` must be named, `scanner` and `repetition` may be.
    """
    pattern = COLLECTION_PATTERN if pattern is None else pattern
    try:
        compiled = re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise UserError(
            f"series_pattern '{pattern}' is not a regular expression ({error}); see docs/input.md"
        ) from error
    known = {"scanner", "dose", "recon", "repetition"}
    missing, strange = {"dose", "recon"} - set(compiled.groupindex), set(compiled.groupindex) - known
    if missing or strange:
        raise UserError(
            f"series_pattern needs the named groups dose and recon, and may have scanner and repetition; "
            f"missing: {', '.join(sorted(missing)) or 'none'}, unknown: {', '.join(sorted(strange)) or 'none'}"
        )
    return compiled


def parse_name(pattern: re.Pattern, study_description: str, series_description: str) -> SeriesName | str:
    """Parse the two descriptions of a series; where they say nothing, say in words why."""
    match = pattern.search(f"{study_description}\n{series_description}")
    if match is None:
        return f"'{series_description}' of study '{study_description}' does not match the pattern"
    groups = match.groupdict()
    dose, recon = groups["dose"] or "", (groups["recon"] or "").strip()
    repetition = groups.get("repetition")
    scanner = (groups.get("scanner") or "").strip()
    try:
        dose_mgy = float(dose.replace(",", "."))
    except ValueError:
        dose_mgy = 0.0
    if not 0 < dose_mgy < float("inf") or not recon:
        return f"'{series_description}': dose '{dose}', reconstruction '{recon}'"
    if repetition is not None and not repetition.isdecimal():
        return f"'{series_description}': repetition '{repetition}' is not a number"
    is_collection = pattern.pattern == COLLECTION_PATTERN
    if is_collection and re.fullmatch("[A-H][12]", study_description) and study_description != scanner:
        return f"'{series_description}' names another scanner than its study, '{study_description}'"
    if recon.upper() in RECONSTRUCTIONS:
        recon = recon.upper()
    return SeriesName(scanner, dose_mgy, recon, int(repetition) if repetition is not None else None)


def clean_name(text: str) -> str:
    """Clean a name for use in a file name: letters and digits of any script, dots, hyphens; else underscores."""
    composed = unicodedata.normalize("NFC", text)
    safe = "".join(c if c in ".-" or unicodedata.category(c)[0] in "LMN" else "_" for c in composed)
    return re.sub("_+", "_", safe).strip("_.-")[:64]


def _one_form(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def safe_names(called: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Find a safe name for each scanner, one to one; the last of the texts `called` names it, the others tell it, too.

    What differs in letters' forms or in runs of blanks alone is one text. Where several texts would have one safe name,
    or one would have none, a digest of the text is added.
    """
    same = defaultdict(set)
    for texts in set(called):
        same[clean_name(texts[-1])].add(texts)
    names = {}
    for name, of_name in same.items():
        composed = {texts: "\n".join(_one_form(text) for text in texts) for texts in of_name}
        told_apart = not name or len(set(composed.values())) > 1
        for texts, text in composed.items():
            digest = hashlib.sha256(text.encode()).hexdigest()[:8]
            names[texts] = f"{name[:48] or 'scanner'}_{digest}" if told_apart else name
    return names


def maker_of(manufacturer: str) -> str:
    """Return Siemens, Philips, GE or Toshiba (Canon's scanners are Toshiba's by origin); any other name as it is."""
    text = " ".join(manufacturer.split())
    for part, maker in _MAKERS:
        if part in text.lower():
            return maker
    return "GE" if text.upper() == "GE" else text or "unknown"
