#!/usr/bin/env bash
# Locks Debian's packages of the images: writes containers/debian.txt, the versions that the archive has today.
# Arguments: podman or docker, and an image of Debian 13 for amd64. Afterwards run containers/lock.sh.
set -euo pipefail
engine=${1:?podman or docker} base=${2:?an image of Debian 13}
cd "$(dirname "${BASH_SOURCE[0]}")"

packages=(ca-certificates procps python3 python3-torch python3-venv)
# shellcheck disable=SC2016 # expanded in the container
"$engine" run --rm --network host "$base" bash -euc '
  apt-get -qq update
  dpkg-query -W -f "\${Package}=\${Version}\n" > installed
  apt-get install --simulate --no-install-recommends "$@" | sed -nE "s/^Inst (\S+) (\[\S+\] )?\((\S+) .*/\1=\3/p" > new
  sort -t= -k1,1 --unique new installed | LC_ALL=C sort' - "${packages[@]}" > debian.part
mv debian.part debian.txt
