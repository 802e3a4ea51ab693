"""The plan of a run's trainings: the paper's own, further tasks, and ablations."""

# code-table: <method>/splits.csv
# code-table: <method>/tasks.csv

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from ct4bench.core.errors import UserError
from ct4bench.core.feature_tables import check_same_rows, read_keys
from ct4bench.core.tables import read_table, write_table
from ct4bench.splits.adaptation import with_adaptation
from ct4bench.splits.splits import (
    SCHEMES,
    SPLIT_COLUMNS,
    TRAINING_KEY,
    as_table,
    sorted_keys,
)
from ct4bench.splits.tasks import (
    ABLATION_LABELS,
    ABLATIONS,
    CHEAP_ABLATIONS,
    CHEAP_TASKS,
    COMPARED_N,
    COMPARED_TASKS,
    FURTHER_ABLATIONS,
    FURTHER_TASKS,
    ONE_TISSUE,
    ONE_TISSUE_LABEL,
    TASK_COLUMNS,
    TASKS,
    NotAnswerable,
    Plan,
    both_schemes,
    choices,
    enough_scans,
    lacking,
    task_named,
)

CELLS = ("all", "table7", "compared")
"""All values of N and n, Table 7's, or these and what methods are compared by."""


def plan_splits(
    plan: Plan, tasks: Iterable[str] = ("tissue",), ablations: Iterable[str] = ("default",), all_cells: bool = True
) -> pd.DataFrame:
    """Plan the splits (columns of `splits.SPLIT_COLUMNS`) of the tasks and, for the task `tissue`, of the ablations.

    Raises `NotAnswerable` where the features lack what a task needs.
    """
    unknown = [scheme for scheme in plan.schemes if scheme not in SCHEMES]
    if unknown or not plan.schemes:
        raise UserError(f"--schemes {','.join(plan.schemes)} is wrong; give one or both of {','.join(SCHEMES)}")
    if plan.keys["tissue"].nunique() < 2:
        raise UserError("the features are of one tissue; a classifier needs at least two")
    rows = []
    for name in tasks:
        if name != "tissue":
            rows += task_named(name).planner(plan, name)
            continue
        for ablation in ablations:
            rows += both_schemes(plan, "tissue", ablation, all_cells and ablation == "default")
    return as_table(rows)


def several(chosen: Iterable[str], everything: Iterable[str], cheap: Iterable[str]) -> tuple[list[str], bool]:
    """Return the names that `default`, `all`, `none` or a list of names stands for, each once, and whether they were
    named one by one."""
    chosen = list(dict.fromkeys(chosen))
    sets = {"all": everything, "default": cheap, "none": ()}
    return (list(sets[chosen[0]]), False) if len(chosen) == 1 and chosen[0] in sets else (chosen, True)


