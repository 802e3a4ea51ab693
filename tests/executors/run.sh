#!/usr/bin/env bash
# One small data set of the twin under every engine and executor that can be had here, and the results compared.
#   tests/executors/run.sh FOLDER [local docker podman apptainer slurm] [-- parameters of the pipeline]
#   SIZE=small tests/executors/run.sh FOLDER …      from a table of features, with the imaging image alone (no torch)
# With CT4BENCH_INSTALL=1, as root on Debian or Ubuntu, it installs what is missing. It starts the daemons that it needs and
# stops just those, by their pids. Ways whose engine cannot be had are said to be skipped. FOLDER is kept: images, results,
# logs.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -gt 0 ] || { sed -n '2,9s/^# *//p' "$0"; exit 2; }
place=$(mkdir -p "$1" && cd "$1" && pwd)
shift
ways=() parameters=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do ways+=("$1"); shift; done
[ $# -gt 0 ] && shift && parameters=("$@")
known=(local docker podman apptainer slurm)
[ ${#ways[@]} -gt 0 ] || ways=("${known[@]}")
for way in "${ways[@]}"; do
    [[ " ${known[*]} " = *" $way "* ]] || { echo "[executors] no such way: $way; there are ${known[*]}"; exit 2; }
done
images=(imaging deep)
if [ "${SIZE:-}" = small ]; then
    images=(imaging)
    parameters=(--features "$project/tests/data/radiomics.csv" --verify 0 "${parameters[@]}")
elif [ ${#parameters[@]} -eq 0 ]; then
    parameters=(--twin_scanners A1,C1,E2 --twin_reconstructions IR --twin_doses 10,14 --patches_per_roi 3)
fi
version=$(sed -n "s/^    version = '\(.*\)'/\1/p" "$project/nextflow.config")
source "$project/tests/executors/daemons.sh"


docker_images() {
    start_docker || return 1
    local image missing=()
    for image in "${images[@]}"; do
        docker image inspect "ct4bench-$image:$version" >/dev/null 2>&1 || missing+=("$image")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    have debootstrap debootstrap || return 1
    SIF=no ENGINE=docker IMAGES="${missing[*]}" "$project/tools/images.sh" build &
    wait $!
}

podman_images() {
    have podman podman runc || return 1
    printf '[containers]\ndefault_ulimits = []\n[engine]\nruntime = "runc"\n' > "$place/containers.conf"
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$place/podman-store" "$place/podman-run" > "$place/storage.conf"
    export CONTAINERS_CONF=$place/containers.conf CONTAINERS_STORAGE_CONF=$place/storage.conf
    local image
    for image in "${images[@]}"; do
        podman image exists "localhost/ct4bench-$image:$version" && continue
        docker_images && docker save "ct4bench-$image:$version" | podman load -q >/dev/null || return 1
    done
}

sif_images() {
    have_apptainer || return 1
    local image sif archive
    mkdir -p "$place/sif"
    for image in "${images[@]}"; do
        sif=$place/sif/ct4bench-$image-$version.sif archive=$place/$image.tar
        [ -f "$sif" ] && continue
        docker_images && docker save -o "$archive" "ct4bench-$image:$version" || return 1
        apptainer build --mksquashfs-args '-comp zstd -Xcompression-level 3' "$sif" "docker-archive:$archive" >"$place/sif-$image.log" 2>&1 || return 1
        rm "$archive"
    done
}

ready() {  # everything is there, and an empty task of the smaller image ends well
    case $1 in
        local) [ -x "$project/.venv/bin/python" ] ;;
        docker) docker_images && docker run --rm --network none --read-only "ct4bench-imaging:$version" true ;;
        podman) podman_images && podman run --rm --network none --read-only "localhost/ct4bench-imaging:$version" true ;;
        apptainer) sif_images && apptainer exec --contain --net --network none "$place/sif/ct4bench-imaging-$version.sif" true ;;
        slurm) ready apptainer && start_slurm && timeout 60 srun true ;;
    esac
}

profiles() {
    case $1 in
        slurm) echo test,slurm,apptainer ;;
        *) echo "test,$1" ;;
    esac
}

settings() {  # settings WAY: quick polling; where there is just the imaging image, trainings run in it, too
    echo "executor { '\$slurm' { pollInterval = '1 sec'; queueStatInterval = '2 sec' } }"
    [ "${SIZE:-}" = small ] || return 0
    case $1 in
        docker | podman) echo "process { withLabel: 'deep|training' { container = 'ct4bench-imaging:$version' } }" ;;
        apptainer | slurm) echo "process { withLabel: 'deep|training' { container = '$place/sif/ct4bench-imaging-$version.sif' } }" ;;
    esac
}

done_ways=()
for way in "${ways[@]}"; do
    if ! ready "$way" >"$place/ready-$way.log" 2>&1; then
        say "skipped: $way cannot be had here: $(tail -n 1 "$place/ready-$way.log")"
        continue
    fi
    say "running: $way"
    mkdir -p "$place/$way"
    settings "$way" > "$place/$way/settings.config"
    extra=()
    [ "$way" = apptainer ] || [ "$way" = slurm ] && extra=(--image_folder "$place/sif")
    began=$SECONDS
    (cd "$place/$way" && exec "$project/.engine/nextflow" -log nextflow.log -c settings.config run "$project" -profile "$(profiles "$way")" \
        -ansi-log false -work-dir work -resume --outdir results "${parameters[@]}" "${extra[@]}" > run.log 2>&1) &
    if wait $!; then
        say "done: $way in $((SECONDS - began)) s"
        done_ways+=("$way")
    else
        tail -n 30 "$place/$way/run.log"
        say "failed: $way"
        exit 1
    fi
done

inside=() outside=()
for way in "${done_ways[@]}"; do
    if [ "$way" = local ]; then outside+=("$place/$way/results"); else inside+=("$place/$way/results"); fi
done
if [ ${#inside[@]} -eq 0 ]; then say "nothing to compare: no engine can be had here"; exit 0; fi
"$project/.venv/bin/python" "$project/tests/executors/compare.py" "${inside[@]}" --others "${outside[@]}"
say "${#done_ways[@]} ways agree: ${done_ways[*]}"
