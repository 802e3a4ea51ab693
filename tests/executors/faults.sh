#!/usr/bin/env bash
# Faults on a real Slurm of one node: a job over its memory, and the head process killed in the middle of a run.
#   tests/executors/faults.sh FOLDER
#   SIZE=small tests/executors/faults.sh FOLDER     the same on a stub run, in which one task is real
# The run starts from a small table of features, without containers; as root, with Slurm on PATH (CT4BENCH_INSTALL=1 lets it
# be installed). What it checks: the job that the kernel killed for its memory is tried again with more, and -resume after
# SIGKILL gives the same files.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
place=$(mkdir -p "$1" && cd "$1" && pwd)
source "$project/tests/executors/daemons.sh"
start_slurm || { say "skipped: Slurm cannot be had here"; exit 0; }

if [ "${SIZE:-}" = small ]; then
    mkdir -p "$place/idc/none"
    greedy=PLAN_PAIRS
    arguments=(-stub-run --input "$place/idc" --index "$project/tests/data/index")
else
    greedy=PLAN_SPLITS
    arguments=(--features "$project/tests/data/radiomics.csv")
fi
cat > "$place/faults.config" <<CONFIG
executor { '\$slurm' { pollInterval = '1 sec'; queueStatInterval = '2 sec' } }
process {
    // too little for Python and pandas at the first try, enough at the second or third
    withName: $greedy { memory = { 30.MB * 6 ** (task.attempt - 1) } }
}
CONFIG

start() {  # start NAME [-resume]: a run in a folder of its own, its pid in $place/NAME/pid
    mkdir -p "$place/$1"
    (cd "$place/$1" && exec setsid "$project/.engine/nextflow" -log nextflow.log -c "$place/faults.config" run "$project" -profile test,slurm -ansi-log false \
        -work-dir work --outdir results "${arguments[@]}" "${@:2}" > run.log 2>&1) &
    echo $! > "$place/$1/pid"
}

tables() { (cd "$place/$1/results" && find . -type f ! -path './pipeline_info/*' ! -name report.html -print0 | sort -z | xargs -0 sha256sum); }

say "a run that is left alone, with a job that asks for too little memory"
start whole
wait "$(cat "$place/whole/pid")" || { tail -n 20 "$place/whole/run.log"; say "failed: the run did not finish"; exit 1; }
exits=$(awk -F'\t' -v name="$greedy" '$3 ~ name {print $5}' "$place"/whole/results/pipeline_info/trace_*.txt | tr '\n' ' ')
case $exits in
    137*0*) say "passed: $greedy was killed for its memory and tried again (exit statuses $exits)" ;;
    *) say "failed: exit statuses of $greedy are $exits"; exit 1 ;;
esac

say "a run whose head process is killed after its third task"
start killed
wait_for 600 sh -c "[ \$(grep -c 'Submitted process' '$place/killed/run.log') -ge 3 ]"
kill -9 "$(cat "$place/killed/pid")"
left=$(squeue -h -o %i | wc -l)
scancel --me 2>/dev/null || scancel -u "$(id -un)"
start killed -resume
wait "$(cat "$place/killed/pid")" || { tail -n 20 "$place/killed/run.log"; say "failed: the resumed run did not finish"; exit 1; }
cached=$(grep -c 'Cached process' "$place/killed/run.log" || true)
if [ "$(tables whole)" = "$(tables killed)" ]; then
    say "passed: after SIGKILL of the head ($left jobs left, cancelled) -resume took $cached tasks from the cache; $(tables whole | wc -l) files equal byte for byte"
else
    diff <(tables whole) <(tables killed) || true
    say "failed: the resumed run has other results"
    exit 1
fi
