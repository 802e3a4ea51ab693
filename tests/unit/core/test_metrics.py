"""Pair metrics: the list agrees with what the kernels compute and with the published tables."""

import numpy as np

from ct4bench.core.metrics import BY_NAME, MAIN_METRICS, PAIR_METRICS, PAIR_VALUES, shown_next_to
from ct4bench.pairs.similarity import METRIC_FIELDS, compare
from ct4bench.results.published import FOLDER, read_published


def test_each_metric_is_computed_and_each_computed_value_is_listed():
    assert sorted(METRIC_FIELDS) == sorted(BY_NAME) == sorted(PAIR_VALUES)
    assert len(set(PAIR_VALUES)) == len(PAIR_METRICS)


def test_the_value_of_a_series_with_itself_is_what_the_kernel_gives():
    volume = np.random.default_rng(1).normal(40, 30, (12, 13, 14)).astype(np.float32)
    found = compare(volume, volume)
    for metric in PAIR_METRICS:
        assert np.isclose(getattr(found, metric.name), metric.of_self, atol=1e-6), metric.name


def test_direction_is_that_of_more_noise():
    volume = np.random.default_rng(1).normal(40, 30, (12, 13, 14)).astype(np.float32)
    noise = np.random.default_rng(2).normal(0, 1, volume.shape).astype(np.float32)
    near, far = compare(volume, volume + noise), compare(volume, volume + 50 * noise)
    for metric in PAIR_METRICS:
        rises = getattr(far, metric.name) > getattr(near, metric.name)
        assert rises == metric.low_is_alike, metric.name


def test_published_tables_have_the_columns_of_their_metric():
    published = {path.stem for path in FOLDER.glob("table[345]_*.csv")}
    assert {metric.table for metric in MAIN_METRICS if metric.paper_table} == published
    for metric in MAIN_METRICS:
        if metric.paper_table:
            assert f"{metric.name}_mean" in read_published(metric.table).columns


def test_secondary_metrics_have_no_table_of_their_own():
    assert shown_next_to("psnr_db") == ["psnr_max_db"]
    assert shown_next_to("ssim") == ["ssim_global"]
    assert all(metric.table == "" for metric in PAIR_METRICS if metric.shown_next_to)
