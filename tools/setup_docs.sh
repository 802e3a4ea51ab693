#!/usr/bin/env bash
# Makes .docs, beside .venv: what builds the documentation, and what reads results back in tests. Run again, it does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=$(cat requirements/docs.lock tools/setup_docs.sh | sha256sum | cut -d' ' -f1)
[ "$(cat .docs/.locked 2>/dev/null)" = "$wanted" ] && exit
printf '[setup] making .docs (240 MB; a minute)\n'
rm -rf .docs
# a folder on PYTHONPATH and no environment of its own: numpy, pandas and ct4bench's own packages are those of .venv
.venv/bin/uv pip install -q --python .venv/bin/python --target .docs --no-deps --require-hashes -r requirements/docs.lock
printf '%s' "$wanted" > .docs/.locked
