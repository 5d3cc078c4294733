# shellcheck shell=bash disable=SC2154
# Sourced by ./efnst: builds the images with Docker or Podman and converts them to SIF files
# for Apptainer and Singularity or to folders for Charliecloud.

images_usage() {
  cat <<END
./efnst images docker|podman|apptainer|charliecloud [options]

  --base IMAGE|FILE    what the images start from: an image of Debian 13, or a tar of its root folder [that of the Containerfiles]
  --debian ADDRESS     archive of Debian to install from, such as a snapshot; for versions that Debian itself no longer has
  --only NAMES         some of efnst,efnst-gpu,efnst-multiqc [efnst,efnst-multiqc]
  --push REGISTRY      push the images to REGISTRY/NAME:TAG; run with --image_registry REGISTRY
  --folder FOLDER      where files (apptainer) or folders (charliecloud) are written [images]; run with --image_folder FOLDER

The names and tags are those of conf/images.config: a tag changes with the packages in an image, not with efnst's own programs.
An image that is there already is not built again.
END
}

images() {
  local target=${1:-} base="" debian="" only=efnst,efnst-multiqc registry="" folder=images image
  case $target in
    docker | podman | apptainer | charliecloud) shift ;;
    -h | --help) images_usage; return ;;
    *) images_usage; say "Expected an engine, found \`$target\`."; return 2 ;;
  esac
  while [[ $# -gt 0 ]]; do
    case $1 in
      --base) base=${2:-} ;;
      --debian) debian=${2:-} ;;
      --only) only=${2:-} ;;
      --push) registry=${2:-} ;;
      --folder) folder=${2:-} ;;
      -h | --help) images_usage; return ;;
      *) images_usage; say "Expected one of these options, found \`$1\`."; return 2 ;;
    esac
    shift 2 || die "Expected a value after $1."
  done
  choose_builder "$target"
  for image in ${only//,/ }; do
    [[ -e $project/containers/$image.Containerfile ]] || die "Expected --only to name images, found \`$image\`."
    image=$(sed -n "s/.* = '\($image:.*\)'/\1/p" "$project/conf/images.config")
    build_image "$image" "$base" "$debian"
    [[ -z $registry ]] || push_image "$image" "$registry"
    case $target in
      apptainer) convert_image "$image" "$folder" ;;
      charliecloud) unpack_image "$image" "$folder" ;;
    esac
  done
}

# The engine that builds: Docker or Podman as asked for, either for files and folders.
choose_builder() {
  local candidates=$1
  [[ $1 == docker || $1 == podman ]] || candidates="podman docker"
  for builder in $candidates; do
    command -v "$builder" >/dev/null && "$builder" info >/dev/null 2>&1 && return
  done
  die "Expected ${candidates// / or } to build images, found none that runs. Install it and start its service, or build the" \
    "images on another machine: \`./efnst bundle\` packs them for this one."
}

# build_image NAME:TAG BASE ARCHIVE: the latter two empty for those of the Containerfile
build_image() {
  local image=$1 base=$2 debian=$3 name=${1%:*} context options=()
  if "$builder" image inspect "$image" >/dev/null 2>&1; then
    say "$image is there"
    return
  fi
  if [[ -f $base ]]; then
    "$builder" import "$base" efnst-base:import >/dev/null
    base=efnst-base:import
    [[ $builder == docker ]] || base=localhost/$base
  fi
  context=$(mktemp -d)
  cp "$project/containers/"{debian.sh,debian.txt,install.sh,sbom.py,compile.py} "$context"
  cp "$project/containers/$name.txt" "$context/lock.txt"
  # pip's settings for a mirror and a certificate are this machine's own
  cat "${PIP_CERT:-/dev/null}" > "$context/certificates.crt"
  [[ -z ${PIP_INDEX_URL:-} ]] || options+=(--build-arg "PIP_INDEX_URL=$PIP_INDEX_URL")
  [[ -z $base ]] || options+=(--build-arg "BASE=$base")
  [[ -z $debian ]] || options+=(--build-arg "DEBIAN_ARCHIVE=$debian")
  [[ $builder == docker ]] || options+=(--format docker)
  say "building $image"
  "$builder" build --network host --build-arg "TAG=${image#*:}" "${options[@]}" \
    --tag "$image" --file "$project/containers/$name.Containerfile" "$context"
  rm -r "$context"
}

push_image() {
  "$builder" tag "$1" "$2/$1"
  "$builder" push "$2/$1"
}

# convert_image NAME:TAG FOLDER: NAME-TAG.img, which appears only when complete.
convert_image() {
  local image=$1 folder=$2 file=$2/${1/:/-}.img command scratch
  [[ ! -e $file ]] || { say "$file is there"; return; }
  command=$(command -v apptainer || command -v singularity) || die "Expected apptainer or singularity to write $file, found none."
  mkdir -p "$folder"
  scratch=$(mktemp -d -p "$folder")
  "$builder" save --output "$scratch/image.tar" "$image"
  "$command" build --mksquashfs-args "-comp zstd -Xcompression-level 9" "$scratch/image.sif" "docker-archive:$scratch/image.tar"
  mv "$scratch/image.sif" "$file"
  rm -r "$scratch"
  say "wrote $file"
}

# unpack_image NAME:TAG FOLDER: the image's root folder, with its variables where Charliecloud looks for them.
unpack_image() {
  local image=$1 folder=$2/${1/:/-}.img
  [[ ! -f $folder ]] || die "Expected $folder to be a folder, found a file, as Apptainer has it: give another --folder."
  [[ ! -e $folder ]] || { say "$folder is there"; return; }
  mkdir -p "$2"
  ch-convert -i "$builder" -o dir "$image" "$folder.part"
  mkdir -p "$folder.part/ch"
  "$builder" image inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$image" > "$folder.part/ch/environment"
  mv "$folder.part" "$folder"
  say "wrote $folder"
}
