"""One section: counts, positions, scale, image and labels put together, and whatever does not fit together refused."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique
from scipy.spatial import cKDTree

from efnst.constants import LABEL, SECTION, SPATIAL
from efnst.errors import EfnstError
from efnst.space_ranger import Files, Matrix, find_files, read_matrix, read_positions, read_scales, reading, scale_of

NO_IMAGE = "none"
PITCH_UM = {"hexagonal": 100.0, "square": 200.0}  # Visium; legacy Spatial Transcriptomics
SPOT_UM = {"hexagonal": 55.0, "square": 100.0}
# What spot_diameter_fullres stands for. On Visium that is a theoretical spot of 65 µm around the one of 55 µm: as the
# diameter of a 55 µm spot it would give a scale about a fifth off that of the pitch.
DECLARED_SPOT_UM = {"hexagonal": 65.0, "square": 100.0}
SCALE_TOLERANCE = 0.2
MIN_SHARED = 0.5  # share of barcodes below which matrix and positions are taken to be of different sections
MAX_OUTSIDE = 0.05  # share of spots that may lie outside the image
MIN_EXTENT = 0.25  # of the image's width or height, below which its scale is doubtful
SIZE_TOLERANCE = 0.02
DECODED_PX = 50_000_000  # images up to this size are decoded as a whole, to find damage before the work begins
WHOLE_SLIDE = (".tif", ".tiff", ".btf", ".svs", ".ndpi", ".scn", ".qptiff")
MISSING_LABELS = ("", "NA", "NaN", "nan", "None")


@dataclass(frozen=True)
class Grid:
    """The grid of the spots and the scale that follows from it."""

    grid: str
    pitch_px: float
    um_per_px: float
    spot_diameter_px: float


@dataclass(frozen=True)
class ImageChoice:
    """The image that a section is used with; `scale` is image px per full-resolution px, 0 without an image."""

    source: str
    file: str
    scale: float
    width: int
    height: int


def load_section(sample: str, folder: Path, image: str, labels: str) -> tuple[AnnData, int, list[str]]:
    """Read a section before quality control: the spots in tissue, the number of barcodes in the matrix, and warnings.

    `image` is a full-resolution file, `none`, or empty for the best image of the folder; `labels` is a CSV or empty.
    Rows keep the order of the matrix.
    """
    files = find_files(folder)
    matrix = read_matrix(files.matrix)
    positions, has_header = read_positions(files.positions)
    factors = read_scales(files.scale_factors)
    rows, warnings = rows_in_tissue(matrix.barcodes, positions, files.is_filtered)
    section = _assemble(matrix, rows, positions)
    grid = measure_grid(positions[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(float))
    warnings += check_spot_diameter(grid, scale_of(factors, "spot_diameter_fullres"))
    choice, image_warnings = choose_image(image, files, factors, folder)
    warnings += image_warnings
    warnings += check_spots_in_image(section.obsm[SPATIAL], choice, grid, factors)
    if labels:
        section.obs[LABEL], label_warnings = match_labels(section.obs_names, read_labels(Path(labels)))
        warnings += label_warnings
    layout = f"{files.matrix.name}, {files.positions.name} {'with' if has_header else 'without'} header"
    section.uns[SECTION] = {"sample": sample} | asdict(grid) | {"space_ranger": layout, "image": asdict(choice)}
    return section, len(matrix.barcodes), warnings


def rows_in_tissue(barcodes: np.ndarray, positions: pd.DataFrame, is_filtered: bool) -> tuple[np.ndarray, list[str]]:
    """Rows of the matrix that are spots in tissue, in the order of the matrix, and warnings; joined on the barcode.

    All Visium slides share their barcodes, so the files of two sections can only be told apart by which spots are in
    tissue: a filtered matrix must hold those and no others.
    """
    places = positions.index.get_indexer(pd.Index(barcodes))
    n_shared = int((places >= 0).sum())
    if n_shared < MIN_SHARED * len(barcodes):
        raise EfnstError(
            f"Expected the barcodes of the matrix among the positions, found {n_shared} of {len(barcodes)} "
            f"(matrix {barcodes[0]}, positions {positions.index[0]}): the two files are of different sections."
        )
    in_tissue = (places >= 0) & (positions["in_tissue"].to_numpy()[places] == 1)
    n_tissue = int((positions["in_tissue"] == 1).sum())
    if not in_tissue.any():
        raise EfnstError(
            f"Expected spots in tissue, found none: {n_tissue} of {len(positions)} positions are in tissue and none of "
            "them is in the matrix. Detect the tissue again in Space Ranger or Loupe Browser."
        )
    n_kept = int(in_tissue.sum())
    if is_filtered and n_kept < MIN_SHARED * len(barcodes):
        raise EfnstError(
            f"Expected the barcodes of the filtered matrix to be in tissue, found {n_kept} of {len(barcodes)}: "
            "matrix and positions are of different sections."
        )
    warnings = []
    if n_shared < len(barcodes):
        warnings.append(f"{len(barcodes) - n_shared} of {len(barcodes)} barcodes of the matrix have no position.")
    if is_filtered and n_kept < n_shared:
        warnings.append(f"{n_shared - n_kept} of {len(barcodes)} barcodes of the filtered matrix are not in tissue.")
    if n_kept < n_tissue:
        warnings.append(f"{n_tissue - n_kept} of {n_tissue} spots in tissue are not in the matrix.")
    return np.flatnonzero(in_tissue), warnings


def measure_grid(xy: np.ndarray) -> Grid:
    """Grid and scale from positions float64 [n_spots, 2] in px.

    The pitch is the median distance between neighbours, not that to each spot's nearest one, which would be too small
    where spots are not placed exactly. The directions of neighbours, six or four at equal angles, tell the grid: the
    mean of exp(i·k·angle) has length 1 if they repeat every 360/k degrees and is near 0 otherwise.
    """
    if len(xy) < 3:
        raise EfnstError(
            f"Expected at least 3 positions to measure the grid, found {len(xy)}: the file is not complete."
        )
    tree = cKDTree(xy)
    nearest = float(np.median(tree.query(xy, k=2)[0][:, 1]))
    if nearest == 0:
        raise EfnstError("Expected every spot at a place of its own, found most of them at the same pixel as another.")
    pairs = tree.query_pairs(1.3 * nearest, output_type="ndarray")
    steps = xy[pairs[:, 1]] - xy[pairs[:, 0]]
    pitch_px = float(np.median(np.hypot(*steps.T)))
    angle = np.arctan2(steps[:, 1], steps[:, 0])
    six, four = (abs(np.exp(1j * k * angle).mean()) for k in (6, 4))
    grid = "hexagonal" if six >= four else "square"
    um_per_px = PITCH_UM[grid] / pitch_px
    return Grid(grid, pitch_px, um_per_px, SPOT_UM[grid] / um_per_px)


def check_spot_diameter(grid: Grid, declared_px: float) -> list[str]:
    """A warning where the declared spot diameter and the pitch give scales more than `SCALE_TOLERANCE` apart."""
    declared = DECLARED_SPOT_UM[grid.grid] / declared_px
    if abs(declared / grid.um_per_px - 1) <= SCALE_TOLERANCE:
        return []
    return [
        f"spot_diameter_fullres {declared_px:.1f} px means {declared:.3f} µm per px, but the spots lie "
        f"{grid.pitch_px:.1f} px apart on a {grid.grid} grid, which means {grid.um_per_px:.3f} µm per px: "
        "the scale is taken from the latter."
    ]


def choose_image(image: str, files: Files, factors: dict[str, float], folder: Path) -> tuple[ImageChoice, list[str]]:
    """The image to use: none, the full-resolution file given, or hires before lowres of the section's folder."""
    if image.lower() == NO_IMAGE:
        return ImageChoice(NO_IMAGE, "", 0.0, 0, 0), []
    if image:
        width, height = image_size(Path(image))
        return ImageChoice("fullres", "", 1.0, width, height), _check_full_resolution(width, height, files, factors)
    if not files.images:
        raise EfnstError(
            f"Expected tissue_hires_image.png or tissue_lowres_image.png in {files.outs / 'spatial'}, found neither: "
            "give the full-resolution file in the column image, or image: none to run on expression and position only."
        )
    sizes = {source: image_size(path) for source, path in files.images.items()}
    source = "hires" if "hires" in sizes else "lowres"
    scale = scale_of(factors, f"tissue_{source}_scalef")
    file = files.images[source].relative_to(folder).as_posix()
    return ImageChoice(source, file, scale, *sizes[source]), _check_two_images(sizes, factors)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in px. Small images are decoded, so that a damaged one is refused here and not hours later."""
    from PIL import Image

    if not path.is_file():
        raise EfnstError(f"Expected an image, found no file {path}: check the column image.")
    if path.suffix.lower() in WHOLE_SLIDE:
        return _tiff_size(path)
    Image.MAX_IMAGE_PIXELS = None  # histology images are larger than what Pillow takes for an attack
    with reading(path), Image.open(path) as picture:
        if picture.width * picture.height <= DECODED_PX:
            picture.load()
        return picture.size


def check_spots_in_image(xy: np.ndarray, image: ImageChoice, grid: Grid, factors: dict[str, float]) -> list[str]:
    """Refuse an image that more than `MAX_OUTSIDE` of the spots lie outside of.

    `xy`: float64 [n_spots, 2] in full-resolution px. Returns a warning where the spots fill so little
    of the image that its scale is doubtful.
    """
    if image.source == NO_IMAGE:
        return []
    size, tolerance = np.array([image.width, image.height]), grid.spot_diameter_px
    outside = _share_outside(xy, image.scale, size, tolerance)
    (left, top), (right, bottom) = xy.min(axis=0) * image.scale, xy.max(axis=0) * image.scale
    name = "1 (full resolution)" if image.source == "fullres" else f"tissue_{image.source}_scalef {image.scale:.5g}"
    spans = f"scaled by {name} they span x {left:.0f} to {right:.0f} and y {top:.0f} to {bottom:.0f} px"
    if outside > MAX_OUTSIDE:
        raise EfnstError(
            f"Expected the spots inside the {image.source} image of {image.width} × {image.height} px, found "
            f"{outside:.0%} of them outside: {spans}. {_likely_cause(xy, image, size, tolerance, factors)}"
        )
    if _fills_little(xy, image.scale, size):
        return [
            f"The spots fill little of the {image.source} image of {image.width} × {image.height} px: {spans}. "
            "If that is not so on the slide, image or scale factor is the wrong one."
        ]
    return []


def read_labels(path: Path) -> pd.Series:
    """Labels by barcode from a CSV with the columns barcode and label; an empty label or NA is missing (None)."""
    if not path.is_file():
        raise EfnstError(f"Expected a CSV of labels, found no file {path}: check the column labels.")
    with reading(path):
        header = path.read_text(encoding="utf-8-sig").partition("\n")[0]
        separator = max(",\t;", key=header.count)
        table = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig"
        )
    table.columns = [str(name).strip().lower() for name in table.columns]
    names = list(table.columns)
    if "barcode" not in names or not ("label" in names or len(names) == 2):
        raise EfnstError(
            f"Expected the columns barcode and label in {path.name}, found {', '.join(names)}: "
            "name them in the first line."
        )
    label = "label" if "label" in names else next(name for name in names if name != "barcode")
    values = table[label].str.strip()
    labels = pd.Series(values.where(~values.isin(MISSING_LABELS), None).to_numpy(object), table["barcode"].str.strip())
    repeated = labels.index[labels.index.duplicated()]
    if len(repeated):
        raise EfnstError(
            f"Expected every barcode once in {path.name}, found {repeated[0]} more than once "
            f"({len(repeated.unique())} barcodes are repeated): keep one line for each."
        )
    return labels


def match_labels(barcodes: pd.Index, labels: pd.Series) -> tuple[pd.Categorical, list[str]]:
    """Labels in the order of `barcodes`, missing where there is none, and warnings about barcodes that do not match."""
    given = labels.dropna()
    n_known = int(given.index.isin(barcodes).sum())
    if not n_known:
        raise EfnstError(
            f"Expected labels for the spots of the section, found {len(given)} labels and none for any of its "
            f"{len(barcodes)} spots (first spot {barcodes[0]}, first label for "
            f"{labels.index[0] if len(labels) else 'nothing'}): "
            "give the labels of this section, with the barcodes as they are in the matrix."
        )
    warnings = []
    if n_known < len(given):
        warnings.append(f"{len(given) - n_known} of {len(given)} labels are for barcodes that are not spots in tissue.")
    n_absent = int((~barcodes.isin(labels.index)).sum())
    if n_absent:
        warnings.append(f"{n_absent} of {len(barcodes)} spots do not stand in the file of labels.")
    return pd.Categorical(given.reindex(barcodes)), warnings


def _assemble(matrix: Matrix, rows: np.ndarray, positions: pd.DataFrame) -> AnnData:
    """Counts, array position and pixel position (x, y) of the spots in `rows` of the matrix."""
    at = positions.loc[matrix.barcodes[rows]]
    section = AnnData(
        X=matrix.counts if len(rows) == matrix.counts.shape[0] else matrix.counts[rows],
        obs=pd.DataFrame(at[["array_row", "array_col"]].astype(np.int64), index=pd.Index(at.index, name=None)),
        var=pd.DataFrame({"gene_ids": matrix.gene_ids}, index=make_index_unique(pd.Index(matrix.gene_names))),
    )
    section.obsm[SPATIAL] = at[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(np.float64)
    return section


def _tiff_size(path: Path) -> tuple[int, int]:
    """Width and height of the largest level of a TIFF, which must hold all the bytes its header promises."""
    import tifffile

    with reading(path):
        try:
            with tifffile.TiffFile(path) as file:
                page = file.series[0].levels[0].keyframe
        except Exception as error:  # tifffile stumbles over a damaged header in many ways
            raise ValueError(f"damaged TIFF header, {type(error).__name__}: {error}") from error
        end = max((start + n for start, n in zip(page.dataoffsets, page.databytecounts, strict=True)), default=0)
        if end > path.stat().st_size:
            raise ValueError(f"it ends after {path.stat().st_size} of at least {end} bytes")
        if not page.imagewidth * page.imagelength:
            raise ValueError(f"an image of {page.imagewidth} × {page.imagelength} px")
        return int(page.imagewidth), int(page.imagelength)


def _check_full_resolution(width: int, height: int, files: Files, factors: dict[str, float]) -> list[str]:
    """A warning where the hires or lowres image says that Space Ranger had an image of another size."""
    for source, path in files.images.items():
        scale = factors.get(f"tissue_{source}_scalef")
        if scale is None:
            continue
        expected = [round(side / scale) for side in image_size(path)]
        if any(abs(side / want - 1) > SIZE_TOLERANCE for side, want in zip((width, height), expected, strict=True)):
            return [
                f"The image given has {width} × {height} px, but by the {source} image Space Ranger had one of about "
                f"{expected[0]} × {expected[1]} px: make sure that it is the same image."
            ]
        return []
    return []


def _check_two_images(sizes: dict[str, tuple[int, int]], factors: dict[str, float]) -> list[str]:
    """Warnings: only lowres, or hires and lowres whose sizes and scale factors contradict each other."""
    if "hires" not in sizes:
        return [
            f"Only the lowres image of {' × '.join(map(str, sizes['lowres']))} px was found: "
            "its features will be weak. Give the full-resolution file in the column image, "
            "or add tissue_hires_image.png."
        ]
    hires, lowres = factors.get("tissue_hires_scalef"), factors.get("tissue_lowres_scalef")
    if "lowres" not in sizes or hires is None or lowres is None:
        return []
    by_size, by_factor = sizes["hires"][0] / sizes["lowres"][0], hires / lowres
    if abs(by_size / by_factor - 1) <= SIZE_TOLERANCE:
        return []
    return [
        f"The hires image is {by_size:.2f} times as wide as the lowres one, but tissue_hires_scalef is "
        f"{by_factor:.2f} times tissue_lowres_scalef: one of the scale factors or images is the wrong one."
    ]


def _share_outside(xy: np.ndarray, scale: float, size: np.ndarray, tolerance_px: float) -> float:
    """Share of spots outside an image of `size` (width, height); the tolerance is in full-resolution px."""
    scaled, margin = xy * scale, tolerance_px * scale
    return float(((scaled < -margin) | (scaled > size + margin)).any(axis=1).mean())


def _likely_cause(
    xy: np.ndarray, image: ImageChoice, size: np.ndarray, tolerance_px: float, factors: dict[str, float]
) -> str:
    """What to check: the scale factor that would fit best, exchanged axes, or the image itself."""
    if _share_outside(xy[:, ::-1], image.scale, size, tolerance_px) <= MAX_OUTSIDE:
        return "With x and y exchanged they fit: check the order of the last two columns of the positions."
    others = {name: factors[name] for name in ("tissue_hires_scalef", "tissue_lowres_scalef") if name in factors}
    others["1 (full resolution)"] = 1.0
    fitting = {
        name: value
        for name, value in others.items()
        if value != image.scale
        and _share_outside(xy, value, size, tolerance_px) <= MAX_OUTSIDE
        and not _fills_little(xy, value, size)
    }
    if fitting:
        name = max(fitting, key=fitting.get)
        shown = name if fitting[name] == 1 else f"{name} {fitting[name]:.5g}"
        return f"Scaled by {shown} they fit: scale factors or images have been exchanged; take both from the same run."
    return "No scale factor of the section fits: it is wrong, or image and positions are of different sections."


def _fills_little(xy: np.ndarray, scale: float, size: np.ndarray) -> bool:
    """Whether the spots span less than `MIN_EXTENT` of the image in both directions, as with a scale far too small."""
    return bool((np.ptp(xy, axis=0) * scale < MIN_EXTENT * size).all())
