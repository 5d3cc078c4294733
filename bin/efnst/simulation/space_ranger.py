"""Simulated sections as Space Ranger writes them, and the ways such a folder can be broken."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from PIL import Image
from scipy import io, sparse

from efnst.errors import EfnstError
from efnst.program.cli import write_json
from efnst.simulation.tissue import LAYOUTS, SPOT_UM, Recipe, Specimen, gene_names, render_image, simulate_specimen

HIRES_PX = 2000  # long side of the hires image at most
HIRES_UM_PER_PX = 4.0  # sections smaller than 8 mm get a hires image smaller in proportion
LOWRES_PER_HIRES = 0.3  # 600 px beside 2000 px
FIDUCIAL_PER_SPOT = 1.6153
FULLRES_MAX_PX = 150_000_000
JITTER_PX = 0.3  # standard deviation of a spot's registration, full-resolution pixels
FULLRES_SUFFIX = {"tiff": ".tif", "jpeg": ".jpg"}
SPACE_RANGER = {"layers": 1, "nested": 2, "mixed": 3}  # layout: major version whose folder is written
SOFTWARE = {1: "spaceranger-1.3.1", 2: "spaceranger-2.1.0", 3: "spaceranger-3.0.1"}
POSITION_COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")
LIST_FILE = "tissue_positions_list.csv"  # 1.x: no header
CSV_FILE = "tissue_positions.csv"  # 2.x and later: header
GENE_EXPRESSION = "Gene Expression"


DEMO = Recipe()
SMALL = Recipe(n_spots=250, n_genes=400, median_counts=2500.0, contrast=2.2)


@dataclass(frozen=True)
class FeatureBarcodeMatrix:
    """Content of a filtered_feature_bc_matrix: `counts` CSC [n_features, n_barcodes] and its names."""

    counts: sparse.csc_matrix
    barcodes: np.ndarray
    ids: np.ndarray
    names: np.ndarray
    types: np.ndarray


@dataclass(frozen=True)
class SimulatedSection:
    """A section before it is written.

    `barcodes` [n_places] in grid order; `pixels` float64 [n_places, 2], x and y in the full-resolution image; `matrix`
    of the spots in tissue in the order of their barcodes, as Space Ranger sorts them.
    """

    name: str
    specimen: Specimen
    barcodes: np.ndarray
    pixels: np.ndarray
    matrix: FeatureBarcodeMatrix
    um_per_px: float
    space_ranger: int
    image_seed: tuple[int, int, int]

    @property
    def labels(self) -> pd.DataFrame:
        """Columns barcode, label: the spots in tissue in grid order."""
        tissue = self.specimen.tissue
        inside = tissue.in_tissue
        names = np.array(tissue.region_names)[tissue.spot_region[inside]]
        return pd.DataFrame({"barcode": self.barcodes[inside], "label": names})

    @property
    def pair(self) -> dict[str, str | list[str]] | None:
        """The two labels that one source alone tells apart, and that source; None where there is no such pair."""
        tissue = self.specimen.tissue
        if tissue.pair is None:
            return None
        return {
            "separated_by": self.specimen.separated_by,
            "labels": [tissue.region_names[region] for region in tissue.pair],
        }


def simulate_section(number: int, seed: int, recipe: Recipe) -> SimulatedSection:
    """Section `number` (0, 1, …) of a cohort: the layouts take turns.

    Expression programmes and stain depend on seed and layout only, so that a layout that comes again is the same kind
    of tissue in another shape.
    """
    layout = list(LAYOUTS)[number % len(LAYOUTS)]
    kind = np.random.default_rng([seed, number % len(LAYOUTS), 0])
    rng = np.random.default_rng([seed, number, 1])
    specimen = simulate_specimen(layout, recipe, kind, rng)
    tissue = specimen.tissue
    pixels = specimen.appearance.frame.to_image(tissue.grid.positions_um) / recipe.um_per_px
    barcodes = random_barcodes(len(pixels), rng)
    return SimulatedSection(
        name=section_name(number),
        specimen=specimen,
        barcodes=barcodes,
        pixels=pixels + rng.normal(0, JITTER_PX, pixels.shape),
        matrix=_sorted_matrix(specimen.counts, barcodes[tissue.in_tissue]),
        um_per_px=recipe.um_per_px,
        space_ranger=SPACE_RANGER[layout],
        image_seed=(seed, number, 2),
    )


def _sorted_matrix(counts: sparse.csr_matrix, barcodes: np.ndarray) -> FeatureBarcodeMatrix:
    """Counts [n_spots, G] as Space Ranger has them: genes × spots, in the order of the barcodes."""
    order = np.argsort(barcodes)
    ids, names = gene_names(counts.shape[1])
    types = np.full(len(ids), GENE_EXPRESSION)
    return FeatureBarcodeMatrix(counts[order].T.tocsc(), barcodes[order], ids, names, types)


def section_name(number: int) -> str:
    """sim_layers, sim_nested, sim_mixed, sim_layers_2, …"""
    turn, layout = divmod(number, len(LAYOUTS))
    return f"sim_{list(LAYOUTS)[layout]}" + (f"_{turn + 1}" if turn else "")


def random_barcodes(n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` different barcodes of 16 letters, ending in -1."""
    codes = np.unique(rng.integers(0, 4**16, size=n + 1000, dtype=np.int64))
    codes = rng.permutation(codes)[:n]
    letters = np.array(list("ACGT"))[(codes[:, None] >> (2 * np.arange(16))) % 4]
    return np.array(["".join(row) + "-1" for row in letters])


