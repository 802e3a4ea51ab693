#!/usr/bin/env bash
# Runs the benchmark at the paper's size on the twin, and says where the report is and what the run took.
set -euo pipefail
cd "$(dirname "$0")/.."
needed_gb=30
mkdir -p results/paper_size
free_gb=$(df --output=avail -BG results | tail -n 1 | tr -dc 0-9)
if [ "$free_gb" -lt "$needed_gb" ] && [ ! -d results/paper_size_work ]; then
    echo "[paper-size] ERROR: ${free_gb} GB are free, the run needs up to ${needed_gb}; make room, or run on a larger disk" >&2
    exit 1
fi
echo "[paper-size] 528 synthetic series of 13 scanners at full size: about an hour on two cores, up to ${needed_gb} GB in results/paper_size_work"
start=$(date +%s)
if ! NXF_ANSI_LOG="${NXF_ANSI_LOG:-false}" .engine/nextflow -log results/paper_size.log run . -profile paper_size -resume -work-dir results/paper_size_work --outdir results/paper_size "$@"; then
    echo "[paper-size] ERROR: the run did not finish; the message above names the cause, results/paper_size.log has the rest. 'make paper-size' goes on where it stopped." >&2
    exit 1
fi
echo "[paper-size] report: $PWD/results/paper_size/report.html, after $((($(date +%s) - start) / 60)) min; results/paper_size_work can be deleted"
