# shellcheck shell=bash disable=SC2154
# Sourced by ./efnst: packs what a machine without network needs into one archive.

bundle_usage() {
  cat <<END
./efnst bundle [options]

  --output FILE    the archive [efnst-$efnst_version.tar]
  --images FOLDER  the images as files, as \`./efnst images apptainer --folder FOLDER\` writes them [images]

The archive holds efnst, Java, Nextflow and the images, in which the weights of efficientnet-lite0 to lite2 are. There, with bash, tar
and Apptainer (or Singularity) only:

  tar -xf efnst-$efnst_version.tar && efnst-$efnst_version/install.sh FOLDER
  FOLDER/efnst demo
END
}

bundle() {
  local output=efnst-$efnst_version.tar images=images folder name image
  while [[ $# -gt 0 ]]; do
    case $1 in
      --output) output=${2:-} ;;
      --images) images=${2:-} ;;
      -h | --help) bundle_usage; return ;;
      *) bundle_usage; say "Expected one of these options, found \`$1\`."; return 2 ;;
    esac
    shift 2 || die "Expected a value after $1."
  done
  packed=$(mktemp -d -p "$(dirname "$output")")
  trap 'rm -rf "$packed"' EXIT
  folder=$packed/efnst-$efnst_version
  mkdir -p "$folder/bundled/images" "$folder/bundled/bin"
  for name in LICENSE README.md efnst main.nf nextflow.config nextflow_schema.json assets bin conf containers docs modules requirements; do
    cp -r "$project/$name" "$folder"
  done
  find "$folder/bin" -name __pycache__ -prune -exec rm -r {} +
  while IFS= read -r image; do
    [[ -e $images/$image || $image == efnst-gpu-* ]] ||
      die "Expected $images/$image, found none: \`./efnst images apptainer --folder $images\` makes it."
    [[ ! -e $images/$image ]] || cp --reflink=auto "$images/$image" "$folder/bundled/images"
  done < <(sed -n "s/.* = '\(.*\):\(.*\)'/\1-\2.img/p" "$project/conf/images.config")
  need_nextflow nextflow
  bundled_java # not this machine's own
  cp -r "$nextflow" "$folder/bundled/nextflow"
  cp -rL "$(dirname "$(dirname "$java")")" "$folder/bundled/java"
  cp "$project/containers/bundled_python.sh" "$folder/bundled/bin/python"
  cp "$project/containers/install_bundle.sh" "$folder/install.sh"
  tar -C "$packed" -cf "$output.part" "efnst-$efnst_version"
  mv "$output.part" "$output"
  say "wrote $output ($(du -h "$output" | cut -f 1))"
}
