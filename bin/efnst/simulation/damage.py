"""The ways in which a Space Ranger folder can be broken."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import sparse

from efnst.errors import EfnstError
from efnst.simulation.feature_matrix import FeatureBarcodeMatrix, read_matrix, with_proteins, write_matrix
from efnst.simulation.space_ranger import CSV_FILE, LIST_FILE, POSITION_COLUMNS, random_barcodes, read_positions_table

DAMAGES = {
    "missing_matrix": "neither filtered_feature_bc_matrix.h5 nor the folder of that name is there",
    "missing_positions": "no file of spot positions",
    "missing_scalefactors": "no scalefactors_json.json",
    "truncated_h5": "the second half of filtered_feature_bc_matrix.h5 is missing",
    "empty_matrix": "every count is zero",
    "no_spots_in_tissue": "in_tissue is 0 for every spot",
    "corrupt_image": "the second half of tissue_hires_image.png is missing",
    "wrong_scale": "tissue_hires_scalef is three times too large: spots fall outside the image",
    "missing_images": "neither the hires nor the lowres image is there",
    "negative_counts": "some counts are negative",
    "fractional_counts": "the matrix holds normalised values instead of counts",
    "nan_counts": "some counts are not a number",
    "foreign_barcodes": "the matrix belongs to another section: none of its barcodes is in the positions",
    "duplicate_barcodes": "a barcode occurs twice in the matrix",
    "header_in_list_file": "tissue_positions_list.csv with a header (harmless if noticed)",
    "no_header_in_csv": "tissue_positions.csv without a header (harmless if noticed)",
    "antibody_features": "the matrix has Antibody Capture features too (harmless if left out)",
    "truncated_mtx_gz": "the matrix is a folder, and the second half of its matrix.mtx.gz is missing",
    "invalid_scalefactors_json": "scalefactors_json.json is cut in the middle",
}


def damage(outs: Path, kind: str) -> None:
    """Break the Space Ranger folder `outs`, as written by `write_section`, in one of the ways of `DAMAGES`."""
    if kind not in DAMAGES:
        raise EfnstError(f"Expected a damage out of {', '.join(DAMAGES)}, found `{kind}`.")
    if not (outs / "spatial").is_dir():
        raise EfnstError(f"Expected a Space Ranger folder with `spatial`, found none in `{outs}`.")
    _DAMAGERS[kind](outs)


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _remove_matrix(outs: Path) -> None:
    _remove(outs / "filtered_feature_bc_matrix.h5")
    folder = outs / "filtered_feature_bc_matrix"
    if folder.is_dir():
        _remove(*folder.iterdir())
        folder.rmdir()


def _rewrite(outs: Path, change: Callable[[FeatureBarcodeMatrix], FeatureBarcodeMatrix], kind: str = "") -> None:
    """Replace the matrix by `change` of it, as `kind` (as it was, unless named)."""
    matrix, kind_before = read_matrix(outs)
    _remove_matrix(outs)
    write_matrix(change(matrix), outs, kind or kind_before)


def _change_counts(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """A damager that replaces the stored counts [nnz] by `change` of them."""

    def changed(matrix: FeatureBarcodeMatrix) -> FeatureBarcodeMatrix:
        counts = matrix.counts.copy()
        counts.data = change(counts.data)
        return replace(matrix, counts=counts)

    return lambda outs: _rewrite(outs, changed)


def _every(step: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Set every `step`-th value; the array becomes float where `value` needs it."""

    def changed(data: np.ndarray) -> np.ndarray:
        data = data.astype(np.result_type(data, np.float64)) if isinstance(value, float) else data.copy()
        data[::step] = value
        return data

    return changed


def _no_counts(matrix: FeatureBarcodeMatrix) -> FeatureBarcodeMatrix:
    return replace(matrix, counts=sparse.csc_matrix(matrix.counts.shape, dtype=np.int32))


