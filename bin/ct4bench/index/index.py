"""The index: which series a tree of DICOM files holds, and for everything else the reason why it is left out."""

# code-table: index/series.csv
# code-table: index/quarantine.csv
# code-table: index/inputs.csv

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import scan_id, scanner_rank
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import Refusal, UserError, counted
from ct4bench.core.regions import CT4HARMONIZATION, Phantom
from ct4bench.index.ct import Stack, largest_rounding_hu, read_pixels, same_position, stack_slices
from ct4bench.index.files import FILE_COLUMNS
from ct4bench.index.headers import Header
from ct4bench.index.names import (
    COLLECTION_PATTERN,
    SeriesName,
    clean_name,
    compile_pattern,
    maker_of,
    parse_name,
    safe_names,
)
from ct4bench.index.tree import (
    PERSONAL,
    SHARED,
    Contents,
    CtSeries,
    Refused,
    SegmentationFile,
    read_tree,
    same_segmentation,
)

SERIES_COLUMNS = [*columns_of("index/series.csv"), "rounding_hu"]
QUARANTINE_COLUMNS = columns_of("index/quarantine.csv")
INPUT_COLUMNS = columns_of("index/inputs.csv")

IDC_COLUMNS = [
    "study_description",
    "series_description",
    "manufacturer",
    "model",
    "series_instance_uid",
    "n_instances",
    "crdc_series_uuid",
    "seg_series_instance_uid",
]
"""What `series_from_idc_table` reads."""

MIN_SLICES = 16
"""The depth of a patch: a series with fewer slices cannot hold one."""
SYNTHETIC = "synthetic: ct4bench digital twin"
"""How ImageComments begins in what this pipeline simulates."""
NUMBER_THEM = "give the pattern a group repetition (docs/input.md)"
UID = re.compile(r"[0-9.]{1,64}")
UNQUOTED = re.compile(r"[;$*?\[\]\"`\\]|\{[^{}]*(,|\.\.)[^{}]*\}")
"""What of a folder's name the engine takes for more than a name, as in `pathError` of utilities/files.nf."""


@dataclass(frozen=True)
class Index:
    """The tables of an index: `series`, `quarantine`, `files`, `inputs`; `ignored` counts files that are no DICOM."""

    series: pd.DataFrame
    quarantine: pd.DataFrame
    files: pd.DataFrame
    inputs: pd.DataFrame
    ignored: dict[str, int]
    n_files: int


class NothingAcceptedError(UserError):
    """No series is accepted; `index` says why in its table of what is left out."""

    def __init__(self, message: str, index: Index):
        super().__init__(message)
        self.index = index


@dataclass
class _Accepted:
    """A series on its way into the index."""

    uid: str
    found: CtSeries
    stack: Stack
    name: SeriesName
    called: tuple[str, ...]
    """What the scanner is called: the pattern's group, or texts of the header up to the first that is a name."""
    segmentation: SegmentationFile | None
    """None where one mask serves all series."""


def build_index(
    roots: Iterable[Path | str],
    pattern: str | None = None,
    threads: int = 1,
    phantom: Phantom = CT4HARMONIZATION,
    one_mask: bool = False,
) -> Index:
    """Index all files below `roots`. `pattern` replaces the collection's names (`names.compile_pattern`), `phantom` and
    `one_mask` as in `index_contents`.

    `NothingAcceptedError` where no series is accepted. The result depends neither on the order of `roots` nor on
    `threads`.
    """
    compile_pattern(pattern)
    return index_contents(read_tree(roots, threads, phantom=phantom), pattern, phantom, one_mask)


