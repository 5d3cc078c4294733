#!/usr/bin/env python3
"""Learn one space for all sections of a cohort, and bring each section into it."""

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.embedding.options import CohortOptions, DeviceOptions, EmbeddingOptions, NetworkOptions, TrainingOptions
from efnst.program.arguments import Outdir, Threads
from efnst.program.cli import run

if TYPE_CHECKING:
    import numpy as np

    from efnst.embedding.cohort import Member

SAME_ORDER = "one for each section, in the same order"


def main(
    sample: Annotated[list[str], typer.Option(help=f"Names of the sections, {SAME_ORDER}.")],
    group: Annotated[list[str], typer.Option(help=f"Their groups, empty for none, {SAME_ORDER}.")],
    section: Annotated[list[Path], typer.Option(help=f"section.h5ad of read_section.py, {SAME_ORDER}.")],
    features: Annotated[
        list[str], typer.Option(help=f"features.npz of embed_patches.py, empty for none, {SAME_ORDER}.")
    ],
    threads: Threads = 1,
    outdir: Outdir = Path(),
    options: EmbeddingOptions = EmbeddingOptions(),
    training: TrainingOptions = TrainingOptions(),
    network: NetworkOptions = NetworkOptions(),
    where: DeviceOptions = DeviceOptions(),
    cohort: CohortOptions = CohortOptions(),
) -> None:
    """Learn one space for all sections of a cohort, and bring each section into it.

    Writes SAMPLE/embedding.npz and SAMPLE/training.json of each section, in OUTDIR/space what the sections have in
    common, and SAMPLE/failure.json of a section that cannot be used.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products on CUDA
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.jit")  # PyG still scripts its operators
    from threadpoolctl import threadpool_limits

    from efnst.embedding.cohort import embedded
    from efnst.embedding.saved_space import save_space
    from efnst.embedding.together import learn_cohort
    from efnst.embedding.training import choose_device
    from efnst.program.cli import log, versions

    members = _members(sample, group, section, features, cohort)
    chosen = choose_device(where.device)
    with threadpool_limits({"blas": 1, "openmp": threads}):  # sums of matrix products round by the number of threads
        learned, record, found = learn_cohort(
            members, options, replace(training, network=network), cohort, chosen, threads
        )
        save_space(outdir / "space", learned)
        _write_failures(outdir, found.problems)
        about = record | {
            "n_image_components_fused": learned.n_fused,
            "device": str(chosen),
            "versions": versions("torch", "torch-geometric", "scipy", "harmonypy"),
        }
        used = [each for each in members if each.sample in found.sizes]
        for member, barcodes, has_image, arrays in embedded(learned, used):
            _write_arrays(outdir / member.sample, barcodes, arrays)
            of_section = {"image": has_image, "warnings": found.warnings[member.sample]}
            _write_record(outdir / member.sample, member.sample, about | of_section)
        _write_record(outdir / "space", "", about | {"image": learned.spaces[0].image is not None})
    log.info("%d sections, %d genes, %d trainings", len(used), len(learned.genes.ids), len(learned.spaces))


def _members(
    samples: list[str], groups: list[str], sections: list[Path], features: list[str], cohort: CohortOptions
) -> list["Member"]:
    """The sections, by name, so that their order on the command line does not matter."""
    from efnst.embedding.cohort import Member

    found = [
        Member(sample, cohort.batch(sample, group), section, Path(given) if given else None)
        for sample, group, section, given in zip(samples, groups, sections, features, strict=True)
    ]
    return sorted(found, key=lambda member: member.sample)


def _write_arrays(folder: Path, barcodes: "np.ndarray", arrays: dict[str, "np.ndarray"]) -> None:
    """embedding.npz of one section."""
    from efnst.program.arrays import write_arrays
    from efnst.records.arrays import EMBEDDING_NPZ

    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / "embedding.npz", EMBEDDING_NPZ, barcodes, **arrays)


def _write_record(folder: Path, sample: str, about: dict) -> None:
    """How the space was learned, for one section; without a name for those of a reference."""
    from efnst.records.base import write_record
    from efnst.records.domains import TrainingRecord

    write_record(folder / "training.json", TrainingRecord(sample=sample, **about))


def _write_failures(outdir: Path, problems: dict[str, str]) -> None:
    """The record of each section that cannot be used."""
    from efnst.program.cli import log
    from efnst.program.terminal import printable
    from efnst.records.base import write_record
    from efnst.records.cohort import Failure

    for sample, problem in problems.items():
        reason = printable(f"{sample}: {problem}")
        log.warning("%s", reason)
        (outdir / sample).mkdir(parents=True, exist_ok=True)
        write_record(outdir / sample / "failure.json", Failure(sample=sample, step="learn_cohort", reason=reason))


if __name__ == "__main__":
    run(main)
