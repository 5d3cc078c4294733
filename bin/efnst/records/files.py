"""Every file that a step writes for others, in the order of the pipeline, with the step and the kind of its content."""

from dataclasses import dataclass

from efnst.records.arrays import (
    BINS_H5AD,
    DOMAIN_GRAPH_CSV,
    DOMAINS_CSV,
    EMBEDDING_NPZ,
    EMBEDDING_SAMPLE_NPZ,
    ENCODER_ONNX,
    FEATURES_NPZ,
    FINAL_H5AD,
    GENE_SETS_CSV,
    MARKERS_CSV,
    PATCHES_H5,
    PSEUDOBULK_CSV,
    SECTION_H5AD,
    SPATIAL_GENES_CSV,
    UMAP_CSV,
    Arrays,
)
from efnst.records.base import Record
from efnst.records.cohort import Failure, RunRecord, SectionSummary, SheetRow
from efnst.records.domains import Description, DomainsRecord, Provenance, TrainingRecord
from efnst.records.encoder import EncoderRecord, FeaturesRecord
from efnst.records.naming import NamingRecord
from efnst.records.quality import ImageQc, SectionFacts, SectionQc, StainReference
from efnst.records.reference import ReferenceFit, ReferenceRecord
from efnst.records.vocabulary import VocabularyRecord


@dataclass(frozen=True)
class File:
    """A file: its name, the step or steps that write it, and what it holds (a record, arrays, or anything in words)."""

    name: str
    step: str
    kind: type[Record] | Arrays | str
    is_list: bool = False


FILES = (
    File("run.json", "Nextflow", RunRecord),
    File("sections.json", "CHECK_INPUTS", SheetRow, is_list=True),
    File(
        "parameters.json",
        "CHECK_INPUTS",
        "every parameter of nextflow_schema.json with the value that it has in this run",
    ),
    File("failure.json", "any step with --failure", Failure),
    File("warning.json", "EXPORT_DOMAINS", Failure),
    File("section.h5ad", "READ_SECTION", SECTION_H5AD),
    File("bins.h5ad", "READ_SECTION", BINS_H5AD),
    File("section_qc.json", "READ_SECTION", SectionQc),
    File("patches.h5", "TILE_IMAGE", PATCHES_H5),
    File("image_qc.json", "TILE_IMAGE", ImageQc),
    File("stain_reference.json", "FIT_STAIN", StainReference),
    File("encoder.onnx", "EXPORT_ENCODER, QUANTISE_ENCODER", ENCODER_ONNX),
    File("encoder.onnx.data", "EXPORT_ENCODER", "weights of encoder.onnx, where it is too large to hold them"),
    File("encoder.json", "EXPORT_ENCODER, QUANTISE_ENCODER", EncoderRecord),
    File("cost.txt", "EXPORT_ENCODER", "what an encoder of the user's own takes at least, in words, for the log"),
    File("features.npz", "EMBED_PATCHES", FEATURES_NPZ),
    File("features.json", "EMBED_PATCHES", FeaturesRecord),
    File("embedding.npz", "LEARN_EMBEDDING, APPLY_REFERENCE", EMBEDDING_NPZ),
    File("training.json", "LEARN_EMBEDDING, APPLY_REFERENCE", TrainingRecord),
    File(
        "model.pt",
        "LEARN_EMBEDDING",
        "with `--save_model`: `sample`, `parameters`, `versions`, `trainings` [{`seed`, `network`, `state`, `genes`, "
        "`augmentation`, maps to the inputs}]; see docs/output.md",
    ),
    File(
        "space.json", "LEARN_EMBEDDING", "with `--scope cohort`: what the sections have in common; see docs/cohort.md"
    ),
    File("space.safetensors", "LEARN_EMBEDDING", "the arrays of the same"),
    File("reference.json", "FIT_DOMAINS", ReferenceRecord),
    File("reference_fit.json", "APPLY_REFERENCE", ReferenceFit),
    File("vocabulary.json", "FIT_DOMAINS", VocabularyRecord),
    File(
        "vocabulary.safetensors", "FIT_DOMAINS", "mixtures of the domains that the sections share; see docs/cohort.md"
    ),
    File("naming.json", "FIT_DOMAINS", NamingRecord),
    File("naming.safetensors", "FIT_DOMAINS", "discriminant heads of these names; see docs/cohort.md"),
    File(
        "warnings.txt",
        "CHECK_INPUTS, FIT_DOMAINS, APPLY_REFERENCE, COHORT_SUMMARY",
        "what the user should know, a line each, for the log of the run",
    ),
    File("<sample>.h5ad", "ASSIGN_DOMAINS", FINAL_H5AD),
    File(
        "<sample>_bins.h5ad",
        "ASSIGN_DOMAINS",
        "bins.h5ad with the columns of domains.csv in `obs`; a result with `--keep_bins`",
    ),
    File("domains.csv", "ASSIGN_DOMAINS", DOMAINS_CSV),
    File("domains.json", "ASSIGN_DOMAINS", DomainsRecord),
    File("provenance.json", "ASSIGN_DOMAINS", Provenance),
    File("markers.csv", "DESCRIBE_DOMAINS", MARKERS_CSV),
    File("spatial_genes.csv", "DESCRIBE_DOMAINS", SPATIAL_GENES_CSV),
    File("umap.csv", "DESCRIBE_DOMAINS", UMAP_CSV),
    File("<sample>_pseudobulk.csv", "DESCRIBE_DOMAINS", PSEUDOBULK_CSV),
    File("domain_graph.csv", "DESCRIBE_DOMAINS", DOMAIN_GRAPH_CSV),
    File("gene_sets.csv", "DESCRIBE_DOMAINS", GENE_SETS_CSV),
    File("embedding_sample.npz", "DESCRIBE_DOMAINS", EMBEDDING_SAMPLE_NPZ),
    File("description.json", "DESCRIBE_DOMAINS", Description),
    File("section_summary.json", "SECTION_REPORT", SectionSummary),
)
WITHIN = {"uns/section": SectionFacts}  # records within section.h5ad
