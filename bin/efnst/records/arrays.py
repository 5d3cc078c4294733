"""Files of arrays and tables that steps write for each other: names, types, shapes and units, each said once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from efnst.errors import EfnstError
from efnst.names import (
    BASELINES,
    CONFIDENCE,
    DIFFUSED,
    DOMAIN,
    EMBEDDING,
    EXPRESSION_PCS,
    IMAGE_PCS,
    LABEL,
    LATTICE,
    N_BINS,
    NAME,
    NAME_PROBABILITY,
    NOVELTY,
    PROVENANCE,
    QC,
    SECTION,
    SPATIAL,
    UNIT,
)

TEXT, CATEGORY, RECORD = "text", "category", "record"
ANY = "…"  # in a name: whatever stands there
KINDS = {TEXT: "UOST", "int": "iu", "float": "f"}  # numpy's letters; other types are exact


@dataclass(frozen=True)
class Array:
    """One array or column: its name (`…` stands for anything), type, shape, what it holds and in which unit."""

    name: str
    dtype: str
    shape: str
    about: str
    unit: str = ""
    optional: bool = False

    def is_called(self, name: str) -> bool:
        """Whether an array of this name is this one."""
        start, any_, end = self.name.partition(ANY)
        return name.startswith(start) and name.endswith(end) if any_ else name == self.name

    def misfit(self, values: Any) -> str:
        """What is wrong with `values`, an array or what has its dtype, ndim and size; empty if nothing is."""
        if self.dtype == RECORD:
            return ""
        n_axes = self.shape.count(",") + 1
        if values.ndim != n_axes:
            return f"{values.ndim} axes instead of {n_axes}"
        fits = values.dtype.kind in KINDS[self.dtype] if self.dtype in KINDS else values.dtype.name == self.dtype
        return "" if fits or not values.size else f"{values.dtype} instead of {self.dtype}"


@dataclass(frozen=True)
class Arrays:
    """A file of arrays, or a table of columns."""

    about: str
    members: tuple[Array, ...]

    @property
    def names(self) -> list[str]:
        """The names of the members that are always there."""
        return [member.name for member in self.members if not member.optional]

    def problems(self, found: Mapping[str, Any]) -> list[str]:
        """One line for each array that is missing, unknown, or of another type or number of axes."""
        lines = [f"{name}: missing" for name in self.names if not any(map(self.named(name).is_called, found))]
        for name, values in found.items():
            member = next((member for member in self.members if member.is_called(name)), None)
            problem = member.misfit(values) if member else "not known"
            lines += [f"{name}: {problem}"] if problem else []
        return lines

    def named(self, name: str) -> Array:
        """The member with this name."""
        return next(member for member in self.members if member.name == name)

    def check(self, found: Mapping[str, Any], file: str) -> None:
        """Raise an EfnstError with `file` and arrays unless `found` are these arrays."""
        problems = self.problems(found)
        if problems:
            raise EfnstError(
                f"Expected the arrays of `{file}` as this version of efnst writes them, found {'; '.join(problems)}. "
                "Run the step again that writes it."
            )


BARCODES = Array("barcodes", TEXT, "[n_spots]", "the spots, in the order of section.h5ad")
BETWEEN = (
    Array(
        "between_data",
        "float",
        "[n_weights]",
        "of patches on a lattice: weights that tell spots between",
        optional=True,
    ),
    Array("between_indices", "int", "[n_weights]", "patches of these weights, by spots", optional=True),
    Array("between_indptr", "int", "[n_spots + 1]", "where the weights of each spot begin, as in CSR", optional=True),
)
SECTION_H5AD = Arrays(
    "the spots that passed quality control; raw counts of all genes",
    (
        Array("X", "int", "[n_spots, n_genes]", "raw counts, CSR", "counts"),
        Array("obs/array_row", "int", "[n_spots]", "row on the slide's array, or the units'; -1 for what lies on none"),
        Array("obs/array_col", "int", "[n_spots]", "column of the same"),
        Array(f"obs/{UNIT}", "int", "[n_spots]", "number of the unit, as in bins.h5ad", optional=True),
        Array(f"obs/{N_BINS}", "int", "[n_spots]", "bins or cells of the unit", "bins", optional=True),
        Array("obs/total_counts", "int", "[n_spots]", "all counts", "counts"),
        Array("obs/n_genes_by_counts", "int", "[n_spots]", "genes detected", "genes"),
        Array("obs/pct_counts_mt", "float", "[n_spots]", "mitochondrial counts; NaN where no such gene is known", "%"),
        Array("obs/pct_counts_ribo", "float", "[n_spots]", "ribosomal counts; NaN where no such gene is known", "%"),
        Array("obs/pct_counts_hb", "float", "[n_spots]", "haemoglobin counts; NaN where no such gene is known", "%"),
        Array(f"obs/{LABEL}", CATEGORY, "[n_spots]", "label given by the user; missing: unlabelled", optional=True),
        Array("var/gene_ids", TEXT, "[n_genes]", "identifiers of the genes, whose symbols are the index"),
        Array(f"obsm/{SPATIAL}", "float64", "[n_spots, 2]", "x and y of the centre", "full-resolution px"),
        Array(f"obsm/{ANY}", "float", "[n_spots, ·]", "features named by `--expression_rep`", optional=True),
        Array(f"uns/{SECTION}", RECORD, "", "what is known of the section"),
        Array(f"uns/{QC}", RECORD, "", "section_qc.json without `metrics_summary`, `qc_findings` and what is null"),
    ),
)
BINS_H5AD = Arrays(
    "where units were made: all bins or cells in tissue; raw counts of all genes",
    (
        Array("X", "int", "[n_bins, n_genes]", "raw counts, CSR", "counts"),
        Array("obs/array_row", "int", "[n_bins]", "row on the slide's array; -1 for what lies on none"),
        Array("obs/array_col", "int", "[n_bins]", "column on the slide's array; -1 for what lies on none"),
        Array(f"obs/{UNIT}", "int", "[n_bins]", "number of the unit that it lies in"),
        Array(f"obs/{LABEL}", CATEGORY, "[n_bins]", "label given by the user; missing: unlabelled", optional=True),
        Array("var/gene_ids", TEXT, "[n_genes]", "identifiers of the genes, whose symbols are the index"),
        Array(f"obsm/{SPATIAL}", "float64", "[n_bins, 2]", "x and y of the centre", "full-resolution px"),
        Array(f"obsm/{LATTICE}", "float64", "[n_bins, 2]", "row and column on the units' lattice", "units"),
        Array(f"uns/{SECTION}", RECORD, "", "what is known of the section"),
    ),
)
PATCHES_H5 = Arrays(
    "square patches of the image around each spot, or on a lattice over units of bins",
    (
        BARCODES,
        Array(
            f"patches_{ANY}",
            "uint8",
            "[n_patches, px, px, 3]",
            "one dataset for each width in µm; attributes `patch_um`, `window_px` (of the image), `um_per_px`; where a "
            "spot has several, one after the other, also `n_each` and `ring_um`",
        ),
        Array("tissue_fraction", "float32", "[n_patches]", "tissue in the narrowest patch"),
        Array(
            "laplacian_variance", "float32", "[n_patches]", "sharpness of the narrowest patch", "squared grey levels"
        ),
        Array("at_border", "bool", "[n_patches]", "whether a patch was completed by reflection"),
        *BETWEEN,
    ),
)
FEATURES_NPZ = Arrays(
    "image features of each spot, or of each place of the lattice; the mean where it has several patches",
    (
        BARCODES,
        Array("features", "float32", "[n_patches, n_features × n_widths]", "features of the patches, narrowest first"),
        Array("patch_um", "float64", "[n_widths]", "widths of what the features tell, rings included", "µm"),
        *BETWEEN,
    ),
)
EMBEDDING_NPZ = Arrays(
    "what the network learned, and the spaces of the baselines",
    (
        BARCODES,
        Array(f"embedding_{ANY}", "float32", "[n_spots, ·]", "one for each training, from 0"),
        Array("diffused", "float32", "[n_spots, ·]", "components of the expression, smoothed over neighbours"),
        Array("expression", "float32", "[n_spots, ·]", "components of the expression"),
        Array("fused", "float32", "[n_spots, ·]", "those that are fused, weighted by their structure", optional=True),
        Array("image_pcs", "float32", "[n_spots, ·]", "components of the image features", optional=True),
    ),
)
FINAL_H5AD = Arrays(
    "section.h5ad with its domains and how they were made",
    (
        Array(
            f"obs/{DOMAIN}", CATEGORY, "[n_spots]", "domain, `1` to `K` by falling size; `0`: unlike all of a reference"
        ),
        Array(f"obs/{CONFIDENCE}", "float", "[n_spots]", "`confidence` of domains.csv; NaN where that is empty"),
        *(Array(f"obs/{name}", CATEGORY, "[n_spots]", "domain of a baseline") for name in BASELINES),
        Array(f"obs/{NAME}", CATEGORY, "[n_spots]", "with --learn_labels: `name` of domains.csv", optional=True),
        Array(f"obs/{NAME_PROBABILITY}", "float", "[n_spots]", "`name_probability` of domains.csv", optional=True),
        Array(f"obs/{NOVELTY}", "float", "[n_spots]", "`novelty` of domains.csv", optional=True),
        Array(f"obsm/{EMBEDDING}", "float32", "[n_spots, ·]", "of the training that agrees best with the domains"),
        Array(f"obsm/{DIFFUSED}", "float32", "[n_spots, ·]", "`diffused` of embedding.npz"),
        Array(f"obsm/{EXPRESSION_PCS}", "float32", "[n_spots, ·]", "`expression` of embedding.npz"),
        Array(f"obsm/{IMAGE_PCS}", "float32", "[n_spots, ·]", "`image_pcs` of embedding.npz", optional=True),
        Array(
            f"uns/{PROVENANCE}",
            RECORD,
            "",
            "provenance.json with the loss of the first training and, where the number of domains was chosen, "
            "`number_of_domains`, its curve",
        ),
        Array(f"uns/{SPATIAL}", RECORD, "", "{sample: picture and scale factors, as scanpy has them}"),
        Array(f"uns/{ANY}_colors", TEXT, "[n_categories]", "colours of the categories of a column of obs"),
    ),
)
DOMAINS_CSV = Arrays(
    "domains of each spot; of each bin or cell where these were analysed in units",
    (
        Array("barcode", TEXT, "[n_spots]", "the spot, bin or cell"),
        Array("domain", "int", "[n_spots]", "domain, from 1 by falling size; 0: unlike all of a reference"),
        Array("confidence", "float", "[n_spots]", "share of the votes that agree; empty where not known, in domain 0"),
        *(Array(name, "int", "[n_spots]", "domain of a baseline") for name in BASELINES),
        Array(
            *("domain_probability", "float", "[n_spots]"),
            "of a bin or cell: of its domain, by its own counts and its neighbours; empty in domain 0",
            optional=True,
        ),
        Array(
            "novelty", "float", "[n_spots]", "with --reference: 1 - how often known tissue is as unlike", optional=True
        ),
        Array("name", TEXT, "[n_spots]", "with --learn_labels: what labels of other sections call it", optional=True),
        Array("name_probability", "float", "[n_spots]", "probability of that name; empty in domain 0", optional=True),
        Array("unit", TEXT, "[n_spots]", "of a bin or cell: the unit that it was analysed in", optional=True),
    ),
)
MARKERS_CSV = Arrays(
    "marker genes of each domain, best first",
    (
        Array("domain", TEXT, "[n_markers]", "the domain"),
        Array("gene", TEXT, "[n_markers]", "the gene"),
        Array("score", "float", "[n_markers]", "z score of the rank-sum test"),
        Array("log2_fold_change", "float", "[n_markers]", "of the mean in the domain to that outside", "log2"),
        Array("p_value", "float", "[n_markers]", "two-sided"),
        Array("p_adjusted", "float", "[n_markers]", "after Benjamini and Hochberg, by domain"),
        Array("fraction_in", "float", "[n_markers]", "share of the domain's spots that show the gene"),
        Array("fraction_out", "float", "[n_markers]", "share of the other spots that show the gene"),
    ),
)
SPATIAL_GENES_CSV = Arrays(
    "all genes tested, by falling Moran's I",
    (
        Array("gene", TEXT, "[n_genes]", "the gene"),
        Array("morans_i", "float", "[n_genes]", "Moran's I over touching spots"),
        Array("p_value", "float", "[n_genes]", "one-sided: more alike than by chance"),
        Array("p_adjusted", "float", "[n_genes]", "after Benjamini and Hochberg"),
    ),
)
UMAP_CSV = Arrays(
    "the embedding in two dimensions, of at most `--umap_spots` spots",
    (
        Array("barcode", TEXT, "[n_shown]", "the spot"),
        Array("umap_1", "float", "[n_shown]", "first coordinate"),
        Array("umap_2", "float", "[n_shown]", "second coordinate"),
    ),
)
PSEUDOBULK_CSV = Arrays(
    "counts summed over the spots of each domain",
    (
        Array("gene", TEXT, "[n_genes]", "the gene"),
        Array("gene_id", TEXT, "[n_genes]", "its identifier, as in `var` of <sample>.h5ad", optional=True),
        Array(ANY, "float", "[n_genes]", "one column for each domain", "counts"),
    ),
)
DOMAIN_GRAPH_CSV = Arrays(
    "each two domains: how they touch, and how they go over into each other",
    (
        Array("domain_1", TEXT, "[n_pairs]", "one domain"),
        Array("domain_2", TEXT, "[n_pairs]", "the other"),
        Array("touching_pairs", "int", "[n_pairs]", "pairs of touching spots", "pairs"),
        Array("enrichment", "float", "[n_pairs]", "pairs, of those expected by chance"),
        Array("z_score", "float", "[n_pairs]", "of the pairs, against permuted domains"),
        Array("connectivity", "float", "[n_pairs]", "PAGA: neighbours in the embedding, of those expected, at most 1"),
    ),
)
GENE_SETS_CSV = Arrays(
    "activity of gene sets in each domain, the most active first",
    (
        Array("domain", TEXT, "[n_rows]", "the domain"),
        Array("gene_set", TEXT, "[n_rows]", "the set"),
        Array("n_genes", "int", "[n_rows]", "genes of the set that were tested", "genes"),
        Array("activity", "float", "[n_rows]", "t value of decoupler's univariate linear model"),
        Array("p_adjusted", "float", "[n_rows]", "two-sided, after Benjamini and Hochberg, by domain"),
    ),
)
EMBEDDING_SAMPLE_NPZ = Arrays(
    "the embedding of a few spots, for the cohort's report",
    (
        Array("barcodes", TEXT, "[n_sampled]", "spots drawn at random"),
        Array("domain", TEXT, "[n_sampled]", "their domains"),
        Array("embedding", "float32", "[n_sampled, ·]", "`obsm/X_efnst` of <sample>.h5ad"),
    ),
)
ENCODER_ONNX = Arrays(
    "the encoder, with resize and normalisation inside",
    (
        Array("patches", "uint8", "[batch, height, width, 3]", "input: patches of any size, RGB"),
        Array("features", "float32", "[batch, n_features]", "output"),
    ),
)


def between(weights: Any) -> dict[str, Any]:
    """The arrays of `BETWEEN` from weights in CSR [n_spots, n_patches]; none without weights."""
    if weights is None:
        return {}
    return {part.name: getattr(weights, part.name.removeprefix("between_")) for part in BETWEEN}
