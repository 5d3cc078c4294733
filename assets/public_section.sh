#!/usr/bin/env bash
# Fetches a public Visium section of 10x Genomics (human lymph node, 4,035 spots, with its full-resolution image) into
# ./public_section and writes its samplesheet: the input of `-profile test_full`. Needs curl, tar, md5sum and the internet.
#
#   public_section.sh SUMS          SUMS: lines `MD5  NAME` as the page of the dataset lists them beside its output files
#   public_section.sh --unchecked   without them: nothing then says that the files are those that 10x published
#
# No sums are kept here: 10x publishes MD5 on that page only, and what a first download gave would prove nothing.
set -euo pipefail
[[ $# -eq 1 ]] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
sums=$1
[[ $sums == --unchecked ]] || sums=$(realpath -e "$sums")

name=V1_Human_Lymph_Node
address=https://cf.10xgenomics.com/samples/spatial-exp/1.1.0/$name
files=("${name}_filtered_feature_bc_matrix.h5" "${name}_spatial.tar.gz" "${name}_image.tif")
mkdir -p public_section/fetched
cd public_section/fetched
for file in "${files[@]}"; do
  [[ -e $file ]] || { curl -fL --proto '=https' -o "$file.part" "$address/$file" && mv "$file.part" "$file"; }
done

if [[ $sums == --unchecked ]]; then
  echo 'Nothing was checked. These are the sums of what was fetched:' >&2
  sha256sum "${files[@]}" >&2
else
  for file in "${files[@]}"; do
    line=$(grep -E "^[0-9a-f]{32}[ *]+$file\$" "$sums") || { echo "Expected the MD5 of $file in $sums, found none." >&2; exit 2; }
    md5sum --check <<< "$line"
  done
fi

mkdir -p ../outs
tar -xzf "${files[1]}" -C ../outs
cp "${files[0]}" ../outs/filtered_feature_bc_matrix.h5
cp "${files[2]}" ../image.tif
printf '%s\n' sample,section,image,n_domains lymph_node,outs,image.tif,8 > ../samplesheet.csv
