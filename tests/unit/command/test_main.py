"""Commands as a user calls them, before set-up and after it, by the oldest Python that is here, too."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import doctor
from command.main import make_parser, options_of
from command.parameters import name_errors, outdir_of, read_profiles, read_schema
from command.report import words_of_run
from tests.conftest import ROOT

OLDER = [path for path in (shutil.which(f"python3.{minor}") for minor in (9, 10)) if path]


def call(*words, python=sys.executable, cwd=ROOT, **environment):
    return subprocess.run(
        [python, str(ROOT / "ct4bench"), *map(str, words)],
        cwd=cwd,
        text=True,
        capture_output=True,
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--outdri", "x"], ["--outdri is not a parameter; nearest: --outdir"]),
        (["--chunk-size", "5"], ["--chunk-size is not a parameter; nearest: --chunk_size"]),
        (["--chunkSize=5"], ["--chunkSize is not a parameter; nearest: --chunk_size"]),
        (["--profile", "test"], ["--profile has two dashes; options of the engine have one: -profile"]),
        (["-outdir", "x"], ["-outdir has one dash; parameters of the benchmark have two: --outdir"]),
        (["--questions", "all"], ["--questions is now --tasks (docs/renames.csv)"]),
        (["--xyzzy"], ["--xyzzy is not a parameter; ./ct4bench run --help lists all"]),
        (["--seed", "-1", "-resume", "-with-report", "x.html", "-N", "a@b"], []),
    ],
)
def test_names_are_checked_before_the_engine_starts(words, said):
    assert name_errors(words) == said


def test_a_wrong_name_ends_with_status_2_and_all_of_them():
    done = call("run", "--outdri", "x", "--mod", "y")
    assert done.returncode == 2 and "--outdir" in done.stderr and "--mode" in done.stderr


def test_show_prints_what_a_shell_would_run():
    done = call("demo", "--show", "--seed", "3")
    assert done.returncode == 0, done.stderr
    shown = done.stdout.split(" && ")[-1].split()
    # tools/demo.sh calls the same
    demo = (ROOT / "tools" / "demo.sh").read_text()
    (line,) = [line for line in demo.splitlines() if "-profile demo" in line]
    wanted = line.split(".engine/nextflow")[1].split('"$@"')[0].replace("run . ", "")
    wanted = wanted.replace('"', "").replace("$name", "demo").split()
    assert [word for word in wanted if word not in shown] == []
    assert shown[-2:] == ["--seed", "3"] and "run" in shown


@pytest.mark.parametrize(("words", "source"), [([], "--download=idc"), (["--download", "tcia"], "--download tcia")])
def test_download_is_a_run_that_ends_there(words, source):
    done = call("download", "--show", "--doses", "10", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("--download ") + done.stdout.count("--download=") == 1
    assert source in done.stdout and "--download_only " in done.stdout and "--doses 10" in done.stdout


@pytest.mark.parametrize(
    ("words", "outdir"),
    [
        ([], "results/run"),
        (["-profile", "test,docker"], "results/test"),
        (["-profile", "test", "--outdir=x"], "x"),
        (["-params-file", "p.yml"], "from yaml"),
        (["-params-file", "p.json"], "from/json"),
    ],
)
def test_the_folder_of_results_is_known_before_the_run(tmp_path, words, outdir):
    (tmp_path / "p.yml").write_text("seed: 1\noutdir: 'from yaml'  # there\n")
    (tmp_path / "p.json").write_text(json.dumps({"seed": 1, "outdir": "from/json"}))
    assert outdir_of(words, tmp_path) == tmp_path / outdir


def test_the_doctor_of_a_bare_machine_says_what_to_do(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "ct4bench"), "doctor", "--json"],
        text=True,
        capture_output=True,
        env={"PATH": str(tmp_path), "PIP_INDEX_URL": "http://127.0.0.1:9/simple"},
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    rows = {row["name"]: row for row in found["findings"]}
    assert not found["ready"] and "bash" in rows["shell tools"]["found"] and rows["engine"]["status"] == "missing"
    assert rows["network"]["status"] == "absent" and "127.0.0.1" in rows["network"]["found"]
    assert all(row["do"] for row in rows.values() if row["status"] != "ok")
    wanted = {"Java", "engine", "Python", "disk", "memory", "docker", "podman", "apptainer", "Slurm", "GPU", "weights"}
    assert wanted | {"network"} <= set(rows)


def test_passwords_of_an_index_are_not_shown(monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@index.example.org:8443/simple")
    assert doctor.network_target() == ("index.example.org", 8443)


@pytest.mark.parametrize(
    ("words", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_412"', 8),
        ('openjdk version "21" 2023', 21),
        ("no", None),
    ],
)
def test_versions_of_java(words, major):
    assert doctor.java_of(words) == major


@pytest.mark.parametrize("python", OLDER or [pytest.param("", marks=pytest.mark.skip(reason="no Python 3.9 or 3.10"))])
def test_an_older_python_will_do(python, tmp_path):
    if subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"{python} does not start")
    assert call("run", "--show", "--outdir", "x", python=python, cwd=tmp_path).returncode in (0, 2)
    assert call("report", tmp_path, python=python).returncode == 1
    assert "doctor" in call("--help", python=python).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_is_a_script_that_the_shell_reads(shell, tmp_path):
    script = call("completion", shell).stdout
    assert "--outdir" in script and "paper_size" in script
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    (tmp_path / "script").write_text(script)
    assert subprocess.run([shell, "-n", tmp_path / "script"], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["ct4bench", "doc"], {"doctor"}),
        (["ct4bench", "run", "--twin_sc"], {"--twin_scanners"}),
        (["ct4bench", "run", "-profile", "pap"], {"paper_size"}),
        (["ct4bench", "run", "--mode", ""], {"paper", "corrected"}),
        (["ct4bench", "doctor", "--"], {"--help", "--json"}),
    ],
)
def test_bash_completes(words, first, tmp_path):
    (tmp_path / "script").write_text(call("completion", "bash").stdout)
    quoted = " ".join(f"'{word}'" for word in words)
    ask = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _ct4bench; echo ${{COMPREPLY[@]}}"
    code = f"source {tmp_path}/script; {ask}"
    done = subprocess.run(["bash", "--norc", "-c", code], text=True, capture_output=True)
    assert set(done.stdout.split()) == first, done.stderr


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh")
def test_zsh_loads_the_script_and_completes_a_word(tmp_path):
    """In a terminal of its own: what completes a word in zsh is no command that a script could call."""
    (tmp_path / "script").write_text(call("completion", "zsh").stdout)
    shell, terminal = pty.fork()
    if shell == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "HOME": str(tmp_path), "TERM": "dumb", "PS1": "> "})
    said = ""

    def ask(typed: str, answer: str) -> None:
        nonlocal said
        said, end = "", time.monotonic() + 60
        os.write(terminal, typed.encode())
        while answer not in said and time.monotonic() < end:
            if select.select([terminal], [], [], 0.5)[0]:
                said += os.read(terminal, 4096).decode(errors="replace")
        assert answer in said

    ask(f"cd {ROOT}; source {tmp_path}/script && print load''ed\n", "loaded")
    ask("./ct4bench downl\t", "./ct4bench download")
    ask("\x15./ct4bench run --mode corr\t", "--mode corrected")
    os.kill(shell, signal.SIGKILL)
    os.waitpid(shell, 0)
    os.close(terminal)


def test_report_says_where_it_is(tmp_path):
    assert call("report", tmp_path).returncode == 1
    (tmp_path / "report.html").write_text("<html>")
    (tmp_path / "none" / "tables").mkdir(parents=True)
    done = call("report", tmp_path)
    assert done.returncode == 0 and str(tmp_path / "report.html") in done.stdout and "no mark" in done.stdout


def test_report_names_the_pages_of_methods(tmp_path):
    for name in ("report.html", "report_combat.html", "report_coral.html"):
        (tmp_path / name).write_text("<html>")
    said = call("report", tmp_path).stdout
    assert "methods: 2 pages beside it: report_combat.html, report_coral.html" in said


def test_the_version_is_the_manifests():
    manifest = (ROOT / "nextflow.config").read_text()
    said = call("--version").stdout.split()
    assert said[0] == "ct4bench" and f"version = '{said[1]}'" in manifest


def test_remaking_takes_the_parameters_of_the_run(tmp_path):
    schema = read_schema()
    given = {name: rule["default"] for name, rule in schema.items() if "default" in rule}
    (tmp_path / "pipeline_info").mkdir()
    path = tmp_path / "pipeline_info" / "run.json"
    path.write_text(
        json.dumps({"parameters": {**given, "outdir": "elsewhere", "seed": 7, "strict": True, "input": "a b"}})
    )
    words = words_of_run(tmp_path)
    assert words[:2] == ["--outdir", str(tmp_path)]
    assert {*words[2:]} == {"--seed", "7", "--strict", "--input", "a b"}
    done = call("report", tmp_path, "--remake", "--show", "-profile", "docker")
    assert done.returncode in (0, 2), done.stderr
    if done.returncode == 0:
        assert "--input 'a b'" in done.stdout and done.stdout.rstrip().endswith("-resume -profile docker")


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "run.json does not tell how the run was started (No such file or directory); name the --outdir of a run"),
     ("{", "run.json does not tell how the run was started; start the run itself again"), ("[]", "itself again"),
     ('{"parameters": 3}', "itself again")],
)  # fmt: skip
def test_a_folder_that_does_not_tell_its_run_is_named_in_words(text, words, tmp_path):
    (tmp_path / "pipeline_info").mkdir()
    if text is not None:
        (tmp_path / "pipeline_info" / "run.json").write_text(text)
    done = call("report", tmp_path, "--remake", "--show")
    assert done.returncode == 1 and words in done.stderr
    assert not re.search("Errno|Expecting|Traceback|'parameters'", done.stderr)


def test_what_is_not_known_is_refused():
    assert call("doctor", "--yaml").returncode == 2
    assert call("rum").returncode == 2
    assert call("report", "x", "--opne").returncode == 2
    assert call("report", "--open", "x").returncode == 2, "the folder stands first"


def test_options_are_listed_for_every_command():
    options = options_of(make_parser())
    assert {"demo", "run", "report", "doctor", "completion"} <= set(options)
    assert "demo" in read_profiles() and Path(ROOT / "ct4bench").stat().st_mode & 0o111
