"""Simulated sections in every other form: Visium HD, cells, archives, .h5ad, SpatialData and more.

Each function takes a section, or a folder as `simulated_space_ranger.write_section` wrote it, to another form.
"""

import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from PIL import Image
from scipy import sparse
from scipy.spatial import cKDTree

from efnst.simulation.space_ranger import (
    CSV_FILE,
    GENE_EXPRESSION,
    POSITION_COLUMNS,
    FeatureBarcodeMatrix,
    SimulatedSection,
    read_matrix,
    scale_factors,
    write_matrix,
    write_section,
)

HD_SCALES = ("tissue_hires_scalef", "tissue_lowres_scalef")
PROTEINS = tuple(f"CD{number}" for number in range(1, 11))
BIN_SHARE = 0.2  # part of a spot's counts that a bin at its place has


def write_visium_hd(
    section: SimulatedSection, folder: Path, n_bins: int, bin_um: int = 8, linked_images: bool = True, seed: int = 0
) -> None:
    """Write `folder`/outs as Space Ranger writes Visium HD, with about `n_bins` bins of `bin_um` and wider ones.

    The section is shrunk until that many bins cover its tissue; bins have the counts of the spot at their place,
    thinned.
    Also `segmented_outputs` with one cell for about four bins, and `folder`/labels.csv of the smaller bins.
    """
    write_section(section, folder)
    outs, rng = folder / "outs", np.random.default_rng(seed)
    inside = section.specimen.tissue.in_tissue
    xy, step = _square_places(section.pixels, inside, n_bins)
    um_per_px = bin_um / step
    spots = section.pixels[inside]
    distance, nearest = cKDTree(spots).query(xy[:, :2])
    pitch = float(np.median(cKDTree(spots).query(spots, k=2)[0][:, 1]))
    in_tissue = distance < 0.6 * pitch
    of_spot, names = _counts_by_spot(section, inside)
    for size in (bin_um, 2 * bin_um):
        coarse = size // bin_um
        place = xy[:, 2:].astype(int) // coarse
        table, codes = _binned(place, xy[:, :2], in_tissue, size)
        member = codes[in_tissue]
        counts = _thinned(of_spot[nearest[in_tissue]], rng)
        summed = sparse.csr_matrix(
            (np.ones(len(member), np.int32), (member, np.arange(len(member)))), (len(table), len(member))
        )
        part = outs / "binned_outputs" / f"square_{size:03d}um"
        _write_part(part, outs, table, (summed @ counts)[table["in_tissue"].to_numpy() == 1], names, linked_images)
        _write_hd_scales(section, part / "spatial", um_per_px, size)
        if coarse == 1:
            regions = np.array(section.specimen.tissue.region_names)[section.specimen.tissue.spot_region[inside]]
            labels = pd.DataFrame({"barcode": table["barcode"].to_numpy()[codes], "label": regions[nearest]})[in_tissue]
            labels.to_csv(folder / "labels.csv", index=False, lineterminator="\n")
    _write_cells(section, outs, xy[in_tissue, :2], step, of_spot, names, um_per_px, rng)
    for name in (CSV_FILE, "tissue_positions_list.csv", "scalefactors_json.json"):
        (outs / "spatial" / name).unlink(missing_ok=True)
    (outs / "filtered_feature_bc_matrix.h5").unlink()


def as_cytassist(outs: Path, prefix: str = "") -> None:
    """Make a folder one of CytAssist with proteins: more features, the grey scan, and a prefix where one is given."""
    matrix, _ = read_matrix(outs)
    rows = np.random.default_rng(0).poisson(200, (len(PROTEINS), matrix.counts.shape[1])).astype(np.int32)
    wider = FeatureBarcodeMatrix(
        counts=sparse.vstack([matrix.counts, sparse.csc_matrix(rows)], format="csc"),
        barcodes=matrix.barcodes,
        ids=np.append(matrix.ids, PROTEINS),
        names=np.append(matrix.names, PROTEINS),
        types=np.append(matrix.types, np.full(len(PROTEINS), "Antibody Capture")),
    )
    write_matrix(wider, outs, "h5")
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


def pack(folder: Path, archive: Path, name: str = "outs", compressed: bool = True) -> Path:
    """Pack a folder into an archive, as the folder `name` in it; `.` for its content alone."""
    with tarfile.open(archive, "w:gz" if compressed else "w") as file:
        file.add(folder, arcname=name)
    return archive


