"""Commands of README and docs can be pasted: they parse, name what is there, and say what a user must fill in."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"bash", "groovy", "python", "r", "yaml", "text"}
PLACEHOLDER = re.compile(r"<[a-z][a-z ]*>")
STAND_IN = re.compile(
    r"\b(DIR|FILE|FOLDER|NAME|OLD|NEW|VERSION|REPOSITORY|PARTITION|[A-Z_]*ACCOUNT|BUCKET|REGION|LOCATION|PROJECT|"
    r"REGISTRY|CONTAINER|CLAIM|NAMESPACE|[A-Z_]*QUEUE|RUN_NAME)\b"
)
"""Words that look like a part of the command, and are to be replaced."""
ENGINE_OPTIONS = {"-profile", "-resume", "-work-dir", "-params-file", "-c", "-stub-run", "-preview", "--help"}
OTHERS = {
    "git",
    "cd",
    "tar",
    "sha256sum",
    "docker",
    "nf-test",
    "curl",
    "grep",
    "wc",
    "head",
    "md5sum",
    "python3",
    "tail",
    "Rscript",
}
"""Programs that are not of this project."""


def fences(text: str) -> list[tuple[str, str]]:
    """Language and contents of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def spans(text: str) -> list[str]:
    """Inline code that is a command of this project."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"`([^`\n]+)`", prose)
    return [
        code
        for code in found
        if re.match(r"(\.engine/nextflow|\./ct4bench|nextflow|make|git clone|(bin|tools)/\S+) ", code)
    ]


def commands(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [block for language, block in fences(text) if language == "bash"] + spans(text)


ALL = [(page, command) for page in PAGES for command in commands(page)]


def filled(command: str) -> str:
    return PLACEHOLDER.sub(lambda found: found[0][1:-1].replace(" ", "_"), command)


def words_of(command: str) -> list[list[str]]:
    """Words of each simple command, comments and assignments apart."""
    joined = re.sub(r"(^|\s)#.*$", "", filled(command).replace("\\\n", " "), flags=re.MULTILINE)
    lexer = shlex.shlex(joined, posix=True, punctuation_chars=";&|\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    found, words = [], []
    for word in lexer:
        if set(word) <= set(";&|\n"):
            found, words = [*found, words], []
        elif words or not re.match(r"\w+=", word):
            words.append(word)
    return [words for words in [*found, words] if words]


def parameters() -> set[str]:
    groups = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"]
    return {name for group in groups.values() for name in group["properties"]}


def profiles() -> set[str]:
    block = (ROOT / "nextflow.config").read_text().split("profiles {")[1].split("\n}")[0]
    return set(re.findall(r"^    (\w+) \{", block, re.MULTILINE))


def check_options(words: list[str]) -> None:
    """Fail where a word is an option that neither the engine nor the benchmark has."""
    for word, after in zip(words, [*words[1:], ""], strict=False):
        if word.startswith("-"):
            assert word in ENGINE_OPTIONS or word.removeprefix("--") in parameters(), word
        if word == "-profile":
            assert set(after.split(",")) <= profiles(), after


def check_front_door(words: list[str]) -> None:
    from command.main import make_parser, options_of

    own = options_of(make_parser())
    if len(words) == 1:
        return
    assert words[1] in own or words[1] == "--help", words
    rest = [word for word in words[2:] if word not in own[words[1]]]
    if words[1] not in ("run", "demo", "download", "report"):
        assert not [word for word in rest if word.startswith("-")], words
    check_options(rest)


def check_engine(words: list[str]) -> None:
    if words[1] != "run":
        assert words[1] in ("clean", "log")
        return
    assert words[2] == "."
    check_options(words[3:])


def check(words: list[str]) -> None:
    """Fail where a command names a target, script, option, parameter or profile that is not there."""
    program = words[0]
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert {word for word in words[1:] if "=" not in word} <= targets, words
    elif program == ".engine/nextflow":
        check_engine(words)
    elif program == "./ct4bench":
        check_front_door(words)
    elif program.startswith(("bin/", "tools/", "tests/")):
        script = (ROOT / program).read_text()
        # options that several scripts have alike are added by a function
        script += "".join(
            path.read_text() for path in (ROOT / "bin" / "ct4bench").glob("*/arguments.py")
            if f"from ct4bench.{path.parent.name}.arguments import" in script
        )  # fmt: skip
        assert all(f'"{word}"' in script for word in words[1:] if word.startswith("--") and word != "--help"), words
    else:
        assert program in OTHERS, words


def test_there_are_commands():
    assert len(ALL) > 30 and {page.name for page, _ in ALL} >= {"README.md", "usage.md", "running.md", "encoders.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_block_says_what_it_is(page):
    assert {language for language, _ in fences(page.read_text(encoding="utf-8"))} <= LANGUAGES


@pytest.mark.parametrize(("page", "command"), ALL, ids=[f"{p.name}-{c[:40]}" for p, c in ALL])
def test_a_command_can_be_pasted(page, command):
    done = subprocess.run(["bash", "-n"], input=filled(command), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert not STAND_IN.search(command), "a user could take it for a part of the command: write <…>"
    assert "…" not in command
    for words in words_of(command):
        check(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_user_fills_in_is_explained_on_its_page(page):
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    used = {name for language, block in fences(text) if language == "bash" for name in PLACEHOLDER.findall(block)}
    assert {name for name in used if f"`{name}`" not in prose} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_in_the_prose_have_no_stand_ins(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = [code for code in re.findall(r"`(--[^`\n]+)`", prose) if STAND_IN.search(code)]
    assert found == []


@pytest.mark.parametrize(
    "command",
    ["git clone REPOSITORY ct4bench", "make demon", ".engine/nextflow run . --imput x", "bin/no_such.py --help",
     "./ct4bench rum", "./ct4bench run --imput x", "./ct4bench doctor --yaml",
     ".engine/nextflow run . -profile moon", "tools/estimate_costs.py --prize 1", "nextflow run . --input x",
     "tools/estimate_costs.py results/trace_….txt", "tar -xf 'a"],
)  # fmt: skip
def test_the_checks_see_what_cannot_be_pasted(command):
    with pytest.raises((AssertionError, OSError)):
        test_a_command_can_be_pasted(ROOT / "README.md", command)
