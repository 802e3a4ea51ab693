"""The one error that a user is meant to read, and the entry point that prints it."""

import logging
import os
import sys
from collections.abc import Callable


class UserError(Exception):
    """Wrong input. The message says what is wrong, in which file, and what to do about it."""


def run(main: Callable[[list[str] | None], None], argv: list[str] | None = None) -> None:
    """Run a script's `main`; a `UserError` becomes one line on stderr and exit status 2."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        main(argv)
    except UserError as error:
        message = " ".join(str(error).split())
        print(f"ERROR: {message}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        os._exit(1)