def index_contents(
    contents: Contents,
    pattern: str | None = None,
    phantom: Phantom = CT4HARMONIZATION,
    one_mask: bool = False,
) -> Index:
    """Index what a tree holds, as `build_index` does of folders.

    With `one_mask`, the mask of the reference serves all series: none needs a segmentation, and those of the tree are
    not looked at. `phantom` is what was scanned.
    """
    compiled = compile_pattern(pattern)
    quarantine = []
    segmentations = defaultdict(lambda: [None]) if one_mask else _segmentations_by_series(contents, quarantine)
    refused = defaultdict(list)
    for item in contents.refused:
        refused[item.series_uid].append(item)
    _quarantine_refused(contents, refused, quarantine)
    accepted = []
    for uid in sorted(contents.series):
        found = contents.series[uid]
        try:
            _drop_copies(uid, contents, quarantine)
            accepted.append(_accept(uid, found, refused[uid], compiled, segmentations[uid]))
        except Refusal as error:
            quarantine.append((_folders_text(found), uid, error.reason, str(error)))
    scanners = safe_names(item.called for item in accepted)
    for item in accepted:
        item.name = item.name._replace(scanner=scanners[item.called])
    accepted = _name_all(accepted, quarantine)
    quarantine = pd.DataFrame([_printable(row) for row in sorted(quarantine)], columns=QUARANTINE_COLUMNS)
    origin = _origin(accepted, phantom)
    rows = [_series_row(item, origin) for item in accepted]
    index = Index(
        series=_sorted_series(pd.DataFrame(rows, columns=SERIES_COLUMNS)),
        quarantine=quarantine,
        files=_file_table(accepted),
        inputs=_sorted_series(pd.DataFrame([_input_row(item) for item in accepted], columns=INPUT_COLUMNS)),
        ignored=dict(sorted(contents.ignored.items())),
        n_files=contents.n_files,
    )
    if not accepted:
        raise NothingAcceptedError(_nothing_accepted(contents, quarantine), index)
    return index


def _sorted_series(frame: pd.DataFrame) -> pd.DataFrame:
    doses = frame["dose_mgy"].astype(float)
    frame["dose_mgy"] = doses.astype(int) if (doses == doses.round()).all() else doses
    keys = [
        (scanner_rank(r.scanner), r.dose_mgy, r.recon, r.repetition, r.series_uid)
        for r in frame[["scanner", "dose_mgy", "recon", "repetition", "series_uid"]].itertuples()
    ]
    return frame.iloc[sorted(range(len(frame)), key=keys.__getitem__)].reset_index(drop=True)


def _folders_text(found: CtSeries) -> str:
    return ";".join(sorted({file.folder_path for file in found.files}))


def _printable(row: tuple[str, ...]) -> tuple[str, ...]:
    """Names of files may hold anything; what no table can hold is written as an escape."""
    return tuple(text if text.isprintable() else ascii(text)[1:-1] for text in row)


def _quarantine_refused(contents: Contents, refused: dict[str, list[Refused]], quarantine: list) -> None:
    """Rows for refused files: one each where unreadable, else one for each series that has nothing else."""
    for uid, items in refused.items():
        rest = defaultdict(list)
        for item in items:
            if item.reason == "unreadable" or not uid:
                quarantine.append((item.file.path, uid, item.reason, item.detail))
            else:
                rest[item.reason, item.detail].append(item.file)
        if uid in contents.series:
            continue
        for (reason, detail), files in rest.items():
            folders = ";".join(sorted({file.folder_path for file in files}))
            quarantine.append((folders, uid, reason, f"{detail} ({counted(len(files), 'file')})"))


def _drop_copies(uid: str, contents: Contents, quarantine: list) -> None:
    """Keep one of several whole copies of a series, list the others; any other doubling is left to be refused.

    `Refusal` where they are no copies: other pixels, positions or metadata under the same UIDs.
    """
    found = contents.series[uid]
    sops = [slice_.sop_uid for slice_ in found.slices]
    if len(set(sops)) == len(sops):
        return
    for key in (lambda file: file.root, lambda file: file.folder_path):
        copies = defaultdict(dict)
        for number, (file, sop) in enumerate(zip(found.files, sops, strict=True)):
            copies[key(file)].setdefault(sop, []).append(number)
        if len(copies) > 1 and all(copy.keys() == set(sops) and _all_once(copy) for copy in copies.values()):
            first, *others = sorted(copies)
            for other in others:
                _check_equal(
                    found, contents, [(copies[first][sop][0], copies[other][sop][0]) for sop in sorted(set(sops))]
                )
            quarantine += [(other, uid, "duplicate_series", f"a copy; the one at {first} is used") for other in others]
            keep = [number for number, file in enumerate(found.files) if key(file) == first]
            found.files, found.slices, found.shared = (
                [values[number] for number in keep] for values in (found.files, found.slices, found.shared)
            )
            return


