"""ro-crate-metadata.json: a run's results as a Workflow Run RO-Crate 0.5, which rests on RO-Crate 1.1."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath
from urllib.parse import quote

from ct4bench.core.contract import table_of
from ct4bench.core.regions import phantom_of
from ct4bench.provenance.known import FOLDER, SCHEMA, Known, Parameter
from ct4bench.results.published import DATA, DATA_DOI
from ct4bench.results.run_facts import COLLECTION

CRATE = "ro-crate-metadata.json"
README = "README.md"
WORKFLOW = f"{FOLDER}/main.nf"
REPORT = "report.html"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
FORMATS = {
    ".bib": "application/x-bibtex",
    ".csv": "text/csv",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".gz": "application/gzip",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".nf": "text/plain",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
    ".tfm": "text/plain",
    ".yml": "application/yaml",
}
"""Media types by suffix."""
MEANINGS = {
    REPORT: "the report: all of the run, one file that opens offline",
    README: "what this folder holds",
    "croissant.json": "the tables of features and scores, described in Croissant 1.1",
    SCHEMA: "all parameters of the workflow, with types, limits and defaults",
    f"{FOLDER}/clear.md": "the checklist CLEAR, filled in where the run knows the answer",
    f"{FOLDER}/metrics.md": "the checklist METRICS, filled in where the run knows the answer",
    f"{FOLDER}/methods.md": "a paragraph for a paper's methods section",
    f"{FOLDER}/references.bib": "what that paragraph cites",
    f"{FOLDER}/versions.yml": "versions of the code, the engine and the packages, and what the data were",
}
TYPES = {"boolean": "Boolean", "integer": "Integer", "number": "Float", "string": "Text"}
"""Types of JSON schema, as schema.org names them."""
NOT_LISTED = ("pipeline_info/",)
"""Folders that have paths of the machine, as an engine notes them, and are left out of the crate."""


def _at(identifier: str) -> dict:
    return {"@id": identifier}


def _file(name: str, size: int, sha256: str) -> dict:
    table = table_of(name)
    meaning = MEANINGS.get(name) or (table.meaning if table else "")
    return {
        "@id": quote(name),
        "@type": "File",
        "name": name,
        **({"description": meaning} if meaning else {}),
        "encodingFormat": FORMATS.get(PurePosixPath(name).suffix, "application/octet-stream"),
        "contentSize": str(size),
        "sha256": sha256,
        **({"about": _at("./")} if name == README else {}),
        **({"exampleOfWork": _at("#output-report")} if name == REPORT else {}),
    }


def _parameter(parameter: Parameter) -> list[dict]:
    """The formal parameter, and the value that it had."""
    formal, actual = f"#parameter-{parameter.name}", f"#value-{parameter.name}"
    return [
        {
            "@id": formal,
            "@type": "FormalParameter",
            "additionalType": TYPES[parameter.type],
            "conformsTo": _at("https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"),
            "name": parameter.name,
            "description": parameter.description,
            "workExample": _at(actual),
        },
        {
            "@id": actual,
            "@type": "PropertyValue",
            "name": parameter.name,
            "value": parameter.value,
            "exampleOfWork": _at(formal),
        },
    ]


def _input(known: Known) -> dict:
    """The data that the run read or made."""
    phantom = phantom_of(known.first)
    named = known.first["origin_words"] if phantom.is_published else f"series of {phantom.name}"
    about = {"name": named, "description": known.first["part"]}
    if known.first["origin"] == COLLECTION:
        about = {"name": DATA, "description": known.first["part"], "identifier": f"https://doi.org/{DATA_DOI}"}
    return {"@id": "#data", "@type": "CreativeWork", **about}


def _licence(known: Known) -> dict:
    """Terms of the results: nobody's but the user's to choose."""
    source = "; the collection that they were made from is CC BY 4.0" if known.first["origin"] == COLLECTION else ""
    return {
        "@id": "#licence",
        "@type": "CreativeWork",
        "name": "no licence chosen",
        "description": f"The run names no licence for its results{source}. Whoever publishes them names one here.",
    }


def make_crate(known: Known, ended: datetime) -> dict:
    """Return the metadata of a run's crate; `ended` is when its results were complete, with a time zone.

    Files of `pipeline_info/` are not part of it, as the engine's notes have paths of the machine.
    """
    facts = known.first
    listed = [name for name in sorted(known.files) if name != CRATE and not name.startswith(NOT_LISTED)]
    files = [_file(name, *known.files[name]) for name in listed]
    workflow = next(file for file in files if file["name"] == WORKFLOW)
    results = [file for file in files if not file["name"].startswith(f"{FOLDER}/") and file["name"] != README]
    pairs = [_parameter(parameter) for parameter in known.parameters]
    report = {
        "@id": "#output-report",
        "@type": "FormalParameter",
        "additionalType": "File",
        "conformsTo": _at("https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"),
        "name": "report",
        "description": MEANINGS[REPORT],
        "workExample": _at(REPORT),
    }
    workflow.update(
        {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": "ct4bench",
            "description": "the CT4Harmonization benchmark, from DICOM to its tables, figures and report",
            "conformsTo": _at("https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"),
            "programmingLanguage": _at("https://w3id.org/workflowhub/workflow-ro-crate#nextflow"),
            "version": known.versions["ct4bench"],
            "license": _at("https://spdx.org/licenses/Apache-2.0"),
            "softwareRequirements": _at("https://www.nextflow.io/"),
            "input": [_at(pair[0]["@id"]) for pair in pairs],
            "output": _at(report["@id"]),
        }
    )
    when = ended.isoformat(timespec="seconds")
    data = _input(known)
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"run of ct4bench {known.versions['ct4bench']}",
        "description": f"mode {facts['mode']}, on {facts['part']}; {data['name']}",
        "instrument": _at(workflow["@id"]),
        "object": [_at(data["@id"]), *(_at(pair[1]["@id"]) for pair in pairs)],
        "result": [_at(file["@id"]) for file in results],
        "endTime": when,
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    licence = _licence(known)
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Results of ct4bench on {facts['part']}",
        "description": f"{data['name']}; mode {facts['mode']}",
        "datePublished": when,
        "license": _at(licence["@id"]),
        "conformsTo": [_at(profile) for profile in PROFILES],
        "mainEntity": _at(workflow["@id"]),
        "mentions": _at(action["@id"]),
        "hasPart": [_at(file["@id"]) for file in files],
    }
    descriptor = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "about": _at("./"),
        "conformsTo": [_at("https://w3id.org/ro/crate/1.1"), _at("https://w3id.org/workflowhub/workflow-ro-crate/1.0")],
    }
    return {
        "@context": [CONTEXT, {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}],
        "@graph": [
            descriptor,
            root,
            *(
                {"@id": url, "@type": "CreativeWork", "name": name, "version": version}
                for url, (name, version) in PROFILES.items()
            ),
            licence,
            *files,
            *_software(known.versions),
            data,
            *(entity for pair in pairs for entity in pair),
            report,
            action,
        ],
    }


def _software(versions: Mapping) -> list[dict]:
    """The engine, its language, and the licence of the code."""
    return [
        {
            "@id": "https://w3id.org/workflowhub/workflow-ro-crate#nextflow",
            "@type": "ComputerLanguage",
            "name": "Nextflow",
            "identifier": _at("https://www.nextflow.io/"),
            "url": _at("https://www.nextflow.io/"),
        },
        {
            "@id": "https://www.nextflow.io/",
            "@type": "SoftwareApplication",
            "name": "Nextflow",
            "url": "https://www.nextflow.io/",
            "softwareVersion": versions["nextflow"],
        },
        {"@id": "https://spdx.org/licenses/Apache-2.0", "@type": "CreativeWork", "name": "Apache-2.0"},
    ]
