"""Which pairs of series are compared for Tables 3-6 and for the decomposition by contrast.

Lists are ordered by (reconstruction, repetition), the reconstructions as FBP, IR, DL. The authors sorted by file names
that the public collection lacks: drawn pairs are like theirs, not theirs.
"""

from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pandas as pd

from ct4bench.core.benchmark import MAIN_DOSE_MGY, SERIES_KEY, recon_rank, scanner_rank
from ct4bench.core.errors import UserError
from ct4bench.core.modes import Mode

PLAN_COLUMNS = [
    "task", "table", "variant", "pair_index", "series_uid_a", "series_uid_b", "scanner_a", "scanner_b", "recon_a",
    "recon_b", "dose_mgy_a", "dose_mgy_b", "is_self_pair", "region", "shrink",
]  # fmt: skip
_ROW = [name for name in PLAN_COLUMNS if not name.startswith(("recon_", "dose_mgy_"))]

TABLES_3_TO_5, TABLE_6, CONTRAST = "tables3to5", "table6", "contrast"
SHRUNK = "shrunk"
"""The task of all shrunk pairs: they are little work, and one task of them all reads each series once."""

VARIANTS = {
    "published_draw": "the seeded draw of the published code in its box; a diagonal cell holds its self-pairs, flagged",
    "all_unordered": "all unordered pairs, for a cell whose draw leaves fewer than five pairs of two scans",
    "drawn_in_mask": "the pairs of the published way, less self-pairs, inside the block [point 3]",
    "all_pairs_shrunk": "all unordered pairs of each cell inside the block, shrunk as published [points 3 and 7]",
    "all_pairs": "all unordered pairs of each cell inside the block, full resolution (mode corrected) [points 3, 4, 7]",
    "same_recon": "of series of equal reconstruction only, as the mode chooses pairs, region and resolution",
    "other_recon": "contrast: another reconstruction of the same scan",
    "other_repetition": "contrast: another scan of the same scanner, dose and reconstruction",
    "other_dose": "contrast: another dose, same scanner, reconstruction and repetition",
    "other_scanner": "contrast: another scanner of the same maker, same dose, reconstruction and repetition",
    "other_maker": "contrast: a scanner of another maker, same dose, reconstruction and repetition",
}
"""What each value of the column `variant` says; points of docs/deviations.md."""

CONTRASTS = ("other_recon", "other_repetition", "other_dose", "other_scanner", "other_maker")
"""The contrasts, in the order of the table."""

REFERENCE_DOSE_MGY = 14
TABLE_6_DOSES_MGY = (1, 3, 6, 10)
N_PAIRS_OF_A_DOSE = 5
FEWEST_PAIRS = 5
BOX, BOX_TABLE_6, MASK = "box", "box_table6", "mask"
"""Regions (of `compare.make_region`)."""
PUBLISHED_SHRINK = 4
"""Bins of Tables 3-5 as published, and of the contrasts."""
N_CONTRAST_REPETITIONS = 2
GROUP_SERIES = 80
"""Where all pairs are compared, a task of Tables 3-5 holds the cells of two groups of scanners, each of about so many
series at most. A series is staged, and its bytes are hashed, once for each group: fewer groups make less of that, but
longer tasks."""
TABLE_6_SERIES = 40
"""Scanners share a task of Table 6 up to about so many series: of a few series each, starting would take longest."""


def ordered(series: pd.DataFrame) -> list[str]:
    """Sort series UIDs in the order of the lists: reconstruction (FBP, IR, DL), repetition, UID."""
    rows = zip(series["recon"], series["repetition"], series["series_uid"], strict=True)
    return [uid for *_, uid in sorted((recon_rank(recon), repetition, uid) for recon, repetition, uid in rows)]


def seeded_pairs(uids_a: list[str], uids_b: list[str]) -> list[tuple[str, str]]:
    """Return the draw of Tables 3-5: one list shuffled with seed 42, the other with 84, paired up to the shorter one's
    end.

    The published code seeds numpy's legacy generator anew for each cell, so equal lists (the diagonal) meet themselves.
    """
    first, second = list(uids_a), list(uids_b)
    np.random.RandomState(42).shuffle(first)  # noqa: NPY002  the legacy stream is what was published
    np.random.RandomState(84).shuffle(second)  # noqa: NPY002
    return list(zip(first, second, strict=False))


def seeded_dose_pairs(lists: dict[float, list[str]]) -> dict[float, list[tuple[str, str]]]:
    """Return the draw of Table 6 for one scanner, by dose: the first five of each dose with the first five of 14 mGy.

    `lists` gives the ordered UIDs by dose in mGy; one generator shuffles the doses in ascending order.
    """
    generator = np.random.RandomState(42)  # noqa: NPY002  the legacy stream is what was published
    shuffled = {}
    for dose in sorted(lists):
        shuffled[dose] = list(lists[dose])
        generator.shuffle(shuffled[dose])
    highest = shuffled.get(REFERENCE_DOSE_MGY, [])[:N_PAIRS_OF_A_DOSE]
    return {
        dose: list(zip(shuffled[dose][:N_PAIRS_OF_A_DOSE], highest, strict=False))
        for dose in TABLE_6_DOSES_MGY
        if dose in shuffled
    }


