"""Simulated sections as Space Ranger writes them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import sparse

from efnst.errors import EfnstError
from efnst.program.cli import write_json
from efnst.simulation.counts import gene_names
from efnst.simulation.feature_matrix import GENE_EXPRESSION, SOFTWARE, FeatureBarcodeMatrix, write_matrix
from efnst.simulation.regions import LAYOUTS
from efnst.simulation.specimen import Recipe, Specimen, simulate_specimen
from efnst.simulation.stained_image import render_image

SPOT_UM = 55.0
HIRES_PX = 2000  # long side of the hires image at most
HIRES_UM_PER_PX = 4.0  # sections smaller than 8 mm get a hires image smaller in proportion
LOWRES_PER_HIRES = 0.3  # 600 px beside 2000 px
FIDUCIAL_PER_SPOT = 1.6153
FULLRES_MAX_PX = 150_000_000
JITTER_PX = 0.3  # standard deviation of a spot's registration, full-resolution pixels
FULLRES_SUFFIX = {"tiff": ".tif", "jpeg": ".jpg"}
SPACE_RANGER = {"layers": 1, "nested": 2, "mixed": 3}  # layout: major version whose folder is written
POSITION_COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")
LIST_FILE = "tissue_positions_list.csv"  # 1.x: no header
CSV_FILE = "tissue_positions.csv"  # 2.x and later: header
SEQUENCING = {  # in metrics_summary.csv
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
}
DEMO = Recipe()
SMALL = Recipe(n_spots=250, n_genes=400, median_counts=2500.0, contrast=2.2)


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
    turn = number % len(LAYOUTS)
    layout, kind = list(LAYOUTS)[turn], np.random.default_rng([seed, turn, 0])
    rng = np.random.default_rng([seed, number, 1])
    specimen = simulate_specimen(layout, recipe, kind, rng)
    return measured(specimen, section_name(number), layout, recipe.um_per_px, rng, (seed, number, 2))


def measured(
    specimen: Specimen,
    name: str,
    layout: str,
    um_per_px: float,
    rng: np.random.Generator,
    image_seed: tuple[int, int, int],
) -> SimulatedSection:
    """A specimen on its slide: barcodes, and places in the full-resolution image."""
    tissue = specimen.tissue
    pixels = specimen.appearance.frame.to_image(tissue.grid.positions_um) / um_per_px
    barcodes = random_barcodes(len(pixels), rng)
    return SimulatedSection(
        name=name,
        specimen=specimen,
        barcodes=barcodes,
        pixels=pixels + rng.normal(0, JITTER_PX, pixels.shape),
        matrix=_sorted_matrix(specimen.counts, barcodes[tissue.in_tissue]),
        um_per_px=um_per_px,
        space_ranger=SPACE_RANGER[layout],
        image_seed=image_seed,
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


def read_positions_table(outs: Path) -> pd.DataFrame:
    """The positions as they were written, by the columns of `POSITION_COLUMNS`."""
    path = next((outs / "spatial").glob("tissue_positions*.csv"))
    has_header = path.read_text()[:7] == "barcode"
    return pd.read_csv(path, header=None, names=POSITION_COLUMNS, skiprows=int(has_header))


def _write_images(section: SimulatedSection, spatial: Path) -> None:
    rng = np.random.default_rng(section.image_seed)
    hires = Image.fromarray(render_image(section.specimen.appearance, _hires_um_per_px(section), rng))
    lowres = hires.resize([max(1, round(side * LOWRES_PER_HIRES)) for side in hires.size], Image.Resampling.BOX)
    hires.save(spatial / "tissue_hires_image.png", compress_level=3)
    lowres.save(spatial / "tissue_lowres_image.png")
    (spatial / "scalefactors_json.json").write_text(json.dumps(scale_factors(section)))


def _write_fullres(section: SimulatedSection, folder: Path, kind: str) -> Path:
    """The full-resolution image beside outs, as a tiled TIFF or a JPEG."""
    appearance, um_per_px = section.specimen.appearance, section.um_per_px
    _check_fullres(appearance.frame.image_shape(um_per_px))
    pixels = render_image(appearance, um_per_px, np.random.default_rng(section.image_seed))
    path = folder / f"{section.name}{FULLRES_SUFFIX[kind]}"
    if kind == "jpeg":
        Image.fromarray(pixels).save(path, quality=90)
    else:
        _write_tiff(pixels, um_per_px, path)
    return path


def _check_fullres(shape: tuple[int, int]) -> None:
    height, width = shape
    if height * width > FULLRES_MAX_PX:
        raise EfnstError(
            f"Expected a full-resolution image of at most {FULLRES_MAX_PX // 10**6} megapixels, "
            f"found {width} × {height} px: ask for fewer spots, larger pixels, or no full-resolution image."
        )


def _write_tiff(pixels: np.ndarray, um_per_px: float, path: Path) -> None:
    """A tiled, compressed TIFF that names the size of its pixels."""
    from tifffile import imwrite

    layout = {"photometric": "rgb", "tile": (256, 256), "compression": "zlib", "compressionargs": {"level": 1}}
    imwrite(path, pixels, resolution=(10_000 / um_per_px,) * 2, resolutionunit="CENTIMETER", **layout)


def _write_metrics(section: SimulatedSection, path: Path) -> None:
    """metrics_summary.csv of Space Ranger 3; what sequencing alone can tell is made up."""
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
        **SEQUENCING,
        "Total Genes Detected": int((counts.sum(axis=1) > 0).sum()),
    }
    pd.DataFrame([metrics]).to_csv(path, index=False, lineterminator="\n")
