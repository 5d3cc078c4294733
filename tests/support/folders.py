"""Other kinds of Space Ranger folders than those that are simulated: a folder is changed into one of them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy import sparse

from efnst.simulation.feature_matrix import read_matrix, with_proteins, write_matrix
from efnst.simulation.space_ranger import CSV_FILE, read_positions_table


def as_cytassist(outs: Path, prefix: str = "") -> None:
    """Make a folder one of CytAssist with proteins: more features, the grey scan, and a prefix where one is given."""
    matrix, _ = read_matrix(outs)
    write_matrix(with_proteins(matrix), outs, "h5")
    Image.new("L", (300, 300), 200).save(outs / "spatial" / "cytassist_image.tiff")
    Image.new("L", (30, 30), 200).save(outs / "spatial" / "aligned_tissue_image.jpg")
    if prefix:
        (outs / "filtered_feature_bc_matrix.h5").rename(outs / f"{prefix}filtered_feature_bc_matrix.h5")


def as_probe_based(outs: Path) -> None:
    """Make a folder one of fixed tissue measured with probes: further columns of features, and the matrix of probes."""
    matrix, _ = read_matrix(outs)
    names = matrix.names.astype("U32")
    names[0] = f"DEPRECATED_{names[0]}"
    write_matrix(replace(matrix, names=names), outs, "h5")
    with h5py.File(outs / "filtered_feature_bc_matrix.h5", "a") as file:
        features = file["matrix/features"]
        features["probe_region"] = np.full(len(names), "spliced", "S")
        features.create_group("target_sets")["Visium Probe Set"] = np.arange(len(names))
    shutil.copy2(outs / "filtered_feature_bc_matrix.h5", outs / "raw_probe_bc_matrix.h5")
    (outs / "probe_set.csv").write_text("#probe_set_file_format=2.0\ngene_id,probe_seq,probe_id,included,region\n")


def as_raw(outs: Path) -> None:
    """Replace the filtered matrix by the raw one, with all places of the array, most of them nearly empty."""
    matrix, kind = read_matrix(outs)
    table = read_positions_table(outs)
    others = np.setdiff1d(table["barcode"].to_numpy(str), matrix.barcodes)
    rng = np.random.default_rng(0)
    ambient = sparse.random(len(matrix.ids), len(others), 0.01, "csc", np.int32, rng, lambda n: np.ones(n, np.int32))
    barcodes = np.append(matrix.barcodes, others)
    order = np.argsort(barcodes)
    counts = sparse.hstack([matrix.counts, ambient], format="csc")[:, order]
    (outs / "filtered_feature_bc_matrix.h5").unlink()
    write_matrix(replace(matrix, counts=counts, barcodes=barcodes[order]), outs, kind)
    (outs / "filtered_feature_bc_matrix.h5").rename(outs / "raw_feature_bc_matrix.h5")


def as_legacy(outs: Path) -> None:
    """Put the spots on a square grid, as on slides of Spatial Transcriptomics: 200 µm apart, 100 µm wide."""
    table = read_positions_table(outs)
    factors = json.loads((outs / "spatial" / "scalefactors_json.json").read_text())
    pitch = 0.8 * float(np.ptp(table["pxl_col_in_fullres"]) / np.ptp(table["array_col"] // 2))
    table["array_col"] //= 2
    for pixels, place in (("pxl_col_in_fullres", "array_col"), ("pxl_row_in_fullres", "array_row")):
        table[pixels] = table[pixels].min() + pitch * table[place]
    factors["spot_diameter_fullres"] = pitch / 2
    (outs / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))
    for path in (outs / "spatial").glob("tissue_positions*"):
        path.unlink()
    table.to_csv(outs / "spatial" / CSV_FILE, index=False, lineterminator="\n")
