"""One part of the input, from its DICOM to what the benchmark keeps of it: contents for the index, registered volumes,
and what only the images as they were scanned tell. After this the DICOM is not needed."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ct4bench.core.checks import Checks
from ct4bench.index.contents import write_contents
from ct4bench.index.files import folders_of
from ct4bench.index.index import Index, NothingAcceptedError, index_contents
from ct4bench.index.tree import read_tree
from ct4bench.preprocess.register import RegistrationRun, register_chunk
from ct4bench.preprocess.transforms import TRANSFORM_COLUMNS, registered_rows
from ct4bench.profiles.merge import SERIES_COLUMNS
from ct4bench.profiles.profile import Scanned, profile_scanned

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Taken:
    """Rows of series.csv that are registered, transforms.csv of all, rows of profiles on own grids."""

    registered: pd.DataFrame
    transforms: pd.DataFrame
    own_profile: pd.DataFrame


def take_part(
    roots: Iterable[Path | str],
    run: RegistrationRun,
    contents_path: Path | str,
    pattern: str | None = None,
    checks: Checks | None = None,
) -> Taken:
    """Index the folders `roots`, register all series in them as `run` says, and profile them as scanned.

    The contents for `index.merge` go to `contents_path`. A part without an accepted series gives empty tables: the
    merged index says why.
    """
    contents = _timed("read headers", read_tree, roots)
    write_contents(contents, contents_path)
    try:
        index = index_contents(contents, pattern)
    except NothingAcceptedError as error:
        return Taken(error.index.series, pd.DataFrame(columns=TRANSFORM_COLUMNS), pd.DataFrame(columns=SERIES_COLUMNS))
    roots_of = contents.root_paths
    del contents
    slices = index.files[index.files["role"] == "ct"]
    folders = [Path(roots_of[root]) / folder for root, folder in folders_of(slices)]
    uids = list(index.series["series_uid"])
    transforms = _timed("register", register_chunk, run, index.series, index.files, folders, uids, checks)
    registered = registered_rows(index.series, transforms)
    scanned = _scanned(index, registered, roots_of)
    own = _timed("profile", profile_scanned, registered, run.volumes, run.reference.folder, scanned)
    return Taken(registered, transforms, own)


def _scanned(index: Index, registered: pd.DataFrame, roots_of: dict[str, str]) -> Scanned:
    files = index.files[index.files["series_uid"].isin(set(registered["series_uid"])) & (index.files["role"] == "ct")]
    return Scanned(files, [Path(roots_of[root]) / folder for root, folder in folders_of(files)])


def _timed(what: str, function, *arguments):
    start = time.process_time()
    made = function(*arguments)
    LOG.info("%s: %.1f CPU s", what, time.process_time() - start)
    return made
