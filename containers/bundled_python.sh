#!/usr/bin/env bash
# The Python of the image, for `./efnst check`, `demo` and others of a bundle.
set -euo pipefail
project=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")
image=$(sed -n "s/^ *image = '\(.*\):\(.*\)'/\1-\2.img/p" "$project/conf/images.config")
engine=$(command -v apptainer || command -v singularity) || { echo "efnst: Expected apptainer or singularity, found none." >&2; exit 1; }
exec "$engine" exec --bind "$project" --bind "$PWD" --env "PYTHONPATH=${PYTHONPATH:-},MPLCONFIGDIR=.cache,NUMBA_CACHE_DIR=.cache" \
  "$project/bundled/images/$image" python3 "$@"
