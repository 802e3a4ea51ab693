"""One part of the input, from its DICOM to what the benchmark keeps of it: contents for the index, registered volumes,
and what only the images as they were scanned tell. After this the DICOM is not needed."""

import argparse
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ct4bench.core.checks import Checks
from ct4bench.core.tables import write_table
from ct4bench.index.contents import write_contents
from ct4bench.index.files import folders_of, locate
from ct4bench.index.index import NothingAcceptedError, index_contents, refuse_any
from ct4bench.index.names import compile_pattern
from ct4bench.index.tree import read_tree
from ct4bench.preprocess.merge import refuse_unregistered, unregistered
from ct4bench.preprocess.reference import open_reference
from ct4bench.preprocess.register import RegistrationRun, register_chunk
from ct4bench.preprocess.resampling import choose_interpolator
from ct4bench.preprocess.transforms import TRANSFORM_COLUMNS, registered_rows
from ct4bench.profiles.merge import GROUP, SERIES_COLUMNS
from ct4bench.profiles.profile import OwnProfiles

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
    strict: bool = False,
    drop: bool = False,
) -> Taken:
    """Index the folders `roots`, register all series in them as `run` says, and profile them as scanned.

    The contents for `index.merge` go to `contents_path`. A part without an accepted series gives empty tables: the
    merged index says why. With `strict`, `UserError` where a file or series is not accepted or not registered.
    With `drop`, slices are deleted as soon as their scanner, dose and reconstruction are taken.
    """
    roots, phantom = list(roots), run.reference.phantom
    contents = read_tree(roots, phantom=phantom)
    write_contents(contents, contents_path)
    try:
        index = index_contents(contents, pattern, phantom, run.reference.one_mask)
    except NothingAcceptedError as error:
        if strict:
            raise
        return Taken(error.index.series, pd.DataFrame(columns=TRANSFORM_COLUMNS), pd.DataFrame(columns=SERIES_COLUMNS))
    if strict:
        refuse_any(index.quarantine)
    roots_of = {Path(root).name: Path(root) for root in roots}
    del contents
    slices, profiles, transforms = index.files[index.files["role"] == "ct"], OwnProfiles(run.reference), []
    start = time.process_time()
    # each series is read once: what it tells as scanned is measured while it is in memory
    for _, unordered in index.series.groupby(GROUP, sort=True):
        group = unordered.sort_values(["repetition", "series_uid"])
        uids = list(group["series_uid"])
        files = slices[slices["series_uid"].isin(uids)]
        folders = [roots_of[root] / folder for root, folder in folders_of(files)]
        transforms.append(register_chunk(run, group, files, folders, uids, checks, profiles.add))
        if strict:
            refuse_unregistered(unregistered(group, transforms[-1]))
        profiles.close(registered_rows(group, transforms[-1]))
        if drop:
            for path in locate(files, folders)["file"]:
                path.unlink()
    LOG.info("registered and profiled in %.1f CPU s", time.process_time() - start)
    transforms = pd.concat(transforms, ignore_index=True)
    return Taken(registered_rows(index.series, transforms), transforms, profiles.table())


def keep_part(args: argparse.Namespace, take: Callable[[RegistrationRun, Checks], Taken]) -> None:
    """Take a part by `take`, and write what is kept of it where the options of `arguments.add_part_arguments`
    say. A `UserError` where one of them cannot be followed, before `take` is called.
    """
    compile_pattern(args.series_pattern or None)
    interpolator, checks = choose_interpolator(args.interpolator, args.mode), Checks()
    run = RegistrationRun(
        open_reference(args.reference), args.volumes, args.nifti, interpolator, args.threads, args.short_series
    )
    taken = take(run, checks)
    checks.write(args.checks)
    write_table(taken.registered, args.registered)
    write_table(taken.transforms, args.transforms)
    write_table(taken.own_profile, args.profile)