def _all_once(copy: dict[str, list[int]]) -> bool:
    return all(len(numbers) == 1 for numbers in copy.values())


def _check_equal(found: CtSeries, contents: Contents, pairs: list[tuple[int, int]]) -> None:
    """`Refusal` where slices of the same UIDs (by their numbers) are not the same slices."""
    for one, other in pairs:
        names = f"{found.files[one].path} and {found.files[other].path}"
        differing = [f for f, a, b in zip(SHARED, found.shared[one], found.shared[other], strict=True) if a != b]
        a, b = (found.slices[k]._replace(path=contents.path_of(found.files[k])) for k in (one, other))
        if not differing and not same_position(a, b):
            differing = ["their positions or pixel spacings"]
        if not differing and not np.array_equal(read_pixels(a), read_pixels(b)):
            differing = ["their pixels"]
        if differing:
            text = f"two versions of the series, and no copies: {names} differ in {', '.join(differing)}; keep one"
            raise Refusal("duplicate_series", text)


def _check_metadata(found: CtSeries) -> None:
    """Refuse slices that do not agree in the fields `SHARED`."""
    kinds = Counter(found.shared)
    if len(kinds) == 1:
        return
    texts = []
    for field, values in zip(SHARED, zip(*kinds, strict=True), strict=True):
        if len(set(values)) > 1:
            shown = " and ".join(f"'{value[:64]}'" for value in sorted(set(values))[:3])
            texts.append(field if field in PERSONAL else f"{field} ({shown})")
    raise Refusal("mixed_metadata", f"slices differ in {', '.join(texts)}")


def _accept(uid, found: CtSeries, refused: list[Refused], pattern: re.Pattern, segmentations) -> _Accepted:
    """The series, checked; `Refusal` with the reason where it is not accepted."""
    if not UID.fullmatch(uid):
        raise Refusal("unreadable", f"series instance UID '{uid[:64]}' is no UID")
    for file in found.files:
        if not file.path.isprintable() or UNQUOTED.search(file.folder_path):
            text = 'a path with a sign that cannot be quoted: ; $ * ? [ ] " ` \\, {a,b} or one that is not printable'
            raise Refusal("unreadable", f"{ascii(file.path)}: {text}")
    if refused:
        first = refused[0]
        whole = len(found.files) + len(refused)
        reason = "mixed_geometry" if first.reason in ("not_an_image_series", "not_ct") else first.reason
        raise Refusal(reason, f"{len(refused)} of its {whole} files, {first.file.name}: {first.detail}")
    _check_metadata(found)
    header = found.header
    name = parse_name(pattern, header.text("StudyDescription"), header.text("SeriesDescription"))
    if isinstance(name, str):
        raise Refusal("description_unmatched", name)
    called = (name.scanner,) if name.scanner else _scanner_of(header)
    if not called:
        raise Refusal("description_unmatched", "no header field tells a scanner; give the pattern a group scanner")
    stack = stack_slices(found.slices)
    if len(stack.slices) < MIN_SLICES:
        raise Refusal("too_few_slices", f"{len(stack.slices)} slices, a patch needs {MIN_SLICES}")
    if len(segmentations) > 1:
        paths = ", ".join(item.file.path for item in segmentations)
        raise Refusal("ambiguous_segmentation", f"{len(segmentations)} segmentations refer to it: {paths}")
    if not segmentations:
        raise Refusal("no_segmentation", "no DICOM segmentation in the input refers to it")
    (segmentation,) = segmentations
    if segmentation:
        _check_segmentation(segmentation, header)
    return _Accepted(uid, found, stack, name, called, segmentation)


def _check_segmentation(segmentation: SegmentationFile, header: Header) -> None:
    """`Refusal` where the segmentation of a series is not one of its voxels."""
    if segmentation.reason:
        raise Refusal(segmentation.reason, f"{segmentation.file.path}: {segmentation.detail}")
    frames = {header.text("FrameOfReferenceUID"), segmentation.frame_of_reference} - {""}
    if len(frames) > 1:
        raise Refusal("segmentation_mismatch", f"{segmentation.file.path} has another frame of reference")


