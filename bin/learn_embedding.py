#!/usr/bin/env python3
"""Learn an embedding of the spots from expression, image features and positions with the EfNST network."""

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.embedding.options import CohortOptions, DeviceOptions, EmbeddingOptions, NetworkOptions, TrainingOptions
from efnst.errors import EfnstError
from efnst.program.arguments import SAME_ORDER, Failures, Groups, Outdir, Samples, Threads, one_for_each
from efnst.program.cli import run

if TYPE_CHECKING:
    import numpy as np
    import torch

    from efnst.embedding.cohort import Member
    from efnst.embedding.learn import Outcome

STEP = "learn_embedding"


def main(
    sample: Samples,
    section: Annotated[list[Path], typer.Option(help=f"section.h5ad of read_section.py, {SAME_ORDER}.")],
    features: Annotated[
        list[str] | None, typer.Option(help=f"features.npz of embed_patches.py, empty for none, {SAME_ORDER}.")
    ] = None,
    group: Groups = None,
    space: Annotated[
        Path | None, typer.Option(help="Folder for what the sections have in common; without, each is learned alone.")
    ] = None,
    threads: Threads = 1,
    outdir: Outdir = Path(),
    failures: Failures = False,
    options: EmbeddingOptions = EmbeddingOptions(),
    training: TrainingOptions = TrainingOptions(),
    network: NetworkOptions = NetworkOptions(),
    where: DeviceOptions = DeviceOptions(),
    cohort: CohortOptions = CohortOptions(),
) -> None:
    """Learn an embedding of the spots from expression, image features and positions with the EfNST network.

    With `--space` several sections are brought into one space, else each has its own. Writes SAMPLE/embedding.npz and
    SAMPLE/training.json of each of them, and SAMPLE/failure.json of one that cannot be learned from while others can.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products on CUDA
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.jit")  # PyG still scripts its operators
    from threadpoolctl import threadpool_limits

    from efnst.embedding.training import choose_device
    from efnst.program.cli import left_out

    if options.expression_rep and space:
        raise EfnstError("Expected scope section or no expression_rep, found both scope cohort and expression_rep.")
    optional = {"features": features or [""] * len(sample), "group": group or [""] * len(sample)}
    one_for_each(sample, section=section, **optional)
    members = _members(sample, section, *optional.values(), cohort if space else replace(cohort, correct_by="none"))
    how = (options, replace(training, network=network), cohort, choose_device(where.device), threads)
    with threadpool_limits({"blas": 1, "openmp": threads}):  # sums of matrix products round by the number of threads
        if space:
            _learn(members, outdir, space, *how)
            return
        for member in members:
            with left_out(member.sample, STEP, outdir, len(members), failures):
                _learn([member], outdir, None, *how)


def _learn(
    members: list["Member"],
    outdir: Path,
    space: Path | None,
    options: EmbeddingOptions,
    training: TrainingOptions,
    cohort: CohortOptions,
    device: "torch.device",
    threads: int,
) -> None:
    """One space for all `members`, and each of them in it."""
    from efnst.embedding.learn import learn
    from efnst.program.cli import log, write_failure_of

    found = learn(members, options, training, cohort, device, threads)
    for sample, problem in found.together.problems.items():
        write_failure_of(outdir, sample, STEP, problem)
    about = _about(found, str(device), cohort if space else None)
    if space:
        _write_space(space, found, about)
        about |= {"cohort": {"samples": list(found.together.sizes), "corrected": found.learned.is_corrected}}
    for member, barcodes, has_image, arrays in found.sections(device, threads):
        _write_arrays(outdir / member.sample, barcodes, arrays)
        of_section = {"image": has_image, "warnings": found.together.warnings[member.sample]}
        _write_record(outdir / member.sample, about | {"sample": member.sample} | of_section)
        if options.save_model and not space:
            _save_model(outdir / member.sample / "model.pt", member.sample, found)
    n_spots, seconds = sum(found.together.sizes.values()), found.record["seconds"]
    log.info("%s: %d spots, %d trainings in %.1f s on %s", _told(members), n_spots, training.n_seeds, seconds, device)


def _members(
    samples: list[str], sections: list[Path], features: list[str], groups: list[str], cohort: CohortOptions
) -> list["Member"]:
    """The sections, by name, so that their order on the command line does not matter."""
    from efnst.embedding.cohort import Member

    found = [
        Member(sample, cohort.batch(sample, group), section, Path(given) if given else None)
        for sample, section, given, group in zip(samples, sections, features, groups, strict=True)
    ]
    return sorted(found, key=lambda member: member.sample)


def _told(members: list["Member"]) -> str:
    """The sections in words."""
    return members[0].sample if len(members) == 1 else f"{len(members)} sections"


def _about(found: "Outcome", device: str, cohort: CohortOptions | None) -> dict[str, object]:
    """What training.json says of all sections alike; `cohort` is None where each is learned alone."""
    from efnst.program.cli import versions
    from efnst.program.options import given_values

    scope = {"scope": "cohort"} | given_values(cohort) if cohort else {"scope": "section"}
    return found.record | {
        "parameters": found.record["parameters"] | scope,
        "n_image_components_fused": found.learned.n_fused,
        "device": device,
        "versions": versions("torch", "torch-geometric", "scipy", "harmonypy"),
    }


def _write_space(folder: Path, found: "Outcome", about: dict[str, object]) -> None:
    """What the sections have in common, and how it was learned."""
    from efnst.embedding.saved_space import save_space

    save_space(folder, found.learned)
    _write_record(folder, about | {"sample": "", "image": found.learned.spaces[0].image is not None})


def _write_arrays(folder: Path, barcodes: "np.ndarray", arrays: dict[str, "np.ndarray"]) -> None:
    """embedding.npz of one section."""
    from efnst.program.arrays import write_arrays
    from efnst.records.arrays import EMBEDDING_NPZ

    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / "embedding.npz", EMBEDDING_NPZ, barcodes, **arrays)


def _write_record(folder: Path, about: dict[str, object]) -> None:
    """How the space was learned, for one section; without a name for those of a reference."""
    from efnst.records.base import write_record
    from efnst.records.domains import TrainingRecord

    write_record(folder / "training.json", TrainingRecord(**about))


def _save_model(path: Path, sample: str, found: "Outcome") -> None:
    """The fitted networks of a section, each with the names of its genes."""
    from efnst.embedding.saved_model import save_models, training_record
    from efnst.program.cli import versions

    about = {"sample": sample, "parameters": found.record["parameters"]}
    pairs = zip(found.learned.spaces, found.record["runs"], strict=True)
    trainings = [training_record(space, run["seed"], found.learned) for space, run in pairs]
    save_models(path, trainings, about | {"versions": versions("torch", "torch-geometric")})


if __name__ == "__main__":
    run(main)