def to_anndata(outs: Path, counts_in: str = "X") -> AnnData:
    """A folder as squidpy would read it: images and scale factors in uns, spots in tissue.

    `counts_in`: X, layer (X is logarithmic then), raw (so is X, of every second gene), or nowhere.
    """
    matrix, _ = read_matrix(outs)
    is_gene = matrix.types == GENE_EXPRESSION
    counts = sparse.csr_matrix(matrix.counts.T)[:, is_gene]
    table = read_positions_table(outs).set_index("barcode").loc[matrix.barcodes]
    var = pd.DataFrame({"gene_ids": matrix.ids[is_gene]}, index=matrix.names[is_gene])
    data = AnnData(counts.astype(np.float32), obs=table[["in_tissue", "array_row", "array_col"]], var=var)
    data.obsm["spatial"] = table[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy()
    images = {
        source: np.asarray(Image.open(outs / "spatial" / f"tissue_{source}_image.png")) / np.float32(255)
        for source in ("hires", "lowres")
        if (outs / "spatial" / f"tissue_{source}_image.png").exists()
    }
    factors = json.loads((outs / "spatial" / "scalefactors_json.json").read_text())
    data.uns["spatial"] = {"simulated": {"images": images, "scalefactors": factors}}
    if counts_in == "X":
        return data
    if counts_in == "layer":
        data.layers["counts"] = data.X.copy()
    if counts_in == "raw":
        data.raw = data.copy()
        data = data[:, ::2].copy()
    data.X = data.X.log1p()
    return data


def write_spatialdata(outs: Path, path: Path, table_name: str = "table") -> None:
    """Write a folder as spatialdata-io would: circles in full-resolution px, the hires image in its own pixels."""
    from spatialdata import SpatialData
    from spatialdata.models import Image2DModel, ShapesModel, TableModel
    from spatialdata.transformations import Identity, Scale

    data = to_anndata(outs)
    library = data.uns.pop("spatial")["simulated"]
    factors = library["scalefactors"]
    scales = {f"downscaled_{source}": factors[f"tissue_{source}_scalef"] for source in library["images"]}
    spaces = {space: Scale([scale, scale], axes=("x", "y")) for space, scale in scales.items()}
    number = np.arange(data.n_obs)
    circles = ShapesModel.parse(
        data.obsm["spatial"],
        geometry=0,
        radius=factors["spot_diameter_fullres"] / 2,
        index=number,
        transformations={"global": Identity()} | spaces,
    )
    data.obs["region"], data.obs["spot_id"] = pd.Categorical(["spots"] * data.n_obs), number
    table = TableModel.parse(data, region="spots", region_key="region", instance_key="spot_id")
    images = {
        f"{source}_image": Image2DModel.parse(
            np.rint(pixels * 255).astype(np.uint8).transpose(2, 0, 1),
            dims=("c", "y", "x"),
            transformations={f"downscaled_{source}": Identity()},
        )
        for source, pixels in library["images"].items()
    }
    SpatialData(images=images, shapes={"spots": circles}, tables={table_name: table}).write(path)


def read_positions_table(outs: Path) -> pd.DataFrame:
    """The positions as they were written, by the columns of `POSITION_COLUMNS`."""
    path = next((outs / "spatial").glob("tissue_positions*.csv"))
    has_header = path.read_text()[:7] == "barcode"
    return pd.read_csv(path, header=None, names=POSITION_COLUMNS, skiprows=int(has_header))


def _square_places(pixels: np.ndarray, inside: np.ndarray, n_bins: int) -> tuple[np.ndarray, float]:
    """Places of a square grid over the spots, [n, 4]: x, y, column, row; and their distance in px."""
    spots = pixels[inside]
    area = len(spots) * np.sqrt(3) / 2 * np.median(cKDTree(spots).query(spots, k=2)[0][:, 1]) ** 2
    step = float(np.sqrt(area / n_bins))
    low, high = spots.min(axis=0) - step, spots.max(axis=0) + step
    column, row = (
        grid.ravel() for grid in np.meshgrid(*(np.arange(n) for n in np.ceil((high - low) / step).astype(int)))
    )
    return np.column_stack([low[0] + column * step, low[1] + row * step, column, row]), step


def _counts_by_spot(section: SimulatedSection, inside: np.ndarray) -> tuple[sparse.csr_matrix, FeatureBarcodeMatrix]:
    """Counts [n_spots in tissue, in grid order, n_genes] and the matrix whose names they have."""
    order = np.argsort(np.argsort(section.barcodes[inside]))
    return sparse.csr_matrix(section.matrix.counts.T)[order], section.matrix


def _thinned(counts: sparse.csr_matrix, rng: np.random.Generator) -> sparse.csr_matrix:
    """Each count kept with the probability `BIN_SHARE`."""
    thinned = counts.copy()
    thinned.data = rng.binomial(thinned.data, BIN_SHARE).astype(np.int32)
    thinned.eliminate_zeros()
    return thinned


def _binned(place: np.ndarray, xy: np.ndarray, in_tissue: np.ndarray, size: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Positions of the bins that the places, [n, 2] column and row, make up, and the bin of each place."""
    unique, codes = np.unique(place[:, ::-1], axis=0, return_inverse=True)
    codes = codes.ravel()
    grouped = pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "tissue": in_tissue.astype(int)}).groupby(codes)
    centre, tissue = grouped[["x", "y"]].mean(), grouped["tissue"].max()
    barcodes = [f"s_{size:03d}um_{row:05d}_{column:05d}-1" for row, column in unique]
    columns = (barcodes, tissue.to_numpy(), unique[:, 0], unique[:, 1], centre["y"].to_numpy(), centre["x"].to_numpy())
    return pd.DataFrame(dict(zip(POSITION_COLUMNS, columns, strict=True))), codes


def _write_part(
    part: Path, outs: Path, table: pd.DataFrame, counts: sparse.csr_matrix, names: FeatureBarcodeMatrix, linked: bool
) -> None:
    """One folder of bins: counts, positions as parquet, and the images as links to those of outs/spatial."""
    (part / "spatial").mkdir(parents=True)
    barcodes = table["barcode"][table["in_tissue"] == 1].to_numpy(str)
    write_matrix(replace(names, counts=sparse.csc_matrix(counts.T), barcodes=barcodes), part, "h5")
    table.to_parquet(part / "spatial" / "tissue_positions.parquet", index=False)
    depth = len(part.relative_to(outs).parts) + 1
    for source in ("hires", "lowres"):
        name = f"tissue_{source}_image.png"
        if linked:
            (part / "spatial" / name).symlink_to(Path(*[".."] * depth) / "spatial" / name)
        else:
            shutil.copy2(outs / "spatial" / name, part / "spatial" / name)


def _write_hd_scales(section: SimulatedSection, spatial: Path, um_per_px: float, size: int | None) -> None:
    """Scale factors as of Visium HD; cells have no `size`."""
    factors = {name: value for name, value in scale_factors(section).items() if name in HD_SCALES}
    factors["microns_per_pixel"] = um_per_px
    if size:
        factors |= {"bin_size_um": float(size), "spot_diameter_fullres": size / um_per_px}
    (spatial / "scalefactors_json.json").write_text(json.dumps(factors))


def _write_cells(
    section: SimulatedSection,
    outs: Path,
    xy: np.ndarray,
    step: float,
    of_spot: sparse.csr_matrix,
    names: FeatureBarcodeMatrix,
    um_per_px: float,
    rng: np.random.Generator,
) -> None:
    """segmented_outputs: outlines of cells irregularly placed in the tissue, and their counts."""
    centres = xy[rng.permutation(len(xy))[: len(xy) // 4]] + rng.uniform(-step / 2, step / 2, (len(xy) // 4, 2))
    spots = section.pixels[section.specimen.tissue.in_tissue]
    counts = _thinned(of_spot[cKDTree(spots).query(centres)[1]], rng)
    part = outs / "segmented_outputs"
    (part / "spatial").mkdir(parents=True)
    barcodes = np.array([f"cellid_{number:09d}-1" for number in range(1, len(centres) + 1)])
    write_matrix(replace(names, counts=sparse.csc_matrix(counts.T), barcodes=barcodes), part, "h5")
    (part / "filtered_feature_bc_matrix.h5").rename(part / "filtered_feature_cell_matrix.h5")
    angle = np.linspace(0, 2 * np.pi, 7)
    ring = step * np.column_stack([np.cos(angle), np.sin(angle)])
    outlines = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [(centre + ring).round(3).tolist()]},
            "properties": {"cell_id": number},
        }
        for number, centre in enumerate(centres, start=1)
    ]
    content = {"type": "FeatureCollection", "features": outlines}
    (part / "cell_segmentations.geojson").write_text(json.dumps(content))
    for source in ("hires", "lowres"):
        shutil.copy2(outs / "spatial" / f"tissue_{source}_image.png", part / "spatial")
    _write_hd_scales(section, part / "spatial", um_per_px, None)
