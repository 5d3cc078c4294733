"""Whether the image of a section shows this section, and its tissue where the spots in tissue are."""

from pathlib import Path

from PIL import Image

from efnst.errors import EfnstError
from efnst.geometry.array_fit import ArrayFit
from efnst.geometry.grid import Grid
from efnst.image.formats import GIVE_H_AND_E
from efnst.inputs.image_choice import ImageChoice
from efnst.inputs.source import Source
from efnst.names import NO_IMAGE

THUMBNAIL_PX = 512
SAME = 0.8  # correlation with the section's own image from which on an image is the same; others have half of it
OTHER = 0.6  # below it in any way of turning, it is another one
ON_TISSUE = 0.6  # correlation of spots and tissue in an image that fits
CLEARLY = 0.25  # by which another way of turning the image must fit better than as it is
AND_BY_ARRAY = 0.1  # the same where the array says too that the positions have been turned or mirrored
SPOT_RATIO = (0.7, 1.6)  # of the declared diameter of a spot to 55 µm; Space Ranger declares 65 µm, some tools 55
BRIGHT = 0.5  # correlation of spots in tissue with brightness from which on tissue is what shines; of H&E below 0.2
DARK = 110  # of 255: what is around the tissue; of H&E above 150, even where spots off tissue lie on it, else below 95
NOWHERE = 0.1  # correlation below which the spots do not lie on what looks like tissue


def check_picture(
    image: str, choice: ImageChoice, source: Source, grid: Grid, fit: ArrayFit | None
) -> tuple[dict[str, float | str], list[str]]:
    """How well the image agrees with the section (ImageAgreement), and warnings where it hardly does.

    One that is turned, mirrored, another or no brightfield image is refused.

    `image` is the full-resolution file, where one is used; `fit`: the places of the spots on the array.
    """
    if choice.source == NO_IMAGE:
        return {}, _check_array(fit, {})
    from efnst.image.orientation import AS_IT_IS, tissue_matches
    from efnst.image.thumbnail import thumbnail

    is_given = choice.source == "fullres"
    picture = thumbnail(Path(image) if is_given else source.pictures[choice.source].path, THUMBNAIL_PX)
    _refuse_dark_field(picture, choice, source, grid)
    agreement, warnings = _check_same(picture, choice, source, grid) if is_given else ({}, [])
    scale = choice.scale * picture.width / choice.width
    in_tissue = source.positions["in_tissue"].to_numpy() == 1
    matches = tissue_matches(picture, source.xy * scale, in_tissue, grid.pitch_px * scale)
    agreement |= {"tissue": matches[AS_IT_IS]} if matches else {}
    _refuse_other_units(matches, source, grid)
    return agreement, warnings + _check_tissue(matches, choice.source, fit) + _check_array(fit, matches)


def _dark_field(picture: Image.Image, choice: ImageChoice, source: Source, grid: Grid) -> tuple[float, float] | None:
    """How well tissue shines and how dark the rest is (`bright_tissue`), in a picture of the field of the image used.

    None where that does not say that this is no brightfield image.
    """
    from efnst.image.orientation import bright_tissue

    scale = choice.scale * picture.width / choice.width
    in_tissue = source.positions["in_tissue"].to_numpy() == 1
    found = bright_tissue(picture, source.xy * scale, in_tissue, grid.pitch_px * scale)
    return found if found and found[0] >= BRIGHT and found[1] < DARK else None


def _refuse_dark_field(picture: Image.Image, choice: ImageChoice, source: Source, grid: Grid) -> None:
    """Refuse an image in which tissue is bright on a dark ground, which the encoder would take for H&E."""
    found = _dark_field(picture, choice, source, grid)
    if found:
        raise EfnstError(
            f"Expected an H&E image, tissue on bright glass, found that in the {choice.source} image the spots in "
            f"tissue are bright (correlation {found[0]:.2f}) on a dark ground (median {found[1]:.0f} of 255), as in "
            f"fluorescence. {GIVE_H_AND_E}, or image: none to run on expression and position only."
        )


