"""Methods that tests plant: a folder with what is declared and its code."""

import importlib.util
import json

from ct4bench.harmonization.methods import SHIPPED, Variant, read_declaration, variants_of

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


def load_method(name: str):
    """Load the module of a shipped method, for tests of what it computes."""
    spec = importlib.util.spec_from_file_location(f"method_{name}", SHIPPED / name / "method.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
