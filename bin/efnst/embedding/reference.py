"""A reference: what a cohort has in common, in a folder, and whether a section can be brought into it."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from anndata import AnnData

from efnst.embedding.cohort import Learned
from efnst.errors import EfnstError
from efnst.records.base import read_record
from efnst.records.encoder import EncoderRecord
from efnst.records.reference import ReferenceFit, ReferenceRecord

FORMAT = 1
REFERENCE_JSON, ENCODER_JSON, TRAINING_JSON = "reference.json", "encoder.json", "training.json"
MOST_MISSING = 0.5  # share of the genes that a section may lack
README = """# Reference of efnst

What the sections of a cohort have in common, to find the same domains in further sections:

    efnst run --reference THIS_FOLDER --input samplesheet.csv --outdir results

Nothing here is run when it is read. docs/cohort.md of efnst describes every file and has a reader of 50 lines.

- reference.json: sections, species, depth, versions
- space.json, space.safetensors: genes, components, their correction, networks
- vocabulary.json, vocabulary.safetensors: the domains
- training.json: how the networks were trained
- encoder.json, where images were used: the encoder, whose licence holds for this folder too
"""


def gene_prefix(ids: Sequence[str]) -> str:
    """The letters that most Ensembl identifiers begin with, which tell the species; empty where there are none."""
    found = Counter(match.group(1) for match in (re.match(r"(ENS[A-Z]*G)\d{6,}", str(each)) for each in ids) if match)
    return found.most_common(1)[0][0] if found and found.total() > len(ids) / 2 else ""


def read_reference(folder: Path) -> ReferenceRecord:
    """reference.json of a folder; refuses what is no reference, or one of another version."""
    if not (folder / REFERENCE_JSON).exists():
        raise EfnstError(f"Expected --reference to name the folder `reference` of a cohort's run, found `{folder}`.")
    record = read_record(folder / REFERENCE_JSON, ReferenceRecord)
    if record.format != FORMAT:
        raise EfnstError(
            f"Expected a reference of format {FORMAT}, found format {record.format}, made by efnst "
            f"{record.versions['efnst']}. Use that version, or make the reference again."
        )
    return record


def require_fit(
    folder: Path, record: ReferenceRecord, learned: Learned, section: AnnData, encoder: EncoderRecord | None
) -> None:
    """Refuse a section of another species, with too few of the reference's genes, or described by another encoder."""
    prefix = gene_prefix(section.var["gene_ids"])
    if prefix and record.gene_prefix and prefix != record.gene_prefix:
        raise EfnstError(
            f"Expected genes of the reference's species ({record.gene_prefix}…), found those of another ({prefix}…)."
        )
    missing = _missing_genes(learned, section)
    if missing > MOST_MISSING:
        raise EfnstError(
            f"Expected at least {1 - MOST_MISSING:.0%} of the {len(learned.genes.ids)} genes of the reference, found "
            f"{1 - missing:.0%}. Was another panel measured, or are genes named in another way?"
        )
    if encoder is None or not record.image:
        return
    own = read_record(folder / ENCODER_JSON, EncoderRecord)
    used = [(each.encoder, each.weights.sha256, each.output) for each in (own, encoder)]
    if used[0] != used[1]:
        raise EfnstError(
            f"Expected the encoder of the reference, {own.encoder} ({own.weights.sha256[:12]}), found "
            f"{encoder.encoder} ({encoder.weights.sha256[:12]}). Give the reference's own, or --use_image false."
        )


def fit_of(sample: str, batch: str, record: ReferenceRecord, learned: Learned, section: AnnData) -> ReferenceFit:
    """What is known of a section before its domains are found."""
    correction = learned.components.correction
    totals = np.asarray(section.X.sum(1)).ravel()
    return ReferenceFit(
        sample=sample,
        missing_genes=_missing_genes(learned, section),
        depth=float(np.median(totals) / np.median(record.median_counts)),
        known_batch=correction is None or batch in correction.batches,
    )


def _missing_genes(learned: Learned, section: AnnData) -> float:
    """Share of the reference's genes that a section does not have."""
    return float((learned.genes.columns(section) < 0).mean())
