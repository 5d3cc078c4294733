"""One section: counts, positions, scale, image and labels put together, and whatever does not fit together refused."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.utils import make_index_unique

from efnst.errors import EfnstError
from efnst.geometry.array_fit import SQUARE, ArrayFit, fit_array
from efnst.geometry.grid import (
    BELIEVED_STRAY,
    PITCH_UM,
    SCALE_TOLERANCE,
    Grid,
    check_order,
    check_spot_diameter,
    check_um_per_px,
    compare_with_array,
    irregular_grid,
    kind_of_line,
    measure_grid,
)
from efnst.inputs.annotations import is_annotations, region_labels
from efnst.inputs.array_places import in_pixels
from efnst.inputs.gene_kinds import unrecognised
from efnst.inputs.image_agreement import check_picture
from efnst.inputs.image_choice import check_spots_in_image, choose_image, implied_size
from efnst.inputs.labels import match_labels, read_labels, unscored
from efnst.inputs.labels_of_bins import for_bins
from efnst.inputs.open import open_source
from efnst.inputs.positions import ARRAY_COLUMNS, scale_of
from efnst.inputs.source import PIXELS, Source
from efnst.inputs.told import told
from efnst.names import LABEL, SECTION, SPATIAL
from efnst.program.memory import bounded_memory
from efnst.records.quality import SectionFacts

EVEN = 0.03  # spread of the sums of counts, relative to their mean, below which they were made even; tissue has 0.3
FEW_SPOTS, FEW_COUNTS = 20, 100  # of which nothing can be said
MIN_SHARED = 0.5  # share of barcodes below which matrix and positions are taken to be of different sections


def load_section(
    sample: str,
    path: Path,
    image: str,
    labels: str,
    bin_um: str = "",
    expression_rep: str = "",
    with_counts: bool = True,
    library: str = "",
) -> tuple[AnnData, dict, list[str]]:
    """Read a section before quality control: the spots in tissue, facts about its files for the record, and warnings.

    `path`, `bin_um`, `expression_rep`, `with_counts` and `library` as in `open_source`; `image` is a full-resolution
    file, `none`, or empty for the best image of the section; `labels` is a table, a GeoJSON of regions, or empty. Rows
    keep the order of the matrix.
    """
    with told(path), bounded_memory(path):
        source = in_pixels(open_source(path, bin_um, expression_rep, with_counts, library), image)
    rows, warnings = rows_in_tissue(source.matrix.barcodes, source.positions, source.is_filtered)
    section = _assemble(source, rows)
    fit = _array_fit(source)
    source = _with_bin_size(source, fit)
    grid, geometry, grid_warnings = _geometry(source, fit)
    with told(path):
        choice, source, image_warnings = choose_image(image, source)
        implied = implied_size(choice, source)
        outside = check_spots_in_image(section.obsm[SPATIAL], choice, grid, source.factors, implied)
        agreement, picture_warnings = check_picture(image, choice, source, grid, fit)
    warnings += [*source.warnings, *grid_warnings, *image_warnings]
    warnings += [*unrecognised(source.matrix.gene_names, source.matrix.gene_ids), *outside, *picture_warnings]
    warnings += _even_totals(section)
    if labels:
        with bounded_memory(Path(labels)):
            warnings += _add_labels(section, Path(labels), source, grid)
    facts = {"sample": sample, "space_ranger": source.layout, "bin_um": source.bin_um, "image": asdict(choice)}
    facts |= {"in_um": True} if source.in_um else {}
    section.uns[SECTION] = SectionFacts(**asdict(grid), **facts).plain()
    about = {"n_spots_in_matrix": len(source.matrix.barcodes), "geometry": geometry, "image_agreement": agreement}
    about |= {"repeated_symbols": _repeated(source.matrix.gene_names), "metrics_summary": source.metrics or {}}
    return section, about, warnings


def _array_fit(source: Source) -> ArrayFit | None:
    """The places of the spots on the array, as far as they are known."""
    if not source.is_on_array:
        return None
    array = source.positions[ARRAY_COLUMNS].to_numpy(np.int64)
    return fit_array(source.xy, array, is_square=bool(source.bin_um))


def _with_bin_size(source: Source, fit: ArrayFit | None) -> Source:
    """The section with the size of its bins, where only `microns_per_pixel` tells them from spots."""
    um_per_px = source.factors.get("microns_per_pixel")
    if source.bin_um or fit is None or um_per_px is None or fit.grid != SQUARE or fit.stray > BELIEVED_STRAY:
        return source
    bin_um = round(fit.pitch_px * um_per_px)
    if not bin_um or abs(bin_um / PITCH_UM[SQUARE] - 1) <= SCALE_TOLERANCE:
        return source
    said = f"No bin_um was given: by microns_per_pixel these are bins of {bin_um} µm."
    return replace(source, bin_um=bin_um, warnings=(*source.warnings, said))


def _geometry(source: Source, fit: ArrayFit | None) -> tuple[Grid, dict, list[str]]:
    """The grid as measured, the same beside what the files declare, for the record, and warnings where they differ."""
    factors, xy = source.factors, source.xy
    if source.is_cells or (not source.is_on_array and "microns_per_pixel" in factors and not source.bin_um):
        grid = irregular_grid(xy, scale_of(factors, "microns_per_pixel", source.names.factors))
        return grid, {"measured": asdict(grid), "declared": {"um_per_px": grid.um_per_px}}, []
    um_per_px = factors.get("microns_per_pixel", 0)
    array = source.positions[ARRAY_COLUMNS].to_numpy() if source.is_on_array else None
    kind, warnings = ("", []) if source.bin_um else kind_of_line(xy, array, factors.get("spot_diameter_fullres", 0))
    grid, declared = measure_grid(xy, source.bin_um, fit, um_per_px if source.bin_um else 0, kind), {}
    if fit:
        declared = {"grid": fit.grid, "pitch_px": fit.pitch_px}
        warnings += compare_with_array(grid, fit)
    if "spot_diameter_fullres" in factors:
        declared["spot_diameter_px"] = factors["spot_diameter_fullres"]
        warnings += check_spot_diameter(grid, factors["spot_diameter_fullres"], source.bin_um)
    if um_per_px:
        declared["um_per_px"] = um_per_px
        warnings += check_um_per_px(grid, um_per_px, source.bin_um)
    return grid, {"measured": asdict(grid), "declared": declared}, [*check_order(grid, xy), *warnings]


def rows_in_tissue(barcodes: np.ndarray, positions: pd.DataFrame, is_filtered: bool) -> tuple[np.ndarray, list[str]]:
    """Rows of the matrix that are spots in tissue, in the order of the matrix, and warnings; joined on the barcode.

    All Visium slides share their barcodes, so the files of two sections can only be distinguished by which spots are in
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
    n_tissue, n_kept = int((positions["in_tissue"] == 1).sum()), int(in_tissue.sum())
    if not n_kept:
        raise EfnstError(
            f"Expected spots in tissue, found none: {n_tissue} of {len(positions)} positions are in tissue and none of "
            "them is in the matrix. Detect the tissue again in Space Ranger or Loupe Browser."
        )
    if is_filtered and n_kept < MIN_SHARED * len(barcodes):
        raise EfnstError(
            f"Expected the barcodes of the filtered matrix to be in tissue, found {n_kept} of {len(barcodes)}: "
            "matrix and positions are of different sections."
        )
    return np.flatnonzero(in_tissue), _losses(len(barcodes), n_shared, n_tissue, n_kept, is_filtered)


