"""What each file of a run's output folder is, and the step that makes it."""

import re
from fnmatch import fnmatch
from pathlib import Path

from efnst.names import PIPELINE_INFO

RESULTS = (  # path within the output folder, {sample} for the section; the step; what it is
    ("pipeline_info/parameters.json", "CHECK_INPUTS", "every parameter of the run with its value"),
    ("pipeline_info/sections.json", "CHECK_INPUTS", "the samplesheet as it was read"),
    ("pipeline_info/provenance/*.json", "ASSIGN_DOMAINS", "the record of how the domains were made"),
    ("pipeline_info/provenance", "ASSIGN_DOMAINS", "a record for each section of how its domains were made"),
    ("pipeline_info/run.json", "", "command line, folders, profile and start of the run"),
    ("pipeline_info/software_versions.yml", "COHORT_SUMMARY", "versions of all packages by step"),
    ("pipeline_info/execution_*", "", "Nextflow's own report of the tasks: time, memory, exit status"),
    ("pipeline_info/pipeline_dag*", "", "Nextflow's own picture of the steps"),
    ("pipeline_info/.*", "", "what keeps a second run out of the folder"),
    ("pipeline_info", "", "parameters, inputs and versions of the run, and Nextflow's own reports"),
    ("reference/naming.*", "FIT_DOMAINS", "part of the reference: names that labels taught"),
    ("reference/vocabulary.*", "FIT_DOMAINS", "part of the reference: the domains that the sections share"),
    ("reference/space.*", "LEARN_EMBEDDING", "part of the reference: genes, components, correction and networks"),
    ("reference/training.json", "LEARN_EMBEDDING", "part of the reference: how the networks were trained"),
    ("reference/encoder.json", "EXPORT_ENCODER", "part of the reference: the encoder of the patches"),
    ("reference/stain_reference.json", "FIT_STAIN", "part of the reference: the stain that patches were brought to"),
    ("reference/*", "FIT_DOMAINS", "part of the reference: sections, species, depth, and what the folder is"),
    ("reference", "FIT_DOMAINS", "what the sections share, to bring their domains to further ones"),
    ("models/encoder.*", "EXPORT_ENCODER", "the encoder of the patches"),
    ("models", "EXPORT_ENCODER", "the encoder of the patches"),
    ("multiqc_report_data/*", "MULTIQC", "part of the figures of multiqc_report.html as text"),
    ("multiqc_report_data", "MULTIQC", "the figures of multiqc_report.html as text"),
    ("multiqc_report.html", "MULTIQC", "the whole cohort on one page"),
    ("summary.csv", "COHORT_SUMMARY", "all figures, one row per section and method"),
    ("summary.parquet", "COHORT_SUMMARY", "all figures, one row per section and method"),
    ("sections.csv", "COHORT_SUMMARY", "one row per section"),
    ("proportions.csv", "COHORT_SUMMARY", "share of each domain in each section"),
    ("pseudobulk.h5ad", "COHORT_SUMMARY", "counts of each domain of each section"),
    ("domain_tests.csv", "COHORT_SUMMARY", "whether shares of domains go with columns of the samplesheet"),
    ("shared_markers.csv", "COHORT_SUMMARY", "marker genes that hold in several sections"),
    ("shared_gene_sets.csv", "COHORT_SUMMARY", "mean activity of gene sets over sections"),
    ("mixing.csv", "COHORT_SUMMARY", "how well sections mix in the embedding"),
    ("{sample}/exports/{sample}.zarr", "EXPORT_DOMAINS", "the section as SpatialData"),
    ("{sample}/exports/{sample}.zarr/*", "EXPORT_DOMAINS", "part of the section as SpatialData"),
    ("{sample}/exports/loupe.csv", "EXPORT_DOMAINS", "categories for Loupe Browser"),
    ("{sample}/exports/domains_{image}.geojson", "EXPORT_DOMAINS", "outlines of the domains for QuPath"),
    ("{sample}/exports", "EXPORT_DOMAINS", "the domains for other tools"),
    ("{sample}/figures", "EXPORT_DOMAINS", "the domains for papers"),
    ("{sample}/figures/comparison.*", "EXPORT_DOMAINS", "figure of EfNST beside the baselines"),
    ("{sample}/domains.csv", "ASSIGN_DOMAINS", "barcode, domain, confidence and the baselines' domains of each spot"),
    ("{sample}/figures/domains.*", "EXPORT_DOMAINS", "figure of the domains"),
    ("{sample}/{sample}_bins.h5ad", "ASSIGN_DOMAINS", "counts and domains of every bin or cell"),
    ("{sample}/{sample}.h5ad", "ASSIGN_DOMAINS", "counts, domains and embeddings"),
    ("{sample}/markers.csv", "DESCRIBE_DOMAINS", "marker genes of each domain"),
    ("{sample}/spatial_genes.csv", "DESCRIBE_DOMAINS", "genes by their spatial pattern"),
    ("{sample}/{sample}_pseudobulk.csv", "DESCRIBE_DOMAINS", "counts of each domain, gene by gene"),
    ("{sample}/domain_graph.csv", "DESCRIBE_DOMAINS", "how each two domains lie to each other"),
    ("{sample}/gene_sets.csv", "DESCRIBE_DOMAINS", "activity of gene sets in each domain"),
    ("{sample}/umap.csv", "DESCRIBE_DOMAINS", "the embedding in two dimensions"),
    ("{sample}/report.html", "SECTION_REPORT", "the report"),
    ("{sample}/model.pt", "LEARN_EMBEDDING", "the fitted networks"),
)

FOLDERS = (PIPELINE_INFO, "reference", "models", "multiqc_report_data")  # of the whole run


def step_and_kind(path: Path, outdir: Path | None) -> tuple[str, str]:
    """The step that made a file or folder, and what it is; `outdir` is that of its run, None for a file by itself."""
    found = ((step, kind) for name, step, kind in RESULTS if _is(name, path, outdir))
    return next(found, ("", "results" if path.is_dir() else "a file that efnst does not write"))


def is_published(path: Path, outdir: Path) -> bool:
    """Whether a path in the output folder of a run is what its steps publish after its start, no file of the user's."""
    if path == outdir:
        return False
    first, *more = path.relative_to(outdir).parts
    step, _ = step_and_kind(path, outdir)
    is_section = (outdir / PIPELINE_INFO / "provenance" / f"{first}.json").is_file()
    return step not in ("", "CHECK_INPUTS") and (is_section or not more or first in FOLDERS)


def _is(name: str, path: Path, outdir: Path | None) -> bool:
    """Whether a path is what is called `name`; of a file by itself only its ending tells, whatever its section."""
    if outdir is None:
        return fnmatch(path.name, re.sub(".*}", "*", name))
    place = path.relative_to(outdir)
    return fnmatch(place.as_posix(), name.format(sample=place.parts[0], image="*"))