def _scanner_of(header: Header) -> tuple[str, ...]:
    """Names of the scanner where the pattern has none, up to the first that has a letter or digit; () without one."""
    fields = ("StudyDescription", "StationName", "DeviceSerialNumber", "InstitutionName", "ManufacturerModelName")
    texts = [text for text in map(header.text, fields) if text]
    first = next((number for number, text in enumerate(texts, 1) if clean_name(text)), 0)
    return tuple(texts[:first])


def _segmentations_by_series(contents: Contents, quarantine: list) -> dict[str, list[SegmentationFile]]:
    """Segmentation objects by the series they refer to; copies and those that refer to nothing here are listed."""
    series_of_sop = None
    by_series, first_of = defaultdict(list), {}
    for item in sorted(contents.segmentations, key=lambda item: item.file):
        first = first_of.setdefault(item.sop_uid or item.file.path, item)
        if first is not item and same_segmentation(contents.path_of(first.file), contents.path_of(item.file)):
            detail = f"a copy; the one at {first.file.path} is used"
            quarantine.append((item.file.path, item.series_uid, "duplicate_series", detail))
            continue
        series = set(item.referenced_series)
        if not series and item.referenced_sops:
            if series_of_sop is None:
                series_of_sop = {s.sop_uid: uid for uid, found in contents.series.items() for s in found.slices}
            series = {series_of_sop[sop] for sop in item.referenced_sops if sop in series_of_sop}
        known = sorted(series & (set(contents.series) | {refused.series_uid for refused in contents.refused}))
        for uid in known:
            by_series[uid].append(item)
        if not known:
            detail = "it refers to no series of the input" if series or item.referenced_sops else "it refers to nothing"
            reason = item.reason or "segmentation_mismatch"
            quarantine.append((item.file.path, item.series_uid, reason, item.detail or detail))
    return by_series


def _name_all(accepted: list[_Accepted], quarantine: list) -> list[_Accepted]:
    """Number repetitions by acquisition where the names do not; refuse series that claim the same name."""
    why, refused = {}, set()
    for items in _grouped(accepted, lambda item: (item.name.scanner, item.name.dose_mgy)).values():
        unnumbered = [item for item in items if item.name.repetition is None]
        untimed = [item for item in unnumbered if not any(_scan_key(item))]
        if untimed and len(unnumbered) > 1:
            detail = "no acquisition time or irradiation event tells which repetition it is; " + NUMBER_THEM
            quarantine += [(_folders_text(item.found), item.uid, "description_unmatched", detail) for item in untimed]
            refused |= {item.uid for item in untimed}
            unnumbered = [item for item in unnumbered if item.uid not in refused]
        scans = _grouped(unnumbered, _scan_key)
        in_time = sorted(scans.items(), key=lambda scan: (min(item.found.first_time for item in scan[1]), scan[0]))
        for number, (key, reconstructions) in enumerate(in_time, 1):
            for item in reconstructions:
                item.name = item.name._replace(repetition=number)
                what, value = ("irradiation events", key[0]) if key[0] else ("acquisition times", key[1])
                why[item.uid] = f", as their {what} are equal ({value}); equal times tell no repetitions: {NUMBER_THEM}"
    named = [item for item in accepted if item.uid not in refused]
    claims = Counter(item.name for item in named)
    for item in named:
        if claims[item.name] > 1:
            name = item.name
            text = f"{name.scanner} {name.dose_mgy:g} mGy {name.recon} #{name.repetition}"
            detail = f"{claims[name]} series are named {text}{why.get(item.uid, '; keep one')}"
            quarantine.append((_folders_text(item.found), item.uid, "duplicate_series", detail))
    return [item for item in named if claims[item.name] == 1]


def _scan_key(item: _Accepted) -> tuple[str, str]:
    """What the reconstructions of one acquisition share: the irradiation event, else the time of the first slice."""
    event = item.found.header.text("IrradiationEventUID")
    return (event, "") if event else ("", item.found.first_time)