def write_section(section: SimulatedSection, folder: Path, matrix: str = "h5", fullres: str = "none") -> Path | None:
    """Write `folder`/outs and `folder`/labels.csv; returns the full-resolution image's path where one was asked for.

    A section with a pair that one source alone tells apart also gets `folder`/pair.json: `separated_by`, `labels`.
    `matrix`: h5 or mtx. `fullres`: none, tiff (tiled) or jpeg.
    """
    outs = folder / "outs"
    (outs / "spatial").mkdir(parents=True)
    write_matrix(section.matrix, outs, matrix, section.name, SOFTWARE[section.space_ranger])
    _write_positions(section, outs / "spatial")
    _write_images(section, outs / "spatial")
    if section.space_ranger >= 3:
        _write_metrics(section, outs / "metrics_summary.csv")
    section.labels.to_csv(folder / "labels.csv", index=False, lineterminator="\n")
    if section.pair:
        write_json(folder / "pair.json", section.pair)
    return None if fullres == "none" else _write_fullres(section, folder, fullres)


def write_matrix(
    matrix: FeatureBarcodeMatrix, outs: Path, kind: str, library: str = "simulated", software: str = SOFTWARE[3]
) -> None:
    """Write filtered_feature_bc_matrix as `h5` (10x HDF5 of version 3) or `mtx` (folder), whatever the counts hold."""
    if kind == "h5":
        _write_h5(matrix, outs / "filtered_feature_bc_matrix.h5", library, software)
    else:
        _write_mtx(matrix, outs / "filtered_feature_bc_matrix")


def read_matrix(outs: Path) -> tuple[FeatureBarcodeMatrix, str]:
    """The matrix as this module wrote it, and its kind (`h5` or `mtx`)."""
    path = outs / "filtered_feature_bc_matrix.h5"
    if not path.exists():
        return _read_mtx(outs / "filtered_feature_bc_matrix"), "mtx"
    with h5py.File(path) as file:
        group = file["matrix"]
        counts = sparse.csc_matrix(
            (group["data"][:], group["indices"][:], group["indptr"][:]), tuple(group["shape"][:])
        )
        columns = [group["features"][key].asstr()[:].astype(str) for key in ("id", "name", "feature_type")]
        return FeatureBarcodeMatrix(counts, group["barcodes"].asstr()[:].astype(str), *columns), "h5"


def scale_factors(section: SimulatedSection) -> dict[str, float]:
    """scalefactors_json.json: image px per full-resolution px, diameters in full-resolution px."""
    hires_um_per_px = _hires_um_per_px(section)
    spot_px = SPOT_UM / section.um_per_px
    return {
        "spot_diameter_fullres": spot_px,
        "tissue_hires_scalef": section.um_per_px / hires_um_per_px,
        "fiducial_diameter_fullres": spot_px * FIDUCIAL_PER_SPOT,
        "tissue_lowres_scalef": section.um_per_px / hires_um_per_px * LOWRES_PER_HIRES,
    }


def _hires_um_per_px(section: SimulatedSection) -> float:
    return max(HIRES_UM_PER_PX, float(section.specimen.appearance.frame.size_um.max()) / HIRES_PX)


