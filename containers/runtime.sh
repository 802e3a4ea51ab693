#!/bin/bash
# What a task needs beside /opt/venv: Python, bash, and ps for the engine's trace; then the inventory of the whole image.
# Run in the final stage: runtime.sh NAME VERSION, with inventory.py beside it.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends bash ca-certificates procps python3
update-ca-certificates
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /usr/share/man /usr/share/locale /root/.cache
find /usr/share/doc -type f ! -name copyright -delete       # licences stay
groupadd --gid 1000 ct4bench
useradd --uid 1000 --gid 1000 --home-dir /tmp --no-create-home --shell /bin/bash ct4bench
/opt/venv/bin/python "$(dirname "$0")/inventory.py" "$1" "$2" /usr/share/ct4bench
