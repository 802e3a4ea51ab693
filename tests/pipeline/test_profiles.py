"""Profiles: their resolved configuration, and the commands that each process is really given under each engine.

Engines and Slurm are stood in for by small scripts of the same name on PATH, which run the task here; what the real
ones make of the same commands is what tests/executors/run.sh is for.
"""

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest
from pipeline_run import ENGINE, ROOT
from planted import plant

pytestmark = pytest.mark.pipeline

ENGINES = ("docker", "podman", "apptainer", "singularity")
VERSION = re.search(r"version = '([^']+)'", (ROOT / "nextflow.config").read_text()).group(1)
LABELS = {
    path.parent.name.upper(): re.search(r"label '(\w+)'", path.read_text()).group(1)
    for path in ROOT.glob("modules/*/main.nf")
}
OTHER_NAMES = {"READ_METHODS": "PLAN_METHODS", "SCORE_NONE": "SCORE_METHODS"}
"""Of processes that a run has twice; what is set for a process holds for both."""
LABELS |= {name: LABELS[process] for name, process in OTHER_NAMES.items()}
NOT_THERE = {"SIMULATE_SERIES", "TAKE_SERIES", "DRAW_PHANTOM", "MERGE_FEATURES", "INDEX_SERIES", "MERGE_INDEX"}
"""Processes that a run from an index does without."""
TORCH = {"deep", "training"}
DOWNLOADING = {"PLAN_DOWNLOAD", "DOWNLOAD_SERIES", "MERGE_DOWNLOAD"}
STREAMING = {"STREAM_SERIES"}
OF_FEATURES = {
    "READ_METHODS",
    "PLAN_METHODS",
    "HARMONIZE_FEATURES",
    "SCORE_NONE",
    "SCORE_METHODS",
    "RANK_METHODS",
    "DRAW_LEADERBOARD",
}
OF_IMAGES = {"PLAN_VOLUMES", "HARMONIZE_VOLUMES", "READ_VOLUMES", "MERGE_FOLDS"}
"""Processes of harmonization methods."""


def configuration(folder: Path, *profiles: str, **parameters: str) -> dict[str, str]:
    """Flat configuration of profiles together, values as text; closures over several lines as their first."""
    text = (ROOT / "nextflow.config").read_text()
    for name, value in parameters.items():
        text, count = re.subn(rf"^    {name} = .*$", f"    {name} = '{value}'", text, flags=re.MULTILINE)
        assert count == 1, name
    (folder / "nextflow.config").write_text(text)
    (folder / "conf").symlink_to(ROOT / "conf")
    printed = subprocess.run(
        [ENGINE, "config", folder, "-flat", "-profile", ",".join(profiles)],
        cwd=folder, text=True, capture_output=True, check=True,
    ).stdout  # fmt: skip
    return dict(re.findall(r"^([\w$.'|:]+) = (.*)$", printed, re.MULTILINE))


def test_every_label_has_memory_that_grows(tmp_path):
    flat = configuration(tmp_path, "local", "gpu")
    for process, label in LABELS.items():
        own = flat.get(f"process.'withName:{OTHER_NAMES.get(process, process)}'.memory")
        assert "task.attempt" in (own or flat[f"process.'withLabel:{label}'.memory"]), process
    assert "task.attempt" in flat["process.memory"]
    assert "task.attempt" in flat["process.time"]
    assert "retry" in flat["process.errorStrategy"]


def test_slurm_gets_its_queue_and_account(tmp_path):
    flat = configuration(tmp_path, "slurm", queue="long", account="phantoms")
    assert flat["process.executor"] == "'slurm'"
    assert flat["process.queue"] == "'long'"
    assert flat["executor.$slurm.account"] == "'phantoms'"
    assert "process.container" not in flat


