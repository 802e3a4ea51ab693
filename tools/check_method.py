#!/usr/bin/env python3
"""Check a harmonization method before it is compared: a verdict for each check, and what to mend.

    .venv/bin/python tools/check_method.py DIR            # or: make check-method METHOD=DIR
    .venv/bin/python tools/check_method.py DIR --seed 7   # the exam of seed 7; without it another one each time

DIR is the method's folder (docs/methods.md). Ends with status 1 where a check failed.
"""

import argparse
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bin"))

from ct4bench.core.errors import UserError  # noqa: E402
from ct4bench.harmonization.check import FAIL, check_method  # noqa: E402
from ct4bench.harmonization.check_volumes import check_images  # noqa: E402
from ct4bench.harmonization.methods import SHIPPED, find_methods, read_declaration, variants_of  # noqa: E402


def main(argv: list[str] | None = None) -> int:
    """Print the verdicts; 1 where one is a failure, 2 where the method cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", type=Path, help="folder of the method")
    parser.add_argument("--seed", type=int, help="of the exam's rows")
    args = parser.parse_args(argv)
    seed = secrets.randbelow(10**6) if args.seed is None else args.seed
    try:
        declared = read_declaration(args.method)
        if declared.folder.parent != SHIPPED:
            find_methods([args.method])
    except UserError as error:
        print(f"FAIL  method.yml: {error}")
        return 2
    failed = 0
    check = check_method if declared.level == "feature" else check_images
    for verdict in check(variants_of(declared), seed):
        failed += verdict.verdict == FAIL
        print(f"{verdict.verdict:5} {verdict.variant}: {verdict.check}{f': {verdict.words}' if verdict.words else ''}")
        for line in verdict.lines:
            print(f"      it printed: {line}")
        if verdict.mend:
            print(f"      to mend it: {verdict.mend}")
    print(
        f"{failed} checks failed; the exam's seed is {seed}"
        if failed
        else f"all checks passed; the exam's seed is {seed}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
