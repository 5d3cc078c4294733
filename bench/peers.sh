#!/usr/bin/env bash
# Prints the folder of the environment of bench/peers.py, which is made from requirements/peers.txt where it is missing.
set -euo pipefail

locks=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../requirements

# shellcheck source=requirements/fetch.sh
source "$locks/fetch.sh"

build_peers() {
  uv venv --quiet --relocatable --python "$python" "$1"
  uv pip install --python "$1/bin/python" --require-hashes --compile-bytecode -r "$locks/peers.txt"
}

choose_cache
choose_python
obtain peers "the peers of bench/peers.py (3 GB, 8 GB on disk)" build_peers "$locks/peers.txt"
