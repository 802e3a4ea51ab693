"""croissant.json: the tables of features and scores in Croissant 1.1, which loaders of data sets read."""

# code-text: <method>/features/<extractor>.parquet
# code-text: <method>/icc.csv
# code-text: <method>/pairs.parquet
# code-text: <method>/predictions.parquet
# code-text: <method>/scores.csv
# code-text: <method>/tables/accuracy_by_n.csv
# code-text: <method>/tables/table7_stability_classification.csv
# code-text: leaderboard.csv

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from ct4bench.core.contract import table_of
from ct4bench.core.metrics import WORDS
from ct4bench.core.regions import phantom_of
from ct4bench.provenance.known import Known
from ct4bench.results.published import DATA, DATA_DOI, PAPER
from ct4bench.results.run_facts import COLLECTION

CROISSANT = "croissant.json"
DESCRIBED = (
    "<method>/features/<extractor>.parquet",
    "<method>/icc.csv",
    "<method>/pairs.parquet",
    "<method>/predictions.parquet",
    "<method>/scores.csv",
    "<method>/tables/accuracy_by_n.csv",
    "<method>/tables/table7_stability_classification.csv",
    "leaderboard.csv",
)
"""Tables of features and scores, by their names in the contract."""
FORMATS = {".csv": "text/csv", ".parquet": "application/x-parquet"}
TYPES = {"string": "sc:Text", "int64": "sc:Integer", "bool": "sc:Boolean"}
"""Types of the contract, as Croissant names them; all others are numbers."""
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        name: f"cr:{name}"
        for name in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet",
            "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet",
            "references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField",
            "transform",
        )
    },
}  # fmt: skip
"""The context that the specification asks for, whole."""


def described_tables(names: Iterable[str]) -> list[str]:
    """Return those of the files that are tables of features and scores, sorted."""
    found = {name: table_of(name) for name in names if Path(name).suffix in FORMATS}
    return sorted(name for name, table in found.items() if table and table.table in DESCRIBED)


def _columns(path: Path) -> list[str]:
    return pq.read_schema(path).names if path.suffix == ".parquet" else list(pd.read_csv(path, nrows=0))


def _type(kind: str, blank: str, suffix: str) -> str:
    """Type of a column. A whole number that may be blank is read from CSV as a number."""
    return "sc:Float" if blank and suffix == ".csv" and kind != "string" else TYPES.get(kind, "sc:Float")


def _record_set(name: str, columns: list[str]) -> dict:
    """A table: a field for each column, with its meaning and unit."""
    table = table_of(name)
    fields = []
    for column in table.described(columns, WORDS):
        words = f"{column.meaning}{column.unit and f' ({column.unit})'}{column.blank and f'; blank: {column.blank}'}"
        fields.append(
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column.column}",
                "name": column.column,
                "description": words,
                "dataType": _type(column.type, column.blank, Path(name).suffix),
                "source": {"fileObject": {"@id": f"file:{name}"}, "extract": {"column": column.column}},
            }
        )
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": table.meaning, "field": fields}


def _repeats(name: str, known: Known) -> bool:
    """Whether a table has the columns of one of the first method: features of the others, a thousand each."""
    first = f"{known.method}/{name.partition('/')[2]}"
    return table_of(name).table == DESCRIBED[0] and name != first and first in known.files


def make_croissant(known: Known, results: Path, published: date) -> dict:
    """Return the description of the tables of features and scores of a folder of results.

    All are listed; columns of features stand once, as those of other methods are the same.
    """
    facts = known.first
    names = described_tables(known.files)
    phantom = phantom_of(facts)
    what, limits = (
        "the CT4Harmonization benchmark",
        "patches are larger than most of the regions that they are drawn in",
    )
    if not phantom.is_published:
        what = f"{phantom.name}, measured as the CT4Harmonization benchmark measures its phantom"
        limits = "patches reach beyond their regions by what index/patches.csv says"
    limits = f"One phantom; {limits}."
    made_of = f" Made from {DATA}, CC BY 4.0." if facts["origin"] == COLLECTION else ""
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": "ct4bench_results",
        "description": (
            f"Features and scores of {what}, by ct4bench {known.versions['ct4bench']} in mode "
            f"{facts['mode']}, on {facts['part']}; {facts['origin_words']}.{made_of}"
        ),
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "citeAs": PAPER,
        "datePublished": published.isoformat(),
        "license": "no licence chosen: whoever publishes the results names one",
        **({"url": f"https://doi.org/{DATA_DOI}"} if facts["origin"] == COLLECTION else {}),
        "version": known.versions["ct4bench"],
        "isLiveDataset": False,
        "rai:dataCollection": f"CT of one {'printed phantom' if phantom.is_published else f'phantom, {phantom.name}'}; "
        f"{facts['origin_words']}.",
        "rai:dataLimitations": limits,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": f"file:{name}",
                "name": name,
                "contentUrl": name,
                "contentSize": f"{known.files[name][0]} B",
                "encodingFormat": FORMATS[Path(name).suffix],
                "sha256": known.files[name][1],
            }
            for name in names
        ],
        "recordSet": [_record_set(name, _columns(results / name)) for name in names if not _repeats(name, known)],
    }
