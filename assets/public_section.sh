#!/usr/bin/env bash
# Fetches a public Visium section of 10x Genomics (human lymph node, 4,035 spots, with its full-resolution image) into
# ./public_section and writes its samplesheet: the input of `-profile test_full`. Needs curl, tar and the internet.
set -euo pipefail
address=https://cf.10xgenomics.com/samples/spatial-exp/1.1.0/V1_Human_Lymph_Node/V1_Human_Lymph_Node
mkdir -p public_section/outs
cd public_section
curl -fL -o outs/filtered_feature_bc_matrix.h5 "${address}_filtered_feature_bc_matrix.h5"
curl -fL "${address}_spatial.tar.gz" | tar -xz -C outs
curl -fL -o image.tif "${address}_image.tif"
printf '%s\n' sample,section,image,n_domains lymph_node,outs,image.tif,8 > samplesheet.csv
