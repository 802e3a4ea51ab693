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
