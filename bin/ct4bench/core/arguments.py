"""Texts of options that several scripts take alike, for the `type` of argparse."""

import argparse
import re
from collections.abc import Callable


def names(text: str) -> tuple[str, ...]:
    """Parse a list of names with commas; an `ArgumentTypeError` where there is none in it."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' names nothing; give one name, or several with commas")
    return found


def doses_mgy(text: str) -> list[float]:
    """Parse a list of doses in mGy with commas; an `ArgumentTypeError` names what is none."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        if not re.fullmatch(r"[0-9]*[.]?[0-9]+", part) or not float(part):
            raise argparse.ArgumentTypeError(f"'{part}' is no dose in mGy; write 10, or 10,14")
    if not parts:
        raise argparse.ArgumentTypeError(f"'{text}' names no dose in mGy; write 10, or 10,14")
    return [float(part) for part in parts]


def number_or(word: str, meaning: int, least: int = 1) -> Callable[[str], int]:
    """Make the function that parses a number of at least `least`, or `word` as `meaning`."""

    def parse(text: str) -> int:
        if text != word and (not re.fullmatch("[0-9]{1,9}", text) or int(text) < least):
            raise argparse.ArgumentTypeError(f"'{text}' is neither {word} nor a whole number of at least {least}")
        return meaning if text == word else int(text)

    return parse


def count(text: str) -> int:
    """Parse a whole number of at least 1; an `ArgumentTypeError` where it is none."""
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1")
    return int(text)


def part(text: str) -> tuple[int, int]:
    """Parse `i/n`, part i of n; an `ArgumentTypeError` where it is not that."""
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"'{text}' is not i/n, part i of n; give for example 1/3")
    return int(match[1]), int(match[2])