def unordered_pairs(uids_a: list[str], uids_b: list[str]) -> list[tuple[str, str]]:
    """Return all pairs of two lists, or of one with itself where both are equal; no self-pairs."""
    return list(combinations(uids_a, 2)) if uids_a == uids_b else list(product(uids_a, uids_b))


def too_few(pairs: list[tuple[str, str]], scan_of: dict[str, str]) -> bool:
    """Tell whether fewer than five of the pairs are of two different scans, `scan_of` each series."""
    return sum(scan_of[a] != scan_of[b] for a, b in pairs) < FEWEST_PAIRS


def _scan_of(series: pd.DataFrame) -> dict[str, str]:
    return dict(zip(series["series_uid"], series["scan_id"], strict=True))


def _scanners(series: pd.DataFrame) -> list[str]:
    return sorted(series["scanner"].unique(), key=scanner_rank)


def scanner_groups(n_series: dict[str, int], most: int = GROUP_SERIES) -> dict[str, int]:
    """Return the group (0, 1, …) of each scanner: neighbours in the given order, of about equal numbers of series.

    `n_series` counts the series of each scanner. There are as many groups as `most` series in each need; a group holds
    whole scanners, so it may have a few more.
    """
    total, before, groups = sum(n_series.values()), 0, {}
    n_groups = -(-total // most)
    for scanner, n in n_series.items():
        groups[scanner] = int(n_groups * (before + n / 2) // total)
        before += n
    return groups


def _cell_selections(
    uids_a, uids_b, by_recon, scan_of: dict[str, str], mode: Mode
) -> list[tuple[str, list[tuple[str, str]], str, int]]:
    """(variant, pairs, region, shrink) of a cell of Tables 3-5; `by_recon` has both lists of each common recon."""
    drawn, everything = seeded_pairs(uids_a, uids_b), unordered_pairs(uids_a, uids_b)
    few = too_few(drawn, scan_of)
    own = everything if few else [(a, b) for a, b in drawn if a != b]
    selections = [("published_draw", drawn, BOX, PUBLISHED_SHRINK)]
    if few:
        selections.append(("all_unordered", everything, BOX, PUBLISHED_SHRINK))
    selections += [
        ("drawn_in_mask", own, MASK, PUBLISHED_SHRINK),
        ("all_pairs_shrunk", everything, MASK, PUBLISHED_SHRINK),
    ]
    same = [pair for lists in by_recon for pair in seeded_pairs(*lists)]
    if mode.all_pairs or too_few(same, scan_of):
        same = [pair for lists in by_recon for pair in unordered_pairs(*lists)]
    of_mode = mode.pair_region, mode.pair_shrink
    return [
        *selections,
        *([("all_pairs", everything, *of_mode)] if mode.all_pairs else []),
        ("same_recon", same, *of_mode),
    ]


def _row(task, table, variant, index, pair, scanners, region, shrink) -> tuple:
    return (task, table, variant, index, *pair, *scanners, pair[0] == pair[1], region, shrink)


def _recon_lists(a: pd.DataFrame, b: pd.DataFrame) -> list[tuple[list[str], list[str]]]:
    common = sorted(set(a["recon"]) & set(b["recon"]), key=recon_rank)
    return [(ordered(a[a["recon"] == recon]), ordered(b[b["recon"] == recon])) for recon in common]


def tables3to5_rows(series: pd.DataFrame, mode: Mode) -> list[tuple]:
    """Plan rows of every cell of the lower triangle; `scanner_a` is the column (seed 42), `scanner_b` the row."""
    series = series[series["dose_mgy"] == MAIN_DOSE_MGY]
    of_scanner, scan_of = dict(iter(series.groupby("scanner", sort=False))), _scan_of(series)
    scanners = _scanners(series)
    groups = scanner_groups({scanner: len(of_scanner[scanner]) for scanner in scanners})
    rows = []
    for a, b in combinations_with_replacement(scanners, 2):
        one, other = of_scanner[a], of_scanner[b]
        selections = _cell_selections(ordered(one), ordered(other), _recon_lists(one, other), scan_of, mode)
        for variant, pairs, region, shrink in selections:
            task = SHRUNK if shrink > 1 else f"{TABLES_3_TO_5}_{groups[a] + 1}_{groups[b] + 1}"
            rows += [
                _row(task, TABLES_3_TO_5, variant, index, pair, (a, b), region, shrink)
                for index, pair in enumerate(pairs)
            ]
    return rows


def table6_rows(series: pd.DataFrame, mode: Mode) -> list[tuple]:
    """Plan rows of Table 6: `series_uid_a` at the dose of the row, `series_uid_b` at 14 mGy, always unshrunk."""
    own_region = BOX_TABLE_6 if mode.pair_region == BOX else mode.pair_region
    region_of = {"published_draw": BOX_TABLE_6, "all_unordered": BOX_TABLE_6, "drawn_in_mask": MASK}
    rows = []
    series = series[series["scanner"].isin(series.loc[series["dose_mgy"] == REFERENCE_DOSE_MGY, "scanner"])]
    scan_of, of_scanner = _scan_of(series), {s: series[series["scanner"] == s] for s in _scanners(series)}
    groups = scanner_groups({scanner: len(own) for scanner, own in of_scanner.items()}, TABLE_6_SERIES)
    for scanner, own in of_scanner.items():
        of_dose = {float(dose): part for dose, part in own.groupby("dose_mgy")}
        highest = of_dose[REFERENCE_DOSE_MGY]
        lists = {dose: ordered(part) for dose, part in of_dose.items()}
        drawn = seeded_dose_pairs(lists)
        drawn_of_recon = {
            recon: seeded_dose_pairs(
                {dose: uids for dose, part in of_dose.items() if (uids := ordered(part[part["recon"] == recon]))}
            )
            for recon in sorted(set(highest["recon"]), key=recon_rank)
        }
        selected = {}
        for dose in (dose for dose in TABLE_6_DOSES_MGY if dose in lists):
            everything = unordered_pairs(lists[dose], lists[REFERENCE_DOSE_MGY])
            few = too_few(drawn[dose], scan_of)
            same = [pair for by_dose in drawn_of_recon.values() for pair in by_dose.get(dose, [])]
            if mode.all_pairs or too_few(same, scan_of):
                same = [p for pair in _recon_lists(of_dose[dose], highest) for p in unordered_pairs(*pair)]
            selections = {
                "published_draw": drawn[dose],
                "all_unordered": everything if few else [],
                "drawn_in_mask": everything if few else drawn[dose],
                "all_pairs": everything if mode.all_pairs else [],
                "same_recon": same,
            }
            for variant, pairs in selections.items():
                selected.setdefault(variant, []).extend(pairs)
        for variant, pairs in selected.items():
            region = region_of.get(variant, own_region)
            rows += [
                _row(f"{TABLE_6}_{groups[scanner] + 1}", TABLE_6, variant, index, pair, (scanner, scanner), region, 1)
                for index, pair in enumerate(pairs)
            ]
    return rows


def contrast_rows(series: pd.DataFrame, mode: Mode) -> list[tuple]:
    """Plan rows of pairs that differ in one thing only, among the first two repetitions of each kind, shrunk by 4."""
    kinds = ["scanner", "dose_mgy", "recon"]
    first = series.sort_values([*kinds, "repetition", "series_uid"]).groupby(kinds).head(N_CONTRAST_REPETITIONS)
    first = first.sort_values("repetition", kind="stable")
    entries = sorted(first.itertuples(), key=lambda s: (scanner_rank(s.scanner), s.dose_mgy, recon_rank(s.recon)))
    rows = {contrast: [] for contrast in CONTRASTS}
    for a, b in combinations(entries, 2):
        at_main_dose = a.dose_mgy == b.dose_mgy == MAIN_DOSE_MGY
        same_recon, same_repetition = a.recon == b.recon, a.repetition == b.repetition
        contrast = None
        if a.scanner == b.scanner:
            if at_main_dose and a.scan_id == b.scan_id and not same_recon:
                contrast = "other_recon"
            elif at_main_dose and a.scan_id != b.scan_id and same_recon:
                contrast = "other_repetition"
            elif a.dose_mgy != b.dose_mgy and same_recon and same_repetition:
                contrast = "other_dose" if MAIN_DOSE_MGY in (a.dose_mgy, b.dose_mgy) else None
        elif at_main_dose and same_recon and same_repetition:
            contrast = "other_scanner" if a.maker == b.maker else "other_maker"
        if contrast:
            rows[contrast].append((a, b))
    return [
        _row(SHRUNK, CONTRAST, contrast, i, (a.series_uid, b.series_uid), (a.scanner, b.scanner), mode.pair_region,
             PUBLISHED_SHRINK)
        for contrast, pairs in rows.items()
        for i, (a, b) in enumerate(pairs)
    ]  # fmt: skip


def plan_pairs(series: pd.DataFrame, mode: Mode) -> pd.DataFrame:
    """List all pairs to compute: one row each, the columns `PLAN_COLUMNS`.

    `series` has a row for each registered series with the columns of `benchmark.SERIES_KEY`. A pair that serves several
    variants stands in the plan once for each.
    """
    if series["series_uid"].duplicated().any():
        twice = series.loc[series["series_uid"].duplicated(), "series_uid"].iloc[0]
        raise UserError(f"series {twice} is duplicated in the table of series; give each series one row")
    series = series[SERIES_KEY]
    rows = [*tables3to5_rows(series, mode), *table6_rows(series, mode), *contrast_rows(series, mode)]
    plan, known = pd.DataFrame(rows, columns=_ROW), series.set_index("series_uid")[["recon", "dose_mgy"]]
    for side in "ab":
        plan = plan.join(known.add_suffix(f"_{side}"), on=f"series_uid_{side}")
    return plan[PLAN_COLUMNS]


def in_whole(plan: pd.DataFrame) -> pd.DataFrame:
    """Return the plan with all pairs compared in the mask of the phantom: published boxes are of the published one."""
    return plan.assign(region=MASK)
