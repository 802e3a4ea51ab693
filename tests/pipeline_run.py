"""Running the pipeline as a user would: the engine as a whole process, in a launch folder of its own."""

import json
import os
import subprocess
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from command.progress import TRACED

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / ".engine" / "nextflow"


@dataclass
class Run:
    """Outcome of one `nextflow run`."""

    status: int
    text: str
    outdir: Path
    launch: Path

    def tasks(self) -> Counter:
        """How many tasks each process had, cached ones included."""
        trace = self.trace()
        return Counter(name.split(" (")[0].split(":")[-1] for name in trace["name"])

    def trace(self) -> pd.DataFrame:
        """The newest trace as a table."""
        newest = max((self.outdir / "pipeline_info").glob("trace_*.txt"))
        return pd.read_csv(newest, sep="\t")

    def published(self) -> list[str]:
        """Files of the results, without those about the run."""
        names = (path.relative_to(self.outdir).as_posix() for path in self.outdir.rglob("*") if path.is_file())
        return sorted(name for name in names if not name.startswith("pipeline_info/"))

    def facts(self) -> dict:
        """run_facts.json with the kinds of checks alone: how many are made, and of what, goes by tasks."""
        facts = json.loads((self.outdir / "none/tables/run_facts.json").read_text())
        return facts | {"checks": [found["kind"] for found in facts["checks"]]}


def launch(folder: Path, *arguments: str, project: Path = ROOT, outdir: Path | None = None, **environment: str) -> Run:
    """`nextflow run PROJECT ARGUMENTS` with `folder` as launch folder; work and results lie in it."""
    outdir = folder / "results" if outdir is None else outdir
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        str(ENGINE),
        "-log",
        "nextflow.log",
        "-trace",
        TRACED,
        "run",
        str(project),
        "-ansi-log",
        "false",
        "-work-dir",
        "work",
    ]
    command += [str(argument) for argument in arguments]
    if "--outdir" not in arguments:
        command += ["--outdir", str(outdir)]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "NXF_ANSI_LOG": "false", **environment}, text=True, capture_output=True
    )
    return Run(done.returncode, done.stdout + done.stderr, outdir, folder)


def run_script(text: str, folder: Path, *arguments, **environment: str) -> tuple[int, str]:
    """Run a script in the project's folder, where bin/ and assets/ are looked for: status, and what it said."""
    script = ROOT / f".nf-test-{uuid.uuid4().hex}.nf"
    try:
        script.write_text(text)
        command = [ENGINE, "-log", "nextflow.log", "run", script, "-ansi-log", "false", "-work-dir", "work", *arguments]
        done = subprocess.run(
            list(map(str, command)), cwd=folder, text=True, capture_output=True, env={**os.environ, **environment}
        )
    finally:
        script.unlink()
    return done.returncode, done.stdout + done.stderr