def plan_tasks(
    plan: Plan,
    tasks: Iterable[str] = ("default",),
    ablations: Iterable[str] = ("default",),
    all_cells: bool = True,
    of: Iterable[str] = FURTHER_TASKS,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Plan the paper's own trainings, and further tasks and ablations: splits, and a table of what was asked.

    `tasks` and `ablations` are names, or one of `default` (the cheap ones), `all` and `none`. One that is not named and
    cannot be answered, or is what the mode does anyway, is left out with its reason; tasks that are not among `of` are
    not asked. The table has `TASK_COLUMNS`:
    n_trainings of each classifier that has all (the MLP), reason (why there are none, or what the paper's own
    or an ablation's lack).
    """
    further, named = several(tasks, FURTHER_TASKS, CHEAP_TASKS)
    further = [name for name in further if name in of or name not in FURTHER_TASKS]
    try:
        rows = [plan_splits(plan, ["tissue"], ["default"], all_cells)]
    except NotAnswerable as reason:
        raise UserError(f"the classifiers of Table 7 cannot be trained: {reason}; add series") from reason
    reasons = lacking(plan, choices(plan.mode, "default").fold_unit)
    left_out = {("tissue", "default"): "; ".join(filter(None, reasons.values()))}
    for name in further:
        try:
            rows.append(plan_splits(plan, [name]))
        except NotAnswerable as reason:
            if named:
                raise UserError(
                    f"question {name} cannot be answered: {reason}; leave it out, or add what it lacks"
                ) from reason
            left_out[name, "default"] = str(reason)
    further_ablations, named = several(ablations, FURTHER_ABLATIONS, CHEAP_ABLATIONS)
    for name in further_ablations:
        try:
            chosen = choices(plan.mode, name)
            if not named and chosen == choices(plan.mode, "default"):
                raise NotAnswerable(f"what mode {plan.mode.name} does anyway")
            if set(ABLATIONS[name]) == {"fold_unit"} and chosen.fold_unit == "scan":
                enough_scans(plan)
            rows.append(plan_splits(plan, ["tissue"], [name], False))
            lacks = lacking(plan, chosen.fold_unit)
            left_out["tissue", name] = "; ".join(filter(None, lacks.values()))
        except NotAnswerable as reason:
            if named:
                raise UserError(f"ablation {name} cannot be trained: {reason}; leave it out") from reason
            left_out["tissue", name] = str(reason)
    splits = pd.concat(rows, ignore_index=True)
    if plan.adaptation is not None:
        splits = with_adaptation(splits, plan)
    splits = splits.sort_values(SPLIT_COLUMNS, kind="stable", ignore_index=True)
    counts = splits[splits["n_train"] > 0].drop_duplicates(TRAINING_KEY).groupby(["task", "ablation"]).size()
    asked = [
        ("tissue", "default"),
        *((name, "default") for name in further),
        *(("tissue", v) for v in further_ablations),
        *((("tissue", ONE_TISSUE),) if counts.get(("tissue", ONE_TISSUE)) else ()),
    ]
    about = [
        (
            task,
            ablation,
            TASKS[task].description if ablation == "default" else ABLATION_LABELS.get(ablation, ONE_TISSUE_LABEL),
            int(counts.get((task, ablation), 0)),
            left_out.get((task, ablation), ""),
        )
        for task, ablation in asked
    ]
    return splits, pd.DataFrame(about, columns=TASK_COLUMNS)


def read_common_keys(features: Sequence[Path | str]) -> pd.DataFrame:
    """Read the keys of tables of features, sorted; a `UserError` where the tables have not the same rows."""
    first, *others = features
    table = read_keys(first)
    for other in others:
        check_same_rows((Path(first).stem, table), (Path(other).stem, read_keys(other)))
    return sorted_keys(table)


def read_patches(path: Path | str | None) -> pd.DataFrame | None:
    """Read what `Plan.patches` needs of patches.csv, where there is one."""
    return read_table(path, ["roi", "patch", "share_inside"]) if path else None


def sizes_of(cells: str) -> tuple[int, ...]:
    """Return what `Plan.sizes` is for one of `CELLS`."""
    return (COMPARED_N,) if cells == "compared" else ()


def plan_files(
    plan: Plan,
    cells: str,
    tasks: Iterable[str],
    ablations: Iterable[str],
    output: Path | str,
    table: Path | str | None = None,
) -> None:
    """Plan the trainings, and write the splits, and to `table` what was asked and why it could not be answered.

    `cells` is one of `CELLS`; methods are compared by `COMPARED_TASKS` at most, without ablations.
    """
    is_compared = cells == "compared"
    asked = {"ablations": ("none",), "of": COMPARED_TASKS} if is_compared else {"ablations": ablations}
    splits, about = plan_tasks(plan, tasks, all_cells=cells == "all", **asked)
    write_table(splits, output, table="<method>/splits.csv")
    if table:
        write_table(about, table, table="<method>/tasks.csv")
    for row in about.to_dict("records"):
        logging.info("%s, %s: %d trainings %s", row["task"], row["ablation"], row["n_trainings"], row["reason"])
