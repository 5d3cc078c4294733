"""Whether a picture shows what another shows, or where tissue is, as it lies or turned and mirrored."""

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

COMPARED_PX = 256  # longest side of pictures that are compared
MAX_SHIFT = 0.03  # of that side, by which one may be shifted against the other
DETAIL_PX = (1.5, 8.0)  # finer is noise, coarser is what all round pieces of tissue have in common
AS_IT_IS = "as it is"
WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    AS_IT_IS: lambda picture: picture,
    "turned by 90° to the left": lambda picture: np.rot90(picture, 1),
    "turned by 180°": lambda picture: np.rot90(picture, 2),
    "turned by 90° to the right": lambda picture: np.rot90(picture, 3),
    "mirrored left to right": lambda picture: picture[:, ::-1],
    "mirrored top to bottom": lambda picture: picture[::-1],
    "mirrored along its diagonal (x and y exchanged)": lambda picture: picture.swapaxes(0, 1),
    "mirrored along its other diagonal": lambda picture: np.rot90(picture, 2).swapaxes(0, 1),
}
RING = 4.0  # pitches around the spots in which there should be no tissue
COVERED = 0.75  # pitches around a spot that count for its tissue
LOOKED_AT = 100_000  # places, all over; Visium HD has millions
MIN_SHARE = 0.03  # of places with and without tissue, below which nothing can be said


def picture_matches(reference: Image.Image, picture: Image.Image) -> dict[str, float]:
    """The correlation of the picture's detail with that of the reference for each of the `WAYS`, -1 to 1.

    Empty where one of them is blank.
    """
    size = _fitted(reference.size)
    detail = _detail(np.asarray(reference.convert("L").resize(size), float))
    grey = np.asarray(picture.convert("L"))
    turned = {
        way: _detail(np.asarray(Image.fromarray(np.ascontiguousarray(turn(grey))).resize(size), float))
        for way, turn in WAYS.items()
    }
    if not detail.any() or not turned[AS_IT_IS].any():
        return {}
    return {way: _correlation(detail, other) for way, other in turned.items()}


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height with `COMPARED_PX` on the longer side."""
    return tuple(max(1, round(side * COMPARED_PX / max(size))) for side in size)


def _detail(grey: np.ndarray) -> np.ndarray:
    """What of a picture [height, width] is neither noise nor the shape of the tissue, of mean 0 and length 1."""
    fine, coarse = (gaussian_filter(grey, width, mode="nearest") for width in DETAIL_PX)
    detail = fine - coarse - (fine - coarse).mean()
    length = np.linalg.norm(detail)
    return detail / length if length > 1e-6 * grey.size else np.zeros_like(detail)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two details of one shape, at the shift up to `MAX_SHIFT` that makes it largest."""
    shifted = np.fft.irfft2(np.fft.rfft2(one) * np.conj(np.fft.rfft2(other)), one.shape)
    reach = round(MAX_SHIFT * COMPARED_PX)
    rows, columns = (np.unique(np.arange(-reach, reach + 1) % side) for side in one.shape)
    return float(shifted[np.ix_(rows, columns)].max())


def tissue_matches(picture: Image.Image, xy: np.ndarray, in_tissue: np.ndarray, pitch_px: float) -> dict[str, float]:
    """The correlation of spots in tissue with what looks like tissue in the picture for each of the `WAYS`, -1 to 1.

    `xy` float64 [n, 2] and `pitch_px` are in px of the picture, `in_tissue` bool [n]. Where no spots off tissue are
    given, places around the spots stand for them. Empty where (nearly) all places are on tissue, or none.
    """
    pitch_px = max(pitch_px, 2.0)
    xy, in_tissue = _looked_at(xy, in_tissue, pitch_px, picture.size)
    if not MIN_SHARE <= in_tissue.mean() <= 1 - MIN_SHARE:
        return {}
    tissue = gaussian_filter(_unlike_glass(np.asarray(picture, float)), pitch_px / 3)
    tissue = np.minimum(tissue, np.quantile(tissue, 0.9))  # ink and folds count for no more than tissue
    return {way: _agreement(turn(tissue), xy, in_tissue) for way, turn in WAYS.items()}


def bright_tissue(
    picture: Image.Image, xy: np.ndarray, in_tissue: np.ndarray, pitch_px: float
) -> tuple[float, float] | None:
    """The correlation of spots in tissue with brightness, and how bright the places off tissue are (median, 0 to 255).

    The brightness of a pixel is that of its brightest channel, so that a fluorescence of any colour counts. The
    arguments are those of `tissue_matches`; None where that is empty, or all places of one kind lie outside.
    """
    pitch_px = max(pitch_px, 2.0)
    xy, in_tissue = _looked_at(xy, in_tissue, pitch_px, picture.size)
    brightness = gaussian_filter(np.asarray(picture, float).max(axis=2), pitch_px / 3)
    values, spots = _values(brightness, xy, in_tissue)
    if not MIN_SHARE <= in_tissue.mean() <= 1 - MIN_SHARE or spots.all() or not spots.any():
        return None
    most = np.quantile(values[spots], 0.9)  # debris that shines counts for no more than tissue
    return _agreement(np.minimum(brightness, most), xy, in_tissue), float(np.median(values[~spots]))


def _looked_at(
    xy: np.ndarray, in_tissue: np.ndarray, pitch_px: float, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Spots on and off tissue, with places around them where (nearly) none are off it; not more than are needed."""
    if (~in_tissue).mean() < MIN_SHARE:
        xy, in_tissue = _with_ring(xy[in_tissue], pitch_px, size)
    step = -(-len(xy) // LOOKED_AT)
    return xy[::step], in_tissue[::step]


def _with_ring(spots: np.ndarray, pitch_px: float, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Places within `RING` pitches of the spots, and which of them are spots."""
    columns, rows = (np.arange(0, side, pitch_px / 2) for side in size)
    places = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    distance = cKDTree(spots).query(places, distance_upper_bound=RING * pitch_px)[0] / pitch_px
    near = np.isfinite(distance)
    return places[near], distance[near] < COVERED


def _unlike_glass(colours: np.ndarray) -> np.ndarray:
    """How far the colour of each pixel is from that of the brightest parts, [height, width]."""
    darkest = colours.min(axis=2)
    glass = np.median(colours[darkest >= np.quantile(darkest, 0.8)], axis=0)
    return np.linalg.norm(colours - glass, axis=2)


def _agreement(tissue: np.ndarray, xy: np.ndarray, in_tissue: np.ndarray) -> float:
    """The correlation of `in_tissue` with the picture of tissue at these places; -1 where half of them lie outside."""
    values, spots = _values(tissue, xy, in_tissue)
    if len(spots) < 0.5 * len(xy) or spots.min(initial=1) == spots.max(initial=0) or not np.ptp(values):
        return -1.0
    return float(np.corrcoef(values, spots)[0, 1])


def _values(field: np.ndarray, xy: np.ndarray, in_tissue: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a picture [height, width] has at the places that lie in it, and which of these are in tissue."""
    column, row = xy.astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < field.shape[1]) & (row < field.shape[0])
    return field[row[inside], column[inside]], in_tissue[inside]
