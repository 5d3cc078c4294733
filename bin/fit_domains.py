#!/usr/bin/env python3
"""Find the domains that all sections of a cohort share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.domains.options import DomainOptions, NamingOptions
from efnst.embedding.options import CohortOptions
from efnst.encoder.options import StainOptions
from efnst.errors import EfnstError
from efnst.program.arguments import (
    SAME_ORDER,
    EncoderFile,
    Groups,
    Outdir,
    Samples,
    StainReferenceFile,
    one_for_each,
)
from efnst.program.cli import run

if TYPE_CHECKING:
    from efnst.domains.naming import Taught


def main(
    sample: Samples,
    section: Annotated[list[Path], typer.Option(help=f"section.h5ad of read_section.py, {SAME_ORDER}.")],
    embedding: Annotated[list[Path], typer.Option(help=f"embedding.npz of learn_embedding.py, {SAME_ORDER}.")],
    space: Annotated[Path, typer.Option(help="Folder `space` of learn_embedding.py.")],
    group: Groups = None,
    encoder_json: EncoderFile = None,
    stain_reference: StainReferenceFile = None,
    outdir: Outdir = Path(),
    options: DomainOptions = DomainOptions(),
    cohort: CohortOptions = CohortOptions(),
    naming: NamingOptions = NamingOptions(),
    stain: StainOptions = StainOptions(),
) -> None:
    """Find the domains that all sections of a cohort share, and choose their number where none is given.

    Looked at is a balanced sample of whole tiles of all sections. Writes OUTDIR/reference: the space, the domains, and
    what else is needed to find them in further sections.
    """
    import shutil

    from efnst.domains.saved_vocabulary import save_vocabulary
    from efnst.domains.vocabulary import fit_vocabulary
    from efnst.embedding.reference import ENCODER_JSON, STAIN_JSON
    from efnst.program.cli import log, write_warnings

    groups = group or [""] * len(sample)
    one_for_each(sample, section=section, embedding=embedding, group=groups)
    order = sorted(range(len(sample)), key=lambda number: sample[number])
    files = {sample[n]: (section[n], embedding[n]) for n in order}
    seen = _sample([section[n] for n in order], [embedding[n] for n in order], options)
    vocabulary, choice = fit_vocabulary(options=options, **seen)
    reference, warnings = outdir / "reference", []
    shutil.copytree(space, reference, dirs_exist_ok=True)
    save_vocabulary(reference, vocabulary, choice)
    if naming.learn_labels:
        warnings += _teach(reference, files, options)
    for file, name in ((encoder_json, ENCODER_JSON), (stain_reference, STAIN_JSON)):
        if file:
            shutil.copyfile(file, reference / name)
    facts = {"image": encoder_json is not None, "stain_normalisation": stain.stain_normalisation}
    facts |= {"groups": [groups[n] for n in order], "correct_by": cohort.correct_by}
    write_warnings(outdir, warnings + _describe(reference, files, facts))
    if choice and choice["flat"]:
        log.warning("no number of domains stands out; %d was chosen", vocabulary.n_domains)
    log.info("%d sections, %d domains", len(sample), vocabulary.n_domains)


def _sample(sections: list[Path], embeddings: list[Path], options: DomainOptions) -> dict[str, object]:
    """What `fit_vocabulary` takes of a balanced sample of all sections: embeddings, views, and places.

    The arrays of one section after the other are read; of all sections only places, barcodes and totals are held.
    """
    import numpy as np

    from efnst.domains.assign import embeddings_of
    from efnst.domains.candidates import CommonViews
    from efnst.domains.vocabulary import FITTED_UNITS
    from efnst.embedding.sketch import quota, some_of
    from efnst.genes.components import first_deviation
    from efnst.inputs.hdf5 import opened_own
    from efnst.names import SECTION, SPATIAL
    from efnst.program.arrays import read_arrays
    from efnst.records.arrays import EMBEDDING_NPZ

    places, totals, barcodes = [], [], []
    for path in sections:
        with opened_own(path) as spots:
            places.append(np.asarray(spots.obsm[SPATIAL], float) / float(spots.uns[SECTION]["pitch_px"]))
            totals.append(spots.obs["total_counts"].to_numpy())
            barcodes.append(spots.obs_names.to_numpy())
    most = quota([len(each) for each in places], FITTED_UNITS)
    rows = [some_of(each, most) for each in places]

    def joined(parts_of: Callable[[dict, int], list[np.ndarray]]) -> list[np.ndarray]:
        """Some arrays of each section at the units of the sample."""
        found = []
        for number, path in enumerate(embeddings):
            arrays = read_arrays(path, EMBEDDING_NPZ, barcodes[number])
            found.append([values[rows[number]] for values in parts_of(arrays, number)])
        return [np.concatenate(values) for values in zip(*found, strict=True)]

    smooth, *embedded = joined(lambda arrays, _: [arrays["diffused"], *embeddings_of(arrays).values()])
    sample = {"embeddings": embedded, "places": [each[r] for each, r in zip(places, rows, strict=True)]}
    if not options.untrained_views:
        return sample
    views = CommonViews(first_deviation(smooth), options.diffusion, options.weigh_by_counts)
    beside = joined(lambda arrays, number: views.of(arrays, totals[number], places[number]))
    return sample | {"views": views, "beside": beside}


def _teach(folder: Path, sections: dict[str, tuple[Path, Path]], options: DomainOptions) -> list[str]:
    """Learn names from the sections with labels, given as section.h5ad and embedding.npz, and say how well it went.

    Returns what the user should know; where the labels teach nothing, the domains go without names.
    """
    import numpy as np

    from efnst.domains.naming import fit_naming, left_out_scores
    from efnst.domains.saved_naming import save_naming
    from efnst.domains.spellings import one_spelling
    from efnst.program.cli import log

    taught, told = one_spelling(_taught(sections, options))
    try:
        naming = fit_naming(taught)
    except EfnstError as error:
        return [f"no names were learned, and the domains go without. {error}", *told]
    scores = left_out_scores(naming, taught, options.refinement_rounds)
    scores = {name: found for name, found in scores.items() if len(np.unique(taught[name].labels)) > 1}
    save_naming(folder, naming, scores, options.weigh_by_counts)
    for name, found in scores.items():
        log.info("%s, named from the others: macro F1 %.3f, ARI %.3f", name, found["macro_f1"], found["ari"])
    if not naming.calibrated:
        told.append(
            "name_probability says too much: it could not be calibrated, as no labelled section has a label of another"
        )
    return told + [
        f"{name} is unknown throughout: the labels of the other sections, which name it, are too few to teach"
        for name in naming.unnamed
    ]


def _taught(sections: dict[str, tuple[Path, Path]], options: DomainOptions) -> dict[str, "Taught"]:
    """The labelled units of the sections that have any, also where all of them have one label."""
    import numpy as np

    from efnst.domains.candidates import taught_values
    from efnst.domains.naming import UNKNOWN, Taught
    from efnst.domains.scores import labelled_spots
    from efnst.inputs.hdf5 import opened_own
    from efnst.names import LABEL, SPATIAL
    from efnst.program.arrays import read_arrays
    from efnst.records.arrays import EMBEDDING_NPZ

    taught, ignored = {}, [*options.ignored, UNKNOWN]
    for name, (path, embedding) in sections.items():
        with opened_own(path) as spots:
            labels, barcodes, totals = spots.obs.get(LABEL), spots.obs_names.to_numpy(), spots.obs["total_counts"]
            positions = np.asarray(spots.obsm[SPATIAL], float)
        labelled = np.zeros(len(barcodes), bool) if labels is None else labelled_spots(labels, ignored)
        if labelled.any():
            arrays = read_arrays(embedding, EMBEDDING_NPZ, barcodes)
            values = taught_values(arrays, totals.to_numpy(), positions, options.weigh_by_counts)
            given = labels[labelled].astype(str).to_numpy()
            taught[name] = Taught(values, given, labelled, positions)
    return taught


def _describe(folder: Path, sections: dict[str, tuple[Path, Path]], facts: dict[str, object]) -> list[str]:
    """What the reference was made of, in reference.json and README.md, of section.h5ad and embedding.npz of each.

    `facts` are fields of reference.json that no file of a section tells. Returns what the user should know of sections
    that have little in common with the others.
    """
    import numpy as np

    from efnst.domains.novelty import without_structure
    from efnst.embedding.reference import README, gene_prefix
    from efnst.embedding.reference_folder import FORMAT, REFERENCE_JSON, digests
    from efnst.embedding.structure import structure_of
    from efnst.inputs.hdf5 import opened_own
    from efnst.names import SPATIAL
    from efnst.program.arrays import read_arrays
    from efnst.program.cli import versions
    from efnst.records.arrays import EMBEDDING_NPZ
    from efnst.records.base import write_record
    from efnst.records.reference import ReferenceRecord

    medians, prefixes, structure = [], [], []
    for path, embedding in sections.values():
        with opened_own(path) as spots:
            places = np.asarray(spots.obsm[SPATIAL], float)
            arrays = read_arrays(embedding, EMBEDDING_NPZ, spots.obs_names.to_numpy())
            structure.append(structure_of(arrays["expression"], places))
            medians.append(float(np.median(spots.obs["total_counts"])))
            prefixes.append(gene_prefix(spots.var["gene_ids"]))
    (folder / "README.md").write_text(README)
    record = ReferenceRecord(
        format=FORMAT,
        versions=versions("torch", "scikit-learn", "harmonypy", "safetensors"),
        samples=list(sections),
        gene_prefix=max(filter(None, prefixes), key=prefixes.count, default=""),
        **facts,
        median_counts=medians,
        structure=structure,
        files=digests(folder),
    )
    write_record(folder / REFERENCE_JSON, record)
    return without_structure(dict(zip(sections, structure, strict=True)))


if __name__ == "__main__":
    run(main)
