"""What is learned beside the paper's Table 7: tasks, and ablations of the paper's own task, by name with their plans.

A task says which column is predicted and how the rows are divided. An ablation changes one choice of the paper's task
and leaves the rest, seeds included; one that changes the folds only is planned for those. All but the paper's own
(`tissue`, `default`) are planned for the cells of Table 7 only: one value of the domain and all but one (LOSO), all
folds but one (k-fold).
"""

# code-table: <method>/tasks.csv

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import DOMAINS
from ct4bench.core.contract import columns_of
from ct4bench.core.errors import UserError
from ct4bench.core.modes import Mode
from ct4bench.splits.splits import (
    N_FOLDS,
    SCHEMES,
    domain_values,
    kfold_lines,
    lines,
    loso_lines,
    units_of,
)

HALF = -1
"""`Plan.adaptation` of a method that is given half of the target's scans."""
COMPARED_N = 2
"""Training scanners of the score that ranks harmonization methods: the fewest that a pooled method can be fitted on."""
MOST_CLASSES = 16
"""That the MLP's kernels hold (`mlp_sizes.MAX_CLASSES`)."""


class NotAnswerable(Exception):
    """The features lack what a task needs; the message says what."""


@dataclass(frozen=True)
class Choices:
    """What a mode or an ablation settles of a training."""

    fold_unit: str
    early_stopping: bool
    balanced: bool = True
    scaler_rows: str = "training"
    """Rows that the scaler is fitted on: `training`, or `all` (the published leak)."""


@dataclass(frozen=True)
class Plan:
    """What a planner reads."""

    keys: pd.DataFrame
    """As `splits.sorted_keys` gives them."""
    mode: Mode
    domain: str = "scanner"
    seed: int = 0
    n_folds: int = N_FOLDS
    schemes: tuple[str, ...] = SCHEMES
    patches: pd.DataFrame | None = None
    """patches.csv, for `tissue_inside`."""
    share_inside: float = 0.5
    """Least share of a patch's voxels inside its ROI, for `tissue_inside`."""
    sizes: tuple[int, ...] = ()
    """Values of N that Table 7's own task is also planned for where it is not for all."""
    adaptation: int | None = None
    """Scans of a target that a harmonization method may be given: `HALF` of them, a number, or None."""


def sizes_mapped(n_values: int) -> list[int]:
    """Return the numbers of training values for whose leave-one-out a method of images that learns from all of them is
    fitted anew: `COMPARED_N` and all but one, of Table 7."""
    return sorted({COMPARED_N, n_values - 1} & set(range(2, n_values)))


def lacking(plan: Plan, fold_unit: str) -> dict[str, str]:
    """Return what the features lack for each scheme of the plan; blank for one that they have all for."""
    reasons = dict.fromkeys(plan.schemes, "")
    values, n_scans = domain_values(plan.keys, plan.domain), plan.keys["scan_id"].nunique()
    if "loso" in reasons and len(values) < 2:
        reasons["loso"] = f"leave-one-out over {plan.domain} needs two values, the features have {', '.join(values)}"
    if "kfold" in reasons and fold_unit == "scan" and n_scans < plan.n_folds:
        reasons["kfold"] = f"{plan.n_folds} folds of whole scans need as many scans, the features have {n_scans}"
    return reasons


def both_schemes(plan: Plan, task: str, ablation: str = "default", all_cells: bool = False) -> list[tuple]:
    """Plan Algorithms 1 and 2, for all n_train or for the cells of Table 7; an algorithm that the features lack
    something for is left out."""
    chosen = choices(plan.mode, ablation)
    reasons = lacking(plan, chosen.fold_unit)
    if all(reasons.values()):
        raise NotAnswerable("; ".join(reasons.values()))
    schemes = [scheme for scheme, reason in reasons.items() if not reason]
    out = []
    if "loso" in schemes and set(ABLATIONS[ablation]) != {"fold_unit"}:
        most = len(domain_values(plan.keys, plan.domain)) - 1
        more = plan.sizes if (task, ablation) == (PAPERS_TASK, "default") else ()
        sizes = None if all_cells else sorted({1, most, *(n for n in more if n < most)} - {0}) or None
        out += loso_lines(plan.keys, plan.domain, plan.seed, chosen.early_stopping, sizes, (task, ablation))
    if "kfold" in schemes:
        sizes = None if all_cells else [plan.n_folds - 1]
        out += kfold_lines(
            plan.keys,
            plan.domain,
            plan.seed,
            chosen.early_stopping,
            chosen.fold_unit,
            plan.n_folds,
            sizes,
            (task, ablation),
        )
    return out


