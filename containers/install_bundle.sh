#!/usr/bin/env bash
# Installs a bundle of efnst: install.sh FOLDER. Needs bash, and for the runs Apptainer or Singularity; no network, no root.
set -euo pipefail
source=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")")
folder=${1:-}
[[ -n $folder ]] || { echo "Expected the folder to install into: $0 FOLDER" >&2; exit 2; }
[[ ! -e $folder/efnst ]] || { echo "Expected a folder without efnst, found one in $folder: remove it first, or choose another." >&2; exit 2; }
mkdir -p "$folder"
cp -r "$source/." "$folder"
rm "$folder/install.sh"
chmod -R a+rX "$folder"
chmod +x "$folder/efnst" "$folder/bundled/bin/python" "$folder/bundled/java/bin/java" "$folder"/bin/*.py
[[ -n $(command -v apptainer || command -v singularity) ]] ||
  echo "Installed, but apptainer or singularity has to be on the PATH where efnst runs; here it is not." >&2
"$folder/efnst" --version
echo "Try it: $folder/efnst demo"
