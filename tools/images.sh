#!/usr/bin/env bash
# Images: tools/images.sh build | test
# build: ct4bench-imaging and ct4bench-deep with Docker or Podman (ENGINE=…), then SIF files in .images/ where there is
#        Apptainer (unless SIF=no), with the inventories beside them. The base is pulled by its digest, or made by containers/base.sh.
# test:  the smoke test of each image in each engine that has it.
set -euo pipefail
cd "$(dirname "$0")/.."

VERSION=$(sed -n "s/^    version = '\(.*\)'/\1/p" nextflow.config)
IMAGES=${IMAGES:-imaging deep}

say() { printf '[images] %s\n' "$*"; }
die() { printf '[images] ERROR: %s\n' "$*" >&2; exit 1; }

works() { command -v "$1" >/dev/null && "$1" version >/dev/null 2>&1; }

find_engine() {
    for engine in ${ENGINE:-docker podman}; do
        if works "$engine"; then echo "$engine"; return; fi
    done
    die "neither Docker nor Podman answers here; install one, start its daemon, or name one: make images ENGINE=podman"
}

make_base() {  # says what to build FROM
    local engine=$1 pinned
    pinned=$(sed -n 's/^ARG BASE_IMAGE=//p' containers/imaging/Dockerfile)
    if [ -n "${BASE_IMAGE:-}" ]; then echo "$BASE_IMAGE"
    elif "$engine" pull -q "$pinned" >/dev/null 2>&1; then echo "$pinned"
    else
        if ! "$engine" image inspect ct4bench-base:bookworm >/dev/null 2>&1; then
            say "no registry gives ${pinned%@*}: making it by debootstrap" >&2
            containers/base.sh "$engine" ct4bench-base:bookworm >&2 || exit 1     # a substitution's set -e is off
        fi
        [ "$engine" = podman ] && echo localhost/ct4bench-base:bookworm || echo ct4bench-base:bookworm
    fi
}

build() {
    local engine base
    engine=$(find_engine)
    base=$(make_base "$engine")
    mkdir -p .images
    for image in $IMAGES; do
        say "building ct4bench-$image:$VERSION with $engine"
        DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0} "$engine" build -q -f "containers/$image/Dockerfile" --build-arg BASE_IMAGE="$base" \
            --build-arg VERSION="$VERSION" -t "ct4bench-$image:$VERSION" . >/dev/null
        for file in sbom.cdx.json licences.txt; do
            "$engine" run --rm --network none "ct4bench-$image:$VERSION" cat "/usr/share/ct4bench/$file" > ".images/ct4bench-$image-$VERSION.$file"
        done
        say "$("$engine" image inspect --format '{{.Size}}' "ct4bench-$image:$VERSION" | awk '{printf "%.2f GB", $1 / 1e9}') ct4bench-$image:$VERSION"
        if [ "${SIF:-}" != no ] && command -v apptainer >/dev/null; then make_sif "$engine" "$image"; fi
    done
}

make_sif() {
    local engine=$1 image=$2
    local sif=.images/ct4bench-$image-$VERSION.sif archive=.images/ct4bench-$image-$VERSION.tar
    "$engine" save -o "$archive" "ct4bench-$image:$VERSION"
    apptainer build --force --mksquashfs-args '-comp zstd -Xcompression-level 3' "$sif" "docker-archive:$archive" >"${sif%.sif}.log" 2>&1 || { tail -n 5 "${sif%.sif}.log" >&2; die "apptainer could not make $sif"; }
    rm "$archive"
    say "$(du -h "$sif" | cut -f1) $sif"
}

# as the pipeline runs them: another user than the image's, no network, nothing to write but the folder and /scratch
run_in() {
    local engine=$1 image=$2 folder=$3
    shift 3
    local binds=(-v "$PWD:$PWD:ro" -v "$folder:$folder" -w "$folder")
    case $engine in
        docker) docker run --rm -u 12345:12345 --network none --read-only --tmpfs /scratch:rw,exec -e TMPDIR=/scratch -e HOME=/scratch "${binds[@]}" "ct4bench-$image:$VERSION" "$@" ;;
        podman) podman run --rm --user 0:0 --network none --read-only --tmpfs /scratch:rw,exec -e TMPDIR=/scratch -e HOME=/scratch "${binds[@]}" "localhost/ct4bench-$image:$VERSION" "$@" ;;
        *) "$engine" exec --contain --cleanenv --net --network none -B "$PWD:$PWD:ro" -B "$folder" --pwd "$folder" ".images/ct4bench-$image-$VERSION.sif" "$@" ;;
    esac
}

has() {
    case $1 in
        docker) works docker && docker image inspect "ct4bench-$2:$VERSION" >/dev/null 2>&1 ;;
        podman) works podman && podman image exists "localhost/ct4bench-$2:$VERSION" ;;
        *) command -v "$1" >/dev/null && [ -f ".images/ct4bench-$2-$VERSION.sif" ] ;;
    esac
}

test_images() {
    local tested=0 folder
    for engine in docker podman apptainer singularity; do
        for image in $IMAGES; do
            if ! has "$engine" "$image"; then say "skipped: $engine has no ct4bench-$image:$VERSION here"; continue; fi
            folder=$(mktemp -d "${TMPDIR:-/tmp}/ct4bench.XXXXXX")
            chmod 777 "$folder"
            run_in "$engine" "$image" "$folder" python3 "$PWD/containers/smoke.py" "$image" "$PWD/bin"
            rm -rf "$folder"
            say "passed: ct4bench-$image:$VERSION in $engine"
            tested=$((tested + 1))
        done
    done
    say "$tested passed"
    [ "$tested" -gt 0 ] || die "no image to test; run 'make images' first"
}

case ${1:-} in
    build) build ;;
    test) test_images ;;
    *) die "say build or test" ;;
esac