CLOUDS = {
    "awsbatch": {
        "process.executor": "awsbatch", "process.queue": "long", "aws.region": "there",
        "aws.batch.cliPath": "/usr/local/bin/aws",
    },
    "googlebatch": {"process.executor": "google-batch", "google.project": "phantoms", "google.location": "there"},
    "azurebatch": {
        "process.executor": "azurebatch", "process.queue": "long", "azure.batch.accountName": "phantoms",
        "azure.batch.location": "there",
    },
    "kubernetes": {"process.executor": "k8s", "k8s.namespace": "ct", "k8s.storageClaimName": "shelf"},
}  # fmt: skip


@pytest.mark.parametrize("cloud", CLOUDS)
def test_cloud_gets_its_place_its_images_and_gpus_for_networks_alone(cloud, tmp_path):
    flat = configuration(
        tmp_path, cloud, "gpu", queue="long", account="phantoms", cloud_region="there", volume_claim="shelf",
        namespace="ct", gpu_type="nvidia-l4", registry="registry.example.org/ct",
    )  # fmt: skip
    expected = CLOUDS[cloud]
    assert {name: flat[name] for name in expected} == {name: f"'{value}'" for name, value in expected.items()}
    assert flat["process.container"] == f"'registry.example.org/ct/ct4bench-imaging:{VERSION}'"
    # by label, so that one setting of a user's own replaces the image of all of them
    torch = flat["process.'withLabel:deep|training'.container"]
    assert f"ct4bench-deep:{VERSION}" in torch and "params.registry" in torch
    assert {name for name in flat if name.endswith(".container")} == {
        "process.container", "process.'withLabel:deep|training'.container",
        "process.'withName:HARMONIZE_VOLUMES'.container",
    }  # fmt: skip
    asking = {name: value for name, value in flat.items() if "accelerator" in name}
    assert set(asking) == {"process.'withLabel:deep|gpu'.accelerator"}
    assert "nvidia-l4" in "".join(asking.values())


@pytest.mark.parametrize("engine", ENGINES)
def test_one_engine_turns_the_others_off(engine, tmp_path):
    flat = configuration(tmp_path, engine)
    assert [name for name in ENGINES if flat.get(f"{name}.enabled") == "true"] == [engine]
    assert "--network none" in flat["process.containerOptions"]
    selected = {name for name in flat if name.endswith(".containerOptions")}
    assert selected == {"process.containerOptions", "process.'withLabel:download'.containerOptions"}
    assert flat["env.NUMBA_CACHE_DIR"] == "'.numba'"
    sif = engine in ("apptainer", "singularity")
    assert flat["process.container"].endswith(f"ct4bench-imaging-{VERSION}.sif'" if sif else f"imaging:{VERSION}'")


