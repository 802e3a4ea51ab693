"""ComBat of the whole collection's rows, 16,080 x 768, against combaters and neuroCombat; its memory at 82,680 rows."""

import multiprocessing
import resource
import time

import numpy as np
import pandas as pd
import pytest
from planted import load_method

PARAMETERS = {"mean_only": False, "reference": None, "covariance": 0}


def rows_of(n):
    rng = np.random.default_rng(n)
    scanner = rng.integers(0, 13, n)
    values = rng.normal(size=(n, 768)) * rng.uniform(0.5, 2, 13)[scanner][:, None]
    return pd.DataFrame(values, copy=False), pd.Series(np.array([f"S{i:02d}" for i in range(13)], object)[scanner])


def combat(prior, rows, domain):
    return load_method("combat").Method(seed=0, prior=prior, **PARAMETERS).fit(rows, domain).transform(rows, domain)


@pytest.mark.parametrize(("prior", "bound_s"), [("parametric", 2.5), ("nonparametric", 8.0)])
def bench_combat(record, prior, bound_s):
    combaters = pytest.importorskip("combaters", reason="the oracle combaters is not installed")
    rows, domain = rows_of(16_080)
    start = time.process_time()
    expected = combaters.combat(rows.to_numpy(), domain.to_numpy(), par_prior=prior == "parametric")["adjusted"]
    reference_s = time.process_time() - start
    difference = np.abs(combat(prior, rows, domain).to_numpy() - expected).max()
    cpu_s = record.cpu_seconds(lambda: combat(prior, rows, domain))
    record(f"combat_{prior}", "combaters (Rust)", reference_s, cpu_s, difference)
    assert difference < 1e-6
    record.expect(f"CPU s of ComBat, {prior}", cpu_s, at_most=bound_s)


def bench_combat_against_neurocombat(record):
    neurocombat = pytest.importorskip("neuroCombat", reason="the oracle neuroCombat is not installed")
    rows, domain = rows_of(16_080)
    start = time.process_time()
    expected = neurocombat.neuroCombat(rows.to_numpy().T, pd.DataFrame({"domain": domain}), "domain")["data"].T
    reference_s = time.process_time() - start
    difference = np.abs(combat("parametric", rows, domain).to_numpy() - expected).max()
    cpu_s = record.cpu_seconds(lambda: combat("parametric", rows, domain))
    record("combat_neurocombat", "neuroCombat 0.2.12", reference_s, cpu_s, difference)
    assert difference < 1e-6


def _peak(prior, answer):
    rows, domain = rows_of(82_680)
    combat(prior, rows, domain)
    answer.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2)


@pytest.mark.parametrize("prior", ["parametric", "nonparametric"])
def bench_memory_of_combat(prior):
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_peak, args=(prior, answer))
    process.start()
    peak_gb = answer.get()
    process.join()
    print(f"\nComBat, {prior}, 82,680 x 768: {peak_gb:.2f} GB, its rows and the libraries included")
    assert peak_gb <= 2