def _grouped(items: Iterable[_Accepted], key) -> dict:
    groups = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def _origin(accepted: list[_Accepted], phantom: Phantom) -> str:
    if not phantom.is_published:
        return "other"
    if any(item.found.header.text("ImageComments").startswith(SYNTHETIC) for item in accepted):
        return "synthetic"
    pattern = compile_pattern(COLLECTION_PATTERN)
    texts = [[item.found.header.text(f) for f in ("StudyDescription", "SeriesDescription")] for item in accepted]
    return "collection" if all(isinstance(parse_name(pattern, *text), SeriesName) for text in texts) else "other"


def _number(text: bytes | None) -> float:
    try:
        return float((text or b"").split(b"\\")[0])
    except ValueError:
        return float("nan")


def _exposure_mas(found: CtSeries) -> float:
    """Exposure in mAs, mean over slices: what the scanner says of itself, as the paper's Table 1 has it.

    Exposure is an integer; ExposureInuAs tells its fraction where the two agree. Without either it is tube current x
    exposure time. In helical mode some makers give the effective mAs (that of a rotation divided by the pitch).
    """
    counts = np.array(list(found.varying.values()), float)
    exposure, micro, current, time = np.array([[_number(value) for value in key] for key in found.varying]).T
    values = np.where(np.isfinite(exposure), exposure, micro / 1000)
    values = np.where(np.abs(micro / 1000 - exposure) <= 1, micro / 1000, values)
    values = np.where(np.isfinite(values), values, current * time / 1000)
    return float(round((values * counts).sum() / counts.sum(), 3))


def _rotation_time(header: Header, pitch: float) -> tuple[float, str]:
    time = header.number("RevolutionTime")
    if np.isfinite(time):
        return round(time, 6), "RevolutionTime"
    time = header.number("ExposureTime") * pitch / 1000
    return (round(time, 6), "ExposureTime x pitch") if np.isfinite(time) else (float("nan"), "")


def _series_row(item: _Accepted, origin: str) -> tuple:
    header, grid, name = item.found.header, item.stack.grid, item.name
    slice_mm, row_mm, column_mm = (round(v, 9) for v in grid.spacing_mm)
    pitch, collimation = header.number("SpiralPitchFactor"), header.number("TotalCollimationWidth")
    if not np.isfinite(pitch):
        pitch = header.number("TableFeedPerRotation") / collimation
    rotation_time, source = _rotation_time(header, pitch)
    fov = header.number("ReconstructionDiameter")
    manufacturer = header.text("Manufacturer")
    segmentation = item.segmentation.series_uid if item.segmentation else ""
    return (
        item.uid, segmentation, scan_id(name.scanner, name.dose_mgy, name.repetition), name.scanner,
        maker_of(manufacturer), manufacturer, header.text("ManufacturerModelName"), name.dose_mgy, name.recon,
        name.repetition, *grid.shape, row_mm, column_mm, slice_mm, header.number("SliceThickness"),
        fov if np.isfinite(fov) else round(grid.shape[2] * column_mm, 6), header.number("KVP"),
        _exposure_mas(item.found), header.number("CTDIvol"), pitch, rotation_time, collimation,
        header.text("ConvolutionKernel"), header.text("ScanOptions"), _folders_text(item.found), source, origin,
        round(max(largest_rounding_hu(frame) for frame in {s.frame for s in item.stack.slices}), 6),
    )  # fmt: skip


def _file_table(accepted: list[_Accepted]) -> pd.DataFrame:
    rows = []
    for item in accepted:
        position_of = dict(zip((s.sop_uid for s in item.stack.slices), item.stack.position_mm.tolist(), strict=True))
        for file, slice_ in zip(item.found.files, item.found.slices, strict=True):
            position_mm = position_of[slice_.sop_uid]
            rows.append((item.uid, "ct", file.root, file.folder, file.name, file.size_bytes, position_mm))
        if item.segmentation:
            file = item.segmentation.file
            rows.append((item.uid, "seg", file.root, file.folder, file.name, file.size_bytes, float("nan")))
    frame = pd.DataFrame(rows, columns=FILE_COLUMNS)
    return frame.sort_values(["series_uid", "role", "position_mm", "name"], ignore_index=True)


def _input_row(item: _Accepted) -> tuple:
    name, roots = item.name, sorted({file.root for file in item.found.files})
    folders = ";".join(roots), _folders_text(item.found)
    return item.uid, name.scanner, name.dose_mgy, name.recon, name.repetition, *folders


