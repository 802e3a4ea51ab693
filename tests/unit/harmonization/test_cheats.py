"""Planted cheats, each caught by the conformance run, by withholding, in a fold as in a run, or by what it leaves."""

import contextlib
import os
import re
import socket
import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pipeline_run import ROOT

from ct4bench.harmonization.check import FAIL, Conformance, check_variant, content_share
from ct4bench.harmonization.methods import find_methods, variants_of
from ct4bench.harmonization.run_fold import ENFORCED, Checks, Failure, Harmonized, Rows, Sandbox, harmonize_fold

CHEATS = {
    name: declared for name, declared in find_methods([ROOT / "tests" / "cheats"]).items() if not declared.shipped
}
SEED = 3
MENDED = "runs, and gives each row once"
BY_CONFORMANCE = {
    "labels_by_order": MENDED,
    "labels_by_ids": MENDED,
    "batch_statistics": MENDED,
    "state_between_calls": MENDED,
    "state_in_a_global": "a second call",
    "state_on_disk": "is that part of the transform of all",
    "first_row_as_reference": "another order of rows",
    "draws_by_hash_of_text": "other hash seed and 2 threads",
    "depends_on_threads": "other hash seed and 2 threads",
    "draws_by_the_clock": "the same seed again",
    "draws_by_position": MENDED,
    "drops_rows": MENDED,
    "adds_rows": MENDED,
    "doubles_rows": MENDED,
    "permutes_rows": MENDED,
    "forgets_the_index": MENDED,
    "swaps_columns": MENDED,
    "turns_the_table": MENDED,
    "changes_types": MENDED,
    "whole_numbers_become_integers": MENDED,
    "whole_numbers_stay_whole": "whole numbers are numbers",
    "changes_its_input": MENDED,
    "gives_training_rows": "the content is kept",
    "gives_training_rows_with_dust": "the content is kept",
    "no_number_for_an_unseen_domain": MENDED,
    "no_number_for_one_row": MENDED,
    "constant_output": "the content is kept",
    "never_ends": MENDED,
    "floods_the_log": MENDED,
    "takes_all_memory": MENDED,
    "forks_away": MENDED,
    "ends_with_0_and_nothing": MENDED,
    "moves_what_it_leaves_alone": "a domain that is not trained on",
    "learns_what_it_denies": "learns: nothing",
    "learns_from_others": "learns: own_domain",
    "absolute_epsilon": "a variance of 1e-12",
    "moves_constants": "a feature that does not vary",
}
"""The check that says so, of cheats that the conformance run sees."""
IN_A_FOLD = {
    "labels_by_order": "is not that part of the transform of all",
    "batch_statistics": "is not that part of the transform of all",
    "draws_by_position": "is not that part of the transform of all",
    "permutes_rows": "is not that part of the transform of all",
    "knows_the_exam": "is not that part of the transform of all",
    "state_on_disk": "is not that part of the transform of all",
    "drops_rows": "each row must come back once",
    "doubles_rows": "1 twice",
    "adds_rows": "1 unknown",
    "turns_the_table": "columns",
    "changes_types": "columns of float32",
    "no_number_for_an_unseen_domain": r"missing or infinite \(domain D1\)",
    "never_ends": "more than 0.05 minutes",
    "floods_the_log": "printed more than 1000000 bytes",
    "takes_all_memory": "MemoryError|more than 0.5 GB",
    "forks_away": "left 1 processes behind",
    "ends_with_0_and_nothing": "ended with status 0 before",
}
"""What a fold of a run says, of cheats that it sees."""
WITHHELD = {"labels_from_files", "labels_from_environment", "labels_from_an_earlier_run", "calls_home", "memorises_ids",
            "writes_elsewhere"}  # fmt: skip
"""What looks for what is not there, and comes out as if it had not looked."""


@pytest.fixture(scope="module")
def sandboxes():
    libraries = ["numpy", "pandas"]
    with Sandbox(libraries) as first, Sandbox(libraries, threads=2, hash_seed=4711) as second:
        yield first, second


