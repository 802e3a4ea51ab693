"""Harmonization methods: folders that are found, what each declares, and the variants that a run chooses.

A method is a folder with `method.yml` (core/schemas/method.json) and one file, its entry. Nothing is registered: a
folder in one of the given ones that has a `method.yml` is a method, and one that cannot be read is an error.
"""

# code-data: ct4bench/core/schemas/method.json

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ct4bench.core.benchmark import METHOD_WORDS, NO_METHOD, RESULT_FOLDERS
from ct4bench.core.errors import UserError, error_words
from ct4bench.core.yaml_files import fault_of, yaml_words

SHIPPED = Path(__file__).resolve().parents[3] / "methods"
DECLARES = "method.yml"
REMEDY = "write it as docs/methods.md says"
OVERRIDES = (
    "information",
    "calibration_series",
    "unseen",
    "covariates",
    "min_domains",
    "min_rows",
    "role",
    "tolerance",
)
"""Entries that a variant may have of its own, beside values of parameters."""
LEAKY = "leaky"
"""The variant that a run adds to a method: fitted on all rows before they are divided."""
TAKEN_VARIANTS = (LEAKY, "csv", "html", "json", "md")
"""Names that no variant has: `combat.leaky` is the run's own, and `report.html` a file beside the methods' folders."""
LARGEST_FILE = 100_000
"""Bytes of a method.yml: a longer one is none."""


@dataclass(frozen=True)
class Declaration:
    """What a method, or one of its variants, says of itself (docs/methods.md)."""

    api: str
    name: str
    version: str
    citation: str
    licence: str
    level: str
    information: str
    unseen: str
    learns: str
    title: str = ""
    about: str = ""
    role: str = "method"
    calibration_series: int = 0
    covariates: tuple[str, ...] = ()
    halo_voxels: tuple[int, ...] = ()
    min_domains: int = 1
    min_rows: int = 1
    entry: str = "method.py"
    format: str = "csv"
    image: str = "imaging"
    parameters: dict = field(default_factory=dict)
    variants: dict = field(default_factory=dict)
    default: tuple[str, ...] = ()
    tolerance: float = 0.0
    max_minutes: float = 5.0
    max_gb: float = 2.0
    folder: Path = Path()
    """Where it lies."""
    shipped: bool = False
    """Whether it lies among the project's own."""

    @property
    def file(self) -> Path:
        """Path of the entry."""
        return self.folder / self.entry

    @property
    def ranked(self) -> bool:
        """Whether it takes part in ranks: controls, oracles and what is told labels do not."""
        return self.role == "method" and self.information != "labels"

    def digest(self) -> str:
        """Compute the SHA-256 of the folder's files by name."""
        found = hashlib.sha256()
        for path in sorted(
            path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
        ):
            found.update(f"{path.relative_to(self.folder)}\0{path.stat().st_size}\0".encode())
            found.update(path.read_bytes())
        return found.hexdigest()


NONE = Declaration(
    api="1", name=NO_METHOD, title="None", about="features and images as they are", version="1", citation="none",
    licence="Apache-2.0", role="control", level="feature", information="inductive", unseen="identity", learns="nothing",
    default=("",), shipped=True,
)  # fmt: skip
"""The method that does nothing; it has no folder and no process."""


@dataclass(frozen=True)
class Variant:
    """A method with the values of its parameters."""

    name: str
    """`combat`, or `combat.mean_only`."""
    declaration: Declaration
    """With what the variant declares in place of the method."""
    parameters: dict

    @property
    def title(self) -> str:
        """Name in tables: that of the method, and the variant."""
        words = self.declaration.title or self.declaration.name
        _, _, variant = self.name.partition(".")
        return f"{words}, {variant.replace('_', ' ')}" if variant else words


def read_declaration(folder: Path | str, shipped: bool = False, called: Path | str = "") -> Declaration:
    """Read what the method in a folder declares; `UserError` says why it cannot be.

    `called` is how its user names the folder, where a task has it at another place.
    """
    folder = Path(folder)
    path = (Path(called) if called else folder) / DECLARES
    values = _read_strictly(folder / DECLARES, path)
    fault = fault_of(values, "method") or _contradiction(values, folder)
    if fault:
        raise UserError(f"{path} is not what a method declares: {fault}; {REMEDY}")
    lists = ("covariates", "default", "halo_voxels")
    values |= {name: tuple(values[name]) for name in lists if name in values}
    return Declaration(**values, folder=folder.resolve(), shipped=shipped)


