"""Where series can be had: each source's address, how many requests at once it is asked with, and its client."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from ct4bench.download.folders import File
from ct4bench.download.idc import Idc
from ct4bench.download.manifest import Row
from ct4bench.download.tcia import Tcia
from ct4bench.download.transport import Client, check_endpoint


class Source(Protocol):
    """What a download asks of a source. Each call makes one request after another, within a `Client`."""

    name: str
    endpoint: str

    def list_items(self, row: Row, role: str, folder: Path) -> list:
        """List what is to be fetched of a series (`role` ct) or its segmentation (seg)."""

    def fetch(self, row: Row, item, folder: Path) -> list[File]:
        """Fetch one item of that list, verified, into `folder`."""


class About(NamedTuple):
    """A source in words, its address, requests at once, and how often a series on its way is on the disk."""

    title: str
    endpoint: str
    parallel: int
    copies: int
    make: Callable[[Client, str], Source]


SOURCES = {
    "idc": About("the Imaging Data Commons", "https://s3.amazonaws.com", 8, 1, Idc),
    "tcia": About("TCIA", "https://nbia.cancerimagingarchive.net/nbia-api/services/v4", 2, 2, Tcia),
}
"""TCIA's service is being phased out, and asks for little at once: the second source. Its zips lie beside what they
are unpacked to."""


def check_endpoints(source: str, endpoints: Mapping[str, str | None]) -> str:
    """Raise a `UserError` where one of the addresses (by source, None: its own) is none, be it asked or not.

    Return what is to be said of those that `source` does not ask, or "".
    """
    given = {name: check_endpoint(url, f"--{name}_endpoint") for name, url in endpoints.items() if url}
    others = [f"--{name}_endpoint {url}" for name, url in given.items() if name != source]
    return f"{', '.join(others)} is not asked: the source is {source}" if others else ""


def make_source(name: str, client: Client, endpoint: str | None) -> Source:
    """Make the client of a source, at another address where one is given; `UserError` where that is none."""
    about = SOURCES[name]
    return about.make(client, check_endpoint(endpoint or about.endpoint, f"--{name}_endpoint"))
