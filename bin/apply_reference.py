#!/usr/bin/env python3
"""Bring a section into the space of a reference."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.encoder.options import StainOptions
from efnst.program.arguments import EncoderFile, Failure, Outdir, Sample, SectionFile
from efnst.program.cli import run

if TYPE_CHECKING:
    from efnst.embedding.cohort import Learned
    from efnst.records.domains import TrainingRecord
    from efnst.records.reference import ReferenceRecord


def main(
    sample: Sample,
    section: SectionFile,
    reference: Annotated[Path, typer.Option(help="Folder `reference` of a cohort's run.")],
    group: Annotated[str, typer.Option(help="The section's group, empty for none.")] = "",
    features: Annotated[Path | None, typer.Option(help="features.npz of embed_patches.py; without: no image.")] = None,
    encoder_json: EncoderFile = None,
    outdir: Outdir = Path(),
    failure: Failure = None,
    stain: StainOptions = StainOptions(),
) -> None:
    """Bring a section into the space of a reference; nothing is trained.

    Writes embedding.npz and training.json, as the learning step does, reference_fit.json, and any warnings.txt.
    """
    from threadpoolctl import threadpool_limits

    from efnst.embedding.cohort import Member
    from efnst.embedding.options import CohortOptions
    from efnst.embedding.reference import fit_of, require_fit, require_same_image, too_coarse
    from efnst.embedding.reference_folder import TRAINING_JSON, read_reference
    from efnst.embedding.saved_space import load_space
    from efnst.program.arrays import write_arrays
    from efnst.program.cli import log, write_warnings
    from efnst.records.arrays import EMBEDDING_NPZ
    from efnst.records.base import read_record, write_record
    from efnst.records.domains import TrainingRecord
    from efnst.records.encoder import EncoderRecord

    about, learned = read_reference(reference), load_space(reference)
    batch = CohortOptions(correct_by=about.correct_by).batch(sample, group or about.group_of(sample))
    spots, described = Member(sample, batch, section, features if about.image else None).read()
    require_fit(reference, about, learned, spots)
    if described is not None and encoder_json:
        encoder = read_record(encoder_json, EncoderRecord)
        require_same_image(reference, about, learned, described, encoder, stain.stain_normalisation)
    told = [] if described is None else too_coarse(learned, described, spots)
    described = None if told else described
    with threadpool_limits(1):
        arrays = learned.arrays(learned.part(spots, described, batch))
    write_arrays(outdir / "embedding.npz", EMBEDDING_NPZ, spots.obs_names.to_numpy(), **arrays)
    trained = read_record(reference / TRAINING_JSON, TrainingRecord)
    own = {"sample": sample, "seconds": 0.0, "image": described is not None}
    write_record(outdir / "training.json", trained.changed(**own, **_used(about, learned, trained)))
    fit = fit_of(sample, batch, about, learned, spots, arrays["expression"])
    if fit.known_batch and learned.components.correction and batch != group:
        told.append(f"corrected as {sample} of the reference; rename it, or give its group, if it is another")
    write_warnings(outdir, [f"{sample}: {text}" for text in told])
    write_record(outdir / "reference_fit.json", fit)
    log.info("%s: %.0f %% of its genes missing, depth %.2f", sample, 100 * fit.missing_genes, fit.depth)


def _used(about: "ReferenceRecord", learned: "Learned", trained: "TrainingRecord") -> dict[str, object]:
    """What training.json says of the reference, whose parameters are none of the section."""
    from efnst.records.domains import UsedReference

    kept = about.model_dump(include={"samples", "correct_by", "files"})
    used = UsedReference(**kept, corrected=learned.is_corrected, parameters=trained.parameters)
    return {"parameters": {}, "reference": used}


if __name__ == "__main__":
    run(main)
