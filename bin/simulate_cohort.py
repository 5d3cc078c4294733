#!/usr/bin/env python3
"""Write a cohort of simulated Visium sections: Space Ranger folders, true labels and a samplesheet."""

import logging
import shutil
from dataclasses import asdict, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from efnst.program.cli import read_json, run, write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from efnst.simulation.space_ranger import SimulatedSection
    from efnst.simulation.specimen import Recipe

    Cohort = dict[str, tuple[Callable[[], SimulatedSection], str | None]]  # how to simulate, and the group, by name

log = logging.getLogger("efnst")
RECORD = "simulation.json"  # how the cohort was made; marks a folder that may be written again
SHEET = "samplesheet.csv"


class MatrixKind(StrEnum):
    """How the counts are stored."""

    h5 = "h5"
    mtx = "mtx"


class Source(StrEnum):
    """What alone may tell a pair of regions apart."""

    image = "image"
    expression = "expression"
    space = "space"


class FullresKind(StrEnum):
    """Format of the full-resolution image."""

    none = "none"
    tiff = "tiff"
    jpeg = "jpeg"


Sections = Annotated[int, typer.Option(min=1, help="Sections: layers, nested and mixed tissue in turn.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same cohort.")]
Small = Annotated[bool, typer.Option("--small", help="250 spots and 400 genes a section, for quick tests.")]
Spots = Annotated[
    int | None, typer.Option("--n_spots", min=60, help="Spots under tissue in each section (1800; small: 250).")
]
Genes = Annotated[int | None, typer.Option("--n_genes", min=100, help="Genes measured (2000; small: 400).")]
Regions = Annotated[
    int | None,
    typer.Option("--n_regions", min=3, max=12, help="Regions in each section (layers 7, nested 4, mixed 5)."),
]
Counts = Annotated[
    float | None, typer.Option("--median_counts", min=50, help="Median UMIs of a spot (4500; small: 2500).")
]
Contrast = Annotated[
    float | None, typer.Option(min=0, help="Multiplies the differences between regions (1; small: 2.2).")
]
SeparatedBy = Annotated[
    Source | None,
    typer.Option("--separated_by", help="One pair of large regions differs in this alone; pair.json names them."),
]
Batches = Annotated[
    int | None,
    typer.Option(min=1, help="So many batches of one kind of tissue, of which sections lack regions."),
]
Matrix = Annotated[MatrixKind, typer.Option(help="Counts as HDF5 file or as matrix.mtx.gz folder.")]
Fullres = Annotated[FullresKind, typer.Option(help="Also write the full-resolution image (large, slow).")]
UmPerPx = Annotated[
    float, typer.Option("--um_per_px", min=0.1, max=4, help="Pixel size of the full-resolution image, µm.")
]
Damage = Annotated[str, typer.Option(help="Break the first section in this way; `list` shows the ways and stops.")]


def main(
    outdir: Annotated[Path, typer.Option(help="Folder for the sections and samplesheet.csv.")],
    sections: Sections = 3,
    seed: Seed = 0,
    small: Small = False,
    n_spots: Spots = None,
    n_genes: Genes = None,
    n_regions: Regions = None,
    median_counts: Counts = None,
    contrast: Contrast = None,
    separated_by: SeparatedBy = None,
    batches: Batches = None,
    matrix: Matrix = MatrixKind.h5,
    fullres: Fullres = FullresKind.none,
    um_per_px: UmPerPx = 0.5,
    damage: Damage = "",
) -> None:
    """Write a cohort of simulated Visium sections with known regions.

    Each section is a Space Ranger folder OUTDIR/SAMPLE/outs (layers: version 1, nested: 2, mixed: 3) with counts, spot
    positions and an H&E-like image; OUTDIR/SAMPLE/labels.csv holds the true region of each spot and
    OUTDIR/samplesheet.csv is ready for efnst.

    With --separated_by, two neighbouring large regions of every section, named in OUTDIR/SAMPLE/pair.json, differ in
    one thing only: image (stain and nuclei), expression (the programme), or space (both are made of the same two kinds
    of spots, 75:25 and 25:75).

    With --batches, all sections are layers of one tissue, regions have one name, some sections lack some, and the last
    alone has `extra`. Batches (column `group`) differ in how genes are caught, depth and stain.
    """
    from efnst.simulation.damage import DAMAGES
    from efnst.simulation.damage import damage as break_section
    from efnst.simulation.space_ranger import DEMO, SMALL

    if damage == "list":
        print("\n".join(f"{kind}: {description}" for kind, description in DAMAGES.items()))
        return
    _check(damage, DAMAGES, batches, separated_by)
    asked = {"n_spots": n_spots, "n_genes": n_genes, "n_regions": n_regions, "median_counts": median_counts}
    asked |= {"contrast": contrast, "um_per_px": um_per_px, "separated_by": separated_by and separated_by.value}
    recipe = _asked(SMALL if small else DEMO, asked)
    cohort = _batched(sections, batches, seed, recipe) if batches else _in_turn(sections, seed, recipe)
    _clear(outdir, list(cohort))
    options = {"matrix": matrix.value, "fullres": fullres.value, "damage": damage}
    made = {"sections": list(cohort), "seed": seed} | ({"batches": batches} if batches else {})
    write_json(outdir / RECORD, made | _recorded(recipe) | options)
    _write(outdir, cohort, options, "group" if batches else None)
    if damage:
        break_section(outdir / next(iter(cohort)) / "outs", damage)
        log.info("%s: damaged, %s", next(iter(cohort)), DAMAGES[damage])


