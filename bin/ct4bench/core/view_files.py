"""Views of the page that are drawn from images: plain values with pictures in base64, a file for each."""

import json
from pathlib import Path

from ct4bench.core.json_files import read_object

SUFFIX = ".view.json"


def write_view(values: dict | None, name: str, folder: Path) -> None:
    """Write what a view of the page shows as `<name>.view.json`; nothing where there is none."""
    if values is not None:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(values, ensure_ascii=False, sort_keys=True)
        (folder / f"{name}{SUFFIX}").write_text(text + "\n", encoding="utf-8")


def read_views(folder: Path) -> dict[str, dict]:
    """Read the values of each view of a folder by name."""
    return {path.name.removesuffix(SUFFIX): read_object(path) for path in sorted(folder.glob(f"*{SUFFIX}"))}
