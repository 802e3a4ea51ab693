"""The conformance run of a method: what its author must mend, a verdict for each check (`tools/check_method.py`).

The rows are drawn for each run anew: domains of different sizes and mixes of tissues, one of a single row, names that
YAML and CSV misread, a feature that does not vary, one with a variance of 1e-12, one in units of 1e12 and one of whole
numbers. What a method knows of this exam does not help it in a run, where the checks of `run_fold` are made in every
fold.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ct4bench.harmonization import remedies
from ct4bench.harmonization.methods import Declaration, Variant
from ct4bench.harmonization.run_fold import (
    DECLARED,
    SAME,
    Checks,
    Failure,
    Harmonized,
    NotApplicable,
    Rows,
    Sandbox,
    adapts,
    harmonize_fold,
    imports_of,
    scales,
)

TISSUES = ("cyst", "hemangioma", "liver", "metastasis")
NAMES = ("A1", "NA", "no", "01", "B 2", "1e3", "null", "G1", "H1", "K1", "L1", "M1")
UNSEEN = "Y"
FEATURES = ("energy", "contrast", "constant", "tiny", "huge", "entropy", "run_length", "mean", "count")
PASS, FAIL, NOTE = "pass", "FAIL", "note"
LEAST_CONTENT = 0.1
"""Share of the spread within tissues and domains, relative to all spread, below which the content is lost."""


@dataclass(frozen=True)
class Verdict:
    """What a check says of a variant."""

    variant: str
    check: str
    verdict: str
    """`PASS`, `FAIL` or `NOTE`."""
    words: str = ""
    mend: str = ""
    lines: tuple[str, ...] = ()
    """The last ones that it printed, where it did not come to its end."""


def judged(variant: str, check: str, fault: str, mend: str) -> Verdict:
    """Return a verdict by whether there is a fault."""
    return Verdict(variant, check, FAIL if fault else PASS, fault, mend if fault else "")


def ended_early(
    variant: str, declared: Declaration, check: str, result: NotApplicable | Failure, otherwise: str = remedies.SEE
) -> Verdict:
    """Return the verdict on a run without a result: why there is none, what was printed last, and what to do."""
    if isinstance(result, NotApplicable):
        mend = "say in method.yml what it needs (min_domains, min_rows, unseen, covariates); the exam has that"
        return Verdict(variant, check, FAIL, f"not applicable: {result.reason}", mend)
    lines = tuple(line for line in result.lines if line.strip())
    return Verdict(variant, check, FAIL, result.reason, remedies.remedy(result.kind, declared, otherwise), lines)


@dataclass(frozen=True)
class Exam:
    """Rows of a conformance run."""

    training: Rows
    adapt: Rows
    targets: Rows
    """Rows of a domain that is not trained on, and some of one that is."""


def draw_exam(variant: Variant, seed: int) -> Exam:
    """Draw the rows for a variant: as many domains, and rows of each, as it says it needs."""
    rng = np.random.default_rng([seed, 1])
    declared = variant.declaration
    n_domains = max(4, declared.min_domains)
    names = [*NAMES[:n_domains], *(f"S{i}" for i in range(len(NAMES), n_domains))]
    sizes = rng.integers(40, 90, n_domains) + 2 * declared.min_rows
    if declared.min_rows == 1:
        names, sizes = [*names, "X"], [*sizes, 1]
    truth = rng.normal(size=(60, len(FEATURES)))
    tissue = np.repeat(np.arange(4), 15)
    truth[:, :5] += rng.normal(0, 1.5, (4, 5))[tissue]
    parts = [_draw(rng, name, int(n), truth, tissue) for name, n in zip(names, sizes, strict=True)]
    new = _draw(rng, UNSEEN, 160 + 2 * declared.min_rows, truth, tissue)
    rows = rng.permutation(len(new))
    first = parts[0].take(rng.permutation(len(parts[0]))[:20])
    n_adapt = 80 + declared.min_rows
    return Exam(_joined(parts), new.take(rows[:n_adapt]), _joined([new.take(rows[n_adapt:]), first]))


def _draw(rng: np.random.Generator, name: str, n: int, truth: np.ndarray, tissue: np.ndarray) -> Rows:
    """Rows of a domain with its own shift, scale and mix of tissues."""
    mix = rng.dirichlet(np.full(4, 0.7)) + 0.02
    patch = rng.choice(60, n, p=mix[tissue] / mix[tissue].sum())
    values = truth[patch] * rng.uniform(0.6, 1.6, len(FEATURES)) + rng.normal(0, 1, len(FEATURES))
    values += rng.normal(0, 0.3, values.shape)
    values[:, FEATURES.index("constant")] = 2.5
    values[:, FEATURES.index("tiny")] *= 1e-6
    values[:, FEATURES.index("huge")] *= 1e12
    values[:, FEATURES.index("count")] = np.round(4 * (values[:, FEATURES.index("count")] + 10)).clip(0)
    known = {"tissue": np.array(TISSUES)[tissue[patch]], "dose_mgy": rng.choice([1.0, 3.0, 14.0], n),
             "recon": rng.choice(["FBP", "IR"], n)}  # fmt: skip
    return Rows(values, np.full(n, name, object), FEATURES, pd.DataFrame(known), patch)


def _joined(parts: list[Rows]) -> Rows:
    told = pd.concat([part.covariates for part in parts], ignore_index=True)
    X, domain, pair = (np.concatenate([getattr(part, name) for part in parts]) for name in ("X", "domain", "pair"))
    return Rows(X, domain, FEATURES, told, pair)


class Conformance:
    """Runs of one variant on one exam, in two sandboxes that differ in hash seed and threads."""

    def __init__(self, variant: Variant, seed: int, first: Sandbox, second: Sandbox):
        self.variant, self.seed, self.exam = variant, seed, draw_exam(variant, seed)
        self.declared, self._first, self._second = variant.declaration, first, second

    def run(self, exam: Exam | None = None, other: bool = False, **checks) -> Harmonized | NotApplicable | Failure:
        """Run a fold on an exam, with these `Checks`; with `other` in the second sandbox."""
        exam = exam or self.exam
        return harmonize_fold(
            self.variant, exam.training, targets=exam.targets, adapt=exam.adapt if adapts(self.declared) else None,
            seed=self.seed, sandbox=self._second if other else self._first, checks=Checks(**{"subset": False} | checks),
        )  # fmt: skip

    def seen(self) -> Exam:
        """Return the exam without rows of the domain that is not trained on."""
        return replace(self.exam, targets=self.exam.targets.take(self.exam.targets.domain != UNSEEN))

    def verdict(self, check: str, verdict: str, words: str = "", mend: str = "") -> Verdict:
        """Return a verdict on this variant."""
        return Verdict(self.variant.name, check, verdict, words, mend)

    def judge(self, check: str, fault: str, mend: str) -> Verdict:
        """Return a verdict by whether there is a fault."""
        return judged(self.variant.name, check, fault, mend)

    def compare(self, check: str, result, base: Harmonized, tolerance: float, mend: str, rows=None) -> Verdict:
        """Return a verdict on a second run: whether it ended, and how far it is off the first (`rows` of it)."""
        if not isinstance(result, Harmonized):
            return ended_early(self.variant.name, self.declared, check, result, mend)
        off = self.off(result, base, rows)
        return self.judge(check, f"differs by {off:.2g} SD" if off > tolerance else "", mend)

    def off(self, found: Harmonized, base: Harmonized, rows: np.ndarray | None = None) -> float:
        """Compute the largest difference of targets (of `rows` of the base) and of training rows, in a feature's SD."""
        targets = base.targets if rows is None else base.targets[rows]
        scale = scales(self.exam.training.X, base.training, base.targets)
        pairs = [(found.targets, targets)] + ([(found.training, base.training)] if rows is None else [])
        return max(float((np.abs(a - b) / scale).max(initial=0)) for a, b in pairs)


