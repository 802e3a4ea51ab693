"""JSON files that hold an object, as the stages write them for each other."""

import json
from pathlib import Path

from ct4bench.core.errors import UserError, error_words


def read_object(
    path: Path | str, what: str = "a JSON object", remedy: str = "make it again with the stage before"
) -> dict:
    """Read the object that a file holds; `UserError` says that the file is not `what`, and `remedy`."""
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not {what}: it cannot be read as JSON ({error_words(error)}); {remedy}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is not {what}: it holds no JSON object; {remedy}")
    return values


def read_reference_values(folder: Path | str) -> dict:
    """Read what reference.json of the folder `reference/` says of the prepared reference."""
    return read_object(Path(folder) / REFERENCE, "a reference", "run prepare_reference.py again")


REFERENCE = "reference.json"
"""In the folder `reference/`: grid, block and origin of the series that all others are registered to."""
