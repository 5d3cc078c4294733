"""A samplesheet checked together with the files that it names."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from efnst.errors import said_of
from efnst.image.places import places_about
from efnst.inputs.covariates import covariate_warnings
from efnst.inputs.repeated import repeated_sections
from efnst.inputs.samplesheet import URI, Samplesheet, sections
from efnst.inputs.section import load_section
from efnst.names import NO_IMAGE, SECTION


@dataclass
class Checked:
    """What was found: one line for each sound section, for each oddity, and for each problem.

    `n_places`: where the sections with an image have patches of one width cut.
    """

    sound: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    n_places: int = 0


def check_rows(sheet: Samplesheet, schema: dict, base: str, expression_rep: str = "") -> Checked:
    """Check the form of a samplesheet, and open the files of every row that is sound by itself; see `sections`."""
    listed, problems = sections(sheet, schema, {}, base)
    followed = [section | {"section": _followed(section["section"])} for section in listed]
    about_sheet = covariate_warnings(listed) + repeated_sections(followed)
    checked = Checked(problems=problems, warnings=about_sheet)
    for row in sheet.rows:
        alone, wrong = sections(replace(sheet, rows=[row], problems=[]), schema, {}, base)
        if wrong:
            continue
        section, where = alone[0], f"{row.place} ({row.cells['sample']})"
        if section["problem"]:
            checked.problems.append(f"{where}, {section['problem']}")
        else:
            _check_files(section, where, expression_rep, checked)
    return checked


def _followed(place: str) -> str:
    """Where a section lies that may be a link; addresses as they are."""
    return place if URI.match(place) else os.path.realpath(place)


def _check_files(section: dict, where: str, expression_rep: str, checked: Checked) -> None:
    """Open the files of one section."""
    paths = {name: section[name] for name in ("section", "image", "labels") if section[name] not in ("", NO_IMAGE)}
    away = [name for name, path in paths.items() if URI.match(path)]
    missing = [name for name, path in paths.items() if name not in away and not Path(path).exists()]
    checked.problems += [
        f"{where}, column {name}: found nothing at {paths[name]}; correct the path" for name in missing
    ]
    checked.warnings += [f"{where}, column {name}: {paths[name]} was not looked at" for name in away]
    if "section" in away + missing:
        return
    image = section["image"] if "image" not in away + missing else NO_IMAGE
    labels = section["labels"] if "labels" not in away + missing else ""
    try:
        read, about, warnings = load_section(
            *(section["id"], Path(section["section"]), image, labels, section["bin_um"], expression_rep),
            with_counts=False,
            library=section["library"],
        )
    except Exception as error:
        checked.problems.append(f"{where}: {said_of(error)}")
        return
    checked.warnings += [f"{where}: {warning}" for warning in warnings]
    if not missing:
        checked.n_places += places_about(read.uns[SECTION], len(read)) if read.uns[SECTION]["image"]["scale"] else 0
        checked.sound.append(f"{where}: {_in_words(read.uns[SECTION], read.shape, about['n_spots_in_matrix'])}")


def _in_words(facts: dict, shape: tuple[int, int], n_in_matrix: int) -> str:
    """What was read of a section."""
    image = facts["image"]
    shown = f"{image['source']} image of {image['width']} × {image['height']} px" if image["scale"] else "no image"
    kind = f"bins of {facts['bin_um']} µm" if facts["bin_um"] else f"{facts['grid']} grid"
    return (
        f"{shape[0]} spots in tissue of {n_in_matrix} in the matrix, {shape[1]} genes, {kind}, "
        f"{facts['um_per_px']:.3g} µm per px, {shown}"
    )
