#!/usr/bin/env python3
"""Pre-train SwinUNETR's encoder without labels, on a small scale: inpainting, rotation, contrast."""

import argparse
import json
from pathlib import Path

from ct4bench.core.script import run


def main(argv=None):
    """Draw patches, train, write the weights and the losses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", help="folder in TotalSegmentator's or BTCV's layout; the drawn phantom without it")
    parser.add_argument("--patches", type=int, default=400, help="of each case")
    parser.add_argument("--phantoms", type=int, default=1, help="drawings to train on, where no cases are given")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=4, help="patches a step; each is seen in two views")
    parser.add_argument("--learning_rate", type=float, default=4e-4)
    parser.add_argument("--weights", help="weights to start from; seeded random ones without it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="the weights, .pt named as the released ones or .safetensors")
    parser.add_argument("--report", help="what was trained on and the losses, JSON")
    args = parser.parse_args(argv)

    from ct4bench.pretraining.pretrain_swin import PretrainingSettings, pretrain_swin

    training = PretrainingSettings(args.steps, args.batch, args.learning_rate)
    source = {"cases": args.cases} if args.cases else {"phantoms": args.phantoms}
    source |= {"weights": args.weights, "threads": args.threads}
    report = pretrain_swin(args.output, training, args.patches, args.seed, **source)
    if args.report:
        Path(args.report).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
