#!/usr/bin/env python3
"""Assign each spot to a spatial domain, beside two baselines, and score the result where labels were given."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.domains.options import DomainOptions
from efnst.program.arguments import (
    EncoderFile,
    Failure,
    FeaturesFile,
    FullresImage,
    ImageQcFile,
    Outdir,
    ReferenceFitFile,
    ReferenceFolder,
    Sample,
    SectionFile,
    TrainingFile,
)
from efnst.program.cli import run

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from efnst.domains.bins import Bins
    from efnst.records.domains import TrainingRecord
    from efnst.records.encoder import FeaturesRecord


def main(
    sample: Sample,
    section: SectionFile,
    embedding: Annotated[Path, typer.Option(help="embedding.npz of learn_embedding.py.")],
    training: TrainingFile,
    bins: Annotated[Path | None, typer.Option(help="bins.h5ad of read_section.py, where it wrote one.")] = None,
    source: Annotated[Path | None, typer.Option(help="What the section was read from, for its picture.")] = None,
    image: FullresImage = None,
    image_qc: ImageQcFile = None,
    features_json: FeaturesFile = None,
    encoder_json: EncoderFile = None,
    reference: ReferenceFolder = None,
    reference_fit: ReferenceFitFile = None,
    outdir: Outdir = Path(),
    failure: Failure = None,
    options: DomainOptions = DomainOptions(),
) -> None:
    """Assign each spot to a spatial domain, beside two baselines, and score the result where labels were given."""
    from efnst.domains.assign import assign_domains
    from efnst.domains.assign_shared import assign_shared
    from efnst.domains.bins import read_bins
    from efnst.domains.results import domain_table, final_section
    from efnst.image.picture import scanpy_pictures
    from efnst.inputs.hdf5 import read_own
    from efnst.inputs.located import image_path
    from efnst.names import SECTION
    from efnst.program.arrays import read_arrays
    from efnst.program.cli import log, versions
    from efnst.provenance.record import add_origin
    from efnst.records.arrays import EMBEDDING_NPZ
    from efnst.records.base import read_record, write_record
    from efnst.records.domains import DomainsRecord, TrainingRecord

    spots = read_own(section)
    arrays = read_arrays(embedding, EMBEDDING_NPZ, spots.obs_names.to_numpy())
    pieces = read_bins(bins) if bins else None
    given = spots, arrays, options, pieces
    learned = read_record(training, TrainingRecord)
    images = _image_records(image_qc, features_json, encoder_json)
    shared = reference, reference_fit, _files(learned, images[1]), sample
    assigned, found = assign_shared(*shared, *given) if reference else assign_domains(*given)
    record = DomainsRecord(sample=sample, **found)
    write_record(outdir / "domains.json", record)
    used = learned.changed(versions=learned.versions | versions("scikit-learn", "leidenalg", "anndata"))
    final = final_section(spots, arrays, assigned, used, record)
    final.uns["spatial"] = {sample: scanpy_pictures(final, image_path(final.uns[SECTION], source, image))}
    ran = _recorded(options, by_reference=reference_fit is not None)
    add_origin(final, ran, _asked(options), *images)
    _write(outdir, sample, final, pieces, domain_table(spots.obs_names, assigned))
    log.info("%s: %d of %d domains found", sample, record.n_domains_found, record.n_domains_asked)


def _write(outdir: Path, sample: str, final: "AnnData", pieces: "Bins | None", table: "pd.DataFrame") -> None:
    """The section with its domains, its bins where there are any, the table of both, and how all was made."""
    from efnst.domains.bins import write_bins
    from efnst.names import PROVENANCE
    from efnst.program.arrays import write_table
    from efnst.provenance.record import compact
    from efnst.records.arrays import DOMAINS_CSV
    from efnst.records.base import write_record
    from efnst.records.domains import Provenance

    write_table(outdir / "domains.csv", DOMAINS_CSV, table)
    final.write_h5ad(outdir / f"{sample}.h5ad", compression="gzip")
    if pieces:
        write_bins(pieces, table, outdir / f"{sample}_bins.h5ad", final)
    write_record(outdir / "provenance.json", Provenance(sample=sample, **compact(final.uns[PROVENANCE])))


def _recorded(options: DomainOptions, by_reference: bool) -> dict[str, object]:
    """The options that the provenance names beside those in domains.json; others are the reference's, if there is one.

    A cohort's own sections have its domains, too, which were found with these options.
    """
    names = ("refinement_rounds", "seed")
    names += () if by_reference else ("max_domains", "untrained_views", "diffusion", "weigh_by_counts")
    return {name: getattr(options, name) for name in names} | {"ignore_labels": ",".join(options.ignored)}


def _asked(options: DomainOptions) -> dict[str, object]:
    """What was asked for of what the section, or its labels, decide."""
    return {"n_domains": options.n_domains or "", "ignore_labels": options.ignore_labels}


def _files(learned: "TrainingRecord", features: "FeaturesRecord | None") -> dict[str, str]:
    """SHA-256 of the files of a reference by name, as the steps before had them; {} without a reference."""
    from efnst.embedding.reference import STAIN_JSON

    files = learned.reference.files if learned.reference else {}
    is_stained = STAIN_JSON in files and features is not None and features.stain_sha256
    return files | ({STAIN_JSON: features.stain_sha256} if is_stained else {})


def _image_records(*paths: Path | None) -> list:
    """image_qc.json, features.json and encoder.json; None for those that a section without an image lacks."""
    from efnst.records.base import read_record
    from efnst.records.encoder import EncoderRecord, FeaturesRecord
    from efnst.records.quality import ImageQc

    kinds = (ImageQc, FeaturesRecord, EncoderRecord)
    return [read_record(path, kind) if path else None for path, kind in zip(paths, kinds, strict=True)]


if __name__ == "__main__":
    run(main)
