"""What one part of a tree holds, as JSON, and all parts as one tree: an index of parts is that of the whole.

Only headers' values are kept, never pixels, so that a part can be indexed where its files are and be merged elsewhere.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ct4bench.core.errors import UserError, error_words
from ct4bench.index.ct import Slice, SliceFormat
from ct4bench.index.headers import Header
from ct4bench.index.tree import Contents, CtSeries, File, Refused, SegmentationFile

FORM = "ct4bench contents 1"
"""What a file of contents begins with; another form is another version's."""


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else value.encode("latin-1")


def _numbered(values: Iterable) -> tuple[list, list[int]]:
    """The different values in order of their first, and the number of each."""
    known = {}
    numbers = [known.setdefault(value, len(known)) for value in values]
    return list(known), numbers


def _series_values(found: CtSeries) -> dict:
    """A series as values of JSON: what its slices share once, and a row for each slice."""
    folders, folder = _numbered((file.root, file.folder) for file in found.files)
    frames, frame = _numbered(slice_.frame for slice_ in found.slices)
    shared, fields = _numbered(found.shared)
    rows = [
        (a, file.name, file.size_bytes, s.sop_uid, *s.position_mm, b, s.pixels_at, s.pixels_size, c)
        for a, file, s, b, c in zip(folder, found.files, found.slices, frame, fields, strict=True)
    ]
    return {
        "header": _header_values(found.header),
        "header_sop": found.header_sop,
        "first_time": found.first_time,
        "varying": [[[_text(value) for value in key], n] for key, n in found.varying.items()],
        "folders": folders,
        "frames": frames,
        "shared": shared,
        "slices": rows,
    }


def _header_values(header: Header) -> list:
    values = [_text(value) for value in header.values]
    return [
        values, header.transfer_syntax, header.has_pixels, header.pixels_at, header.pixels_size, header.file_size
    ]  # fmt: skip


def _series_of(values: dict) -> CtSeries:
    stored, *rest = values["header"]
    found = CtSeries(Header([_bytes(value) for value in stored], *rest), values["header_sop"], values["first_time"])
    frames = [SliceFormat(*((tuple(v) if isinstance(v, list) else v) for v in frame)) for frame in values["frames"]]
    shared = [tuple(fields) for fields in values["shared"]]
    for folder, name, size, sop, x, y, z, frame, at, length, fields in values["slices"]:
        found.files.append(File(*values["folders"][folder], name, size))
        found.slices.append(Slice(name, sop, (x, y, z), frames[frame], at, length))
        found.shared.append(shared[fields])
    found.varying = Counter({tuple(_bytes(value) for value in key): n for key, n in values["varying"]})
    return found


def write_contents(contents: Contents, path: Path | str) -> None:
    """Write what a part of a tree holds, as `read_contents` reads it."""
    values = {
        "form": FORM,
        "roots": sorted(contents.root_paths),
        "n_files": contents.n_files,
        "ignored": dict(sorted(contents.ignored.items())),
        "refused": [[list(item.file), *item[1:]] for item in contents.refused],
        "segmentations": [
            [list(item.file), *(sorted(value) if isinstance(value, frozenset) else value for value in item[1:])]
            for item in contents.segmentations
        ],
        "series": {uid: _series_values(found) for uid, found in sorted(contents.series.items())},
    }
    Path(path).write_text(json.dumps(values, separators=(",", ":")) + "\n", encoding="utf-8")


def _part(path: Path) -> tuple[Contents, list[str]]:
    """Contents of one file, and the names of its roots."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known = values["form"] == FORM
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no file of contents ({error_words(error)}); index that part again") from error
    if not known:
        raise UserError(f"{path} is of another version of ct4bench; index that part again")
    segmentations = [
        SegmentationFile(File(*file), *(frozenset(v) if isinstance(v, list) else v for v in rest))
        for file, *rest in values["segmentations"]
    ]
    contents = Contents(
        {uid: _series_of(series) for uid, series in values["series"].items()},
        segmentations,
        [Refused(File(*file), *rest) for file, *rest in values["refused"]],
        Counter(values["ignored"]),
        values["n_files"],
    )
    return contents, values["roots"]


def _header_place(found: CtSeries) -> tuple[str, File]:
    """SOP UID of the slice whose header stands for the series, and its first file: of equal UIDs, that one is used."""
    places = (file for file, s in zip(found.files, found.slices, strict=True) if s.sop_uid == found.header_sop)
    return found.header_sop, min(places)


def merge_contents(parts: Iterable[Contents]) -> Contents:
    """Merge parts into what `read_tree` gives of all of them together, whatever their order.

    Every file must be in one part only. A file's second name (a link) counts as a copy where the parts have one each.
    """
    whole = Contents()
    headers = {}
    for part in parts:
        for uid, found in part.series.items():
            place = _header_place(found)
            if uid not in headers or place < headers[uid][0]:
                headers[uid] = place, found.header
        whole.add(part)
    for uid, found in whole.series.items():
        (found.header_sop, _), found.header = headers[uid]
        order = sorted(range(len(found.files)), key=found.files.__getitem__)
        found.files, found.slices, found.shared = (
            [values[k] for k in order] for values in (found.files, found.slices, found.shared)
        )
    whole.series = dict(sorted(whole.series.items(), key=lambda item: item[1].files[0]))
    whole.segmentations.sort(key=lambda item: item.file)
    whole.refused.sort(key=lambda item: item.file)
    return whole


def read_contents(paths: Iterable[Path | str], roots: Iterable[Path | str] = ()) -> Contents:
    """Read the contents of all parts as one tree. `roots` are the folders themselves, for copies to be compared.

    `UserError` where a file is none of contents. Without its root, a copy cannot be compared, and is refused.
    """
    found = [_part(Path(path)) for path in sorted(paths, key=str)]
    whole = merge_contents(contents for contents, _ in found)
    names = {name for _, own in found for name in own}
    whole.root_paths = {name: name for name in sorted(names)} | {Path(r).name: str(Path(r).absolute()) for r in roots}
    return whole
