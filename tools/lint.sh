# shellcheck shell=bash disable=SC2154
# Sourced by ./efnst: every linter over what it is for. Each runs, so that all findings are shown at once.

lint() {
  local status=0
  need_environment
  need_nextflow nextflow-lint
  cd "$project" || exit
  shopt -s nullglob
  ruff check . || status=1
  ruff format --check . || status=1
  lint_nextflow || status=1
  shellcheck efnst .ci/run {assets,bench,containers,requirements,tests,tools}/{,*/}*.sh || status=1
  lint_report || status=1
  return $status
}

lint_nextflow() (
  paths=()
  for path in main.nf nextflow.config conf modules subworkflows; do
    [[ ! -e $path ]] || paths+=("$path")
  done
  run_nextflow lint "${paths[@]}"
)

# The scripts share one scope in the report, so they are linted as the one script that report.html makes of them.
lint_report() (
  status=0
  scratch=$(mktemp -d)
  trap 'rm -r "$scratch"' EXIT
  cd assets/section_report || exit
  sed -n 's/^{% include "\(.*\.js\)" %}$/\1/p' report.html | xargs cat > "$scratch/report.js"
  oxlint --config "$project/.oxlintrc.json" "$scratch/report.js" || status=1
  djlint --configuration "$project/pyproject.toml" --lint . || status=1
  ! LC_ALL=C.UTF-8 grep -nE '.{121}' ./* || { say "Expected at most 120 columns in the lines above."; status=1; }
  exit $status
)
