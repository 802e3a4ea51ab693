"""ICC of 1117 features against pingouin."""

import time

import numpy as np
import pandas as pd

from ct4bench.stability.icc import FORMS, icc, icc_intervals, mean_squares


def bench_icc(record):
    import pingouin

    rng = np.random.default_rng(4)
    n_features, n, k = 1117, 6, 13
    values = rng.normal(0, 3, (n_features, n, 1)) + rng.normal(0, 1, (n_features, n, k))
    target, rater = (place.ravel() for place in np.indices((n, k)))
    tables = [pd.DataFrame({"t": target, "r": rater, "x": v.ravel()}) for v in values]
    start = time.process_time()
    expected = [pingouin.intraclass_corr(table, "t", "r", "x").set_index("Type")["ICC"] for table in tables]
    reference_s = time.process_time() - start
    ms = mean_squares(values)
    difference = np.abs(np.array([icc(ms, form) for form in FORMS]).T - np.array(expected)).max()

    def all_forms():
        ms = mean_squares(values)
        return [icc(ms, form) for form in FORMS]

    def with_intervals():
        ms = mean_squares(values)
        return [icc(ms, form) for form in FORMS], icc_intervals(ms)

    for name, ours in (("icc", all_forms), ("icc_intervals", with_intervals)):
        ours()
        cpu_s = record.cpu_seconds(lambda ours=ours: [ours() for _ in range(20)]) / 20
        record(name, "pingouin, six forms, which come with intervals", reference_s, cpu_s, difference)
