"""Parameters are refused by name before any task, and the schema is what the configuration has."""

import fcntl
import json
import os
import re
import shutil
import subprocess

import pytest
from pipeline_run import ENGINE, ROOT, run_script

from ct4bench.pairs.plan import SHRUNK

pytestmark = pytest.mark.pipeline


def schema():
    groups = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"]
    return {name: rule for group in groups.values() for name, rule in group["properties"].items()}


def test_schema_and_configuration_agree(nextflow, tmp_path):
    text = subprocess.run(
        [ENGINE, "config", ROOT, "-flat"], cwd=tmp_path, text=True, capture_output=True, check=True
    ).stdout
    configured = dict(re.findall(r"^params\.(\w+) = (.*)$", text, re.MULTILINE))
    rules = schema()
    assert set(configured) == set(rules)
    for name, rule in rules.items():
        expected = rule.get("default")
        value = configured[name].strip("'")
        assert value == (
            "null" if expected is None else str(expected).lower() if expected in (True, False) else str(expected)
        ), name


WRONG = {
    ("--moed", "paper"): ("--moed is not a parameter", "nearest: --mode"),
    ("--chunk-size", "3"): ("is not a parameter", "--chunk_size"),
    ("--domain", "scaner"): ("--domain must be one of", "'scaner'", "nearest: scanner"),
    ("--chunk_size", "0"): ("--chunk_size must be 1 to 1000, not 0",),
    ("--training_parts", "many"): ("--training_parts must be of type integer", "'many'", "1 to 246"),
    ("--input", "nowhere"): ("--input nowhere does not exist",),
    ("--spacing", "1,1"): ("--spacing '1,1' has not the right form",),
    ("--doses", "."): ("--doses '.' has not the right form",),
    ("--feature_doses", "10,1.2.3"): ("--feature_doses '10,1.2.3' has not the right form",),
    ("--box_origin_mm", "1.5,-2,."): ("--box_origin_mm '1.5,-2,.' has not the right form",),
    ("--verify", "2"): ("--verify must be 0 to 1",),
    ("--series_pattern",): ("--series_pattern needs a value",),
    ("--twin_like", "a,b [1]"): ("--twin_like a,b [1] has [ in its path",),
    ("--image_folder", "images$5"): ("--image_folder images$5 has $ in its path",),
    ("--index", "{a,b}"): ("--index {a,b} has {a,b} in its path",),
    ("--account", "012345"): ("--account 012345 would arrive as the number 12345",),
    ("--queue", "007"): ("--queue 007 would arrive as the number 7",),
    ("--patches", "mine,yours.csv"): ("--patches mine,yours.csv does not exist",),
    ("--phantom", "."): ("--phantom . is a folder; name the file in it",),
    ("--harmonized_features", "mine=nowhere.parquet,index=a.csv,here=."): (
        "--harmonized_features mine=nowhere.parquet does not exist",
        "index=a.csv: index has a meaning of its own in",
        "here=. is a folder; name the table in it",
    ),
    ("--harmonized_volumes", "v=nowhere,w=empty,w=empty"): (
        "--harmonized_volumes v=nowhere does not exist",
        "w=empty holds no volume; give a NIfTI <series UID>.nii.gz",
        "has two folders called w; give each a NAME of its own",
    ),
    ("--twin_doses", "2"): ("--twin_doses '2' has not the right form", "1, 3, 6, 10 and 14"),
}


