#!/usr/bin/env bash
# Runs in a build: installs packages of Debian at the versions of debian.txt, and what they need too; ends where Debian has others.
# DEBIAN_ARCHIVE: an address to install from in place of the base's own, such as a snapshot. Versions are locked for amd64 only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [[ -n ${DEBIAN_ARCHIVE:-} ]]; then
  rm -f /etc/apt/sources.list.d/*
  echo "deb [check-valid-until=no] $DEBIAN_ARCHIVE trixie main" > /etc/apt/sources.list
fi
installed() { dpkg-query -W -f '${Package}=${Version}\n' | LC_ALL=C sort; }

installed > before.txt
[[ $(dpkg --print-architecture) == amd64 ]] || { installed > debian.txt; any=1; }
awk -F= '{ printf "Package: %s\nPin: version %s\nPin-Priority: 1001\n\n", $1, $2 }' debian.txt > /etc/apt/preferences.d/locked
apt-get update
apt-get install -y --no-install-recommends "$@"
rm /etc/apt/preferences.d/locked

other=$(installed | LC_ALL=C comm -23 - before.txt | LC_ALL=C comm -23 - debian.txt)
if [[ -n $other && -z ${any:-} ]]; then
  echo "Expected the versions of containers/debian.txt, found: $other. Debian has newer ones by now: give an archive that still has" \
    "the old ones (./efnst images ENGINE --debian ADDRESS), or lock anew (containers/lock_debian.sh)." >&2
  exit 1
fi
rm -rf before.txt /usr/share/doc /usr/share/locale /usr/share/man
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log /var/log/apt
