"""The errors of this project: one that a user is meant to read, and one that sets a file or series aside."""

from collections.abc import Iterable


def few(names: Iterable, most: int = 5) -> str:
    """List names for a message: the first of them, and how many more there are."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 slice`, `2 slices`."""
    return f"{n} {noun if n == 1 else plural or noun + 's'}"


class UserError(Exception):
    """Wrong input. The message says what is wrong, in which file, and what to do about it."""


class Refusal(Exception):
    """A file or series that is set aside: `reason` is a code of core/reasons.csv, the message its detail."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


def error_words(error: Exception) -> str:
    """Tell what a caught error says, on one line and without Python's own words (`[Errno 2]`, `'utf-8' codec`)."""
    if isinstance(error, UnicodeError):
        return "it is no text in UTF-8"
    if isinstance(error, KeyError):
        return f"it lacks {error.args[0] if error.args else 'an entry'}"
    strerror = getattr(error, "strerror", None) if isinstance(error, OSError) else None
    return " ".join(str(strerror or error).split()) or type(error).__name__
