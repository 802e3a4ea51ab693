"""Texts of options that several scripts take alike, for the `type` of argparse."""

import argparse
import re


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
