# Daemons for tests on this machine, for the scripts beside this file, which set $place first. What is started here is
# stopped at the end, by its pid; daemons that were there before are used and left alone.
started=()      # pid files of daemons that are ours

say() { printf '[executors] %s\n' "$*"; }

stop_daemons() {
    local file pid
    for file in "${started[@]}"; do
        pid=$(cat "$file" 2>/dev/null || true)
        if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; fi
    done
}
trap stop_daemons EXIT
# the shell hears of a signal while it waits for a child in the background, not for one in front
trap 'pkill -TERM -P $$ || true; exit 130' INT TERM HUP

have() {  # have PROGRAM PACKAGES...: on PATH, or installed where CT4BENCH_INSTALL=1 allows it
    local program=$1
    shift
    command -v "$program" >/dev/null && return 0
    [ "${CT4BENCH_INSTALL:-}" = 1 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; } >"$place/install-$program.log" 2>&1 || return 1
    command -v "$program" >/dev/null
}

have_apptainer() {
    command -v apptainer >/dev/null && return 0
    [ "${CT4BENCH_INSTALL:-}" = 1 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    say "installing Apptainer"
    "$project/tests/executors/apptainer.sh" "$place/apptainer" >"$place/install-apptainer.log" 2>&1
}

wait_for() {  # wait_for SECONDS COMMAND...
    local left=$1
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 1
    done
}

start_docker() {
    docker info >/dev/null 2>&1 && return 0
    have dockerd docker.io || return 1
    export DOCKER_HOST=unix://$place/docker.sock PATH=/usr/bin:$PATH
    if ! docker info >/dev/null 2>&1; then
        setsid nohup dockerd --data-root "$place/docker-store" --exec-root "$place/docker-exec" --pidfile "$place/docker.pid" \
            -H "$DOCKER_HOST" >"$place/dockerd.log" 2>&1 </dev/null &
        started+=("$place/docker.pid")
        wait_for 60 docker info || return 1
    fi
}

start_slurm() {
    if sinfo >/dev/null 2>&1; then say "there is a Slurm here already; it is left alone" >&2; return 1; fi
    have slurmctld slurm-wlm munge || return 1
    case $place in *[[:space:]]*) say "Slurm's configuration has no place for blanks: $place" >&2; return 1 ;; esac
    local host
    host=$(hostname -s)
    mkdir -p "$place/slurm/state" "$place/slurm/spool" "$place/slurm/log"
    if ! munge -n >/dev/null 2>&1 || ! munge -n | unmunge >/dev/null 2>&1; then
        install -d -o munge -g munge -m 755 /run/munge
        runuser -u munge -- /usr/sbin/munged || return 1
        started+=(/run/munge/munged.pid)
    fi
    cat > "$place/slurm/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/linux
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
ReturnToService=2
SlurmctldPidFile=$place/slurm/slurmctld.pid
SlurmdPidFile=$place/slurm/slurmd.pid
StateSaveLocation=$place/slurm/state
SlurmdSpoolDir=$place/slurm/spool
SlurmctldLogFile=$place/slurm/log/slurmctld.log
SlurmdLogFile=$place/slurm/log/slurmd.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(free -m | awk '/^Mem:/ {print int($2 * 0.8)}') State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    printf '%s\n' CgroupPlugin=cgroup/v1 CgroupMountpoint=/sys/fs/cgroup CgroupAutomount=no ConstrainCores=yes ConstrainRAMSpace=yes \
        ConstrainDevices=no > "$place/slurm/cgroup.conf"
    export SLURM_CONF=$place/slurm/slurm.conf
    setsid nohup slurmctld >/dev/null 2>&1 </dev/null
    started+=("$place/slurm/slurmctld.pid")
    setsid nohup slurmd -N "$host" >/dev/null 2>&1 </dev/null
    started+=("$place/slurm/slurmd.pid")
    wait_for 60 sh -c 'sinfo -h -o %t | grep -q idle'
}
