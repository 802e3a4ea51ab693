"""The mark of a complete folder of results: sizes and SHA-256 digests of all its files."""

import hashlib
import os
from pathlib import Path

from ct4bench.core.errors import UserError


def collect(folder: Path | str) -> dict:
    """Return the contents of `pipeline_info/complete.json`; `UserError` where a file is empty."""
    files = []
    # the engine stages folders as links, which rglob would not enter
    found = [Path(place, name) for place, _, names in os.walk(folder, followlinks=True) for name in names]
    for path in sorted(found):
        content = path.read_bytes()
        if not content:
            raise UserError(f"{path} is empty; the stage that writes it did not finish")
        name = path.relative_to(folder).as_posix()
        files.append({"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    return {"complete": True, "files": files}
