#!/usr/bin/env python3
"""Draw Figures 5 and 6: UMAP of the features, by scanner and maker, and by tissue."""

import argparse
from pathlib import Path

from ct4bench.core.script import run
from ct4bench.core.tables import read_table
from ct4bench.results.run_facts import read_run_facts


def main(argv=None):
    """Read the embedding, write PNG, SVG and a caption for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedding", required=True, help="embedding of all extractors, Parquet")
    parser.add_argument("--registered", required=True, help="table of the registered series, or a table of features")
    parser.add_argument("--facts", required=True, help="run_facts.json of make_tables.py")
    parser.add_argument("--output", required=True, type=Path, help="folder for the figures")
    args = parser.parse_args(argv)
    from ct4bench.figures.draw_embedding import EMBEDDING_COLUMNS, KEYS, draw_embedding

    embedding, series = read_table(args.embedding, EMBEDDING_COLUMNS), read_table(args.registered, KEYS)
    draw_embedding(embedding, series, read_run_facts(args.facts), args.output)


if __name__ == "__main__":
    run(main)
