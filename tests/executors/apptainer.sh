#!/usr/bin/env bash
# Apptainer for the tests beside this file, as root on Debian or Ubuntu on x86-64: apptainer.sh FOLDER
# From the distribution where it has it. Debian 12 has none: there Debian unstable's package is taken, with a C library of
# its own in a folder of its own, and with the capabilities that this machine really has.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd)
export DEBIAN_FRONTEND=noninteractive
[ "$(dpkg --print-architecture)" = amd64 ] || { echo "[apptainer] just for x86-64"; exit 1; }
apt-get update -q
if apt-get install -y -q --no-install-recommends apptainer; then exit 0; fi

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
mkdir -p "$folder/lists/partial" "$folder/archives/partial"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" > "$folder/sid.list"
sid=(-o "Dir::Etc::sourcelist=$folder/sid.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
    -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder" -o APT::Sandbox::User=root)
apt-get "${sid[@]}" update -q
(cd "$folder" && rm -f ./*.deb && apt-get "${sid[@]}" download -q apptainer libc6)
apt-get install -y -q --no-install-recommends patchelf squashfs-tools squashfuse fuse3 uidmap libseccomp2 libsqlite3-0 libcap2-bin

package=$folder/package own=/usr/lib/apptainer-libc system=/usr/lib/x86_64-linux-gnu
rm -rf "$package" "$folder/libc"
dpkg-deb -R "$folder"/apptainer_*.deb "$package"
dpkg-deb -x "$folder"/libc6_*.deb "$folder/libc"
mkdir -p "$package$own"
cp -d "$folder/libc$system"/*.so* "$package$own/"
for program in "$package/usr/bin/apptainer" "$package$system/apptainer/bin/starter"; do
    patchelf --set-interpreter "$own/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$own:/lib/x86_64-linux-gnu:$system" "$program"
done
# what the package asks for beyond Debian 12 is what it now brings, and the plugins of networks that no test has
sed -i -e '/^Version:/s/$/+own-libc/' -e '/^Depends:/s/, libc6 ([^)]*)//' -e '/^Depends:/s/containernetworking-plugins, //' "$package/DEBIAN/control"
rm -f "$package/DEBIAN/md5sums"
dpkg-deb --root-owner-group -Zgzip -z1 -b "$package" "$folder/repacked.deb"
apt-get install -y -q --no-install-recommends "$folder/repacked.deb"

# root gets what the machine lets root have, and no more: else every start fails where some are withheld
sed -i 's/^root default capabilities = .*/root default capabilities = file/' /etc/apptainer/apptainer.conf
mask=$(awk '/^CapBnd/ { print $2 }' /proc/self/status)
capsh --decode="$mask" | sed 's/.*=//' | tr '[:lower:],' '[:upper:]\n' | awk '{ printf "%s\"%s\"", (NR > 1 ? "," : ""), $0 }' |
    sed 's/.*/{"users":{"root":[&]}}/' > /etc/apptainer/capability.json
apptainer --version