def test_wrong_parameters_are_named_all_at_once(nextflow, tmp_path):
    (tmp_path / "empty").mkdir()
    run = nextflow(tmp_path, *(word for arguments in WRONG for word in arguments))
    assert run.status != 0
    for words in WRONG.values():
        assert all(word in run.text for word in words), (words, run.text)
    assert "Submitted process" not in run.text
    assert run.published() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--twin_scanners", "A1,B1", "--domain", "maker"), "all series of the twin at 10 mGy have maker Siemens"),
        (("--feature_doses", "3.0", "--twin_doses", "10,14"), "the twin has no series at 3.0 mGy"),
        (("--in_parts", "--reference", "A1 10mGy DL"), "A1 10mGy DL is not among the series that this run simulates"),
        (("--in_parts", "--reference", "1.2.3"), "must be as in 'A1 10mGy IR #1'"),
        (("--harmonized_features", f"combat={ROOT / 'tests/data/radiomics.csv'}"),
         "radiomics.csv: the name combat is that of a method (none, cnn_to_reference, combat,"),
        (("--harmonized_features", f"mine={ROOT / 'tests/data/patches.csv'}"),
         "patches.csv: the table is called patches, which is no feature set of this run; a table has the name of the"),
    ],
)  # fmt: skip
def test_what_the_twin_cannot_answer_is_said_before_any_task(arguments, words, nextflow, tmp_path):
    run = nextflow(tmp_path, *arguments)
    assert run.status != 0
    assert words in run.text
    assert "Submitted process" not in run.text


WHOLE = [f"whole/1.9.{scanner}.{recon}.nii" for scanner in range(4) for recon in (2, 3)]
VOLUMES = """
include { strangeVolumes } from './subworkflows/harmonize_images/main'
workflow {
    ['strange', 'own', 'whole'].each { name ->
        def chosen = [[name: 'none', volumes: null], [name: name, volumes: file(name)]]
        println("SAID ${strangeVolumes(chosen, file("${projectDir}/tests/data/index"))}")
    }
}
"""


def test_a_folder_of_other_volumes_is_refused_as_soon_as_the_series_are_known(tmp_path):
    for place in ("strange/A1_10mGy.nii.gz", "own/1.9.0.3.nii.gz", "own/else.nii", *WHOLE):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    status, said = run_script(VOLUMES, tmp_path)
    assert status == 0, said
    strange, *others = (line for line in said.splitlines() if line.startswith("SAID "))
    assert others == ["SAID null"] * 2
    words = f"--harmonized_volumes strange={tmp_path}/strange has none of the", "there is A1_10mGy", "by its series UID"
    assert all(word in strange for word in words), strange
    # registration may set aside what lacks: it is said, and ends nothing
    (warning,) = (line for line in said.splitlines() if "has no volume of" in line)
    words = "WARN: --harmonized_volumes own=", "7 of the 8 series of this run (the first is 1.9.0.2)", "-resume"
    assert all(word in warning for word in words), warning


def test_wrong_parameter_in_a_file(nextflow, tmp_path):
    (tmp_path / "params.json").write_text('{"mode": "paper", "seeed": 3}')
    run = nextflow(tmp_path, "-params-file", "params.json")
    assert run.status != 0
    assert "--seeed is not a parameter" in run.text
    assert "--seed" in run.text
    assert "Submitted process" not in run.text


def test_a_number_in_a_file_of_parameters_is_no_account(nextflow, tmp_path):
    (tmp_path / "params.yaml").write_text("account: 012345\nqueue: '007'\n")
    run = nextflow(tmp_path, "-params-file", "params.yaml")
    assert run.status != 0
    assert "account is the number" in run.text and "give it in quotes" in run.text and "queue" not in run.text


def test_what_a_launcher_leaves_blank_has_its_default_and_a_date_is_a_folder(nextflow, tmp_path):
    """Launchers write null for whatever was not set; the engine makes a number of the folder's name."""
    blank = {name: None for name in schema() if name not in ("features", "outdir")}
    (tmp_path / "params.json").write_text(json.dumps(blank))
    table = ROOT / "tests" / "data" / "radiomics.csv"
    run = nextflow(tmp_path, "-preview", "-params-file", "params.json", "--features", table, "--outdir", "20261129")
    assert run.status == 0, run.text
    assert (tmp_path / "20261129" / "pipeline_info").is_dir() and not (tmp_path / "null").exists()
    changed = nextflow(tmp_path, "-preview", "--features", table, "--outdir", "010")
    assert changed.status != 0 and "--outdir 010 would arrive as the number 10" in changed.text


