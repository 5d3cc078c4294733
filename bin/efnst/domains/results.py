"""What was found of a section as it is written: the table domains.csv, and the annotated section."""

import numpy as np
import pandas as pd
from anndata import AnnData

from efnst.domains.assign import Assigned
from efnst.domains.bins import domain_categories
from efnst.names import (
    CONFIDENCE,
    DIFFUSED,
    DOMAIN,
    EMBEDDING,
    EXPRESSION_PCS,
    IMAGE_PCS,
    NAME,
    NAME_PROBABILITY,
    NOVELTY,
    PROVENANCE,
)
from efnst.palette import scanpy_colours
from efnst.records.domains import DomainFigures, DomainsRecord, TrainingRecord


def domain_table(barcodes: pd.Index, assigned: Assigned) -> pd.DataFrame:
    """The table of domains.csv, a row for each spot, or for each bin where the spots are units of them."""
    if assigned.bins is not None:
        return assigned.bins.assign(**_of_shared(assigned, barcodes.get_indexer(assigned.bins["unit"])))
    table = {"barcode": barcodes, "domain": assigned.domains, "confidence": assigned.confidence.round(4)}
    return pd.DataFrame(table | assigned.baselines | _of_shared(assigned, slice(None)))


def _of_shared(assigned: Assigned, rows: np.ndarray | slice) -> dict[str, np.ndarray]:
    """Columns of domains.csv that there are with a reference or with names, at some of the spots."""
    found = {} if assigned.novelty is None else {"novelty": assigned.novelty.round(4)[rows]}
    if assigned.names is not None:
        found |= {"name": assigned.names[rows], "name_probability": assigned.name_probability.round(4)[rows]}
    return found


def _own_parameters(training: TrainingRecord, record: DomainsRecord) -> dict:
    """Parameters of this step in uns["efnst"]; a reference brings its own."""
    if training.reference:
        return {}
    found = {key: getattr(record, key) for key in ("clustering", "spatial_prior")}
    names = {"learn_labels": record.names is not None} if training.cohort else {}
    return found | names | {"n_domains": record.n_domains_asked}


def final_section(
    section: AnnData, arrays: dict, assigned: Assigned, training: TrainingRecord, record: DomainsRecord
) -> AnnData:
    """`section` with domains, embeddings and how they were made."""
    section.obs[DOMAIN] = domain_categories(assigned.domains)
    section.obs[CONFIDENCE] = assigned.confidence
    if assigned.novelty is not None:
        section.obs[NOVELTY] = assigned.novelty
    if assigned.names is not None:
        section.obs[NAME] = pd.Categorical(assigned.names)
        section.obs[NAME_PROBABILITY] = assigned.name_probability
    for name, labels in assigned.baselines.items():
        section.obs[name] = domain_categories(labels)
    section.uns.update(scanpy_colours(section.obs))
    section.obsm[EMBEDDING] = assigned.embedding
    for name, key in {"diffused": DIFFUSED, "expression": EXPRESSION_PCS, "image_pcs": IMAGE_PCS}.items():
        if name in arrays:
            section.obsm[key] = arrays[name]
    loss = {name: np.asarray(values) for name, values in training.loss.items()}
    section.uns[PROVENANCE] = {
        "parameters": training.parameters | _own_parameters(training, record),
        "versions": dict(training.versions),
        "seed": record.seed,
        "training": {"device": training.device, "seconds": training.seconds, "loss": loss},
        "domains": record.model_dump(include=set(DomainFigures.model_fields)),
    } | training.model_dump(include={"cohort", "reference"}, exclude_none=True)
    if record.choice:
        section.uns[PROVENANCE]["number_of_domains"] = pd.DataFrame(record.choice.curve.plain())
    return section
