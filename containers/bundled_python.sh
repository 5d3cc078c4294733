#!/usr/bin/env bash
# The Python of the image, for `./efnst check`, `demo` and others of a bundle.
set -euo pipefail
project=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
image=$(sed -n "s/^ *image = '\(.*\):\(.*\)'/\1-\2.img/p" "$project/conf/images.config")
engine=$(command -v apptainer || command -v singularity) || { echo "efnst: Expected apptainer or singularity, found none." >&2; exit 1; }
# An engine shows only the home folder and /tmp, but what arguments and samplesheets name may lie anywhere: the folders that
# arguments lie in are shown, too, and those of the root that are none of the image's.
shown=("$project" "$PWD" /*) binds=()
for argument; do
  path=$(realpath -s -- "${argument#--*=}" 2>/dev/null) || continue
  [[ -d $path ]] || path=$(dirname "$path")
  shown+=("$path")
done
for folder in "${shown[@]}"; do
  [[ ! -d $folder || ! -r $folder || ! -x $folder || $folder == *[:,]* ||
    $folder =~ ^/(|bin|boot|dev|etc|lib[0-9x]*|lost.found|opt|proc|run|sbin|sys|usr|var)$ ]] || binds+=(--bind "$folder")
done
exec "$engine" exec "${binds[@]}" --env "PYTHONPATH=${PYTHONPATH:-},MPLCONFIGDIR=.cache,NUMBA_CACHE_DIR=.cache" \
  "$project/bundled/images/$image" python3 "$@"