@pytest.fixture(scope="session")
def index_of_eight(tmp_path_factory) -> tuple[Path, Path]:
    """An index of eight series of two scanners, and an input with the (empty) folders that it names."""
    folder = tmp_path_factory.mktemp("eight")
    rows = [
        {
            "study_description": scanner, "series_description": f"{scanner}_Harmonized_{dose}mGy_{recon} - #1",
            "series_number": 1, "manufacturer": maker, "model": "a model", "study_date": "2021-03-20",
            "study_instance_uid": f"1.2.{number}", "series_instance_uid": f"1.2.{number}.{dose}.{len(recon)}",
            "n_instances": 343, "size_mb": 180.9, "crdc_series_uuid": "none",
            "seg_series_instance_uid": f"1.3.{number}.{dose}.{len(recon)}", "seg_size_mb": 5.2,
        }
        for number, (scanner, maker) in enumerate((("A1", "SIEMENS"), ("B1", "SIEMENS")))
        for dose in (10, 14)
        for recon in ("FBP", "IR")
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "list.csv", index=False)
    command = [sys.executable, ROOT / "bin" / "index_series.py", "--idc_table", folder / "list.csv"]
    subprocess.run([*command, "--output", folder / "index"], check=True, cwd=folder)
    inputs = pd.read_csv(folder / "index" / "inputs.csv", dtype=str)
    for place in ";".join(inputs["folders"]).split(";"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    (root,) = inputs["root"].unique()
    return folder / "index", folder / root


# runs what comes after the image, as the engine would, with the packages of .venv; fails one process's first task. The
# engine empties the environment for some engines, so all that the stand-in needs is written into it.
STAND_IN = """#!/bin/bash
[ "$1" = run ] || [ "$1" = exec ] || exit 0
if grep -q "%(fails)s" .command.run && mkdir "%(folder)s/failed" 2>/dev/null; then exit 137; fi
while [ "$1" != /bin/bash ]; do shift; done
PATH="%(tools)s:$PATH" exec "$@"
"""
SBATCH = """#!/bin/bash
(cd "$(dirname "$1")" && nohup bash "$(basename "$1")" > .command.log 2>&1 &)
echo "Submitted batch job $RANDOM$RANDOM"
"""


def commands(
    nextflow,
    folder: Path,
    index_and_root,
    *arguments: str,
    fails: str = "no process",
    settings: str = "",
    **environment,
):
    """The `.command.run` of a run's tasks by process, in order of attempts, with stand-ins on PATH.

    `index_and_root` are the run's input, None where the arguments name another one.
    """
    stand_ins = folder / "stand_ins"
    stand_ins.mkdir()
    tools = f"{ROOT / '.venv' / 'bin'}:{ROOT / 'bin'}"
    engine = STAND_IN % {"fails": fails, "folder": stand_ins, "tools": tools}
    scripts = {"docker": engine, "apptainer": engine, "sbatch": SBATCH, "squeue": "#!/bin/sh\n"}
    for name, text in scripts.items():
        (stand_ins / name).write_text(text)
        (stand_ins / name).chmod(0o755)
    quick = folder / "quick.config"
    quick.write_text("executor { pollInterval = '100 ms'; '$slurm' { pollInterval = '100 ms' } }\n" + settings)
    given = ("--input", index_and_root[1], "--index", index_and_root[0]) if index_and_root else ()
    run = nextflow(
        folder / "run", "-c", quick, *given, "-stub-run", *arguments,
        PATH=f"{stand_ins}:{os.environ['PATH']}", **environment,
    )  # fmt: skip
    assert run.status == 0, run.text
    found = defaultdict(list)
    trace = run.trace().sort_values("task_id")
    for name, digest in zip(trace["name"], trace["hash"], strict=True):
        (task,) = (folder / "run" / "work").glob(f"{digest}*")
        found[name.split(" (")[0].split(":")[-1]].append((task / ".command.run").read_text())
    return found


def launch_line(text: str, engine: str) -> str:
    """The line of a task's script that starts the engine."""
    (line,) = re.findall(rf"^.* {engine} (?:run|exec) .*$", text, re.MULTILINE)
    return line


def test_docker_commands_of_every_process(nextflow, tmp_path, index_of_eight):
    own = f"example.org/mine@sha256:{64 * 'a'}"
    plant(tmp_path, "", name="mine", level="image", image=own, learns="nothing")
    plant(tmp_path, "", name="mapped", image=own)
    found = commands(
        nextflow, tmp_path, index_of_eight, "-profile", "docker,gpu", "--registry", "registry.example.org/ct",
        "--methods", "none,combat,mine,mapped", "--method_folders", f"{tmp_path}/mine,{tmp_path}/mapped",
        fails="DRAW_PATCHES",
    )  # fmt: skip
    assert set(found) >= {"REGISTER_SERIES", "EXTRACT_DEEP", "TRAIN_CLASSIFIERS", "WRITE_REPORT"} | OF_FEATURES
    # the image that a method names by digest: its name was taken for one of the project's own
    mapped = [launch_line(text, "docker") for text in found.pop("HARMONIZE_VOLUMES")]
    assert mapped and all(f" {own} " in line and "--network none" in line for line in mapped)
    for process in ("HARMONIZE_FEATURES", "TRAIN_CLASSIFIERS"):  # where the folds of a method of features run
        its = [text for text in found[process] if re.search(r"^### name: .*[(]mapped\b", text, re.MULTILINE)]
        assert its and all(f" {own} " in launch_line(text, "docker") for text in its)
        found[process] = [text for text in found[process] if text not in its]
    for process, texts in found.items():
        label = LABELS[process]
        for text in texts:
            line = launch_line(text, "docker")
            kind = "deep" if label in TORCH else "imaging"
            assert f" registry.example.org/ct/ct4bench-{kind}:{VERSION} " in line, process
            assert "--network none" in line
            assert "--read-only" in line
            assert ("--gpus all" in line) == (label == "deep"), process
    # killed once, tried again with more
    first, second = (
        re.search(r"--memory (\d+)m", launch_line(text, "docker")).group(1) for text in found["DRAW_PATCHES"]
    )
    assert int(second) == 2 * int(first)


def test_slurm_and_apptainer_commands_of_every_process(nextflow, tmp_path, index_of_eight):
    found = commands(
        nextflow, tmp_path, index_of_eight, "-profile", "slurm,apptainer,gpu", "--queue", "long", "--account",
        "phantoms", "--gpu_type", "a100", "--image_folder", str(tmp_path),
    )  # fmt: skip
    for process, texts in found.items():
        label = LABELS[process]
        for text in texts:
            line = launch_line(text, "apptainer")
            kind = "deep" if label in TORCH else "imaging"
            assert f" {tmp_path}/ct4bench-{kind}-{VERSION}.sif " in line, process
            assert "--net --network none" in line
            assert (" --nv " in line) == (label == "deep"), process
            asked = re.findall(r"^#SBATCH (.*)$", text, re.MULTILINE)
            assert "-p long" in asked
            assert "-A phantoms" in asked
            assert any(word.startswith("--mem ") for word in asked)
            assert any(word.startswith("-t ") for word in asked)
            assert ("--gres=gpu:a100:1" in asked) == (label == "deep"), process


PROXIES = ("http_proxy", "https_proxy", "no_proxy")


@pytest.mark.parametrize("engine", ["docker", "apptainer"])
def test_what_downloads_has_the_network_and_no_other(engine, nextflow, tmp_path):
    """And the proxies and certificates of the caller."""
    (tmp_path / "own.pem").write_text("certificates\n")
    found = commands(
        nextflow, tmp_path, None, "-profile", f"{engine},gpu", "--download", "idc", "--download_only",
        "--image_folder", str(tmp_path), SSL_CERT_FILE=str(tmp_path / "own.pem"),
    )  # fmt: skip
    assert set(found) == DOWNLOADING
    assert {process for process in LABELS if LABELS[process] == "download"} == {"DOWNLOAD_SERIES"} | STREAMING
    for process, (text,) in found.items():
        line = launch_line(text, engine)
        assert ("--network none" in line) == (process != "DOWNLOAD_SERIES"), process
    (text,) = found["DOWNLOAD_SERIES"]
    line = launch_line(text, engine)
    for name in PROXIES:
        assert {"docker": f" -e {name} ", "apptainer": f'{name}="${name}"'}[engine] in line, line
    assert f"ln -s {tmp_path}/own.pem certificates.pem" in text
    assert str(tmp_path) in line  # what is written into is mounted


@pytest.mark.parametrize("cloud", CLOUDS)
def test_stub_run_of_every_cloud_profile(cloud, nextflow, tmp_path, index_of_eight):
    """Each cloud's profile to its end, with this machine in the cloud's place: its plugin is not to be had offline."""
    found = commands(
        nextflow, tmp_path, index_of_eight, "-profile", f"{cloud},gpu", "--registry", "registry.example.org/ct",
        "--queue", "long", "--account", "phantoms", "--cloud_region", "there", "--volume_claim", "shelf",
        settings="process.executor = 'local'\n",
    )  # fmt: skip
    assert set(found) >= set(LABELS) - NOT_THERE - DOWNLOADING - STREAMING - OF_FEATURES - OF_IMAGES
    for process, texts in found.items():
        for text in texts:
            line = launch_line(text, "docker")
            kind = "deep" if LABELS[process] in TORCH else "imaging"
            assert f" registry.example.org/ct/ct4bench-{kind}:{VERSION} " in line, process
