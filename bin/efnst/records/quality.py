"""Records of quality control: the section's spots, its image and its stains."""

from typing import Literal

from efnst.records.base import Asked, Number, Quantiles, Record, Value, about

Status = Literal["pass", "warn", "fail"]


class MeasuredGrid(Record):
    """The grid of the spots and the scale that follows from it."""

    grid: Literal["hexagonal", "square", "irregular"] = about("how the spots lie")
    pitch_px: float = about("distance between neighbouring spots", "full-resolution px")
    um_per_px: float = about("scale", "µm per full-resolution px")
    spot_diameter_px: float = about("diameter of a spot, or width of a bin", "full-resolution px")


class DeclaredGrid(Record):
    """The same as the files of the section declare it, as far as they do."""

    grid: str | None = about("how the spots lie", optional=True)
    pitch_px: float | None = about("distance between neighbouring spots", "full-resolution px", optional=True)
    um_per_px: float | None = about("scale", "µm per full-resolution px", optional=True)
    spot_diameter_px: float | None = about("diameter of a spot", "full-resolution px", optional=True)


class UsedImage(Record):
    """The image that a section is used with."""

    source: Literal["fullres", "hires", "lowres", "none"] = about("which image")
    file: str = about("its name within the folder, archive, .h5ad or zarr; empty for fullres and none")
    scale: float = about("scale, 0 without an image", "image px per full-resolution px")
    width: int = about("width", "image px")
    height: int = about("height", "image px")


class SectionFacts(MeasuredGrid):
    """What is known of a section besides its spots."""

    sample: str = about("name of the section")
    space_ranger: str = about("what was read, in words")
    bin_um: Number = about("width of a bin, 0 for spots and cells", "µm")
    unit_um: Number | None = about("width of the units that are analysed; absent for spots", "µm", optional=True)
    unit_reason: str | None = about("why the units are that wide; absent for spots", optional=True)
    n_bins: int | None = about("bins or cells in tissue; absent for spots", "bins", optional=True)
    in_um: bool | None = about(
        "true where positions were places on the array and became µm: px are µm then, and of no image", optional=True
    )
    image: UsedImage = about("the image that the section is used with")


class Geometry(Record):
    """The grid as measured beside what the files declare."""

    measured: MeasuredGrid = about("from the positions of the spots")
    declared: DeclaredGrid = about("by the files of the section")


class ImageAgreement(Record):
    """How well the image agrees with the section, as correlations of -1 to 1."""

    own_image: Literal["hires", "lowres"] | None = about(
        "image of the section that its full-resolution image was compared with; absent without both", optional=True
    )
    detail: float | None = about("of the detail of the two, near 1 for one image; absent without both", optional=True)
    tissue: float | None = about(
        "of spots in tissue with what looks like tissue; absent without an image, or where it does not tell",
        optional=True,
    )


class RepeatedSymbols(Record):
    """Gene symbols that stand more than once in the matrix."""

    n: int = about("how many")
    first: list[str] = about("the first of them", shape="[≤ 10]")


class Inputs(Record):
    """The files that a section was read from, one list per column."""

    role: list[str] = about("what the file is for", shape="[n_files]")
    file: list[str] = about("name within the section's folder", shape="[n_files]")
    bytes: list[int] = about("size", "bytes", "[n_files]")
    checksum: list[str] = about("SHA-256", shape="[n_files]")
    method: list[str] = about("of what the checksum is", shape="[n_files]")


class Finding(Record):
    """A rule of quality control that is not kept."""

    level: Literal["warn", "fail"] = about("weight of the rule")
    metric: str = about("path of the figure in the record")
    value: float = about("the figure")
    limit: Number = about("the limit that it passed")
    text: str = about("the finding in words")


class UsedThresholds(Record):
    """Limits that the spots had to keep to."""

    min_counts_per_spot: Number = about("fewest counts", "counts")
    min_genes_per_spot: Number = about("fewest genes", "genes")
    max_pct_mt: Number = about("largest share of mitochondrial counts", "%")
    max_pct_ribo: Number = about("largest share of ribosomal counts", "%")
    max_pct_hb: Number = about("largest share of haemoglobin counts", "%")


class SpotQuantiles(Record):
    """Smallest value, quartiles and largest value over the spots kept."""

    total_counts: Quantiles = about("counts of a spot", "counts", "[5]")
    n_genes_by_counts: Quantiles = about("genes detected in a spot", "genes", "[5]")
    pct_counts_mt: Quantiles | None = about("mitochondrial counts; null where no such gene is known", "%", "[5]")
    pct_counts_ribo: Quantiles | None = about("ribosomal counts; null where no such gene is known", "%", "[5]")
    pct_counts_hb: Quantiles | None = about("haemoglobin counts; null where no such gene is known", "%", "[5]")