def _write_h5(matrix: FeatureBarcodeMatrix, path: Path, library: str, software: str) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["chemistry_description"] = "Spatial 3' v1"
        file.attrs["filetype"] = "matrix"
        file.attrs["library_ids"] = np.array([library], "S")
        file.attrs["original_gem_groups"] = np.array([1])
        file.attrs["software_version"] = software
        file.attrs["version"] = 2
        group = file.create_group("matrix")
        group["shape"] = np.array(matrix.counts.shape, np.int32)
        group["barcodes"] = matrix.barcodes.astype("S")
        arrays = {
            "data": matrix.counts.data,
            "indices": matrix.counts.indices.astype(np.int64),
            "indptr": matrix.counts.indptr.astype(np.int64),
        }
        for name, values in arrays.items():
            group.create_dataset(
                name, data=values, compression="gzip", compression_opts=1, chunks=True, maxshape=(None,)
            )
        features = group.create_group("features")
        features["_all_tag_keys"] = np.array(["genome"], "S")
        features["feature_type"] = matrix.types.astype("S")
        features["genome"] = np.where(matrix.types == GENE_EXPRESSION, "GRCh38", "").astype("S6")
        features["id"] = matrix.ids.astype("S")
        features["name"] = matrix.names.astype("S")


def _write_mtx(matrix: FeatureBarcodeMatrix, folder: Path) -> None:
    folder.mkdir()
    buffer = BytesIO()
    field = "integer" if np.issubdtype(matrix.counts.dtype, np.integer) else "real"
    io.mmwrite(
        buffer, matrix.counts.tocoo(), comment='metadata_json: {"format_version": 2}', field=field, symmetry="general"
    )
    features = [f"{row[0]}\t{row[1]}\t{row[2]}\n" for row in zip(matrix.ids, matrix.names, matrix.types, strict=True)]
    content = {
        "matrix.mtx.gz": buffer.getvalue(),
        "barcodes.tsv.gz": "".join(f"{barcode}\n" for barcode in matrix.barcodes).encode(),
        "features.tsv.gz": "".join(features).encode(),
    }
    for name, data in content.items():
        (folder / name).write_bytes(gzip.compress(data, compresslevel=1, mtime=0))


def _read_mtx(folder: Path) -> FeatureBarcodeMatrix:
    with gzip.open(folder / "matrix.mtx.gz") as file:
        counts = sparse.csc_matrix(io.mmread(file))
    features = pd.read_csv(folder / "features.tsv.gz", sep="\t", header=None, dtype=str).to_numpy(str)
    barcodes = pd.read_csv(folder / "barcodes.tsv.gz", header=None, dtype=str)[0].to_numpy(str)
    return FeatureBarcodeMatrix(counts, barcodes, *features.T)


def _write_positions(section: SimulatedSection, spatial: Path) -> None:
    """1.x and 2.x: whole pixels, as their pipelines wrote; 3.x: fractions of pixels. The 1.x file has no header."""
    pixels = np.round(section.pixels, 3) if section.space_ranger >= 3 else np.rint(section.pixels).astype(int)
    grid = section.specimen.tissue.grid
    columns = (
        *(section.barcodes, section.specimen.tissue.in_tissue.astype(int), grid.array_row, grid.array_col),
        *(pixels[:, 1], pixels[:, 0]),
    )
    table = pd.DataFrame(dict(zip(POSITION_COLUMNS, columns, strict=True)))
    first_version = section.space_ranger == 1
    name = LIST_FILE if first_version else CSV_FILE
    table.to_csv(spatial / name, index=False, header=not first_version, lineterminator="\n")


def _write_images(section: SimulatedSection, spatial: Path) -> None:
    rng = np.random.default_rng(section.image_seed)
    hires = Image.fromarray(render_image(section.specimen.appearance, _hires_um_per_px(section), rng))
    lowres = hires.resize([max(1, round(side * LOWRES_PER_HIRES)) for side in hires.size], Image.Resampling.BOX)
    hires.save(spatial / "tissue_hires_image.png", compress_level=3)
    lowres.save(spatial / "tissue_lowres_image.png")
    (spatial / "scalefactors_json.json").write_text(json.dumps(scale_factors(section)))


