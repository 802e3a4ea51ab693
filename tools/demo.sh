#!/usr/bin/env bash
# Runs the demo, or with its name as first argument demo_methods, with a line a stage, and says where the report is.
set -euo pipefail
cd "$(dirname "$0")/.."
name=demo words="through the whole benchmark: about five minutes on two cores"
if [ "${1:-}" = demo_methods ]; then
    name=$1 words="with harmonization methods and controls, on radiomics"
    shift
    set -- --feature_sets radiomics --methods default --other_classifiers none "$@"
fi
mkdir -p "results/$name"
echo "[$name] 70 synthetic series of 13 scanners $words"
if ! NXF_ANSI_LOG="${NXF_ANSI_LOG:-false}" .engine/nextflow -log "results/$name.log" run . -profile demo -resume -work-dir results/work --outdir "results/$name" "$@"; then
    echo "[$name] ERROR: the run did not finish; the message above names the cause, results/$name.log has the rest. 'make ${name//_/-}' goes on where it stopped." >&2
    exit 1
fi
echo "[$name] report: $PWD/results/$name/report.html"