def check_variant(conformance: Conformance) -> Iterator[Verdict]:
    """Yield the verdicts on a variant of level feature, the cheap ones first; it ends where no run is to be had."""
    base, verdict = _basic(conformance)
    yield verdict
    if base is None:
        return
    if base.enforced == DECLARED:
        yield conformance.verdict(
            "out of reach", NOTE, "this machine has no namespaces: what is withheld could be looked for"
        )
    for check in CHECKS:
        yield from check(conformance, base)


def _basic(conformance: Conformance) -> tuple[Harmonized | None, Verdict]:
    """A first run: whether it ends, and gives each row once, in float64 and finite."""
    refuses = conformance.declared.unseen == "refuse"
    if refuses:
        conformance.exam = conformance.seen()
    result = conformance.run(subset=True)
    check = "runs, and gives each row once, float64 and finite"
    if isinstance(result, Harmonized):
        return result, conformance.verdict(check, PASS, f"{result.cpu_s:.2f} CPU s, {result.peak_mb:.0f} MB at most")
    return None, ended_early(conformance.variant.name, conformance.declared, check, result)


def _tolerance(conformance: Conformance) -> float:
    return max(SAME, conformance.declared.tolerance)


def _subset(conformance: Conformance, base: Harmonized) -> Iterator[Verdict]:
    """A process that has seen a part of the targets only gives that part of the result."""
    n = len(conformance.exam.targets)
    for name, rows in (("half of the rows", np.arange(0, n, 2)), ("one row", np.array([n // 3]))):
        exam = replace(conformance.exam, targets=conformance.exam.targets.take(rows))
        check = f"the transform of {name} is that part of the transform of all"
        result = conformance.run(exam)
        yield conformance.compare(check, result, base, _tolerance(conformance), remedies.ROW_ALONE, rows)


def _calls(conformance: Conformance, base: Harmonized) -> Iterator[Verdict]:
    result = conformance.run(twice=True)
    mend = remedies.remedy(remedies.KEPT, conformance.declared)
    yield conformance.compare("a second call gives the same", result, base, np.inf, mend)


def _order(conformance: Conformance, base: Harmonized) -> Iterator[Verdict]:
    for check, shown, mend in (
        ("other ids, the same result", (0, 1), "ids have no meaning: do not read them, sort by them or count them"),
        ("another order of rows, the same result", (1, 0), "sort by contents before you draw rows or add in turn"),
    ):
        yield conformance.compare(check, conformance.run(shown=shown), base, _tolerance(conformance), mend)


def _repeats(conformance: Conformance, base: Harmonized) -> Iterator[Verdict]:
    """Bytes over processes, hash seeds and threads, or the declared tolerance."""
    tolerance = conformance.declared.tolerance
    for check, other in (
        ("the same seed again, the same bytes", False),
        ("other hash seed and 2 threads, the same bytes", True),
    ):
        result = conformance.run(other=other)
        mend = "draw from numpy.random.default_rng(seed) alone, iterate over sorted names and not over sets; if a " \
               "library adds in another order, declare `tolerance` (at most 1e-6)"  # fmt: skip
        verdict = conformance.compare(check, result, base, tolerance, mend)
        if verdict.verdict == PASS and not tolerance:
            same = result.targets.tobytes() == base.targets.tobytes()
            same = same and result.training.tobytes() == base.training.tobytes()
            verdict = conformance.judge(check, "" if same else "bytes differ", mend)
        yield verdict


def _constant(conformance: Conformance, base: Harmonized) -> Iterator[Verdict]:
    column = FEATURES.index("constant")
    found = np.concatenate([base.training, base.targets])[:, column]
    fault = (
        "" if np.abs(found - 2.5).max() <= 1e-9 else f"comes back as {found[np.abs(found - 2.5).argmax()]:.6g} for 2.5"
    )
    yield conformance.judge("a feature that does not vary comes back as it is", fault, "leave it out of the fit")


def _units(conformance: Conformance, base: Harmonized) -> Iterator[Verdict]:
    """Features in other units give the result in these units; in another one a count is no whole number."""
    factor = np.ones(len(FEATURES))
    factor[[FEATURES.index(name) for name in ("tiny", "huge", "count")]] = 2.0**20, 2.0**-40, 2.0**-20
    exam = Exam(*(replace(rows, X=rows.X * factor) for rows in
                  (conformance.exam.training, conformance.exam.adapt, conformance.exam.targets)))  # fmt: skip
    result = conformance.run(exam)
    check = "a variance of 1e-12 and units of 1e12 do no harm"
    mend = "make every epsilon relative to the feature's own spread, and standardise before you mix features"
    if not isinstance(result, Harmonized):
        yield ended_early(conformance.variant.name, conformance.declared, check, result, mend)
        return
    columns = [FEATURES.index("tiny"), FEATURES.index("huge")]
    here, there = base.targets[:, columns], result.targets[:, columns] / factor[columns]
    ratio = (here.std(axis=0) + 1e-300) / (there.std(axis=0) + 1e-300)
    fault = (
        f"their spread is {ratio.max():.3g} times that in other units" if ratio.max() > 2 or ratio.min() < 0.5 else ""
    )
    yield conformance.judge(check, fault and f"{fault} (and {ratio.min():.3g})", mend)
    # where rows were permuted, whole numbers come back in other units, too
    count = FEATURES.index("count")
    here, there = base.targets[:, count], result.targets[:, count] / factor[count]
    lost = (here == np.round(here)).all() and (there != np.round(there)).any()
    yield conformance.judge(
        "whole numbers are numbers as others are", "they come back without decimals" if lost else "",
        "compute with float64 whatever a number looks like, and write 3.25 for 3.25",
    )  # fmt: skip


def _unseen(conformance: Conformance, base: Harmonized) -> Iterator[Verdict]:
    """What is done with a domain that was not trained on is what is declared."""
    declared = conformance.declared.unseen
    check = f"a domain that is not trained on: {declared}"
    new = conformance.exam.targets.domain == UNSEEN
    if declared == "identity":
        rows, result = conformance.exam.targets.X[new], base.targets[new]
        off = (np.abs(rows - result) / scales(conformance.exam.training.X, rows)).max(initial=0)
        yield conformance.judge(
            check, f"its rows are moved by {off:.2g} SD" if off > SAME else "", "declare `unseen: pooled`"
        )
    elif declared == "refuse":
        yield conformance.verdict(check, PASS, "it is not called then")
    else:
        yield conformance.verdict(check, PASS)


def _learns(conformance: Conformance, base: Harmonized) -> Iterator[Verdict]:
    """What does not matter by `learns` does not."""
    declared = conformance.declared.learns
    training = conformance.exam.training
    own = training.domain == NAMES[0]
    rng = np.random.default_rng([conformance.seed, 2])
    moved = training.X.copy()
    changed = np.ones(len(moved), bool) if declared == "nothing" else ~own
    moved[changed] = moved[changed] * 1.3 + rng.normal(0, 1, moved.shape)[changed] * moved.std(axis=0)
    if declared == "pooled":
        return
    result = conformance.run(replace(conformance.exam, training=replace(training, X=moved)))
    check = f"learns: {declared}"
    if not isinstance(result, Harmonized):
        yield ended_early(conformance.variant.name, conformance.declared, check, result)
        return
    of_first = np.flatnonzero(conformance.exam.targets.domain == NAMES[0])
    rows = np.arange(len(conformance.exam.targets)) if declared == "nothing" else of_first
    off = (np.abs(result.targets - base.targets)[rows] / scales(training.X, base.targets)).max(initial=0)
    fault = f"other rows of {'training' if declared == 'nothing' else 'other domains'} move the result by {off:.2g} SD"
    yield conformance.judge(check, fault if off > _tolerance(conformance) else "", "declare `learns: pooled`")


def _content(conformance: Conformance, base: Harmonized) -> Iterator[Verdict]:
    """What is left within tissues and domains, and whether rows are others' rows."""
    shown = conformance.declared.role == "method"
    targets = conformance.exam.targets
    share = content_share(targets, base.targets)
    words = f"{100 * share:.0f} % of the spread within tissues is left"
    lost = share < LEAST_CONTENT or base.verbatim > 0
    if base.verbatim:
        words = f"{base.verbatim} of {len(targets)} rows came back as a row that was fitted; {words}"
    verdict = FAIL if lost and shown else NOTE if lost else PASS
    yield conformance.verdict(
        "the content is kept", verdict, words, "a row must stay that row" if verdict == FAIL else ""
    )


def content_share(rows: Rows, after: np.ndarray) -> float:
    """Compute the median over features of the spread within tissues, relative to all, after over before.

    Both are within domains, so that neither a unit nor a domain's shift and scale is in it.
    """
    tissue = rows.covariates["tissue"].to_numpy()
    wholes = [np.flatnonzero(rows.domain == name) for name in sorted(set(rows.domain))]
    parts = [at[tissue[at] == name] for at in wholes for name in sorted(set(tissue[at]))]

    def spread(values: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
        return np.sqrt(sum(((values[at] - values[at].mean(axis=0)) ** 2).sum(axis=0) for at in groups))

    def relative(values: np.ndarray) -> np.ndarray:
        whole = spread(values, wholes)
        varies = whole > 1e-12 * np.abs(values).max(axis=0) * np.sqrt(len(values))
        return np.where(varies, spread(values, parts) / (whole + np.finfo(float).tiny), 0.0)

    before = relative(rows.X)
    return float(np.median(relative(after)[before > 0] / before[before > 0]))


def _labels(conformance: Conformance, base: Harmonized) -> Iterator[Verdict]:
    """Whether permuted tissues come out of the features of a method that is told tissues."""
    if "tissue" not in conformance.declared.covariates:
        return
    rng = np.random.default_rng([conformance.seed, 3])

    def permuted(rows: Rows) -> Rows:
        told = rows.covariates.copy()
        for name in np.unique(rows.domain):  # within domains, whose mixes differ: a balanced exam would see nothing
            at = np.flatnonzero(rows.domain == name)
            told.loc[at, "tissue"] = told["tissue"].to_numpy()[rng.permutation(at)]
        return replace(rows, covariates=told)

    exam = Exam(
        *(permuted(rows) for rows in (conformance.exam.training, conformance.exam.adapt, conformance.exam.targets))
    )
    result = conformance.run(exam)
    if isinstance(result, Harmonized):
        told, chance = (
            nearest_centroid(exam, result),
            nearest_centroid(exam, Harmonized(exam.training.X, exam.targets.X)),
        )
        words = f"permuted tissues are told in {100 * told:.0f} % of rows, {100 * chance:.0f} % without the method"
        yield conformance.verdict("permuted labels", NOTE, f"{words}; it is told labels, and is never ranked")


def nearest_centroid(exam: Exam, result: Harmonized) -> float:
    """Compute the share of targets whose tissue is that of the nearest mean of training rows."""
    scale = scales(result.training)
    tissue = exam.training.covariates["tissue"].to_numpy()
    names = sorted(set(tissue))
    means = np.array([result.training[tissue == name].mean(axis=0) for name in names]) / scale
    distance = ((result.targets[:, None] / scale - means) ** 2).sum(axis=2)
    return float((np.array(names)[distance.argmin(axis=1)] == exam.targets.covariates["tissue"]).mean())


CHECKS: tuple[Callable[[Conformance, Harmonized], Iterator[Verdict]], ...] = (
    _subset, _calls, _order, _repeats, _constant, _units, _unseen, _learns, _content, _labels
)  # fmt: skip


def check_method(variants: list[Variant], seed: int) -> Iterator[Verdict]:
    """Yield the verdicts on variants of one method, level feature."""
    preload = imports_of(variants)
    with Sandbox(preload) as first, Sandbox(preload, threads=2, hash_seed=4711) as second:
        for variant in variants:
            yield from check_variant(Conformance(variant, seed, first, second))
