"""What was harmonized elsewhere: errors name it as the user gave it, in place of the path that a task has."""

from collections.abc import Iterable
from pathlib import Path

from ct4bench.core.errors import UserError


def as_brought(error: UserError, option: str, brought: str, staged: Iterable[Path | str]) -> UserError:
    """Return the error with the user's words: `brought` is the NAME=PLACE that `option` was given, `staged` are the
    paths that the message may have of it."""
    _, _, place = brought.partition("=")
    words = str(error)
    for path in sorted(map(str, staged), key=len, reverse=True):
        words = words.replace(path, place)
    about = f"{option} {brought}"
    rest = words.removeprefix(place)
    return UserError(f"{about}{rest}" if place and rest != words and rest[:1] in (" ", ":") else f"{about}: {words}")
