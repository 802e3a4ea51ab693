#!/usr/bin/env bash
# Runs the demo with a line a stage, and says where the report is.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p results/demo
echo "[demo] 70 synthetic series of 13 scanners through the whole benchmark: about five minutes on two cores"
if ! NXF_ANSI_LOG="${NXF_ANSI_LOG:-false}" .engine/nextflow -log results/demo.log run . -profile demo -resume -work-dir results/work --outdir results/demo "$@"; then
    echo "[demo] ERROR: the run did not finish; the message above names the cause, results/demo.log has the rest. 'make demo' goes on where it stopped." >&2
    exit 1
fi
echo "[demo] report: $PWD/results/demo/report.html"
