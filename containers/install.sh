#!/bin/bash
# What the builder of an image does, for Docker, Podman and Apptainer alike: the locked packages into /opt/venv.
# Run in the builder, beside the locks: install.sh NAME
set -euo pipefail
name=$1
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends ca-certificates gcc libc6-dev python3 python3-dev python3-venv
update-ca-certificates
export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt UV_HTTP_TIMEOUT=600
python3 -m venv /opt/uv
/opt/uv/bin/pip install -q --disable-pip-version-check --no-cache-dir --require-hashes -r uv.lock
python3 -m venv --without-pip /opt/venv
/opt/uv/bin/uv pip sync -q --no-cache --compile-bytecode --python /opt/venv/bin/python --require-hashes "$name.lock"
# what no task uses: the packages' own tests, headers and static libraries, Arrow's remote file systems and services,
# the symbol tables of the two largest compilers and readers
site=$(echo /opt/venv/lib/python3*/site-packages)
find "$site" -type d \( -name tests -o -name include \) -not -path "$site/numpy/*" -prune -exec rm -rf {} +
find "$site/numpy" -type d -name tests -not -path '*/_core/*' -prune -exec rm -rf {} +
find "$site" -type f \( -name '*.a' -o -name '*.pyi' \) -delete
rm -f "$site"/pyarrow/libarrow_{flight,substrait,s3}.so* "$site"/pyarrow/_{flight,substrait,s3fs}.*.so
strip --strip-unneeded "$site"/llvmlite/binding/libllvmlite.so "$site"/pyarrow/libarrow.so.*
