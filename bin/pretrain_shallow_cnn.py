#!/usr/bin/env python3
"""Train the shallow CNN on five classes of organ tissue: of a user's CT volumes, or of the phantom's drawing."""

import argparse
import json
from pathlib import Path

from ct4bench.core.script import run


def main(argv=None):
    """Draw patches, train, write the weights and what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", help="folder in TotalSegmentator's or BTCV's layout; the drawn phantom without it")
    parser.add_argument("--patches_per_organ", type=int, default=240, help="of each case")
    parser.add_argument("--phantoms", type=int, default=3, help="drawings to train on, where no cases are given")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="for the drawing; training takes one")
    parser.add_argument("--output", required=True, help="the weights, .safetensors in half precision")
    parser.add_argument("--report", help="what was trained on and how well it went, JSON")
    args = parser.parse_args(argv)

    from ct4bench.pretraining.pretrain_shallow_cnn import PRINTED, SCANNED, PretrainingSettings, pretrain_shallow_cnn

    noise = SCANNED if args.cases else PRINTED
    training = PretrainingSettings(epochs=args.epochs, learning_rate=args.learning_rate, augmentation=noise)
    source = {"cases": args.cases} if args.cases else {"phantoms": args.phantoms, "threads": args.threads}
    report = pretrain_shallow_cnn(args.output, training, args.patches_per_organ, args.seed, **source)
    if args.report:
        Path(args.report).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
