"""What the author of a method does about each way in which it fails: the kinds of a `Failure`, and words for each.

`{file}`, `{folder}`, `{entry}`, `{unseen}`, `{max_minutes}` and `{max_gb}` are the method's; headings are those of
docs/methods.md.
"""

NOT_EXECUTABLE, NO_INTERPRETER, NO_FIRST_LINE, LINE_ENDS, NO_R = (
    "not executable", "no interpreter", "no first line", "line ends", "no R",
)  # fmt: skip
STATUS, PACKAGE, NO_OUTPUT, NO_TABLE = "status", "package of a program", "no output", "no table"
NO_CLASS, IMPORT, SYNTAX, CONSTRUCTOR, CALL, NO_FUNCTION = (
    "no class", "import", "syntax", "constructor", "call", "no function",
)  # fmt: skip
UNSEEN, RAISES, INPUT, TYPE, ROWS, COLUMNS, NOT_FINITE, SHAPE = (
    "unseen domain", "raises", "input changed", "type", "rows", "columns", "not finite", "shape",
)  # fmt: skip
SUBSET, KEPT = "subset", "kept between calls"
TIME, MEMORY, PRINTED, PROCESSES, ENDED = "time", "memory", "printed", "processes", "ended"

SEE = "see docs/methods.md, 'What must come back'"
ROW_ALONE = (
    "a row's result may depend on nothing but the row and what was fitted: no mean, no rank, no draw over the rows "
    "that come with it, and nothing kept from call to call"
)
MEND = {
    NOT_EXECUTABLE: "make it executable: chmod +x {file}",
    NO_INTERPRETER: "its first line (or a command in it) names a program that is not where methods run: in folders of "
    "the system and of PATH, so that an environment of yours must be active (docs/methods.md, 'Where it runs')",
    NO_FIRST_LINE: "let its first line name the interpreter, as '#!/usr/bin/env python3' does",
    LINE_ENDS: "save {entry} with the line ends of Unix (LF)",
    NO_R: "install R, so that Rscript is on PATH (r-base or conda's r-base); the project's own environment has none",
    STATUS: "mend what the program says; exit status 3 and one line on stderr are for what cannot be applied",
    PACKAGE: "a program has the packages of the interpreter that its first line names ('#!/usr/bin/env python3': this "
    "project's, with numpy, pandas and scipy); docs/methods.md, 'Where it runs', says how it gets others",
    NO_OUTPUT: "let `transform` write that file into the folder behind --out, and end with another status where it "
    "cannot",
    NO_TABLE: "write the columns of the X that was given, `row` first, numbers with a decimal point",
    NO_CLASS: "call the class `Method`",
    IMPORT: "a class in a .py has the packages that docs/methods.md, 'Where it runs', names, and what lies in its own "
    "folder: pip install --target {folder}/lib",
    SYNTAX: "mend the file; nothing of it was run",
    CONSTRUCTOR: "`__init__` gets `seed` and each of method.yml's parameters by name: def __init__(self, *, seed)",
    CALL: "its arguments are those of docs/methods.md, 'What a method gets': X and domain, covariates as a third where "
    "method.yml names some, and `pair` at information calibration; of images those of 'Methods of images'",
    NO_FUNCTION: "a class has `fit` and `transform`, and `adapt` where method.yml's information gives it rows of the "
    "target",
    UNSEEN: "rows of a domain that it was not fitted on come to `transform`, which has to do with them what method.yml "
    "declares (unseen: {unseen}); with `unseen: refuse` none come",
    RAISES: "mend what it raises; the last lines name the place. One row, and a domain of one row, must work",
    INPUT: "work on a copy: result = X.copy()",
    TYPE: "return X with other numbers: a data frame of float64, for images an array of float32; nothing is cast",
    ROWS: "return each row once under the index that it came with, in any order",
    COLUMNS: "return the columns that were given, under their names",
    NOT_FINITE: "find what divides by zero or has no number: features that do not vary, one row, a domain of one row "
    "or one that was not fitted on",
    SHAPE: "return an array of the shape that was given",
    SUBSET: ROW_ALONE,
    KEPT: "let `transform` change nothing of the method, in memory or on disk",
    TIME: "make it faster, or say in method.yml what it takes (max_minutes: {max_minutes:g})",
    MEMORY: "let it take less, or say in method.yml what it takes (max_gb: {max_gb:g})",
    PRINTED: "print less",
    PROCESSES: "wait for the end of every process that it starts",
    ENDED: "let it raise an exception where something is wrong; neither exit() nor a crash has a result",
}
"""By kind."""


def remedy(kind: str, declared, otherwise: str = SEE) -> str:
    """Return what to do about a failure of a kind of the method that declares this; `otherwise` where it has none."""
    names = ("file", "folder", "entry", "unseen", "max_minutes", "max_gb")
    return MEND.get(kind, otherwise).format(**{name: getattr(declared, name) for name in names})