LEAST_ROWS_OF_A_FOLD = 5
"""On average, of patches inside: folds are drawn over all rows, and one without any could not be tested."""


def inside_patches(plan: Plan, task: str) -> list[tuple]:
    """Plan both schemes without the patches that reach out of their ROI."""
    if plan.patches is None:
        raise NotAnswerable("it needs --patches with the column share_inside")
    outside = plan.patches[plan.patches["share_inside"] < plan.share_inside]
    of_row = units_of(plan.keys, "patch")
    units = [unit for unit in sorted(units_of(outside, "patch")) if unit in set(of_row)]
    inside = plan.keys.loc[~np.isin(of_row, units), "tissue"]
    if inside.nunique() < 2:
        raise NotAnswerable(
            f"patches with {plan.share_inside:.0%} of their voxels inside are of fewer than two tissues (a patch is "
            "larger than four of the six ROIs)"
        )
    if len(inside) < LEAST_ROWS_OF_A_FOLD * plan.n_folds:
        raise NotAnswerable(
            f"only {len(inside)} rows are of patches with {plan.share_inside:.0%} of their voxels inside, too few for "
            f"{plan.n_folds} folds"
        )
    out = both_schemes(plan, task)
    for scheme in sorted({scheme for _, _, scheme, *_ in out}):
        out += lines((task, "default", scheme, 0, ""), "patch", units, "exclude")
    return out


def other_roi(plan: Plan, task: str) -> list[tuple]:
    """Train on one ROI of each tissue that has two, test on the other, and the reverse."""
    rois = plan.keys[["tissue", "roi"]].drop_duplicates().sort_values("roi").groupby("tissue")["roi"].agg(list)
    pairs = [names for names in rois if len(names) == 2]
    if len(pairs) < 2:
        raise NotAnswerable("fewer than two tissues have two ROIs")
    out = []
    for i in range(2):
        training = (task, "default", "leave_one_out", len(pairs), "+".join(names[1 - i] for names in pairs))
        out += lines(training, "roi", [names[i] for names in pairs], "train")
        out += lines(training, "roi", [names[1 - i] for names in pairs], "test")
    return out


def leave_one_out(column: str) -> Callable[[Plan, str], list[tuple]]:
    """Make a planner: test on each value of the column, train on all others."""

    def planner(plan: Plan, task: str) -> list[tuple]:
        values = several_values(plan, column)
        out = []
        for test in values:
            training = (task, "default", "leave_one_out", len(values) - 1, test)
            out += lines(training, column, [test], "test")
            out += lines(training, column, [value for value in values if value != test], "train")
        return out

    return planner


def one_to_others(column: str) -> Callable[[Plan, str], list[tuple]]:
    """Make a planner: train on each value of the column, which names the fold, and test on all others."""

    def planner(plan: Plan, task: str) -> list[tuple]:
        values = several_values(plan, column)
        out = []
        for value in values:
            training = (task, "default", "one_to_others", 1, value)
            out += lines(training, column, [value], "train")
            out += lines(training, column, [other for other in values if other != value], "test")
        return out

    return planner


def several_values(plan: Plan, column: str) -> list[str]:
    """Return the column's values, at least two."""
    values = domain_values(plan.keys, column)
    if len(values) < 2:
        raise NotAnswerable(f"all rows have the {column} {values[0]}")
    return values


