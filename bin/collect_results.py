#!/usr/bin/env python3
"""Mark a folder of results as complete: sizes and SHA-256 digests of all its files."""

import argparse
import hashlib
import json
import os
from pathlib import Path

from ct4bench.core.errors import UserError, run


def main(argv=None):
    """Read every file, write the mark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="folder of results")
    parser.add_argument("--output", required=True, type=Path, help="the mark, JSON")
    args = parser.parse_args(argv)
    files = []
    # the engine stages folders as links, which rglob would not enter
    found = [Path(folder, name) for folder, _, names in os.walk(args.results, followlinks=True) for name in names]
    for path in sorted(found):
        content = path.read_bytes()
        if not content:
            raise UserError(f"{path} is empty; the stage that writes it did not finish")
        name = path.relative_to(args.results).as_posix()
        files.append({"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps({"complete": True, "files": files}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