def _write_fullres(section: SimulatedSection, folder: Path, kind: str) -> Path:
    """The full-resolution image beside outs, as a tiled TIFF or a JPEG."""
    from tifffile import imwrite

    height, width = section.specimen.appearance.frame.image_shape(section.um_per_px)
    if height * width > FULLRES_MAX_PX:
        raise EfnstError(
            f"Expected a full-resolution image of at most {FULLRES_MAX_PX // 10**6} megapixels, "
            f"found {width} × {height} px: ask for fewer spots, larger pixels, or no full-resolution image."
        )
    pixels = render_image(section.specimen.appearance, section.um_per_px, np.random.default_rng(section.image_seed))
    path = folder / f"{section.name}{FULLRES_SUFFIX[kind]}"
    if kind == "jpeg":
        Image.fromarray(pixels).save(path, quality=90)
    else:
        per_cm = (10_000 / section.um_per_px,) * 2
        resolution = {"resolution": per_cm, "resolutionunit": "CENTIMETER"}
        imwrite(
            path,
            pixels,
            photometric="rgb",
            tile=(256, 256),
            compression="zlib",
            compressionargs={"level": 1},
            **resolution,
        )
    return path


def _write_metrics(section: SimulatedSection, path: Path) -> None:
    """metrics_summary.csv of Space Ranger 3; what sequencing alone can tell is made up from the counts."""
    counts = section.matrix.counts
    per_spot, genes_per_spot = np.asarray(counts.sum(axis=0)).ravel(), np.diff(counts.indptr)
    n_reads = int(per_spot.sum() * 4)
    metrics = {
        "Sample ID": section.name,
        "Number of Spots Under Tissue": len(per_spot),
        "Number of Reads": n_reads,
        "Mean Reads per Spot": n_reads / len(per_spot),
        "Mean Reads Under Tissue per Spot": 0.9 * n_reads / len(per_spot),
        "Fraction of Spots Under Tissue": len(per_spot) / len(section.barcodes),
        "Median Genes per Spot": float(np.median(genes_per_spot)),
        "Median UMI Counts per Spot": float(np.median(per_spot)),
        "Valid Barcodes": 0.97,
        "Valid UMIs": 0.999,
        "Sequencing Saturation": 0.75,
        "Q30 Bases in Barcode": 0.96,
        "Q30 Bases in RNA Read": 0.93,
        "Q30 Bases in UMI": 0.96,
        "Reads Mapped to Genome": 0.95,
        "Reads Mapped Confidently to Genome": 0.91,
        "Reads Mapped Confidently to Transcriptome": 0.84,
        "Fraction Reads in Spots Under Tissue": 0.9,
        "Total Genes Detected": int((counts.sum(axis=1) > 0).sum()),
    }
    pd.DataFrame([metrics]).to_csv(path, index=False, lineterminator="\n")


def damage(outs: Path, kind: str) -> None:
    """Break the Space Ranger folder `outs`, as written by `write_section`, in one of the ways of `DAMAGES`."""
    if kind not in DAMAGES:
        raise EfnstError(f"Expected a damage out of {', '.join(DAMAGES)}, found `{kind}`.")
    if not (outs / "spatial").is_dir():
        raise EfnstError(f"Expected a Space Ranger folder with `spatial`, found none in `{outs}`.")
    _DAMAGERS[kind](outs)


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


def _antibodies(matrix: FeatureBarcodeMatrix) -> FeatureBarcodeMatrix:
    """Ten proteins with high counts below the genes."""
    proteins = np.array([f"CD{number}" for number in range(1, 11)])
    rows = np.random.default_rng(0).poisson(200, (len(proteins), matrix.counts.shape[1])).astype(matrix.counts.dtype)
    return FeatureBarcodeMatrix(
        counts=sparse.vstack([matrix.counts, sparse.csc_matrix(rows)], format="csc"),
        barcodes=matrix.barcodes,
        ids=np.append(matrix.ids, proteins),
        names=np.append(matrix.names, proteins),
        types=np.append(matrix.types, np.full(len(proteins), "Antibody Capture")),
    )


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
    header = path.read_text().startswith("barcode")
    table = pd.read_csv(path, header=None, names=POSITION_COLUMNS, skiprows=int(header))
    table["in_tissue"] = 0
    table.to_csv(path, index=False, header=header, lineterminator="\n")


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
    "antibody_features": lambda outs: _rewrite(outs, _antibodies),
    "truncated_mtx_gz": _truncate_mtx,
    "invalid_scalefactors_json": lambda outs: _cut_in_half(outs / "spatial" / "scalefactors_json.json"),
}