def enough_scans(plan: Plan) -> None:
    """Check that there is a scan for each fold of whole scans."""
    reason = lacking(replace(plan, schemes=("kfold",)), "scan")["kfold"]
    if reason:
        raise NotAnswerable(reason)


def origin(plan: Plan, task: str) -> list[tuple]:
    """Plan folds of whole scans, balanced over the column that is predicted (the task's name)."""
    counts = plan.keys.drop_duplicates("scan_id")[task].value_counts()
    several_values(plan, task)
    enough_scans(plan)
    if len(set(plan.keys[task])) > MOST_CLASSES:
        raise NotAnswerable(f"the MLP tells {MOST_CLASSES} classes apart at most")
    if counts.min() < 2:
        raise NotAnswerable(f"{task} {counts.idxmin()} has one scan only, which cannot both train and test")
    sizes = [plan.n_folds - 1]
    return kfold_lines(plan.keys, task, plan.seed, False, "scan", plan.n_folds, sizes, (task, "default"))


@dataclass(frozen=True)
class Task:
    """A question: how it is planned, and all that tables, figures, docs and parameters say of it."""

    target: str
    """Column that is predicted."""
    description: str
    """What is asked, for tables."""
    planner: Callable[[Plan, str], list[tuple]]
    label: str
    """The same in few words, for figures."""
    trained_on: str
    tested_on: str
    default: bool = True
    """Whether `--tasks default` asks it: the cheap ones."""
    compared: bool = False
    """Whether it is asked of every harmonization method: a score of the leaderboard."""
    left_out: str = ""
    """What a fold leaves out, for the figure and table of accuracies on it; `{domain}` is the run's. Blank where the
    task does not belong there."""
    by_value: str = ""
    """Column of the test rows by whose values the task has a table of its own; blank where it has none."""
    headline: str = ""
    """What its accuracy is on the report's first screen; blank where it is not there."""
    unit: str = "scanner"
    """Column whose values are the units of its intervals, besides the regions."""
    permuted: tuple[str, ...] = ("scan_id", "roi")
    """Columns of the blocks of rows whose classes are permuted to see what guessing scores."""

    @property
    def over_regions(self) -> bool:
        """Whether regions are what is left out, so that the interval over regions is the one that counts."""
        return self.permuted == ("roi",)


TASKS = {
    "tissue": Task(
        "tissue", "four tissues, Algorithms 1 and 2 (Table 7)", both_schemes, "tissue", "other scanners; other folds",
        "each scanner; each fold", default=False, left_out="{domain} left out",
    ),
    "tissue_other_roi": Task(
        "tissue", "cyst or normal: trained on one ROI of each, tested on the other", other_roi, "tissue on another ROI",
        "one cyst and one normal region (hemangioma and metastasis have one region each, and are left out)",
        "the other ones, and the reverse", compared=True, left_out="ROIs left out",
        headline="on another region (cyst or normal)",
        permuted=("roi",),
    ),
    "tissue_inside": Task(
        "tissue", "tissues of the patches that lie in their ROI by --share_inside at least", inside_patches,
        "tissue, patches in their ROI",
        "as Table 7, without patches that lie in their ROI by less than `--share_inside`", "as Table 7, alike",
    ),
    "tissue_other_maker": Task(
        "tissue", "four tissues, tested on a maker not trained on", leave_one_out("maker"), "tissue on another maker",
        "all other makers", "each maker", compared=True, left_out="maker left out", unit="maker",
    ),
    "tissue_other_dose": Task(
        "tissue", "four tissues, trained at one dose, tested at others", one_to_others("dose_mgy"),
        "tissue at another dose", "one dose (`--feature_doses` must name several)", "all others", compared=True,
        by_value="dose_mgy",
        headline="at another dose",
    ),
    "tissue_other_recon": Task(
        "tissue", "four tissues, trained on one reconstruction, tested on others", one_to_others("recon"),
        "tissue, another reconstruction", "one reconstruction", "all others", compared=True, by_value="recon",
        headline="on another reconstruction of the same scans",
    ),
    "roi": Task(
        "roi", "the six ROIs", both_schemes, "which of six ROIs", "as Table 7", "as Table 7", default=False
    ),
    "scanner": Task(
        "scanner", "the scanner, in folds of scans: what harmonization should prevent", origin, "which scanner",
        "nine folds of whole scans, balanced over what is predicted", "the tenth", permuted=("scan_id",),
    ),
    "maker": Task(
        "maker", "the maker, in folds of scans: what harmonization should prevent", origin, "which maker",
        "nine folds of whole scans, balanced over what is predicted", "the tenth", permuted=("scan_id",),
    ),
}  # fmt: skip
PAPERS_TASK = "tissue"
"""That of Table 7, which is always planned."""
FURTHER_TASKS = tuple(name for name in TASKS if name != PAPERS_TASK)
COMPARED_TASKS = tuple(name for name, task in TASKS.items() if task.compared)
CHEAP_TASKS = tuple(name for name, task in TASKS.items() if task.default)