def _nothing_accepted(contents: Contents, quarantine: pd.DataFrame) -> str:
    where = ", ".join(contents.root_paths)
    if not contents.n_files:
        return f"no file in {where}; name a folder that holds DICOM files"
    counts = ", ".join(f"{reason} {n}" for reason, n in quarantine["reason"].value_counts(sort=False).items())
    others = ", ".join(f"{n} {kind}" for kind, n in sorted(contents.ignored.items()))
    message = f"none of the {contents.n_files} files in {where} belongs to a series that is accepted"
    if counts:
        first = quarantine.iloc[0]
        message += f"; refused: {counts}; the first is {first.path or first.series_uid}: {first.reason}, {first.detail}"
    if others:
        message += f"; no DICOM: {others}"
    packed = [kind for kind in contents.ignored if kind in (".zip", ".tar", ".gz", ".tgz", ".xz", ".7z")]
    return message + ("; unpack the archives" if packed else "; docs/input.md tells what a series needs")


def refuse_any(quarantine: pd.DataFrame) -> None:
    """Raise a `UserError` where anything is quarantined (`--strict`): how much, and the first few."""
    if len(quarantine):
        first = [f"{r.path} ({r.reason}: {r.detail})" for r in quarantine.head(5).itertuples()]
        raise UserError(
            f"--strict: {len(quarantine)} files or series are not accepted; the first: {'; '.join(first)}; "
            "run without --strict to have all of them in index/quarantine.csv"
        )


def series_from_idc_table(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of series.csv and quarantine.csv from the list of series of the Imaging Data Commons.

    Columns used: `IDC_COLUMNS`. What only the files tell is blank; `path` is idc/<crdc_series_uuid>. A row that is no
    series of the collection is set aside, and the others are taken.
    """
    pattern = compile_pattern(None)
    rows, quarantine, seen = [], [], set()
    for item in frame.fillna("").itertuples():
        uid, path = str(item.series_instance_uid), f"idc/{item.crdc_series_uuid}"
        name = parse_name(pattern, str(item.study_description), str(item.series_description))
        if not UID.fullmatch(uid):
            quarantine.append((path, uid, "unreadable", f"series instance UID '{uid[:64]}' is no UID"))
        elif isinstance(name, str):
            quarantine.append((path, uid, "description_unmatched", name))
        elif uid in seen:
            quarantine.append((path, uid, "duplicate_series", "a copy of an earlier row"))
        else:
            seen.add(uid)
            row = dict.fromkeys(SERIES_COLUMNS, float("nan"))
            row |= {
                "series_uid": uid, "seg_series_uid": item.seg_series_instance_uid,
                "scan_id": scan_id(name.scanner, name.dose_mgy, name.repetition), "scanner": name.scanner,
                "maker": maker_of(str(item.manufacturer)), "manufacturer_header": item.manufacturer,
                "model": item.model, "dose_mgy": name.dose_mgy, "recon": name.recon, "repetition": name.repetition,
                "n_slices": item.n_instances, "kernel": "", "scan_options": "", "path": path,
                "rotation_time_source": "", "origin": "collection",
            }  # fmt: skip
            rows.append(row)
    return (
        _sorted_series(pd.DataFrame(rows, columns=SERIES_COLUMNS)),
        pd.DataFrame([_printable(row) for row in sorted(quarantine)], columns=QUARANTINE_COLUMNS),
    )


def index_of_idc_table(frame: pd.DataFrame) -> Index:
    """Return the index of the collection's list without its files, to see the tasks of a full run (`-stub-run`).

    `NothingAcceptedError` where no row is a series of the collection.
    """
    series, quarantine = series_from_idc_table(frame)
    inputs = series.assign(root="idc", folders=series["path"])[INPUT_COLUMNS]
    files = pd.DataFrame(columns=FILE_COLUMNS).astype({"size_bytes": "int64", "position_mm": "float64"})
    index = Index(series, quarantine, files, inputs, {}, 0)
    if series.empty:
        raise NothingAcceptedError(
            "no row of the table is a series of the collection; give the collection's list", index
        )
    return index
