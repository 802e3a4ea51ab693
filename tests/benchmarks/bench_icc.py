"""ICC of 1117 features against pingouin."""

import time

import numpy as np
import pandas as pd

from ct4bench.stability import FORMS, icc, icc_interval, mean_squares


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
    ours = np.array([icc(mean_squares(values), form) for form in FORMS]).T
    difference = np.abs(ours - np.array(expected)).max()

    def all_forms():
        ms = mean_squares(values)
        for form in FORMS:
            icc(ms, form), icc_interval(ms, form)

    cpu_s = record.cpu_seconds(lambda: [all_forms() for _ in range(20)]) / 20
    record("icc", "pingouin, six forms with intervals", reference_s, cpu_s, difference)