def test_two_runs_do_not_write_into_one_folder(nextflow, tmp_path):
    mark = tmp_path / "results" / "pipeline_info" / ".running"
    mark.parent.mkdir(parents=True)
    with mark.open("w") as stream:
        fcntl.lockf(stream, fcntl.LOCK_EX)
        run = nextflow(tmp_path, "-preview")
        assert run.status != 0 and "is being written by another run" in run.text
    again = nextflow(tmp_path, "-preview")
    assert again.status == 0, again.text
    assert not mark.exists()


def test_nothing_that_a_caller_set_for_python_or_texts_reaches_a_task(tmp_path):
    (tmp_path / "main.nf").write_text(
        "process SHOW {\n    debug true\n    script:\n    'env'\n}\n\nworkflow {\n    SHOW()\n}\n"
    )
    set_by_caller = dict.fromkeys(
        ("PYTHONPATH", "PYTHONSAFEPATH", "PYTHONOPTIMIZE", "PYTHONWARNINGS", "CDPATH"), "/own"
    )
    done = subprocess.run(
        [ENGINE, "-C", ROOT / "conf" / "base.config", "run", "main.nf", "-ansi-log", "false"],
        cwd=tmp_path, text=True, capture_output=True, env={**os.environ, **set_by_caller, "LC_ALL": "C"},
    )  # fmt: skip
    env = dict(line.split("=", 1) for line in done.stdout.splitlines() if re.match(r"\w+=", line))
    assert (env["LC_ALL"], env["PYTHONUTF8"], env["PYTHONNOUSERSITE"]) == ("C.UTF-8", "1", "1"), done.stdout
    assert [name for name in set_by_caller if name in env] == []


TAKES_MB = {
    ("paper", ""): (1081, 698), ("paper", "bspline"): (1561, 1365), ("corrected", ""): (1561, 1365),
    ("corrected", "linear"): (1061, 698),
}  # fmt: skip
"""Peaks of a part and of a chunk of full size, by mode and interpolator (docs/scaling.md)."""


OF_VOLUMES_MB = {
    ("COMPARE_PAIRS", f"task: '{SHRUNK}'", 4 * 41_700_000): (414, 414),
    ("COMPARE_PAIRS", f"task: '{SHRUNK}'", 823_000_000): (505, 505),
    ("COMPARE_PAIRS", "task: 'table6_1'", 8 * 11_700_000): (1147, 1147),
    ("HARMONIZE_VOLUMES", "shipped: true, image: 'imaging'", 11_700_000): (1557, 1128),
    ("HARMONIZE_VOLUMES", "shipped: true, image: 'imaging'", 41_700_000): (2788, 2211),
    ("HARMONIZE_VOLUMES", "shipped: true, image: 'deep'", 41_700_000): (4021, 2653),
    # what a method that nobody has measured may take beyond libraries, as it has not said more
    ("HARMONIZE_VOLUMES", "shipped: false, image: 'imaging'", 11_700_000): (2048, 2048),
}  # fmt: skip
"""Peaks in MB of all processes of a task (resident, and with shared memory once) by bytes of its volumes: a series of
the demo's slab has 11.7 MB, one of full size 41.7 (docs/scaling.md)."""


