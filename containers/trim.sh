#!/bin/bash
# Takes out of /opt/venv what no task uses: the packages' own tests, headers and static libraries, Arrow's remote services
# and file systems, and symbol tables. Run in the builder, after install.sh.
set -euo pipefail
site=$(echo /opt/venv/lib/python3*/site-packages)
find "$site" -type d \( -name tests -o -name include \) -not -path "$site/numpy/*" -prune -exec rm -rf {} +
find "$site/numpy" -type d -name tests -not -path '*/_core/*' -prune -exec rm -rf {} +
find "$site" -type f \( -name '*.a' -o -name '*.pyi' \) -delete
rm -f "$site"/pyarrow/libarrow_{flight,python_flight,s3}.so* "$site"/pyarrow/_{flight,s3fs}.*.so
strip --strip-unneeded "$site"/llvmlite/binding/libllvmlite.so "$site"/pyarrow/libarrow.so.*
