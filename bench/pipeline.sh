#!/usr/bin/env bash
# Wall time and peak memory of whole pipeline runs with a warm cache: the demo, and one section given as a samplesheet.
#   bench/pipeline.sh [samplesheet.csv]
set -euo pipefail
efnst=$(dirname "$(readlink -f "$0")")/../efnst
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# measure NAME OUTDIR COMMAND…: one row of the table.
measure() {
  local name=$1 outdir=$2 start=$SECONDS
  shift 2
  "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  local largest
  largest=$(awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "peak_rss") column = i; next }
    { split($column, part, " "); mb = part[1] * (part[2] == "GB" ? 1024 : 1); if (mb > most) most = mb }
    END { printf "%.1f GB", most / 1024 }' "$outdir/pipeline_info/execution_trace.txt")
  echo "| $name | $((SECONDS - start)) s | $largest |"
}

efnst=$(readlink -f "$efnst")
"$efnst" setup >/dev/null 2>&1
echo "| run | wall time | largest process |"
echo "|---|---|---|"
measure "demo, 3 simulated sections" demo/results "$efnst" demo
if [[ -n ${1:-} ]]; then
  measure "$(basename "$1")" results "$efnst" run --input "$1" --outdir results -work-dir work
fi
