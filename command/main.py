"""The commands of ./ct4bench and their options."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

from command.places import ROOT, find_engine, is_set_up, version

OWN = {"--show", "--plain", "-h", "--help"}
"""Options of `run` and `demo` that are not the engine's; all other words go to it."""
DEMO = [
    "-log",
    "results/demo.log",
    "-profile",
    "demo",
    "-resume",
    "-work-dir",
    "results/work",
    "--outdir",
    "results/demo",
]
"""As in tools/demo.sh."""


DOWNLOAD = ["--download=idc"]
"""The source where none is named (docs/download.md)."""


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="ct4bench", allow_abbrev=False,
        description="The CT4Harmonization benchmark: one command for runs and their results. Words that are not listed "
        "here go to 'nextflow run' as they are.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"ct4bench {version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, summary: str, **more) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=summary, description=summary, allow_abbrev=False, **more)

    runs = {
        "demo": "set-up where there is none, then the demo: results/demo/report.html, five minutes",
        "run": "run the benchmark: parameters (--input, --outdir, …) and options of nextflow run",
        "download": "fetch the collection, or a part of it (--doses, --scanners, …), into --outdir, and no more",
    }
    for name, summary in runs.items():
        own = add(name, summary, usage=f"ct4bench {name} [--show] [--plain] [--PARAMETER VALUE …] [-OPTION …]")
        own.add_argument("--show", action="store_true", help="print the command that would run, and end")
        own.add_argument("--plain", action="store_true", help="leave the terminal to the engine: no table")
    own = add(
        "compare",
        "compare two folders of results: every column, scores in pairs, and why they may differ; "
        "status 0: equal, 1: different, 2: cannot be compared",
    )
    own.add_argument("first", type=Path, metavar="A", help="folder of results")
    own.add_argument("second", type=Path, metavar="B", help="another one; differences are B less A")
    own.add_argument(
        "--tolerance", type=float, default=0.0, help="relative difference that counts as none (default: 0)"
    )
    own.add_argument("--absolute", type=float, default=0.0, help="absolute difference that counts as none (default: 0)")
    own.add_argument(
        "--output", type=Path, help="CSV for all columns; that of all scores is called the same with _scores"
    )
    own = add("report", "say where the report of a folder of results is; open it, or make it again")
    own.add_argument("results", nargs="?", type=Path, help="folder of results; default: the newest in results/")
    own.add_argument("--open", action="store_true", help="open it in the browser")
    remake = (
        "run what changed since, with its parameters and -resume; start it where the run was started, and give options "
        "of the engine that the run had (-profile, -work-dir)"
    )
    own.add_argument("--remake", action="store_true", help=remake)
    own.add_argument("--show", action="store_true", help="with --remake: print the command, and end")
    own = add("doctor", "say what this machine has and lacks for a run; status 1 where something needed is missing")
    own.add_argument("--json", action="store_true", help="as JSON, for programs")
    own = add("methods", "list the harmonization methods that are here, or say what one declares")
    own.add_argument("name", nargs="?", help="name of a method")
    own.add_argument("--folder", type=Path, action="append", default=[], help="further folder, as of --method_folders")
    own = add(
        "check-method", "check a harmonization method before it is compared: a verdict for each check (make setup)"
    )
    own.add_argument("folder", type=Path, help="folder of the method")
    own.add_argument("--seed", type=int, help="of the exam's rows; without it another one each time")
    own = add("completion", "print the completion script of a shell: source <(./ct4bench completion bash)")
    own.add_argument("shell", choices=("bash", "zsh"))
    return parser


def options_of(parser: argparse.ArgumentParser) -> dict[str, list[str]]:
    """Return the options and choices of each command."""
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    found = {}
    for name, own in commands.choices.items():
        words = [word for action in own._actions for word in action.option_strings]
        found[name] = words + [
            str(c) for action in own._actions if not action.option_strings for c in action.choices or ()
        ]
    return found


