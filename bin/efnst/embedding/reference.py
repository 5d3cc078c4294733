"""A reference: what a cohort has in common, and whether a section can be brought into it."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from anndata import AnnData

from efnst.embedding.cohort import Learned
from efnst.embedding.image_features import ImageFeatures
from efnst.embedding.image_fusion import patch_px, shows_texture
from efnst.embedding.structure import structure_of
from efnst.errors import EfnstError
from efnst.inputs.gene_names import plain_name
from efnst.names import SPATIAL
from efnst.program.numbers import beyond
from efnst.records.base import read_record
from efnst.records.encoder import FINE_PX, EncoderRecord
from efnst.records.reference import ReferenceFit, ReferenceRecord

ENCODER_JSON, STAIN_JSON = "encoder.json", "stain_reference.json"
PATCH_TOLERANCE = 0.25  # patches are whole pixels wide, and those of coarse images few
FEWEST_SPOTS = 10  # of a section
ONE_SPECIES = 0.9  # share of the Ensembl identifiers beyond which they are of one, not of two that were mixed
MOST_MISSING = 0.5  # share of the genes that a section may lack
README = """# Reference of efnst

What the sections of a cohort have in common, to find the same domains in further sections:

    efnst run --reference THIS_FOLDER --input samplesheet.csv --outdir results

Nothing here is run when it is read. docs/cohort.md of efnst describes every file and has a reader of 50 lines.

- reference.json: sections, species, depth, versions
- space.json, space.safetensors: genes, components, their correction, networks
- vocabulary.json, vocabulary.safetensors: the domains
- naming.json, naming.safetensors, where labels taught names: these
- training.json: how the networks were trained
- encoder.json, where images were used: the encoder, whose licence holds for this folder too
- stain_reference.json, where stains were normalised: what further sections are brought to
"""


def gene_prefix(ids: Sequence[str]) -> str:
    """The letters that Ensembl identifiers begin with, which tell the species; empty where there are few or several."""
    names = (re.match(r"(ENS[A-Z]*G)\d{6,}", plain_name(str(each))) for each in ids)
    found = Counter(match.group(1) for match in names if match)
    if not found or found.total() <= len(ids) / 2:
        return ""
    prefix, count = found.most_common(1)[0]
    return prefix if count > ONE_SPECIES * found.total() else ""


def require_fit(folder: Path, record: ReferenceRecord, learned: Learned, section: AnnData) -> None:
    """Refuse a section of too few spots, of another species, or with too few of the reference's genes.

    And a reference.json, of which there is no checksum, that is not of the space beside it.
    """
    if (record.correct_by == "none") != (learned.components.correction is None):
        raise EfnstError(
            f"Expected correct_by of reference.json as the reference was made, found {record.correct_by}, which "
            "space.json contradicts. Copy the whole folder again, or make the reference again."
        )
    if section.n_obs < FEWEST_SPOTS:
        raise EfnstError(
            f"Expected at least {FEWEST_SPOTS} spots to find the domains of a reference in, found {section.n_obs}. "
            "Leave the section out, or lower the thresholds of quality control if these took its spots."
        )
    prefix = gene_prefix(section.var["gene_ids"])
    if prefix and record.gene_prefix and prefix != record.gene_prefix:
        raise EfnstError(
            f"Expected genes of the reference's species ({record.gene_prefix}…), found those of another ({prefix}…)."
        )
    missing = learned.genes.missing(section)
    if missing > MOST_MISSING:
        raise EfnstError(
            f"Expected at least {1 - MOST_MISSING:.0%} of the {len(learned.genes.ids)} genes of the reference, found "
            f"{beyond(100 * (1 - missing), 100 * (1 - MOST_MISSING), 2)}%. Was another panel measured, or are genes "
            "named in another way?"
        )


def require_same_image(
    folder: Path,
    record: ReferenceRecord,
    learned: Learned,
    features: ImageFeatures,
    encoder: EncoderRecord,
    stain_normalisation: str,
) -> None:
    """Refuse a section that was described by another encoder, or by patches of another stain or width."""
    if stain_normalisation != record.stain_normalisation:
        raise EfnstError(
            f"Expected --stain_normalisation {record.stain_normalisation}, as with the reference, found "
            f"{stain_normalisation}. Give the reference's, or --use_image false."
        )
    own = read_record(folder / ENCODER_JSON, EncoderRecord)
    used = [(each.encoder, each.weights.sha256, each.output, each.coarse_px) for each in (own, encoder)]
    if used[0] != used[1]:
        raise EfnstError(
            f"Expected the encoder of the reference, {_told(own)}, found {_told(encoder)}. Give the reference's own, "
            "or --use_image false."
        )
    image, width = learned.spaces[0].image, max(features.patch_um)
    if image is not None and abs(width / image.patch_um - 1) > PATCH_TOLERANCE:
        raise EfnstError(
            f"Expected image patches of {image.patch_um:.0f} µm, as those of the reference, found {width:.0f} µm. Give "
            "the reference's --patch_um, or --use_image false."
        )


def too_coarse(learned: Learned, features: ImageFeatures, section: AnnData) -> list[str]:
    """A warning where patches show too little to stand beside the expression as the reference's do.

    A cohort with such a section fuses no image; a reference that does tells it from expression, as without an image.
    """
    narrowest = min(features.patch_um)
    if not learned.n_fused or shows_texture(section, narrowest):
        return []
    return [
        f"Expected image patches of at least {FINE_PX} px to stand beside the expression, as with the reference, found "
        f"{patch_px(section, narrowest):.0f} px: the image has no part in the domains. Give the full-resolution image."
    ]


def _told(encoder: EncoderRecord) -> str:
    """An encoder by name, weights and how it takes coarse patches."""
    coarse = f", coarse patches at {encoder.coarse_px} px" if encoder.coarse_px else ""
    return f"{encoder.encoder} ({encoder.weights.sha256[:12]}{coarse})"


def fit_of(
    sample: str, batch: str, record: ReferenceRecord, learned: Learned, section: AnnData, expression: np.ndarray
) -> ReferenceFit:
    """What is known of a section before its domains are found; `expression` [n_units, ·] are its components."""
    correction = learned.components.correction
    totals = np.asarray(section.X.sum(1)).ravel()
    return ReferenceFit(
        sample=sample,
        missing_genes=learned.genes.missing(section),
        depth=float(np.median(totals) / max(np.median(record.median_counts), 1.0)),
        structure=structure_of(expression, section.obsm[SPATIAL]) / max(float(np.median(record.structure)), 1e-12),
        known_batch=correction is None or batch in correction.batches,
    )
