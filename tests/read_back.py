"""What other programs say of results: roc-validator of the crate, mlcroissant of tables, nibabel of volumes.

They are of requirements/docs.lock, in `.docs` and not in the tests' own environment, so that this file runs as a
process of its own (`read_back`), without a network.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".docs"
CONTEXT = ROOT / "tests" / "data" / "ro-crate-1.1-context.jsonld"
CONTEXT_URL = "https://w3id.org/ro/crate/1.1/context"


def read_back(*arguments: str):
    """Run this file on the arguments; what it prints last is JSON."""
    import pytest

    if not (TOOLS / "mlcroissant").is_dir():
        pytest.skip("no .docs; run 'make docs-setup'")
    # a proxy that does not exist: nothing may be fetched
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "PYTHONPATH": str(TOOLS)}
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)], env=environment, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def keep_context(cache: str) -> None:
    """Put the context of RO-Crate 1.1 where roc-validator looks for what it fetched before."""
    import requests
    from requests_cache import CachedRequest, CachedResponse, CachedSession

    request = requests.Request("GET", CONTEXT_URL).prepare()
    response = CachedResponse(status_code=200, url=CONTEXT_URL, headers={"Content-Type": "application/ld+json"})
    response._content, response.request = CONTEXT.read_bytes(), CachedRequest.from_request(request)
    session = CachedSession(cache_name=cache, backend="sqlite", expire_after=-1)
    for headers in ({}, {"Accept": "application/ld+json, application/json;q=0.9, */*;q=0.1"}):
        asked = requests.Request("GET", CONTEXT_URL, headers=headers).prepare()
        session.cache.responses[session.cache.create_key(asked)] = response
    session.close()


def crate_issues(folder: str) -> list[dict]:
    """What roc-validator finds in a Workflow Run Crate 0.5, requirements and recommendations."""
    from rocrate_validator import models, services

    with tempfile.TemporaryDirectory() as place:
        cache = f"{place}/fetched"
        keep_context(cache)
        settings = models.ValidationSettings(
            rocrate_uri=folder, profile_identifier="workflow-run-crate-0.5",
            requirement_severity=models.Severity.RECOMMENDED, offline=True, cache_path=Path(cache), cache_max_age=-1,
        )  # fmt: skip
        found = services.validate(settings).get_issues()
    return [{"severity": issue.severity.name, "check": issue.check.identifier, "message": issue.message,
             "entity": str(getattr(issue, "violatingEntity", ""))} for issue in found]  # fmt: skip


def croissant_rows(folder: str, n: str, *names: str) -> dict:
    """The first rows of record sets, as mlcroissant reads them, and what it finds wrong with the description."""
    from itertools import islice

    import mlcroissant

    dataset = mlcroissant.Dataset(f"{folder}/croissant.json")
    issues = dataset.metadata.ctx.issues

    def plain(value):
        return value.decode() if isinstance(value, bytes) else None if value != value else value

    rows = {
        name: [
            {key.rpartition("/")[2]: plain(value) for key, value in row.items()}
            for row in islice(dataset.records(record_set=name), int(n))
        ]
        for name in names
    }
    described = {rs.id: [field.name for field in rs.fields] for rs in dataset.metadata.record_sets}
    return {"faults": sorted(issues.errors) + sorted(issues.warnings), "rows": rows, "described": described,
            "version": str(dataset.metadata.ctx.conforms_to.value)}  # fmt: skip


def nifti_places(*paths: str) -> list:
    """Affine (to RAS, mm) and shape of NIfTI files, as nibabel reads them."""
    import nibabel

    images = [nibabel.load(path) for path in paths]
    return [(image.affine.tolist(), list(image.shape)) for image in images]


if __name__ == "__main__":
    print(
        json.dumps(
            {"crate": crate_issues, "croissant": croissant_rows, "nifti": nifti_places}[sys.argv[1]](*sys.argv[2:])
        )
    )