def test_a_task_has_the_time_that_its_methods_parts_may_take(tmp_path):
    """Parts that take long had an hour between them all, and a task that is killed for its time ends the run."""
    parts = "[uids: (1..12).collect { n -> n.toString() }], [uids: ['13']]"
    cases = f"[parts: [{parts}], max_minutes: 30, max_gb: 6, shipped: false], [parts: [{parts}], shipped: false]"
    (tmp_path / "main.nf").write_text(
        "process HARMONIZE_VOLUMES {\n    label 'harmonization'\n    debug true\n    input:\n    val meta\n"
        "    val volumes\n    script:\n"
        '    "echo ASKS ${meta.max_minutes} ${task.time.toMinutes()} ${task.memory.toGiga()}"\n}\n'
        f"workflow {{\n    HARMONIZE_VOLUMES(channel.of({cases}), [])\n}}\n"
    )
    done = subprocess.run(
        [ENGINE, "-C", ROOT / "conf" / "base.config", "run", "main.nf", "-ansi-log", "false"],
        cwd=tmp_path, text=True, capture_output=True,
    )  # fmt: skip
    asked = {
        word: (int(minutes), int(gb))
        for word, minutes, gb in re.findall(r"^ASKS (\S+) (\d+) (\d+)$", done.stdout, re.M)
    }
    # as told_variant has it: max_minutes for the fit, and once more for ten volumes, of each part; 5, 2 GB by default
    series = 60 + 13
    assert asked == {"30": (series + 30 * (3 + 2), 7), "null": (series + 5 * (3 + 2), 3)}, done.stdout + done.stderr


def test_tasks_ask_for_what_their_volumes_take(tmp_path):
    """Pairs asked for as much where Table 6 is not made, and volumes of full size for no more than those of a slab."""
    script, calls = [], []
    labels = {"COMPARE_PAIRS": "comparison", "HARMONIZE_VOLUMES": "harmonization"}
    for process, label in labels.items():
        script.append(
            f"process {process} {{\n    label '{label}'\n    debug true\n    input:\n"
            "    tuple val(number), val(meta), path(volumes, stageAs: 'volumes/*')\n    script:\n"
            '    "echo ASKS ${number} ${task.memory.toMega()}"\n}\n'
        )
        cases = []
        for number, (name, meta, size) in enumerate(OF_VOLUMES_MB):
            with (tmp_path / f"{number}.b2nd").open("wb") as volume:
                volume.truncate(size)
            if name == process:
                given = f"{meta}, parts: [[uids: ['1']]]"
                cases.append(f"[{number}, [{given}], file('{tmp_path}/{number}.b2nd')]")
        calls.append(f"    {process}(channel.of({', '.join(cases)}))\n")
    (tmp_path / "main.nf").write_text(f"{''.join(script)}workflow {{\n{''.join(calls)}}}\n")
    done = subprocess.run(
        [ENGINE, "-C", ROOT / "conf" / "base.config", "run", "main.nf", "-ansi-log", "false"],
        cwd=tmp_path, text=True, capture_output=True,
    )  # fmt: skip
    asked = dict(re.findall(r"^ASKS (\d+) (\d+)$", done.stdout, re.MULTILINE))
    assert len(asked) == len(OF_VOLUMES_MB), done.stdout + done.stderr
    for number, (case, (resident, once)) in enumerate(OF_VOLUMES_MB.items()):
        assert resident < int(asked[str(number)]) < 1.5 * once + 900, (case, asked[str(number)])


