"""An index on disk: its four tables, also where nothing was accepted."""

# code-table: index/series.csv
# code-table: index/quarantine.csv
# code-text: index/files.parquet
# code-table: index/inputs.csv

import logging
from collections.abc import Callable
from pathlib import Path

from ct4bench.core.errors import UserError
from ct4bench.core.tables import write_table
from ct4bench.index.index import Index, NothingAcceptedError, refuse_any


def write_index(index: Index, output: Path | str) -> None:
    """Write series.csv, quarantine.csv, files.parquet and inputs.csv."""
    output = Path(output)
    write_table(index.series, output / "series.csv", table="index/series.csv")
    write_table(index.quarantine, output / "quarantine.csv", table="index/quarantine.csv")
    write_table(index.files, output / "files.parquet", table="index/files.parquet")
    write_table(index.inputs, output / "inputs.csv", table="index/inputs.csv")


def write_index_of(make: Callable[[], Index], output: Path | str, strict: bool = False) -> None:
    """Write the index that `make` gives, and say what is in it.

    `UserError` where no series is accepted, or, with `strict`, where anything is not; the tables are written before.
    """
    try:
        index = make()
    except NothingAcceptedError as error:
        write_index(error.index, output)
        raise UserError(f"{error}; {(Path(output) / 'quarantine.csv').absolute()} lists all") from error
    write_index(index, output)
    if strict:
        refuse_any(index.quarantine)
    logging.info(
        "%d files: %d series accepted, %d quarantined", index.n_files, len(index.series), len(index.quarantine)
    )
    for kind, count in index.ignored.items():
        logging.info("%d files are no DICOM and were passed over: %s", count, kind)
