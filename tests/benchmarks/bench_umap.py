"""UMAP of 16,080 rows of 93 features against umap-learn as it comes, seeded."""

import time
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

from ct4bench.embedding.embed import embed, embedding_quality, standardise


def bench_umap(record):
    import umap

    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(0, 3, (60, 93)), 268, axis=0) + rng.normal(0, 1, (16_080, 93))
    scores = standardise(values)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Ours first: it compiles umap-learn's graph and loop, so the reference has that for nothing.
        start = time.process_time()
        ours = embed(scores).umap
        cpu_s = time.process_time() - start
        start = time.process_time()
        theirs = umap.UMAP(n_neighbors=100, min_dist=1.0, n_epochs=1000, random_state=0, n_jobs=1).fit_transform(scores)
        reference_s = time.process_time() - start
        assert embed(scores, verify=0).umap.tobytes() == ours.tobytes()
        judged = embedding_quality(scores, {"ours": ours, "theirs": theirs}, {}, 0)
    print("\n" + ", ".join(f"{name} {value:.4f}" for name, value in judged.items() if "_" in name))
    difference = judged["trustworthiness_theirs"] - judged["trustworthiness_ours"]
    record("umap", "umap-learn, seeded (difference: of trustworthiness)", reference_s, cpu_s, abs(difference))
    assert difference < 0.01
