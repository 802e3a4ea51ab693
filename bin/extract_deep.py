#!/usr/bin/env python3
"""Features of the patches of a chunk of registered series by a deep encoder."""

import argparse
import json
from pathlib import Path

from ct4bench.core.modes import MODES
from ct4bench.core.script import run


def main(argv=None):
    """Build the encoder, run it over the series, write the table and the settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--extractor", required=True, help="name in assets/extractors.yaml, or NAME=... (docs/encoders.md)"
    )
    parser.add_argument("--module", default="", help="module that holds the encoder, where the list is not at hand")
    parser.add_argument("--registered", required=True, nargs="+", help="tables of the registered series")
    parser.add_argument("--series_uids", required=True, help="the chunk's series, separated by commas")
    parser.add_argument("--volumes", required=True, help="folder of their volumes")
    parser.add_argument("--patches", required=True, help="table of the patches")
    parser.add_argument("--weights", help="weights of the encoder; seeded random ones where not given")
    parser.add_argument("--weights_sha256", help="hash that the file of weights must have")
    parser.add_argument("--mode", choices=sorted(MODES), default="paper", help="decides the intensities")
    parser.add_argument("--intensity", choices=("raw", "scaled"), help="HU, or -1000..1000 HU as 0..1")
    parser.add_argument("--layer", help="which output: 0 to 4 for swin_unetr (default 4)")
    parser.add_argument("--pooling", choices=("mean", "max"), help="over the positions of that output (default mean)")
    parser.add_argument(
        "--patch_merging", choices=("current", "legacy"), help="of SwinViT: MONAI's since or before 1.5"
    )
    parser.add_argument("--batch", type=int, help="patches at once; never of more than one series")
    parser.add_argument("--verify", type=float, default=0.01, help="share of patches that the library computes, too")
    parser.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", required=True, help="the features, Parquet")
    parser.add_argument("--settings", required=True, help="what they were made with, JSON")
    args = parser.parse_args(argv)

    from ct4bench.core.benchmark import SERIES_KEY
    from ct4bench.core.device import choose_device
    from ct4bench.core.tables import concatenate, read_table, write_table
    from ct4bench.features.encoder import EncoderOptions
    from ct4bench.features.encoders import build_encoder
    from ct4bench.features.extract_deep import BATCH, EncodingRun, extract_series
    from ct4bench.preprocess.patches import COLUMNS

    registered, patches = concatenate(args.registered, ["series_uid"], SERIES_KEY), read_table(args.patches, COLUMNS)
    device = choose_device(args.device)
    weights = Path(args.weights) if args.weights else None
    choices = (args.intensity or MODES[args.mode].swin_intensity, args.layer, args.pooling, args.patch_merging)
    options = EncoderOptions(weights, args.weights_sha256, *choices, args.seed, device)
    encoder = build_encoder(args.extractor, options, args.module)
    encoding = EncodingRun(
        encoder,
        args.volumes,
        patches,
        args.batch or BATCH[device],
        args.threads,
        args.verify,
        args.seed,
        args.precision,
    )
    table, settings = extract_series(encoding, registered, args.series_uids.split(","))
    write_table(table, args.output)
    Path(args.settings).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