def _losses(n_barcodes: int, n_shared: int, n_tissue: int, n_kept: int, is_filtered: bool) -> list[str]:
    """Warnings about barcodes of the matrix and spots in tissue that have no partner."""
    warnings = []
    if n_shared < n_barcodes:
        warnings.append(f"{n_barcodes - n_shared} of {n_barcodes} barcodes of the matrix have no position.")
    if is_filtered and n_kept < n_shared:
        warnings.append(f"{n_shared - n_kept} of {n_barcodes} barcodes of the filtered matrix are not in tissue.")
    if n_kept < n_tissue:
        warnings.append(f"{n_tissue - n_kept} of {n_tissue} spots in tissue are not in the matrix.")
    return warnings


def _assemble(source: Source, rows: np.ndarray) -> AnnData:
    """Counts, array position and pixel position (x, y) of the spots in `rows` of the matrix."""
    matrix = source.matrix
    at = source.positions.loc[matrix.barcodes[rows]]
    section = AnnData(
        X=matrix.counts if len(rows) == matrix.counts.shape[0] else matrix.counts[rows],
        obs=pd.DataFrame(at[ARRAY_COLUMNS].astype(np.int64), index=pd.Index(at.index, name=None)),
        var=pd.DataFrame({"gene_ids": matrix.gene_ids}, index=make_index_unique(pd.Index(matrix.gene_names))),
    )
    section.obsm[SPATIAL] = at[PIXELS].to_numpy(np.float64)
    for name, features in source.representations.items():
        section.obsm[name] = features[rows]
    return section


def _even_totals(section: AnnData) -> list[str]:
    """A warning where all spots have nearly the same sum of counts, as after normalisation and rounding."""
    totals = np.asarray(section.X.sum(axis=1)).ravel()
    if len(totals) < FEW_SPOTS or totals.mean() < FEW_COUNTS or totals.std() > EVEN * totals.mean():
        return []
    return [
        f"All spots have nearly the same sum of counts ({totals.mean():.0f}): the values may be normalised and "
        "rounded. Give raw counts."
    ]


def _add_labels(section: AnnData, path: Path, source: Source, grid: Grid) -> list[str]:
    """Add the labels of a file to `obs`, unless they are too many to name regions; returns warnings.

    A single label is no score, but with others' labels it may teach names.
    """
    if is_annotations(path):
        if source.in_um:
            raise EfnstError(
                "Expected labels of the section by barcodes, as its positions are places on the array, found regions "
                f"in px of an image in {path.name}. Give a table of labels, or the positions in full-resolution px."
            )
        scales = {"µm": grid.um_per_px}
        scales |= {
            f"px of the {kind} image": source.factors.get(f"tissue_{kind}_scalef", 1) for kind in ("hires", "lowres")
        }
        labels, warnings = region_labels(section.obs_names, section.obsm[SPATIAL], path, scales)
    else:
        given, moved = for_bins(section.obs_names, read_labels(path))
        labels, warnings = match_labels(section.obs_names, given)
        warnings = moved + warnings
    reasons = unscored(labels)
    if len(labels.categories) == 1 or (len(labels.categories) and not reasons):
        section.obs[LABEL] = labels
    return warnings + reasons


def _repeated(names: np.ndarray) -> dict[str, int | list[str]]:
    """How many gene symbols stand more than once, and the first of them."""
    symbols = pd.Series(names, dtype=object)
    repeated = symbols[symbols.duplicated()].unique()
    return {"n": len(repeated), "first": [str(symbol) for symbol in repeated[:10]]}