def test_tasks_ask_for_what_their_interpolator_takes(tmp_path):
    options = ", ".join(f"[mode: '{mode}', interpolator: '{name}']" for mode, name in TAKES_MB)
    said = "${task.memory.toMega()} ${task.time.toHours()}"
    (tmp_path / "main.nf").write_text(
        "process TAKE_SERIES {\n    label 'taking'\n    debug true\n    input:\n    val options\n    script:\n"
        f'    "echo ASKS taking ${{options.mode}} _${{options.interpolator}} {said}"\n}}\n'
        "process REGISTER_SERIES {\n    label 'imaging'\n    debug true\n    input:\n"
        "    tuple val(mode), val(interpolator)\n"
        f'    script:\n    "echo ASKS registering ${{mode}} _${{interpolator}} {said}"\n}}\n'
        f"workflow {{\n    def all = channel.of({options})\n    TAKE_SERIES(all)\n"
        "    REGISTER_SERIES(all.map { some -> [some.mode, some.interpolator] })\n}\n"
    )
    done = subprocess.run(
        [ENGINE, "-C", ROOT / "conf" / "base.config", "run", "main.nf", "-ansi-log", "false"],
        cwd=tmp_path, text=True, capture_output=True,
    )  # fmt: skip
    lines = re.findall(r"^ASKS (\w+) (\w+) _(\w*) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    assert len(lines) == 2 * len(TAKES_MB), done.stdout + done.stderr
    for what, mode, name, mb, hours in lines:
        takes = TAKES_MB[mode, name][what == "registering"]
        assert takes < int(mb) < 1.5 * takes + 512, (what, mode, name)
        # 809 CPU s of the longest scanner, on a machine eight times as slow
        assert what == "registering" or int(hours) >= 2


def test_help_tells_every_parameter(nextflow, tmp_path):
    run = nextflow(tmp_path, "--help")
    assert run.status == 0
    for name, rule in schema().items():
        shown = not rule.get("hidden", False)
        assert (f"--{name} " in run.text) == shown
        assert (rule["description"] in run.text) == shown


def test_outdir_that_cannot_be_written(nextflow, tmp_path):
    (tmp_path / "file").write_text("kept")
    run = nextflow(tmp_path, "--outdir", str(tmp_path / "file" / "results"))
    assert run.status != 0
    assert "cannot be written" in run.text
    assert "Submitted process" not in run.text


def test_outdir_with_files_of_the_user(nextflow, tmp_path):
    outdir = tmp_path / "results"
    outdir.mkdir()
    (outdir / "thesis.txt").write_text("precious")
    run = nextflow(tmp_path)
    assert run.status != 0
    assert "not of this pipeline" in run.text
    assert (outdir / "thesis.txt").read_text() == "precious"
    assert "Submitted process" not in run.text


def test_a_run_that_ended_early_goes_on_into_its_outdir(nextflow, tmp_path):
    """DICOM and volumes on request lie there before the mark of a whole run does."""
    for place in ("results/pipeline_info", "results/dicom/A1", "results/none/volumes"):
        (tmp_path / place).mkdir(parents=True)
    assert "not of this pipeline" in nextflow(tmp_path, "-preview").text
    resumed = nextflow(tmp_path, "-preview", "-resume")
    assert resumed.status == 0, resumed.text
    (tmp_path / "results" / "none" / "thesis.txt").write_text("precious")
    assert "not of this pipeline" in nextflow(tmp_path, "-preview", "-resume").text


@pytest.mark.parametrize("name", ["my features.csv", "it's.csv", "$(b).csv"])
def test_the_name_of_a_table_of_features_must_be_plain(name, nextflow, tmp_path):
    (tmp_path / name).write_text("")
    run = nextflow(tmp_path / "run", "--features", tmp_path / name)
    assert run.status != 0
    assert f"--features '{tmp_path / name}' has not the right form" in run.text
    assert "Submitted process" not in run.text


def test_two_tables_of_features_of_one_name_are_refused(nextflow, tmp_path):
    places = [tmp_path / folder / "radiomics.csv" for folder in ("a", "b")]
    for place in places:
        place.parent.mkdir()
        place.write_text("")
    run = nextflow(tmp_path / "run", "--features", ",".join(map(str, places)))
    assert run.status != 0
    assert "--features has two tables called radiomics" in run.text
    assert "Submitted process" not in run.text


def test_results_of_0_1_0_as_outdir_are_refused(nextflow, tmp_path):
    """Its mark names no contract; files of other names would stay beside the new ones."""
    mark = tmp_path / "results" / "pipeline_info" / "complete.json"
    (tmp_path / "results" / "none").mkdir(parents=True)
    mark.parent.mkdir()
    shutil.copy(ROOT / "tests" / "data" / "v0.1.0" / "pipeline_info" / "complete.json", mark)
    run = nextflow(tmp_path, "-preview", "-resume")
    assert run.status != 0 and "contract of outputs 1, this one's is 2" in run.text and "name a new folder" in run.text
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"contract": 2}))
    assert "contract of outputs" not in nextflow(tmp_path, "-preview", "-resume").text
