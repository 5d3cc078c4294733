"""Patches brought to the stains of the reference."""

from pathlib import Path

from efnst.errors import EfnstError, check_choice
from efnst.image.stain.macenko import macenko_normaliser
from efnst.image.stain.pixels import Normaliser
from efnst.image.stain.reinhard import reinhard_normaliser
from efnst.image.stain.statistics import METHODS
from efnst.records.base import read_record
from efnst.records.quality import ImageQc, StainReference


def normaliser(method: str, section: dict | None, reference: dict) -> Normaliser | None:
    """A function that brings uint8 patches [..., 3] of a section to the reference of the cohort.

    None for the method `none`, and where section or reference has no statistics.
    """
    if method == "none" or not section or not section[method] or not reference[method]:
        return None
    kind = {"macenko": macenko_normaliser, "reinhard": reinhard_normaliser}[method]
    return kind(section[method], reference[method])


def read_normaliser(method: str, image_qc: Path | None, reference: Path | None) -> Normaliser | None:
    """`normaliser` from image_qc.json and stain_reference.json, which only the method `none` does without."""
    check_choice("stain_normalisation", method, METHODS)
    if method == "none":
        return None
    if image_qc is None or reference is None:
        raise EfnstError(
            f"Expected image_qc.json and stain_reference.json for the stain normalisation `{method}`, found "
            f"{'neither' if image_qc is reference else 'one of them'}. Give --stain and --stain_reference."
        )
    stain = read_record(image_qc, ImageQc).plain()["stain"]
    return normaliser(method, stain, read_record(reference, StainReference).plain())
