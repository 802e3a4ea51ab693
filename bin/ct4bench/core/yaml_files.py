"""YAML files, checked by the JSON schema of their kind (core/schemas/), which the docs show as well.

A schema lies beside the code and not in assets/, since a task has the code alone.
"""

import json
from pathlib import Path

from ct4bench.core.errors import UserError, error_words, few

SCHEMAS = Path(__file__).resolve().parent / "schemas"


def read_schema(kind: str) -> dict:
    """Read the JSON schema of a kind of file."""
    return json.loads((SCHEMAS / f"{kind}.json").read_text(encoding="utf-8"))


def fault_of(values, kind: str) -> str:
    """Tell where values differ from the schema of their kind, and what belongs there, in one line; blank if nowhere."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(read_schema(kind)).iter_errors(values))
    if error is None:
        return ""
    where = ".".join(map(str, error.absolute_path))
    wanted = _description(read_schema(kind), list(error.absolute_schema_path)[:-1])
    return f"{f'{where}: ' if where else ''}{_said(error)}{f'; it must be {wanted}' if wanted else ''}"


MOST_SAID = 120
"""Characters of a value that a message repeats."""


def _said(error) -> str:
    """What the schema's library says, without the whole of a long value."""
    if error.validator in ("minItems", "maxItems") and error.instance:
        names = [entry.get("name", "?") if isinstance(entry, dict) else entry for entry in error.instance]
        return f"{len(names)} entr{'y' if len(names) == 1 else 'ies'} ({few(names, 3)})"
    value = repr(error.instance)
    short = value if len(value) <= MOST_SAID else f"{value[:MOST_SAID]}\N{HORIZONTAL ELLIPSIS}"
    return error.message.replace(value, short)


def _description(schema, steps: list) -> str:
    """What the innermost schema on a path says of its values."""
    found = schema.get("description", "")
    for step in steps:
        schema = schema[step]
        if isinstance(schema, dict) and isinstance(schema.get("description"), str):
            found = schema["description"]
    return found


def yaml_words(error: Exception, text: str) -> str:
    """Tell what ruamel finds wrong with a text, in one line, and in which line of the text (the first is 1)."""
    ends, begin = (getattr(error, name, None) for name in ("problem_mark", "context_mark"))
    parts = [getattr(error, name, None) for name in ("context", "problem", "reason")]
    words = ", ".join(part for part in parts if part) or str(error).split("To suppress this check")[0]
    words = " ".join(words.split())
    if ends is None:  # of a character that YAML does not have, its place is told
        place = getattr(error, "position", None)
        return f"line {text[:place].count(chr(10)) + 1}: {words}" if isinstance(place, int) else words
    begun = f" (begun in line {begin.line + 1})" if begin and begin.line != ends.line else ""
    return f"line {ends.line + 1}{begun}: {words}"


def read_yaml(path: Path | str, kind: str, what: str, remedy: str):
    """Read a YAML file of a kind; `UserError` says why it is not `what`, and `remedy`. An empty file is a mapping.

    A key that comes twice is an error, as YAML 1.2 has it.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not Path(path).is_file():
        found = "it is a folder, name the file in it" if Path(path).is_dir() else "it does not exist"
        raise UserError(f"{path} is not {what}: {found}; {remedy}")
    text = ""
    try:
        text = Path(path).read_text(encoding="utf-8")
        values = YAML(typ="safe", pure=True).load(text)
    except (OSError, UnicodeError) as error:
        raise UserError(f"{path} is not {what}: it cannot be read ({error_words(error)}); {remedy}") from error
    except (YAMLError, ValueError) as error:
        raise UserError(f"{path} is not {what}: it is not YAML ({yaml_words(error, text)}); {remedy}") from error
    values = {} if values is None else values
    fault = fault_of(values, kind)
    if fault:
        raise UserError(f"{path} is not {what}: {fault}; {remedy}")
    return values