class SectionQc(Record):
    """What was read of a section, and the quality of its spots."""

    sample: str = about("name of the section")
    n_spots_in_matrix: int = about("barcodes of the matrix", "spots")
    n_spots_in_tissue: int = about("of these in tissue", "spots")
    n_spots_kept: int = about("of these passed quality control", "spots")
    share_kept: float = about("kept, of those in tissue")
    lost: dict[str, int] = about("spots that each threshold took, the first that does", "spots")
    n_isolated_spots: int = about("spots kept without a neighbour within 1.5 pitches", "spots")
    share_isolated: float = about("the same, of the spots kept")
    median_counts: float = about("median over the spots kept", "counts")
    median_genes: float = about("median over the spots kept", "genes")
    median_pct_mt: float | None = about("median of mitochondrial counts; null where no such gene is known", "%")
    median_pct_ribo: float | None = about("median of ribosomal counts; null where no such gene is known", "%")
    median_pct_hb: float | None = about("median of haemoglobin counts; null where no such gene is known", "%")
    quantiles: SpotQuantiles = about("of the spots kept: smallest, quartiles, largest")
    thresholds: UsedThresholds = about("as used, with `qc_mads` made tighter")
    qc_mads: float = about("distance from the median that makes a threshold tighter, 0: none", "scaled MADs")
    asked: Asked = about("what was asked for of what the section decides: thresholds, `unit_um`, `use_image`")
    geometry: Geometry = about("grid and scale")
    image_agreement: ImageAgreement = about("the image beside the section; empty without an image")
    repeated_symbols: RepeatedSymbols = about("gene symbols that stand more than once")
    metrics_summary: dict[str, Value] = about("figures of Space Ranger by its own names; empty where there are none")
    inputs: Inputs = about("files that the section was read from")
    qc_status: Status = about("the worst of the findings")
    qc_findings: list[Finding] = about("rules of quality control that are not kept")
    warnings: list[str] = about("what the user should know")


class PatchScale(Record):
    """Patches of one width."""

    patch_um: float = about("width on the tissue", "µm")
    window_px: int = about("width in the image", "px")
    stored_px: int = about("width as stored, after averaging", "px")


class Macenko(Record):
    """Stains after Macenko 2009."""

    stains: list[list[float]] = about("unit vectors, haematoxylin first", "optical density of R, G, B", "[2][3]")
    concentrations: list[float] = about("99th percentile of each stain", "optical density", "[2]")


class Reinhard(Record):
    """Colours after Reinhard 2001."""

    mean: list[float] = about("mean", "L*, a*, b*", "[3]")
    sd: list[float] = about("standard deviation", "L*, a*, b*", "[3]")


class Stain(Record):
    """Statistics of the stains of a section."""

    n_px: int = about("sampled pixels of tissue", "px")
    macenko: Macenko | None = about("null where there are not two stains")
    reinhard: Reinhard | None = about("null where there is one colour only")


class ImageQc(Record):
    """The image of a section and its patches."""

    sample: str = about("name of the section")
    source: Literal["fullres", "hires", "lowres"] = about("which image")
    um_per_px: float = about("scale", "µm per image px")
    patches: list[PatchScale] = about("one for each width, rising")
    patches_per_spot: int = about("patches of one width around each spot", "patches")
    asked: Asked = about("what was asked for of what the encoder decides: `patch_um`")
    ring_um: float = about("how far from the one in the centre the others lie; 0 where there are none", "µm")
    tissue_fraction: Quantiles = about("tissue in the narrowest patches: smallest, quartiles, largest", shape="[5]")
    laplacian_variance: Quantiles = about(
        "sharpness of the narrowest patches: smallest, quartiles, largest", "squared grey levels", "[5]"
    )
    n_spots_at_border: int = about("spots with a patch completed by reflection", "spots")
    n_background_patches: int = about("patches with less than 5 % tissue", "patches")
    stain: Stain | None = about("statistics of the stains; null where there is too little tissue")
    qc_status: Status = about("the worst of the findings")
    qc_findings: list[Finding] = about("rules of quality control that are not kept")
    warnings: list[str] = about("what the user should know")


class StainReference(Record):
    """The reference that the stains of a cohort are brought to: medians over its sections."""

    n_sections: int = about("sections with an image", "sections")
    macenko: Macenko | None = about("null where no section has it")
    reinhard: Reinhard | None = about("null where no section has it")
