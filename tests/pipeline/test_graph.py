"""The graph of tasks at full size, and which of them run again after an edit of the code."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from pipeline_run import ENGINE, ROOT

pytestmark = pytest.mark.pipeline

PARTS = ("main.nf", "nextflow.config", "nextflow_schema.json", "assets", "bin", "conf", "methods", "modules",
         "subworkflows", "workflows")  # fmt: skip
SCRIPT_OF = {path.parent.name.upper(): f"{path.parent.name}.py" for path in ROOT.glob("modules/*/main.nf")}


def make_index(table: Path, folder: Path) -> tuple[Path, Path]:
    """An index made from the collection's list, and an input with the (empty) folders that it names."""
    index = folder / "index"
    subprocess.run(
        [sys.executable, ROOT / "bin" / "index_series.py", "--idc_table", table, "--output", index], check=True
    )
    inputs = pd.read_csv(index / "inputs.csv", dtype=str)
    for places in inputs["folders"]:
        for place in places.split(";"):
            (folder / place).mkdir(parents=True, exist_ok=True)
    (root,) = inputs["root"].unique()
    return index, folder / root


def test_full_collection_has_the_tasks_it_should(nextflow, tmp_path, shared_data):
    index, root = make_index(shared_data("idc_series_index.csv"), tmp_path)
    run = nextflow(tmp_path, "--input", root, "--index", index, "-stub-run")
    assert run.status == 0, run.text
    # ten series a task: 11 scanners of up to 100, D1 with 130, E2 with 150; thirty of the 268 at 10 mGy
    chunks, chunks_at_10_mgy = 11 * 10 + 13 + 15, 9
    expected = {
        "SELECT_REFERENCE": 1, "PREPARE_REFERENCE": 1, "DRAW_PATCHES": 1, "REGISTER_SERIES": chunks,
        "MERGE_REGISTRATION": 1, "EXTRACT_RADIOMICS": chunks_at_10_mgy, "EXTRACT_DEEP": 2 * chunks_at_10_mgy,
        "MERGE_FEATURES": 3, "PLAN_PAIRS": 1, "COMPARE_PAIRS": 1 + 13, "MEASURE_STABILITY": 1, "PLAN_SPLITS": 1,
        "TRAIN_CLASSIFIERS": 3 * (4 + 1), "MERGE_PREDICTIONS": 1, "EMBED_FEATURES": 1, "MERGE_PAIRS": 1,
        "MAKE_TABLES": 1, "PROFILE_SERIES": 35, "MERGE_PROFILES": 1, "DRAW_PROFILES": 1,
        "DRAW_IMAGES": 1, "DRAW_EMBEDDING": 1, "DRAW_RESULTS": 1, "WRITE_REPORT": 1,
        "COLLECT_RESULTS": 1,
    }  # fmt: skip
    assert dict(run.tasks()) == expected


def test_digests_and_the_list_of_closures_have_the_same_files(tmp_path):
    """subworkflows/utilities/code.nf decides what runs again, tools/closures.py shows it."""
    scripts = sorted(path.name for path in (ROOT / "bin").glob("*.py"))
    (tmp_path / "main.nf").write_text(
        f"include {{ codeClosure }} from '{ROOT}/subworkflows/utilities/code'\n"
        f"workflow {{\n    def names = {json.dumps(scripts)}\n"
        f"    def bin = file('{ROOT}/bin')\n"
        "    def found = names.collectEntries { name -> [name, codeClosure(bin, name, []).toSorted()] }\n"
        "    println('FOUND ' + groovy.json.JsonOutput.toJson(found))\n}\n"
    )
    done = subprocess.run(
        [ENGINE, "-log", "nextflow.log", "run", "main.nf", "-ansi-log", "false"], cwd=tmp_path, text=True,
        capture_output=True,
    )  # fmt: skip
    (text,) = re.findall(r"^FOUND (.*)$", done.stdout, re.MULTILINE)
    specification = importlib.util.spec_from_file_location("closures", ROOT / "tools" / "closures.py")
    closures = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(closures)
    assert json.loads(text) == {name: closures.closure(name) for name in scripts}