def rows_of_a_run(n=160, seed=0):
    """Two training domains and the rows of a third, four tissues, features with names of no exam."""
    rng = np.random.default_rng(seed)
    domain = np.repeat(["A1", "B1", "D1"], n).astype(object)
    tissue = np.tile(np.arange(4), 3 * n // 4)
    X = rng.normal(size=(3 * n, 6)) + tissue[:, None] + np.repeat([0.0, 1.0, 3.0], n)[:, None]
    told = pd.DataFrame({"tissue": tissue.astype(str), "dose_mgy": 10.0, "recon": "FBP"})
    rows = Rows(X, domain, [f"original_{i}" for i in range(6)], told, np.tile(np.arange(n), 3))
    return rows.take(domain != "D1"), rows.take(domain == "D1")


def fold(name, sandbox, **checks):
    training, targets = rows_of_a_run()
    (variant,) = variants_of(CHEATS[name])
    return harmonize_fold(variant, training, targets=targets, seed=1, sandbox=sandbox, checks=Checks(**checks))


def test_every_cheat_is_caught_somewhere():
    assert set(CHEATS) - {"none"} == set(BY_CONFORMANCE) | set(IN_A_FOLD) | WITHHELD


@pytest.mark.parametrize("name", BY_CONFORMANCE)
def test_the_conformance_run_catches(name, sandboxes):
    (variant,) = variants_of(CHEATS[name])
    verdicts = list(check_variant(Conformance(variant, SEED, *sandboxes)))
    failed = [verdict for verdict in verdicts if verdict.verdict == FAIL]
    assert any(BY_CONFORMANCE[name] in verdict.check for verdict in failed), verdicts
    assert all(verdict.mend for verdict in failed)


@pytest.mark.parametrize("name", IN_A_FOLD)
def test_a_fold_of_a_run_catches(name, sandboxes):
    result = fold(name, sandboxes[0], again=name == "state_on_disk")
    assert isinstance(result, Failure), result
    assert re.search(IN_A_FOLD[name], result.reason), result


def test_what_was_written_down_is_seen_by_a_process_that_sees_no_others(sandboxes):
    """Some rows go first and alone; a method that keeps them on disk shows itself where nothing can be kept."""
    alone = fold("state_on_disk", sandboxes[0])
    assert isinstance(alone, Harmonized)
    assert np.abs(alone.targets - rows_of_a_run()[1].X).max() > 1


@pytest.mark.parametrize("name", sorted(WITHHELD))
def test_what_is_looked_for_is_not_there(name, sandboxes, tmp_path, monkeypatch):
    (tmp_path / "the_tissues_of_the_test.csv").write_text("cyst")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TISSUES_OF_THE_TEST", "cyst,liver")
    here = ROOT / "tests" / "cheats" / name / "method.py"
    before, called = here.read_bytes(), threading.Event()
    with socket.socket() as server:
        if name == "calls_home":
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", 47113))
            server.listen()
            server.settimeout(0.2)
        results = [fold(name, sandboxes[0]) for _ in range(2)]
        if name == "calls_home":
            with contextlib.suppress(TimeoutError):
                server.accept()
                called.set()
    for result in results:
        assert isinstance(result, Harmonized), result
        np.testing.assert_array_equal(result.targets, rows_of_a_run()[1].X)
    if results[0].enforced != ENFORCED:
        pytest.skip("no namespaces here: what is withheld is declared, not enforced")
    assert not called.is_set() and here.read_bytes() == before


def test_what_is_found_shows_where_nothing_is_withheld(tmp_path, monkeypatch):
    """The same cheats without walls: they do find, so that the walls are what stops them."""
    (tmp_path / "the_tissues_of_the_test.csv").write_text("cyst")
    monkeypatch.setattr(os, "getcwd", lambda: str(tmp_path))
    with Sandbox(["numpy", "pandas"], isolate=False) as open_:
        result = fold("labels_from_an_earlier_run", open_), fold("labels_from_an_earlier_run", open_)
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        if os.path.exists(f"{place}/ct4bench_note_of_a_cheat"):
            os.remove(f"{place}/ct4bench_note_of_a_cheat")
    assert result[0].enforced == "declared, not enforced"
    assert (result[1].targets - rows_of_a_run()[1].X).min() == pytest.approx(1)
    note = ROOT / "tests" / "cheats" / "labels_from_an_earlier_run" / "ct4bench_note_of_a_cheat"
    note.unlink(missing_ok=True)


def test_rows_of_others_and_empty_ones_have_lost_their_content(sandboxes):
    for name in ("gives_training_rows", "gives_training_rows_with_dust", "constant_output"):
        result = fold(name, sandboxes[0])
        assert result.verbatim == len(rows_of_a_run()[1].X), name
    assert content_share(rows_of_a_run()[1], fold("constant_output", sandboxes[0]).targets) == 0


def test_the_share_of_content_is_that_of_what_was_taken_away():
    """A tenth of what is within tissues beside all of what is between them, in other units and shifted by domain."""
    _, rows = rows_of_a_run()
    rows = replace(rows, domain=np.repeat(["D1", "E1"], len(rows) // 2).astype(object))
    centres = rows.covariates["tissue"].astype(float).to_numpy()[:, None] * 100 + np.zeros(6)
    noise = np.random.default_rng(0).normal(size=rows.X.shape)
    made = replace(rows, X=centres + noise), (centres + 0.1 * noise) * 1e6 + (rows.domain == "E1")[:, None] * 1e9
    assert content_share(*made) == pytest.approx(0.1, rel=0.01)
    assert content_share(made[0], made[0].X * [1e-9, 1, 1, 1, 1, 1e9] + 5) == pytest.approx(1, rel=1e-6)


def test_no_id_comes_twice_and_none_tells_of_its_row(sandboxes):
    """The order in which rows are given is not that of the table, of its sorting, or of the seed."""
    (variant,) = variants_of(CHEATS["labels_by_ids"])
    training, targets = rows_of_a_run()
    order = np.random.default_rng(0).permutation(len(training))
    first = harmonize_fold(
        variant, training, targets=targets, seed=1, sandbox=sandboxes[0], checks=Checks(subset=False)
    )
    moved = harmonize_fold(variant, training.take(order), targets=targets, seed=1, sandbox=sandboxes[0],
                           checks=Checks(subset=False))  # fmt: skip
    np.testing.assert_array_equal(moved.training, first.training[order])  # ids follow contents
    digit = (first.targets - targets.X)[:, 0]
    tissue = targets.covariates["tissue"].astype(int).to_numpy()
    means = [digit[tissue == i].mean() for i in range(4)]
    assert np.ptp(means) < 4 * digit.std() / np.sqrt((tissue == 0).sum())