def _foreign_barcodes(outs: Path) -> None:
    _, lines = _position_lines(outs)
    own = [line.split(",")[0] for line in lines]
    candidates = random_barcodes(2 * len(own), np.random.default_rng(0))
    foreign = candidates[~np.isin(candidates, own)]
    _rewrite(outs, lambda matrix: replace(matrix, barcodes=foreign[: len(matrix.barcodes)]))


def _duplicate_barcode(matrix: FeatureBarcodeMatrix) -> FeatureBarcodeMatrix:
    barcodes = matrix.barcodes.copy()
    barcodes[1] = barcodes[0]
    return replace(matrix, barcodes=barcodes)


def _cut_in_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _truncate_h5(outs: Path) -> None:
    _rewrite(outs, lambda matrix: matrix, "h5")
    _cut_in_half(outs / "filtered_feature_bc_matrix.h5")


def _truncate_mtx(outs: Path) -> None:
    _rewrite(outs, lambda matrix: matrix, "mtx")
    _cut_in_half(outs / "filtered_feature_bc_matrix" / "matrix.mtx.gz")


def _position_lines(outs: Path) -> tuple[Path, list[str]]:
    """The positions file and its lines without a header."""
    path = next(outs / "spatial" / name for name in (LIST_FILE, CSV_FILE) if (outs / "spatial" / name).exists())
    lines = path.read_text().splitlines()
    return path, lines[1:] if lines[0].startswith("barcode") else lines


def _no_spots_in_tissue(outs: Path) -> None:
    path, _ = _position_lines(outs)
    table = read_positions_table(outs)
    table["in_tissue"] = 0
    table.to_csv(path, index=False, header=path.read_text().startswith("barcode"), lineterminator="\n")


def _rename_positions(name: str, header: bool) -> Callable[[Path], None]:
    """A damager that gives the positions file the name of one version and the header of another."""

    def rename(outs: Path) -> None:
        path, lines = _position_lines(outs)
        _remove(path)
        first = [",".join(POSITION_COLUMNS)] if header else []
        (outs / "spatial" / name).write_text("\n".join([*first, *lines]) + "\n")

    return rename


def _wrong_scale(outs: Path) -> None:
    path = outs / "spatial" / "scalefactors_json.json"
    scale = json.loads(path.read_text())
    scale["tissue_hires_scalef"] *= 3
    path.write_text(json.dumps(scale))


_DAMAGERS: dict[str, Callable[[Path], None]] = {
    "missing_matrix": _remove_matrix,
    "missing_positions": lambda outs: _remove(outs / "spatial" / LIST_FILE, outs / "spatial" / CSV_FILE),
    "missing_scalefactors": lambda outs: _remove(outs / "spatial" / "scalefactors_json.json"),
    "truncated_h5": _truncate_h5,
    "empty_matrix": lambda outs: _rewrite(outs, _no_counts),
    "no_spots_in_tissue": _no_spots_in_tissue,
    "corrupt_image": lambda outs: _cut_in_half(outs / "spatial" / "tissue_hires_image.png"),
    "wrong_scale": _wrong_scale,
    "missing_images": lambda outs: _remove(
        outs / "spatial" / "tissue_hires_image.png", outs / "spatial" / "tissue_lowres_image.png"
    ),
    "negative_counts": _change_counts(_every(1000, -1)),
    "fractional_counts": _change_counts(np.log1p),
    "nan_counts": _change_counts(_every(1000, float("nan"))),
    "foreign_barcodes": _foreign_barcodes,
    "duplicate_barcodes": lambda outs: _rewrite(outs, _duplicate_barcode),
    "header_in_list_file": _rename_positions(LIST_FILE, header=True),
    "no_header_in_csv": _rename_positions(CSV_FILE, header=False),
    "antibody_features": lambda outs: _rewrite(outs, with_proteins),
    "truncated_mtx_gz": _truncate_mtx,
    "invalid_scalefactors_json": lambda outs: _cut_in_half(outs / "spatial" / "scalefactors_json.json"),
}
