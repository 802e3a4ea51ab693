#!/usr/bin/env bash
# Faults on a real Slurm of one node: a job over its memory, a node that goes in the middle of a run, and the head process
# killed there.
#   tests/executors/faults.sh FOLDER
#   SIZE=small tests/executors/faults.sh FOLDER     the same on a stub run, in which one task is real
# The run starts from a small table of features, without containers; as root, with Slurm on PATH (CT4BENCH_INSTALL=1 lets it
# be installed). What it checks: the job that the kernel killed for its memory is tried again with more; a run waits for a node
# that is drained, and goes on when it is back; and -resume after the head's SIGKILL, with the node down and its jobs lost,
# gives the same files.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -gt 0 ] || { sed -n '2,9s/^# *//p' "$0"; exit 2; }
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

submitted() { grep -c 'Submitted process' "$place/$1/run.log" || true; }
three_submitted() { [ "$(submitted "$1")" -ge 3 ]; }
node() { scontrol update NodeName="$(hostname -s)" State="$1" ${2:+Reason="$2"}; }
same() {  # same NAME: as the run that was left alone
    [ "$(tables whole)" = "$(tables "$1")" ] && return
    diff <(tables whole) <(tables "$1") || true
    say "failed: $1 has other results"
    exit 1
}

say "a run whose node is drained after its third task, and is back some time later"
start drained
wait_for 600 three_submitted drained || { tail -n 20 "$place/drained/run.log"; say "failed: the run has no third task"; exit 1; }
node DRAIN upkeep
wait_for 300 sh -c '[ -z "$(squeue -h -t RUNNING,COMPLETING -o %i)" ] && [ -n "$(squeue -h -t PENDING -o %i)" ]' ||
    { say "failed: no job waits for the drained node"; exit 1; }
before=$(submitted drained)
sleep 5
kill -0 "$(cat "$place/drained/pid")" || { say "failed: the run did not wait for its node"; exit 1; }
node RESUME
wait "$(cat "$place/drained/pid")" || { tail -n 20 "$place/drained/run.log"; say "failed: the run did not go on"; exit 1; }
same drained
say "passed: a run waited for its drained node after $before tasks, went on, and gave the same $(tables whole | wc -l) files"

say "a run whose head process is killed after its third task, and its node with it"
start killed
wait_for 600 three_submitted killed || { tail -n 20 "$place/killed/run.log"; say "failed: the run has no third task"; exit 1; }
kill -9 "$(cat "$place/killed/pid")"
node DOWN failure
left=$(squeue -h -o %i | wc -l)
scancel -u "$(id -un)"
node RESUME
wait_for 60 sh -c 'sinfo -h -o %t | grep -q idle'
start killed -resume
wait "$(cat "$place/killed/pid")" || { tail -n 20 "$place/killed/run.log"; say "failed: the resumed run did not finish"; exit 1; }
cached=$(grep -c 'Cached process' "$place/killed/run.log" || true)
same killed
say "passed: after SIGKILL of the head ($left jobs left, cancelled) -resume took $cached tasks from the cache; $(tables whole | wc -l) files equal byte for byte"
