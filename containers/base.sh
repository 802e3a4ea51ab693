#!/usr/bin/env bash
# The base image by debootstrap, where no registry can be reached: the same Debian 12 as debian:bookworm-slim.
#   containers/base.sh ENGINE TAG      ENGINE: docker or podman; as root
# Certificates in /usr/local/share/ca-certificates come along, so that pip works behind a proxy of the site.
set -euo pipefail
engine=$1 tag=$2
command -v debootstrap >/dev/null || { echo "[base] ERROR: no debootstrap; on Debian or Ubuntu: apt install debootstrap" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
debootstrap --variant=minbase bookworm "$folder/root" >"$folder/log" 2>&1 || { tail -n 5 "$folder/log" >&2; exit 1; }
# updates and security fixes from the mirror that debootstrap took
mirror=$(awk '$1 == "deb" { print $2; exit }' "$folder/root/etc/apt/sources.list")
printf 'deb %s %s main\n' "$mirror" bookworm "$mirror" bookworm-updates "$mirror-security" bookworm-security \
    > "$folder/root/etc/apt/sources.list"
mkdir -p "$folder/root/usr/local/share/ca-certificates"
find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$folder/root/usr/local/share/ca-certificates/" \; 2>/dev/null || true
rm -rf "$folder"/root/var/lib/apt/lists/* "$folder"/root/var/cache/apt/archives/*.deb "$folder"/root/usr/share/{man,locale,info}/*
find "$folder/root/usr/share/doc" -type f ! -name copyright -delete
tar -C "$folder/root" -c . | "$engine" import --change 'CMD ["bash"]' - "$tag" >/dev/null
echo "[base] $tag"
