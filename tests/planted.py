"""Methods that tests plant: a folder with what is declared and its code."""

import json

from ct4bench.harmonization.methods import Variant, read_declaration, variants_of

DECLARED = {
    "api": "1", "name": "planted", "version": "1", "citation": "none", "licence": "MIT", "level": "feature",
    "information": "inductive", "unseen": "pooled", "learns": "pooled",
}  # fmt: skip


def plant(folder, code: str, entry: str = "method.py", **declared) -> Variant:
    """Write a method's folder, and take it as a variant."""
    name = declared.get("name", "planted")
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    values = DECLARED | ({} if entry == "method.py" else {"entry": entry}) | declared
    (place / "method.yml").write_text(json.dumps(values))  # JSON is YAML
    (place / entry).write_text(code)
    (place / entry).chmod(0o755)
    return variants_of(read_declaration(place))[0]