def _write(outdir: Path, cohort: "Cohort", options: dict[str, str], further: str | None) -> None:
    """Simulate and write the sections and their samplesheet, with one `further` column where there are groups."""
    rows = [_section(outdir, name, options, *each) for name, each in cohort.items()]
    columns = ["sample", "section", "image", "labels", "n_domains"] + ([further] if further else [])
    (outdir / SHEET).write_text("\n".join([",".join(columns), *rows]) + "\n")


def _in_turn(sections: int, seed: int, recipe: "Recipe") -> "Cohort":
    """Sections of three kinds of tissue in turn, by name."""
    from efnst.simulation.space_ranger import section_name, simulate_section

    return {section_name(number): (partial(simulate_section, number, seed, recipe), None) for number in range(sections)}


def _batched(sections: int, batches: int, seed: int, recipe: "Recipe") -> "Cohort":
    """Sections of one kind of tissue in batches, by name."""
    from efnst.simulation.batches import Plan, simulate_batched_section

    plan = Plan(sections, batches, seed)
    return {
        plan.name(number): (partial(simulate_batched_section, plan, number, recipe), plan.batch(number))
        for number in range(sections)
    }


def _section(
    outdir: Path, name: str, options: dict[str, str], simulate: "Callable[[], SimulatedSection]", group: str | None
) -> str:
    """Simulate and write one section; its row of the samplesheet."""
    from efnst.simulation.space_ranger import write_section

    section = simulate()
    image = write_section(section, outdir / name, options["matrix"], options["fullres"])
    n_domains = len(section.specimen.tissue.region_names)
    log.info("%s: %d spots, %d regions", name, section.matrix.counts.shape[1], n_domains)
    row = [name, f"{name}/outs", str(image.relative_to(outdir)) if image else "", f"{name}/labels.csv", str(n_domains)]
    return ",".join(row + ([] if group is None else [group]))


def _asked(recipe: "Recipe", values: dict[str, object]) -> "Recipe":
    """The recipe with those values that were given."""
    return replace(recipe, **{name: value for name, value in values.items() if value is not None})


def _recorded(recipe: "Recipe") -> dict[str, int | float | str | None]:
    """The recipe's fields; `separated_by` only where it was asked for, so that the usual record stays as it was."""
    fields = asdict(recipe)
    if recipe.separated_by is None:
        del fields["separated_by"]
    return fields


def _check(damage: str, known: dict[str, str], batches: int | None, separated_by: Source | None) -> None:
    """Refuse, before anything is written, an unknown damage and what a cohort in batches cannot have as well."""
    from efnst.errors import EfnstError

    if damage and damage not in known:
        raise EfnstError(f"Expected a --damage out of {', '.join(known)}, found `{damage}`: `--damage list` explains.")
    if batches and separated_by:
        raise EfnstError("Expected --batches or --separated_by, found both: choose one.")


def _clear(outdir: Path, names: list[str]) -> None:
    """Remove the sections of an earlier simulation in `outdir`; anything else there of the same name is refused."""
    from efnst.errors import EfnstError

    outdir.mkdir(parents=True, exist_ok=True)
    ours = read_json(outdir / RECORD)["sections"] if (outdir / RECORD).exists() else []
    for name in ours:
        shutil.rmtree(outdir / name, ignore_errors=True)
    taken = [name for name in (*names, SHEET) if (outdir / name).exists() and not (ours and name == SHEET)]
    if taken:
        raise EfnstError(
            f"Expected --outdir to be free, found {', '.join(f'`{name}`' for name in taken)} in `{outdir}`, "
            "which no earlier simulation wrote: choose another folder."
        )


if __name__ == "__main__":
    run(main)