def main(argv: list[str] | None = None) -> int:
    """Run a command; return its exit status: 2 for a wrong call, else what the command says."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if argv is None else argv)
    parser = make_parser()
    try:
        return _dispatch(parser, words)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _dispatch(parser: argparse.ArgumentParser, words: list[str]) -> int:
    name = words[0] if words else ""
    if name in ("run", "demo", "download"):
        if {"-h", "--help"} & set(words):
            _print_run_help(parser, name)
            return 0
        args = parser.parse_args([name, *(word for word in words[1:] if word in OWN)])
        return _start(name, [word for word in words[1:] if word not in OWN], args.show, args.plain)
    kept, rest = _remade(words) if name == "report" else (words, [])
    args, unknown = parser.parse_known_args(kept)
    rest = rest or unknown
    if rest and not (args.command == "report" and args.remake):
        parser.error(f"{args.command or 'ct4bench'} does not know {' '.join(rest)}")
    if args.command is None:
        parser.print_help()
        return 2 if words else 0
    if args.command == "compare":
        from command import compare

        return compare.main(args, words)
    if args.command in ("methods", "check-method"):
        from command import methods

        if args.command == "check-method":
            return methods.check(args.folder, args.seed)
        return methods.main(args.name, args.folder)
    return {"report": _report, "doctor": _doctor, "completion": _completion}[args.command](args, rest, parser)


def _remade(words: list[str]) -> tuple[list[str], list[str]]:
    """Words of `report` that are its own, with the folder behind it, and those that go to the engine."""
    folder = words[1:2] if words[1:2] and not words[1].startswith("-") else []
    own = {"--open", "--remake", "--show", "-h", "--help"}
    rest = words[1 + len(folder) :]
    return [words[0], *folder, *(word for word in rest if word in own)], [word for word in rest if word not in own]


def _print_run_help(parser: argparse.ArgumentParser, name: str) -> None:
    from command.parameters import help_text

    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    commands.choices[name].print_help()
    print(help_text())


def _start(name: str, passed: list[str], show: bool, plain: bool, folder: Path | None = None) -> int:
    """Start `nextflow run` with the words that were given, after a look at their names and at who is there."""
    from command import engine
    from command.parameters import name_errors, value_of

    wrong = name_errors(passed)
    if wrong:
        print("Wrong parameters:\n  " + "\n  ".join(wrong), file=sys.stderr)
        return 2
    if name == "demo":
        passed, folder = [*DEMO, *passed], ROOT
    elif name == "download":
        passed = [*DOWNLOAD[value_of(passed, "--download") is not None :], "--download_only", *passed]
    needs_setup = name == "demo" and not is_set_up()
    path = find_engine() or (str(ROOT / ".engine" / "nextflow") if needs_setup or show else None)
    if path is None:
        print("no engine yet: 'make setup' gets it (or 'tools/setup.sh'); './ct4bench doctor' says what is here",
              file=sys.stderr)  # fmt: skip
        return 2
    command = engine.make_command(path, passed, folder or Path.cwd(), plain)
    if show:
        print((shlex.quote(str(ROOT / "tools" / "setup.sh")) + " && " if needs_setup else "") + command.text)
        return 0
    if needs_setup and subprocess.call([str(ROOT / "tools" / "setup.sh")]) != 0:
        return 2
    held = engine.held_by(command)
    if held:
        print(f"[ct4bench] not started: {held}", file=sys.stderr)
        return 2
    if name == "demo":
        (command.folder / "results").mkdir(exist_ok=True)
    print(f"[ct4bench] {command.text}\n{engine.describe_folder(command)}", flush=True)
    status = engine.run(command)
    if status == 0:
        _say_report(engine.outdir_of(command.after, command.folder))
    return status


def _say_report(outdir: Path) -> None:
    from command.places import shown

    if (outdir / "report.html").is_file():
        print(f"[ct4bench] report: {shown(outdir / 'report.html')}")
    elif (outdir / "dicom").is_dir():
        print(f"[ct4bench] series: {shown(outdir / 'dicom')}")


def _report(args: argparse.Namespace, rest: list[str], parser: argparse.ArgumentParser) -> int:
    from command import report

    folder = args.results or report.newest_results(Path.cwd()) or report.newest_results(ROOT)
    if folder is None:
        print("no finished results below results/; name their folder", file=sys.stderr)
        return 1
    if args.remake:
        try:
            words = report.words_of_run(folder)
        except ValueError as problem:
            print(problem, file=sys.stderr)
            return 1
        return _start("run", [*words, "-resume", *rest], args.show, plain=False)
    status, text = report.describe(folder)
    print(text, file=sys.stderr if status else sys.stdout)
    if not status and args.open and not report.open_page(folder):
        print("no browser found here; copy the file to where one is", file=sys.stderr)
        return 1
    return status


def _doctor(args: argparse.Namespace, rest: list[str], parser: argparse.ArgumentParser) -> int:
    from command import doctor

    return doctor.main(args.json)


def _completion(args: argparse.Namespace, rest: list[str], parser: argparse.ArgumentParser) -> int:
    from command import completion

    print(completion.script(args.shell, options_of(parser)), end="")
    return 0
