"""One section: counts, positions, scale, image and labels put together, and whatever does not fit together refused."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique

from efnst.constants import LABEL, SECTION, SPATIAL
from efnst.errors import EfnstError, reading
from efnst.grid import (
    Grid,
    check_order,
    check_spot_diameter,
    check_um_per_px,
    compare_with_declared,
    irregular_grid,
    measure_grid,
)
from efnst.positions import scale_of
from efnst.section_image import located
from efnst.section_source import Source, open_source

NO_IMAGE = "none"
MIN_SHARED = 0.5  # share of barcodes below which matrix and positions are taken to be of different sections
MAX_OUTSIDE = 0.05  # share of spots that may lie outside the image
MIN_EXTENT = 0.25  # of the image's width or height, below which its scale is doubtful
SIZE_TOLERANCE = 0.02
DECODED_PX = 50_000_000  # images up to this size are decoded as a whole, to find damage before the work begins
WHOLE_SLIDE = (".tif", ".tiff", ".btf", ".svs", ".ndpi", ".scn", ".qptiff")
MISSING_LABELS = ("", "NA", "NaN", "nan", "None")


@dataclass(frozen=True)
class ImageChoice:
    """The image that a section is used with; `scale` is image px per full-resolution px, 0 without an image."""

    source: str
    file: str
    scale: float
    width: int
    height: int


def load_section(
    sample: str,
    path: Path,
    image: str,
    labels: str,
    bin_um: str = "",
    expression_rep: str = "",
    with_counts: bool = True,
) -> tuple[AnnData, dict, list[str]]:
    """Read a section before quality control: the spots in tissue, facts about its files for the record, and warnings.

    `path`, `bin_um`, `expression_rep` and `with_counts` as in `open_source`; `image` is a full-resolution file, `none`,
    or empty for the best image of the section; `labels` is a CSV or empty. Rows keep the order of the matrix.
    """
    source = open_source(path, bin_um, expression_rep, with_counts)
    rows, warnings = rows_in_tissue(source.matrix.barcodes, source.positions, source.is_filtered)
    section = _assemble(source, rows)
    grid, geometry, grid_warnings = _geometry(source)
    choice, image_warnings = choose_image(image, source)
    warnings += [*source.warnings, *grid_warnings, *image_warnings]
    warnings += check_spots_in_image(section.obsm[SPATIAL], choice, grid, source.factors)
    if labels:
        section.obs[LABEL], label_warnings = match_labels(section.obs_names, read_labels(Path(labels)))
        warnings += label_warnings
    facts = {"sample": sample} | asdict(grid) | {"space_ranger": source.layout, "image": asdict(choice)}
    section.uns[SECTION] = facts | {"bin_um": source.bin_um}
    about = {"n_spots_in_matrix": len(source.matrix.barcodes), "geometry": geometry}
    about |= {"repeated_symbols": _repeated(source.matrix.gene_names), "metrics_summary": source.metrics or {}}
    return section, about, warnings


def _geometry(source: Source) -> tuple[Grid, dict, list[str]]:
    """The grid as measured, the same beside what the files declare, for the record, and warnings where they differ."""
    positions, factors = source.positions, source.factors
    xy = positions[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(float)
    if not source.is_on_array and "microns_per_pixel" in factors and not source.bin_um:
        grid = irregular_grid(xy, scale_of(factors, "microns_per_pixel"))
        return grid, {"measured": asdict(grid), "declared": {"um_per_px": grid.um_per_px}}, []
    grid = measure_grid(xy, source.bin_um)
    declared, warnings = {}, check_order(xy)
    if source.is_on_array:
        array = positions[["array_row", "array_col"]].to_numpy(np.int64)
        declared, more = compare_with_declared(grid, array, xy) if not source.bin_um else ({}, [])
        warnings += more
    if "spot_diameter_fullres" in factors:
        declared["spot_diameter_px"] = factors["spot_diameter_fullres"]
        warnings += check_spot_diameter(grid, factors["spot_diameter_fullres"], source.bin_um)
    if source.bin_um and "microns_per_pixel" in factors:
        declared["um_per_px"] = factors["microns_per_pixel"]
        warnings += check_um_per_px(grid, factors["microns_per_pixel"], source.bin_um)
    return grid, {"measured": asdict(grid), "declared": declared}, warnings


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


def choose_image(image: str, source: Source) -> tuple[ImageChoice, list[str]]:
    """The image to use: none, the full-resolution file given, or hires before lowres of the section itself."""
    if image.lower() == NO_IMAGE:
        return ImageChoice(NO_IMAGE, "", 0.0, 0, 0), []
    if image:
        width, height = image_size(Path(image))
        return ImageChoice("fullres", "", 1.0, width, height), _check_full_resolution(width, height, source)
    if not source.images:
        raise EfnstError(
            f"Expected tissue_hires_image.png or tissue_lowres_image.png in {source.path.name}, found neither"
            f"{_lost_links(source.path)}: give the full-resolution file in the column image, or image: none to run on "
            "expression and position only."
        )
    sizes = {kind: image_size(located(source.path, name)) for kind, name in source.images.items()}
    kind = "hires" if "hires" in sizes else "lowres"
    scale = scale_of(source.factors, f"tissue_{kind}_scalef")
    return ImageChoice(kind, source.images[kind], scale, *sizes[kind]), _check_two_images(sizes, source.factors)


def _lost_links(path: Path) -> str:
    """Links to images that lead nowhere, for a message."""
    links = [link for link in path.glob("**/tissue_*_image.png") if link.is_symlink()] if path.is_dir() else []
    return f" ({links[0].name} is a link that leads nowhere: copy with cp -L)" if links else ""


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


def _assemble(source: Source, rows: np.ndarray) -> AnnData:
    """Counts, array position and pixel position (x, y) of the spots in `rows` of the matrix."""
    matrix = source.matrix
    at = source.positions.loc[matrix.barcodes[rows]]
    section = AnnData(
        X=matrix.counts if len(rows) == matrix.counts.shape[0] else matrix.counts[rows],
        obs=pd.DataFrame(at[["array_row", "array_col"]].astype(np.int64), index=pd.Index(at.index, name=None)),
        var=pd.DataFrame({"gene_ids": matrix.gene_ids}, index=make_index_unique(pd.Index(matrix.gene_names))),
    )
    section.obsm[SPATIAL] = at[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(np.float64)
    for name, features in source.representations.items():
        section.obsm[name] = features[rows]
    return section


def _repeated(names: np.ndarray) -> dict[str, int | list[str]]:
    """How many gene symbols stand more than once, and the first of them."""
    symbols = pd.Series(names, dtype=object)
    repeated = symbols[symbols.duplicated()].unique()
    return {"n": len(repeated), "first": [str(symbol) for symbol in repeated[:10]]}


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


def _check_full_resolution(width: int, height: int, section: Source) -> list[str]:
    """A warning where the hires or lowres image says that Space Ranger had an image of another size."""
    for source, name in section.images.items():
        scale = section.factors.get(f"tissue_{source}_scalef")
        if scale is None:
            continue
        expected = [round(side / scale) for side in image_size(located(section.path, name))]
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
