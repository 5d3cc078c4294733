#!/usr/bin/env python3
"""Assign each spot to a spatial domain, beside two baselines, and score the result where labels were given."""

from pathlib import Path
from typing import Annotated

import typer

from efnst.domains.options import DomainOptions
from efnst.program.arguments import (
    EncoderFile,
    Failure,
    FeaturesFile,
    FullresImage,
    ImageQcFile,
    Outdir,
    Sample,
    SectionFile,
    TrainingFile,
)
from efnst.program.cli import run


def main(
    sample: Sample,
    section: SectionFile,
    embedding: Annotated[Path, typer.Option(help="embedding.npz of learn_embedding.py.")],
    training: TrainingFile,
    source: Annotated[
        Path | None, typer.Option(help="What the section was read from, for the picture in the .h5ad.")
    ] = None,
    image: FullresImage = None,
    image_qc: ImageQcFile = None,
    features_json: FeaturesFile = None,
    encoder_json: EncoderFile = None,
    outdir: Outdir = Path(),
    failure: Failure = None,
    options: DomainOptions = DomainOptions(),
) -> None:
    """Assign each spot to a spatial domain, beside two baselines, and score the result where labels were given."""
    import anndata

    from efnst.domains.assign import assign_domains, domain_table, final_section
    from efnst.image.picture import scanpy_pictures
    from efnst.inputs.located import image_path
    from efnst.names import PROVENANCE, SECTION
    from efnst.program.arrays import read_arrays, write_table
    from efnst.program.cli import log, versions
    from efnst.provenance.record import add_origin, compact
    from efnst.records.arrays import DOMAINS_CSV, EMBEDDING_NPZ
    from efnst.records.base import read_record, write_record
    from efnst.records.domains import DomainsRecord, Provenance, TrainingRecord
    from efnst.records.encoder import EncoderRecord, FeaturesRecord
    from efnst.records.quality import ImageQc

    spots = anndata.read_h5ad(section)
    arrays = read_arrays(embedding, EMBEDDING_NPZ, spots.obs_names.to_numpy())
    assigned, found = assign_domains(spots, arrays, options)
    record = DomainsRecord(sample=sample, **found)
    write_table(outdir / "domains.csv", DOMAINS_CSV, domain_table(spots.obs_names, assigned))
    write_record(outdir / "domains.json", record)
    learned = read_record(training, TrainingRecord)
    used = learned.changed(versions=learned.versions | versions("scikit-learn", "leidenalg", "anndata"))
    final = final_section(spots, arrays, assigned, used, record)
    final.uns["spatial"] = {sample: scanpy_pictures(final, image_path(final.uns[SECTION], source, image))}
    given = {"max_domains": options.max_domains, "refinement_rounds": options.refinement_rounds}
    given["ignore_labels"] = ",".join(options.ignored)
    kinds = ((image_qc, ImageQc), (features_json, FeaturesRecord), (encoder_json, EncoderRecord))
    add_origin(final, given, *(read_record(path, kind) if path else None for path, kind in kinds))
    final.write_h5ad(outdir / f"{sample}.h5ad", compression="gzip")
    write_record(outdir / "provenance.json", Provenance(sample=sample, **compact(final.uns[PROVENANCE])))
    how = "asked" if options.n_domains else "chosen"
    log.info("%s: %d domains (%d %s)", sample, record.n_domains_found, record.n_domains_asked, how)


if __name__ == "__main__":
    run(main)
