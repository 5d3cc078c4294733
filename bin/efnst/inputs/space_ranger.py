"""Files of a Space Ranger folder: where they are in each version, on Visium, on Visium HD and with segmented cells."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from efnst.errors import EfnstError
from efnst.inputs.aggregated import is_aggregated, part_of
from efnst.inputs.barcodes import BIN_NAME, SPOT_BARCODE, bin_size
from efnst.inputs.deposit import arranged, is_deposit
from efnst.inputs.feature_matrix import first_barcode, listing
from efnst.inputs.links import require_inside
from efnst.inputs.positions import SCALE_FACTORS, read_positions
from efnst.inputs.source import CELLS
from efnst.inputs.unpack import SUFFIXES
from efnst.inputs.visible import visible

POSITION_FILES = ("tissue_positions.csv", "tissue_positions_list.csv", "tissue_positions.parquet")
MATRIX_NAMES = ("filtered_feature_bc_matrix.h5", "filtered_feature_bc_matrix")
RAW_MATRIX_NAMES = ("raw_feature_bc_matrix.h5", "raw_feature_bc_matrix")
CELL_MATRIX_NAMES = ("filtered_feature_cell_matrix.h5", "filtered_feature_cell_matrix")
CELL_OUTLINES = ("cell_segmentations.geojson", "graphclust_annotated_cell_segmentations.geojson")
IMAGE_NAMES = {  # PNG is Space Ranger's; JPEG that of those who had to save space
    kind: tuple(f"tissue_{kind}_image.{ending}" for ending in ("png", "jpg", "jpeg")) for kind in ("hires", "lowres")
}
METRICS = "metrics_summary.csv"
DEFAULT_BIN_UM = 8  # what 10x recommends to start from
BINS = "binned_outputs"
BIN_FOLDER = re.compile(r"square_([0-9]{3})um")


@dataclass(frozen=True)
class Files:
    """Where the files of one section lie.

    `images` has the keys hires and lowres, as far as there are such files. `bin_um` is 0 where spots lie on the array
    of Visium. `scale_factors` and `metrics` are None where there is no such file.
    """

    outs: Path
    matrix: Path
    is_filtered: bool
    positions: Path
    scale_factors: Path | None
    images: dict[str, Path]
    bin_um: int = 0
    metrics: Path | None = None
    warnings: tuple[str, ...] = ()
    suffix: str = ""  # of the barcodes of this section, where files hold those of several

    @property
    def paths(self) -> list[Path]:
        """All files that are read."""
        others = [self.scale_factors, *self.images.values(), self.metrics]
        return [*self.of_matrix, self.positions, *filter(None, others)]

    @property
    def of_matrix(self) -> list[Path]:
        """The files of the matrix, which may be one."""
        return visible(self.matrix) if self.matrix.is_dir() else [self.matrix]


def find_files(folder: Path, bin_um: str = "", library: str = "") -> Files:
    """The files of a section in `folder`, which is an outs folder or holds one.

    `bin_um`: on Visium HD the size of the bins, `cells`, or empty for `DEFAULT_BIN_UM`. `library`: which section
    of several, in a deposit or what `spaceranger aggr` wrote.
    """
    outs = find_outs(folder, library)
    if is_aggregated(outs):
        return _checked_links(_find_aggregated(outs, library), folder)
    if library and outs.is_relative_to(folder):
        raise EfnstError(f"Expected several sections in {folder}, found one: leave the column library empty.")
    part, own, warnings = _part(outs, bin_um)
    spatial = part / "spatial"
    if bin_um == CELLS:
        matrix, is_filtered, positions = *_find_matrix(part, (CELL_MATRIX_NAMES,)), _first(part, CELL_OUTLINES)
    else:
        matrix, is_filtered = _find_matrix(part, (MATRIX_NAMES, RAW_MATRIX_NAMES))
        positions = _first(spatial, POSITION_FILES)
    files = Files(
        outs=outs,
        matrix=matrix,
        is_filtered=is_filtered,
        positions=positions,
        scale_factors=spatial / SCALE_FACTORS if (spatial / SCALE_FACTORS).is_file() else None,
        images=_find_images([spatial, outs / "spatial"]),
        metrics=next((path for path in (part / METRICS, outs / METRICS) if path.is_file()), None),
        warnings=tuple(warnings),
    )
    files = _checked_links(files, folder)
    bins = 0 if bin_um == CELLS else _bins(part, files, own, bin_um)
    return replace(files, bin_um=bins, warnings=(*files.warnings, *_other_positions(files.positions)))


def _find_aggregated(outs: Path, library: str) -> Files:
    """The files of one of the sections that `spaceranger aggr` put together."""
    part = part_of(outs, library)
    matrix, is_filtered = _find_matrix(outs, (MATRIX_NAMES, RAW_MATRIX_NAMES))
    factors = part.spatial / SCALE_FACTORS
    return Files(
        outs=outs,
        matrix=matrix,
        is_filtered=is_filtered,
        positions=part.positions if part.positions.is_file() else _first(outs / "spatial", POSITION_FILES),
        scale_factors=factors if factors.is_file() else None,
        images=_find_images([part.spatial]),
        suffix=part.suffix,
    )


def _checked_links(files: Files, folder: Path) -> Files:
    """The same files, none of which may be a link out of the folder."""
    if files.outs.is_relative_to(folder):  # else an arranged copy, whose files were looked at before
        for path in files.paths:
            require_inside(path, files_root(folder))
    return files


def files_root(folder: Path) -> Path:
    """The folder that a section's files lie in: the one given, or all of outs where it is that of one size of bins.

    Space Ranger links the images of bins and cells to those of outs/spatial.
    """
    found = folder.resolve()
    if found.parent.name == "binned_outputs" and BIN_FOLDER.fullmatch(found.name):
        return found.parents[1]
    return found.parent if found.name == "segmented_outputs" else folder


def find_outs(folder: Path, library: str = "") -> Path:
    """`folder` or its sub-folder outs, whichever holds the folder spatial, or the bins or cells of Visium HD.

    Of a deposit an arranged copy of the sample `library`, which may be empty where there is one.
    """
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        read = "" if found == "nothing" else f" (read are folders, {', '.join(SUFFIXES)}, .h5ad and .zarr)"
        raise EfnstError(
            f"Expected a Space Ranger outs folder, found {found} at {folder}{read}: check the column section."
        )
    for outs in (folder, folder / "outs"):
        if is_deposit(outs):
            return arranged(outs, library)
        if is_outs(outs) or (outs.name == BINS and bin_folders(outs)):
            return outs
    raise EfnstError(
        f"Expected a Space Ranger outs folder, found no folder spatial in {folder}{listing(folder)}: "
        "give the folder that holds spatial and filtered_feature_bc_matrix.h5, or its parent."
    )


def is_outs(folder: Path) -> bool:
    """Whether a folder is one that Space Ranger wrote a section to."""
    holds_bins = folder.name != BINS and bool(bin_folders(folder))
    return holds_bins or any((folder / name).is_dir() for name in ("spatial", BINS, "segmented_outputs"))


def bin_folders(outs: Path) -> dict[int, Path]:
    """The folders of bins by the size of the bins in µm: in binned_outputs, or beside the folder spatial."""
    folder = outs / BINS if (outs / BINS).is_dir() else outs
    children = folder.iterdir() if folder.is_dir() else ()
    return {int(found[1]): path for path in children if path.is_dir() and (found := BIN_FOLDER.fullmatch(path.name))}


def _part(outs: Path, bin_um: str) -> tuple[Path, int, list[str]]:
    """The folder of the spots, bins or cells asked for, the size of bins that its name says, or 0, and warnings."""
    if bin_um == CELLS:
        return _cells(outs), 0, []
    sizes = bin_folders(outs)
    if not sizes and not (outs / BINS).is_dir():
        own_bins = BIN_FOLDER.fullmatch(outs.resolve().name) if (outs / "spatial").is_dir() else None
        return outs, int(own_bins[1]) if own_bins else 0, []
    chosen = int(bin_um) if bin_um else DEFAULT_BIN_UM
    if chosen not in sizes:
        found = ", ".join(map(str, sorted(sizes))) or "none"
        raise EfnstError(f"Expected bins of {chosen} µm in {outs}, found {found}: give one of these as bin_um.")
    said = [] if bin_um else [f"No bin_um was given: the bins of {DEFAULT_BIN_UM} µm were taken."]
    return sizes[chosen], chosen, said if len(sizes) > 1 else []


def _cells(outs: Path) -> Path:
    """The folder of the cells, which may be the one given."""
    if (outs / "segmented_outputs").is_dir():
        return outs / "segmented_outputs"
    if any((outs / name).exists() for name in CELL_MATRIX_NAMES):
        return outs
    raise EfnstError(f"Expected segmented_outputs in {outs}, found none{listing(outs)}: give a bin size instead.")


def _bins(part: Path, files: Files, own: int, bin_um: str) -> int:
    """The size of the bins in a folder, 0 where it holds spots; `own`: the size that its name says, or 0.

    Barcodes say it; where they say nothing the name of the folder or `bin_um` does.
    """
    try:
        barcode = first_barcode(files.matrix)
    except EfnstError:  # a damaged matrix is told of where it is read
        barcode = ""
    size = bin_size(bin_um or (str(own) if own else ""), [barcode], files.matrix)
    is_unsaid = files.positions.suffix == ".parquet" and not SPOT_BARCODE.search(barcode)
    if own not in (0, size) or (size and not (own or is_unsaid or BIN_NAME.search(barcode))):
        found = f"bins of {own} µm" if own else "spots"
        raise EfnstError(f"Expected bins of {bin_um} µm, found {found} in {part}: correct bin_um or leave it empty.")
    if is_unsaid and not size:
        raise EfnstError(
            f"Expected the size of the bins in {part}, found a folder of Visium HD that does not say it: give bin_um."
        )
    return size


def _find_matrix(outs: Path, choices: tuple[tuple[str, ...], ...]) -> tuple[Path, bool]:
    """The first matrix of `choices` and whether it is the filtered one; a prefix of the name is accepted."""
    for names in choices:
        for name in names:
            is_filtered = names is not RAW_MATRIX_NAMES
            if (outs / name).exists():
                return outs / name, is_filtered
            prefixed = visible(outs, f"*[._-]{name}")
            if len(prefixed) > 1:
                found = ", ".join(path.name for path in prefixed)
                raise EfnstError(
                    f"Expected one {name} in {outs}, found {found}: give each section a folder of its own."
                )
            if prefixed:
                return prefixed[0], is_filtered
    other = " (or the folder of that name, or the raw matrix)" if RAW_MATRIX_NAMES in choices else ""
    raise EfnstError(
        f"Expected {choices[0][0]}{other} in {outs}, found neither{listing(outs)}: copy it from the Space Ranger run."
    )


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of the files `names` that is in `folder`."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    expected = " or ".join(names if len(names) < 3 else names[:2])
    raise EfnstError(
        f"Expected {expected} in {folder}, found {'neither' if len(names) > 1 else 'none'}{listing(folder)}: "
        "copy it from the Space Ranger run."
    )


def _other_positions(positions: Path) -> list[str]:
    """A warning where another file of positions lies beside the one that is read, and says something else."""
    others = [positions.with_name(name) for name in POSITION_FILES[:2] if name != positions.name]
    differing = [
        path.name
        for path in others
        if path.is_file() and not path.is_symlink() and not _same_positions(path, positions)
    ]
    return [
        f"{positions.name} was read; {name} beside it has other positions: remove the wrong one." for name in differing
    ]


def _same_positions(one: Path, other: Path) -> bool:
    """Whether two files say the same, but for names of columns."""
    try:
        tables = [read_positions(path)[0] for path in (one, other)]
    except EfnstError:  # of the one that is read this is said later
        return False
    return tables[0].shape == tables[1].shape and tables[0].astype(float).equals(tables[1].astype(float))


def _find_images(folders: list[Path]) -> dict[str, Path]:
    """The hires and lowres images, each in the first folder that has it.

    In the folders of bins they are often links to those of outs/spatial, which lead nowhere after a careless copy.
    """
    found = {}
    for kind, names in IMAGE_NAMES.items():
        paths = [folder / name for name in names for folder in folders]
        present = [path for path in paths if path.is_file()]
        if present:
            found[kind] = present[0]
    return found
