#!/usr/bin/env bash
# Locks the packages of the images, for Python 3.13 and at the versions of requirements/all.txt where these fit, and writes the
# images' tags to conf/images.config: a tag is the digest of what an image is made from. Needs uv on the PATH.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# lock IMAGE OPTION…: the packages of the groups and constraints that the options name.
lock() {
  uv pip compile --quiet --python-version 3.13 --python-platform x86_64-unknown-linux-gnu --generate-hashes --no-annotate \
    --no-header --no-emit-index-url --group pyproject.toml:program "${@:2}" -o "containers/$1.txt"
}

scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
cuda='^(cuda-[a-z]*|nvidia-[a-z0-9-]*|torch|triton)=='
groups=()
for group in data image encoder model cohort report; do groups+=(--group "pyproject.toml:$group"); done

# The CPU image has Debian's PyTorch. No program reads shapefiles (pyogrio) or buckets (s3fs), which spatialdata asks for.
unused=(--no-emit-package pyogrio --no-emit-package s3fs --no-emit-package botocore --no-emit-package jmespath)
without=()
while read -r package; do without+=(--no-emit-package "${package%==}"); done < <(grep -oE "$cuda" requirements/all.txt)
lock efnst "${groups[@]}" --constraint requirements/all.txt "${without[@]}" "${unused[@]}"
lock efnst-multiqc --group pyproject.toml:multiqc --constraint requirements/all.txt

awk -v other="$cuda" '/^[a-z]/ { keep = $0 !~ other && $0 !~ /^onnxruntime==/ } keep' requirements/all.txt > "$scratch/all.txt"
echo 'onnxruntime ; python_version < "3"' > "$scratch/without.txt"
lock efnst-gpu "${groups[@]}" --group pyproject.toml:gpu --constraint "$scratch/all.txt" --override "$scratch/without.txt" \
  "${unused[@]}"

{
  echo '// Written by containers/lock.sh: a tag is the digest of the files of containers/ that an image is made from.'
  echo 'params {'
  for image in efnst efnst-gpu efnst-multiqc; do
    tag=$(cat containers/{"$image.Containerfile","$image.txt",debian.sh,debian.txt,install.sh,sbom.py,compile.py} | sha256sum | cut -c 1-12)
    name=${image//-/_}
    echo "    ${name/efnst/image} = '$image:$tag'"
  done | sed 's/image_multiqc/multiqc_image/; s/image_gpu/gpu_image/'
  echo '}'
} > conf/images.config