def _check_same(
    picture: Image.Image, choice: ImageChoice, source: Source, grid: Grid
) -> tuple[dict[str, float | str], list[str]]:
    """Refuse a full-resolution image that the section's own image does not show; a warning where it hardly does.

    First the correlation of the two. An own image of fluorescence is not compared.
    """
    kind = next((kind for kind in ("hires", "lowres") if kind in source.pictures), None)
    if kind is None:
        return {}, []
    from efnst.image.orientation import AS_IT_IS, picture_matches
    from efnst.image.thumbnail import thumbnail

    own = thumbnail(source.pictures[kind].path, THUMBNAIL_PX)
    if _dark_field(own, choice, source, grid):
        return {}, [
            f"In the section's {kind} image tissue is bright on a dark ground, as in fluorescence: it cannot tell "
            "whether the image given is of this section."
        ]
    matches = picture_matches(own, picture)
    agreement = {"own_image": kind, "detail": matches[AS_IT_IS]} if matches else {}
    if not matches or matches[AS_IT_IS] >= SAME:
        return agreement, []
    best = max(matches, key=matches.get)
    found = f"its detail correlates with that of the section's {kind} image by {matches[AS_IT_IS]:.2f}"
    if best != AS_IT_IS and matches[best] >= SAME:
        raise EfnstError(
            f"Expected the image that Space Ranger was given, found one that is turned or mirrored: {found}, and by "
            f"{matches[best]:.2f} when it is {best}. Do that to the file, or give the one that Space Ranger was given."
        )
    if matches[best] < OTHER:
        raise EfnstError(
            f"Expected the image that Space Ranger was given, found that {found}, and by at most {matches[best]:.2f} "
            "however it is turned or mirrored: it is of another section, or another part of the slide. Give the image "
            "of this section, or leave the column image empty."
        )
    said = f"The image given may be another one than Space Ranger was given: {found}, where it should be near 1."
    return agreement, [said]


def _refuse_other_units(matches: dict[str, float], source: Source, grid: Grid) -> None:
    """Refuse positions in other units than full-resolution px: off the tissue, and spots of another size."""
    from efnst.image.orientation import AS_IT_IS

    declared = source.factors.get("spot_diameter_fullres")
    if not matches or not declared or source.bin_um or max(matches.values()) >= ON_TISSUE:
        return
    ratio = declared / grid.spot_diameter_px
    if matches[AS_IT_IS] < NOWHERE and not SPOT_RATIO[0] <= ratio <= SPOT_RATIO[1]:
        raise EfnstError(
            "Expected positions in px of the full-resolution image, found spots off the tissue (correlation "
            f"{matches[AS_IT_IS]:.2f}) that spot_diameter_fullres says to be {ratio:.2g} times as large as their "
            "distance does: the positions may be in µm, or in px of the hires or lowres image. Convert them, or give "
            "image: none to run on expression and position only."
        )


def _check_tissue(matches: dict[str, float], kind: str, fit: ArrayFit | None) -> list[str]:
    """Refuse an image that fits the spots in tissue only when it is turned; a warning where it does not fit them."""
    from efnst.image.orientation import AS_IT_IS

    if not matches:
        return []
    best, found = max(matches, key=matches.get), matches[AS_IT_IS]
    margin = CLEARLY if fit is None or fit.is_upright else AND_BY_ARRAY
    if matches[best] >= max(ON_TISSUE, found + margin):
        raise EfnstError(
            f"Expected the spots in tissue on the tissue of the {kind} image, found a correlation of {found:.2f}, "
            f"and by {matches[best]:.2f} when the image is {best}: positions or image have been turned. Take both "
            "from the same run, or give image: none to run on expression and position only."
        )
    if found < NOWHERE:
        return [
            f"The spots in tissue do not lie on what looks like tissue in the {kind} image (correlation {found:.2f}): "
            "make sure that image and positions are of the same section."
        ]
    return []


def _check_array(fit: ArrayFit | None, matches: dict[str, float]) -> list[str]:
    """A warning where the array says that the positions are mirrored or turned, and the image does not say otherwise.

    Turned images are usual, mirrored ones are not: without tissue that tells, only the latter are named.
    """
    from efnst.image.orientation import AS_IT_IS

    fits = bool(matches) and max(matches, key=matches.get) == AS_IT_IS
    if fit is None or fit.is_upright or fits or not (matches or fit.is_mirrored):
        return []
    how = "mirrored" if fit.is_mirrored else "turned"
    what = "x and y may be exchanged" if fit.is_mirrored else "the image may be another way round"
    return [
        f"The positions are {how} against array_row and array_col: {what}. Look at the section's report whether the "
        "spots lie on the tissue."
    ]