def imports(path: Path, package: Path) -> set[str]:
    """Modules of the package that a file imports, as package/module, by Python's own parser."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == package.name:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        paths = {name.removeprefix(f"{package.name}.").replace(".", "/") for name in names}
        found |= {path for path in paths if (package / f"{path}.py").is_file()}
    return found


def scripts_that_import(module: str, project: Path) -> set[str]:
    """Scripts of bin/ that import a module of the package, however indirectly."""
    package = project / "bin" / "ct4bench"
    users = set()
    for script in (project / "bin").glob("*.py"):
        seen, waiting = set(), imports(script, package)
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting |= imports(package / f"{name}.py", package)
        if module in seen:
            users.add(script.name)
    return users


def test_features_of_a_chunk_follow_while_another_one_is_held_back(nextflow, tmp_path):
    # a chunk that waits for the features of others, but not for ever
    (tmp_path / "hold.sh").write_text(
        f"for i in $(seq 600); do ls {tmp_path}/work/*/*/radiomics.parquet 2>/dev/null && break; sleep 0.1; done\n"
    )
    held = f"{{ meta.id == 'E2_0' ? 'source {tmp_path}/hold.sh' : '' }}"
    (tmp_path / "hold.config").write_text(
        f"executor.cpus = 4\nprocess {{ withName: REGISTER_SERIES {{ beforeScript = {held} }} }}\n"
    )
    data = ROOT / "tests" / "data"
    arguments = ("--input", data / "idc", "--index", data / "index", "--chunk_size", "2", "-stub-run")
    run = nextflow(tmp_path, "-c", "hold.config", *arguments)
    assert run.status == 0, run.text
    trace = run.trace()
    ended = pd.to_datetime(trace["complete"]).set_axis(trace["name"].str.split(":").str[-1])
    # six series of three chunks go into one task of each extractor, the two of the held chunk into another
    encoders = ("swin_unetr", "shallow_cnn")
    first = ["EXTRACT_RADIOMICS (none radiomics A1_0)", *(f"EXTRACT_DEEP (none {name} A1_0)" for name in encoders)]
    second = [name.replace("A1_0", "E2_0") for name in first]
    assert sorted(name for name in ended.index if name.startswith("EXTRACT")) == sorted([*first, *second])
    assert ended[first[0]] < ended["REGISTER_SERIES (E2_0)"] < ended[second].min()


def kernels_of(run) -> set[str]:
    """Folders of compiled kernels that the tasks of a run are given, as their shell has them; none from outside."""
    set_up = {
        line
        for path in run.launch.glob("work/*/*/.command.run")
        for line in path.read_text().splitlines()
        if "NUMBA_CACHE_DIR=" in line
    }
    return {
        subprocess.run(
            ["bash", "-c", f'{line}; echo "$NUMBA_CACHE_DIR"'],
            env={"PATH": os.environ["PATH"], **outside}, text=True, capture_output=True, check=True,
        ).stdout.strip()
        for line in set_up for outside in ({}, {"NUMBA_CACHE_DIR": "/kept"})
    }  # fmt: skip


def test_an_edit_runs_again_what_imports_it(nextflow, tmp_path, shared_data):
    project = tmp_path / "project"
    project.mkdir()
    for name in PARTS:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, project / name)
    (project / ".venv").symlink_to(ROOT / ".venv")
    table = pd.read_csv(shared_data("idc_series_index.csv"))
    few = table[
        table["study_description"].isin(["A1", "B1"])
        & table["series_description"].str.contains("_1[04]mGy_.* - #[12]$")
    ]
    few.to_csv(tmp_path / "few.csv", index=False)
    index, root = make_index(tmp_path / "few.csv", tmp_path)
    arguments = ("--input", root, "--index", index, "-stub-run", "-resume")
    first = nextflow(tmp_path, *arguments, project=project)
    assert first.status == 0, first.text
    processes, seen = set(first.tasks()), kernels_of(first)
    assert {Path(folder).parent for folder in seen} == {tmp_path / "work" / "numba", Path("/kept")}
    for module in ("pairs/similarity", "core/geometry", "stability/icc", "core/no_such_use"):
        path = project / "bin" / "ct4bench" / f"{module}.py"
        text = path.read_text() if path.exists() else '"""Used by nothing."""\n'
        path.write_text(text + f"\n# edited: {module}\n")
        edited = nextflow(tmp_path, *arguments, project=project)
        # a kernel holds what it calls, and numba looks at the kernel's own file only
        assert not kernels_of(edited) & seen
        seen |= kernels_of(edited)
        trace = edited.trace()
        names = trace["name"].str.split(" (", regex=False).str[0].str.split(":").str[-1]
        ran = set(names[trace["status"] == "COMPLETED"])
        users = scripts_that_import(module, project)
        assert ran == {name for name in processes if SCRIPT_OF[name] in users}, module
    # encoders: an edit of one, and a new one, run no other one again
    (project / "bin" / "ct4bench" / "features" / "swin.py").open("a").write("\n# edited\n")
    ran = completed(nextflow(tmp_path, *arguments, project=project))
    assert ran and all(name.startswith("EXTRACT_DEEP (none swin_unetr ") for name in ran), ran
    shutil.copy2(ROOT / "bin/ct4bench/features/shallow_cnn.py", project / "bin/ct4bench/features/probe.py")
    with (project / "assets" / "extractors.yaml").open("a") as text:
        text.write("probe:\n  title: Probe\n  features: 256\n  module: ct4bench.features.probe\n")
    ran = completed(nextflow(tmp_path, *arguments, project=project))
    one_by_one = [name for name in ran if name.split()[0] in BY_EXTRACTOR]
    assert {name.split()[0] for name in one_by_one} == BY_EXTRACTOR - {"EXTRACT_RADIOMICS"}
    assert all("probe" in name for name in one_by_one), one_by_one
    assert not {name.split()[0] for name in ran} & {"REGISTER_SERIES", "COMPARE_PAIRS", "PROFILE_SERIES", "PLAN_SPLITS"}


BY_EXTRACTOR = {"EXTRACT_DEEP", "EXTRACT_RADIOMICS", "MERGE_FEATURES", "TRAIN_CLASSIFIERS"}
"""Processes with tasks of one extractor each."""


def completed(run) -> set[str]:
    """Names of the tasks that ran, with their tags."""
    trace = run.trace()
    return set(trace.loc[trace["status"] == "COMPLETED", "name"].str.split(":").str[-1])