def _read_strictly(place: Path, path: Path):
    """Values of a YAML 1.2 file without tags, anchors, directives, keys that come twice, or a second document; `path`
    is what errors call it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.tokens import AliasToken, AnchorToken, DirectiveToken, TagToken

    refused = {TagToken: "a tag (!)", AnchorToken: "an anchor (&)", AliasToken: "an alias (*)",
               DirectiveToken: "a directive (%)"}  # fmt: skip
    text = ""
    try:
        if place.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path} is not what a method declares: it has more than {LARGEST_FILE} bytes; {REMEDY}")
        text = place.read_text(encoding="utf-8")
        for token in YAML(typ="safe", pure=True).scan(text):
            if type(token) in refused:
                line = token.start_mark.line + 1
                raise UserError(f"{path} has {refused[type(token)]} in line {line}, which is not taken; {REMEDY}")
        return YAML(typ="safe", pure=True).load(text)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {REMEDY}") from error
    except (YAMLError, ValueError) as error:
        words = error_words(error) if isinstance(error, UnicodeError) else yaml_words(error, text)
        raise UserError(f"{path} is not YAML ({words}); {REMEDY}") from error


def _contradiction(values: dict, folder: Path) -> str:
    """What the schema cannot say of a method's entries; blank where they agree."""
    if values["name"] != folder.resolve().name:
        return f"name is {values['name']}, the folder's is {folder.resolve().name}; both must be one"
    if values["name"] in (NO_METHOD, *METHOD_WORDS, *RESULT_FOLDERS):
        return f"the name {values['name']} has a meaning of its own in a run and its results; " \
               f"call the method and its folder otherwise, such as {values['name']}_mine"  # fmt: skip
    entry = values.get("entry", "method.py")
    if not (folder / entry).is_file() or not (folder / entry).resolve().is_relative_to(folder.resolve()):
        return f"entry: {entry} is no file of the folder"
    if values["level"] != "feature" and not entry.lower().endswith(".py"):
        return f"entry: {entry} is a program; level {values['level']} takes a class in a .py"
    if not entry.lower().endswith((".py", ".r")) and not os.access(folder / entry, os.X_OK):
        return f"entry: {entry} is a program and not executable (chmod +x {entry})"
    if (values["level"] == "patch") != ("halo_voxels" in values):
        return "halo_voxels: level patch needs them, and no other level has them"
    parameters, variants = values.get("parameters", {}), values.get("variants", {})
    if taken := sorted({"seed", *OVERRIDES} & set(parameters)):
        return f"parameters.{taken[0]}: the name is taken"
    if unknown := sorted(set(values.get("default", [])) - {"", *variants}):
        return f"default: {unknown[0]} is no variant"
    for name, own in {"": {}, **variants}.items():
        where = f"variants.{name}: " if name else ""
        if name in TAKEN_VARIANTS:
            return f"{where}a run's results have something else of that name; call it otherwise, such as {name}_mine"
        if unknown := sorted(set(own) - set(parameters) - set(OVERRIDES)):
            return f"{where}{unknown[0]} is no parameter"
        merged = {**values, **{key: own[key] for key in OVERRIDES if key in own}}
        if fault := fault_of(merged, "method") or _levels_disagree(merged):
            return f"{where}{fault}"
    return ""


def _levels_disagree(values: dict) -> str:
    """What is told and what is done with it, where they cannot both be."""
    information, role = values["information"], values.get("role", "method")
    if values["unseen"] == "adapt" and information not in ("transductive", "calibration"):
        return f"unseen: adapt needs information transductive or calibration, not {information}"
    if "tissue" in values.get("covariates", []) and information != "labels":
        return "covariates: tissue is for information labels only"
    if information == "labels" and role == "method":
        return "information: labels is for role control or oracle only"
    if information == "calibration" and values["level"] == "patch":
        return "information: calibration is not for level patch: a patch does not know where in the phantom it lies"
    if information == "calibration" and "calibration_series" not in values:
        return "information: calibration needs calibration_series"
    return ""


def find_methods(folders: Iterable[Path | str] = (), shipped: Path | str = SHIPPED) -> dict[str, Declaration]:
    """Find the methods of the project and those in other folders, by name in order; `none` is the first.

    A given folder is a method itself or holds methods. One without a method, one that cannot be read, and a name that
    comes twice are errors.
    """
    found = {NONE.name: NONE}
    for place, own in ((Path(shipped), True), *((Path(folder), False) for folder in folders)):
        if not own and not place.is_dir():
            raise UserError(f"{place} is no folder of methods; give --method_folders folders that are there")
        inside = sorted(path.parent for path in place.glob(f"*/{DECLARES}"))
        folders_here = [place] if (place / DECLARES).is_file() else inside
        if not folders_here and not own:
            raise UserError(f"{place} holds no method: neither it nor a folder in it has a {DECLARES}; {REMEDY}")
        for folder in folders_here:
            declared = read_declaration(folder, own)
            if declared.name in found:
                other = found[declared.name]
                where = "of the project's own methods" if other.shipped else f"in {other.folder}"
                raise UserError(f"{folder}: a method {declared.name} is {where}; give yours another name")
            found[declared.name] = declared
    return {NONE.name: NONE} | {name: found[name] for name in sorted(set(found) - {NONE.name})}


def variants_of(declaration: Declaration) -> list[Variant]:
    """List the method without a variant, then its variants in the order of its file."""
    found = [Variant(declaration.name, declaration, dict(declaration.parameters))]
    for name, own in declaration.variants.items():
        declares = {key: tuple(own[key]) if key == "covariates" else own[key] for key in OVERRIDES if key in own}
        parameters = declaration.parameters | {key: value for key, value in own.items() if key not in OVERRIDES}
        found.append(Variant(f"{declaration.name}.{name}", replace(declaration, **declares), parameters))
    return found


def choose(methods: dict[str, Declaration], text: str) -> list[Variant]:
    """Choose variants by their names with commas, each once, in that order; `default`: those that methods name so, and
    `all`: every one."""
    known = {variant.name: variant for declared in methods.values() for variant in variants_of(declared)}
    usual = [
        name for name, variant in known.items() if name.partition(".")[2] in methods[name.partition(".")[0]].default
    ]
    chosen = []
    for word in (part.strip() for part in text.split(",")):
        if word not in (*METHOD_WORDS, *known):
            raise UserError(
                f"--methods: {word or 'a blank'} is not one of {', '.join([*METHOD_WORDS, *known])}; --method_folders "
                "adds methods of your own"
            )
        chosen += {"default": usual, "all": list(known)}.get(word, [word])
    return [known[name] for name in dict.fromkeys(chosen)]
