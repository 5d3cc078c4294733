"""The domains of a reference in one of its sections, or in a new one, and the names that labels taught."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from efnst.domains.assign import Assigned, assign_domains
from efnst.domains.bins import Bins
from efnst.domains.candidates import taught_values
from efnst.domains.naming import UNKNOWN, Naming
from efnst.domains.options import DomainOptions
from efnst.domains.saved_naming import load_naming
from efnst.domains.saved_vocabulary import load_vocabulary
from efnst.domains.vocabulary import Vocabulary
from efnst.embedding.reference_folder import TRAINING_JSON, require_unchanged
from efnst.errors import reading
from efnst.names import NOVEL_DOMAIN, SPATIAL
from efnst.records.base import read_record
from efnst.records.domains import TrainingRecord
from efnst.records.reference import ReferenceFit


def assign_shared(
    reference: Path,
    fit: Path | None,
    files: Mapping[str, str],
    sample: str,
    section: AnnData,
    arrays: dict[str, np.ndarray],
    options: DomainOptions,
    bins: Bins | None = None,
) -> tuple[Assigned, dict]:
    """What `assign_domains` gives, with domains and names of a `reference`.

    `fit` is that of a section new to it, which was brought into the space of the `files` of this SHA-256.
    """
    (shared, record), taught = load_vocabulary(reference), load_naming(reference)
    if files:
        require_unchanged(reference, files)
    fits = read_record(fit, ReferenceFit) if fit else None
    options = _of_reference(options, shared, reference) if fit else options
    assigned, found = assign_domains(section, arrays, options, bins, shared, fits)
    if record.choice:
        found["choice"] = record.choice
    if taught:
        naming, about = taught
        own = "" if fit else sample  # a new section that is called like one of the reference is not that one
        positions = np.asarray(section.obsm[SPATIAL], float)
        values = taught_values(arrays, np.asarray(section.X.sum(1)).ravel(), positions, about.weigh_by_counts)
        assigned, found["names"] = with_names(assigned, own, values, positions, naming, options.refinement_rounds)
        found |= {"named": about.left_out[own]} if own in about.left_out else {}
    return assigned, found


def _of_reference(options: DomainOptions, shared: Vocabulary, folder: Path) -> DomainOptions:
    """The options that the domains of a reference were found with, which have a part in baselines and evidence, too."""
    path = folder / TRAINING_JSON
    trained = read_record(path, TrainingRecord).parameters
    with reading(path):
        kept = {name: trained[name] for name in ("diffusion", "weigh_by_counts")}
    return replace(options, clustering="mixture", spatial_prior=shared.spatial_prior, **kept)


def with_names(
    assigned: Assigned, sample: str, values: np.ndarray, positions: np.ndarray, naming: Naming, rounds: int
) -> tuple[Assigned, dict[str, str]]:
    """The same with names, and by domain the name that most of its spots have.

    Spots of no domain are unlike all that labels could teach: they are `UNKNOWN`, with a probability of NaN, and the
    names of the others do not follow them.
    """
    known = assigned.domains != NOVEL_DOMAIN
    names, probability = np.full(len(known), UNKNOWN, object), np.full(len(known), np.nan)
    if known.any():
        names[known], probability[known] = naming.of(sample, values[known], positions[known], rounds)
    commonest = pd.Series(names).groupby(assigned.domains).agg(lambda found: found.mode()[0])
    of_domain = {str(domain): str(name) for domain, name in commonest.items()}
    return replace(assigned, names=names.astype(str), name_probability=probability), of_domain
