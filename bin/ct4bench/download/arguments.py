"""What the scripts of a download are told alike: which series, from where, and with what patience."""

import argparse
import logging
import math
from typing import NamedTuple

from ct4bench.core.errors import UserError
from ct4bench.download.manifest import TABLE, Row, read_rows, select
from ct4bench.download.sources import SOURCES, Source, check_endpoints, make_source
from ct4bench.download.transport import Client, Limits

MOST = 1e6
"""Of all numbers."""
LEAST = {"parallel": 1, "timeout": 1}
"""Of some; 0 of the others."""


class Access(NamedTuple):
    """A source with the client that asks it, and how many requests it may make at once."""

    source: Source
    client: Client
    parallel: int


def add_choice_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name series."""
    parser.add_argument("--table", default=TABLE, help="table of series in place of assets/idc_series.csv")
    parser.add_argument("--doses", help="mGy, such as 10 or 1,10")
    parser.add_argument("--scanners", help="such as A1,D1")
    parser.add_argument("--reconstructions", help="of FBP, IR, DL")
    parser.add_argument("--repetitions", help="such as 1-3 or 1,4")


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where series come from, and how many requests are made at once."""
    parser.add_argument("--source", choices=SOURCES, default="idc", help="idc, or tcia as the second one")
    parser.add_argument("--idc_endpoint", help=f"address in place of {SOURCES['idc'].endpoint}")
    parser.add_argument("--tcia_endpoint", help=f"address in place of {SOURCES['tcia'].endpoint}")
    parser.add_argument("--parallel", type=int, help="requests at once (8 of idc, 2 of tcia)")


def add_patience_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what a request may take, and which certificates are trusted."""
    parser.add_argument("--timeout", type=float, default=Limits.timeout_s, help="seconds without a byte (60)")
    parser.add_argument("--retries", type=int, default=Limits.retries, help="further tries of a request (5)")
    parser.add_argument("--back_off", type=float, default=Limits.back_off_s, help="first wait in s, then doubled (4)")
    parser.add_argument(
        "--longest_wait", type=float, default=Limits.longest_wait_s, help="longest Retry-After in s (600)"
    )
    parser.add_argument("--least_rate", type=float, default=Limits.least_rate, help="bytes/s, else stalled (5000)")
    parser.add_argument("--certificates", help="file of PEM in place of SSL_CERT_FILE and the system's certificates")


def chosen_rows(args: argparse.Namespace) -> list[Row]:
    """Read the table, and select the rows that the options of `add_choice_arguments` name."""
    return select(read_rows(args.table), args.doses, args.scanners, args.reconstructions, args.repetitions)


def parallel_of(args: argparse.Namespace) -> int:
    """Return how many requests are made at once."""
    _check_range("parallel", args.parallel)
    return args.parallel or SOURCES[args.source].parallel


def words_of_endpoints(args: argparse.Namespace) -> str:
    """Check both endpoints, and return what is to be said of the one that is not asked, or ""."""
    return check_endpoints(args.source, {name: getattr(args, f"{name}_endpoint") for name in SOURCES})


def access_of(args: argparse.Namespace) -> Access:
    """Make the client of the source that the options of `add_source_arguments` and `add_patience_arguments` name."""
    for name in ("timeout", "retries", "back_off", "longest_wait", "least_rate"):
        _check_range(name, getattr(args, name))
    unused = words_of_endpoints(args)
    if unused:
        logging.warning(unused)
    client = Client(
        Limits(args.timeout, args.retries, args.back_off, args.longest_wait, args.least_rate), args.certificates
    )
    source = make_source(args.source, client, getattr(args, f"{args.source}_endpoint"))
    return Access(source, client, parallel_of(args))


def _check_range(name: str, value: float | None) -> None:
    least = LEAST.get(name, 0)
    if value is not None and not (math.isfinite(value) and least <= value <= MOST):
        raise UserError(f"--{name} {value} is not {least} to {MOST:.0f}; give a number of that range")