def value_table(name: str) -> str:
    """Return the file of the table of a task with `by_value`: `accuracy_other_dose`."""
    return f"accuracy_{name.removeprefix('tissue_')}"


ABLATION_LABELS = {
    "row_folds": "folds of rows, patches of a scan on both sides (point 16, as published)",
    "scan_folds": "folds of whole scans (point 16)",
    "early_stopping": "early stopping on a tenth of the training scans (point 15)",
    "all_epochs": "all 30 epochs, without early stopping (point 15, as published)",
    "leaking_scaler": "scaler fitted on all rows, test rows among them (point 15, as published)",
    "unbalanced": "classes not weighed (point 18)",
}
"""What each ablation changes, with its point of docs/deviations.md."""

ABLATIONS = {
    "default": {},
    "row_folds": {"fold_unit": "row"},
    "scan_folds": {"fold_unit": "scan"},
    "early_stopping": {"early_stopping": True},
    "all_epochs": {"early_stopping": False},
    "leaking_scaler": {"scaler_rows": "all"},
    "unbalanced": {"balanced": False},
}
"""The ablations of the paper's task, and what each changes of the mode's choices."""

CHEAP_ABLATIONS = ("row_folds", "scan_folds")
"""What `default` stands for: with `CHEAP_TASKS` a third of the paper's own trainings at most."""
FURTHER_ABLATIONS = tuple(name for name in ABLATIONS if name != "default")
ONE_TISSUE, ONE_TISSUE_LABEL = "one_tissue", "the method is given one tissue of the target only"
"""What methods that adapt to a target have beside: the same training, and a target that lacks tissues."""
TASK_COLUMNS = columns_of("<method>/tasks.csv")


def choices(mode: Mode, ablation: str) -> Choices:
    """Return the choices of an ablation in a mode."""
    if ablation not in (*ABLATIONS, ONE_TISSUE):
        raise UserError(f"ablation {ablation} is not one of {', '.join(ABLATIONS)}")
    return Choices(
        **{"fold_unit": mode.kfold_unit, "early_stopping": mode.early_stopping} | ABLATIONS.get(ablation, {})
    )


def task_named(name: str) -> Task:
    """Return the task of that name."""
    if name not in TASKS:
        raise UserError(f"task {name} is not one of {', '.join(TASKS)}")
    return TASKS[name]


def cells_of_table7(trainings: Iterable[tuple]) -> set[tuple]:
    """Select from trainings by their `TRAINING_KEY`, those of ablation `default` and the least and most training data.

    Least counts for LOSO only; what predicts the scanner or the maker is left out. Other classifiers train these.
    """
    own = [key for key in trainings if key[1] == "default" and TASKS[key[0]].target not in DOMAINS]
    sizes = {}
    for task, _, scheme, n_train, _ in own:
        sizes.setdefault((task, scheme), set()).add(n_train)
    wanted = {cell: {max(n), min(n)} if cell[1] == "loso" else {max(n)} for cell, n in sizes.items()}
    return {key for key in own if key[3] in wanted[key[0], key[2]]}
