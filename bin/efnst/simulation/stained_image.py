"""An H&E-like image of a simulated section.

It is drawn in the *image plane* (µm, origin at the top left corner of the image), which is the array plane of the
regions turned a little and shifted; pixels are the image plane divided by the size of a pixel.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.special import ndtri

from efnst.simulation.regions import MARGIN_UM, OUTSIDE, Tissue, exchange, smooth_field

HAEMATOXYLIN = np.array([0.65, 0.70, 0.29], dtype=np.float32)  # optical density per unit of stain, RGB
EOSIN = np.array([0.09, 0.93, 0.36], dtype=np.float32)
GLASS = np.array([243, 242, 245], dtype=np.float32)
STRIP_ROWS = 1024  # an image is rendered in strips of this height
HALO_PX = 4  # rows rendered beyond a strip so that the blur shows no seam
PropertyMaps = Callable[[np.ndarray, float], np.ndarray]  # values per region, blur in µm: a map of the raster


@dataclass(frozen=True)
class Frame:
    """How the array lies in the image: `angle` in radians around `centre_um` [2] of the array, which comes to lie at
    `target_um` [2] of the image plane; `size_um` [2], width and height of the image."""

    angle: float
    centre_um: np.ndarray
    target_um: np.ndarray
    size_um: np.ndarray

    @property
    def rotation(self) -> np.ndarray:
        """[2, 2], for column vectors (x, y)."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cosine, -sine], [sine, cosine]])

    def to_image(self, positions_um: np.ndarray) -> np.ndarray:
        """From the array plane to the image plane, [n, 2]."""
        return (positions_um - self.centre_um) @ self.rotation.T + self.target_um

    def image_shape(self, um_per_px: float) -> tuple[int, int]:
        """Height and width in pixels."""
        width, height = np.rint(self.size_um / um_per_px).astype(int)
        return int(height), int(width)


def simulate_frame(tissue: Tissue, rng: np.random.Generator) -> Frame:
    """A section lies on the slide turned by up to 2° and shifted by up to 60 µm."""
    extent = np.ptp(tissue.grid.positions_um, axis=0)
    size_um = extent + 2 * MARGIN_UM
    target = size_um / 2 + rng.uniform(-60, 60, 2)
    return Frame(float(np.deg2rad(rng.uniform(-2, 2))), extent / 2, target, size_um)


@dataclass(frozen=True)
class Stain:
    """How each region looks, [n_regions] each: `nuclei_per_mm2`, `radius_um` of a nucleus, `darkness` (haematoxylin of
    a nucleus), `eosin` (of what lies between nuclei), `fibres` (how much that varies), `gaps` (part that is empty).

    `drift`, one number: how much the eosin varies over the section without regard to regions; 1 is usual.
    """

    nuclei_per_mm2: np.ndarray
    radius_um: np.ndarray
    darkness: np.ndarray
    eosin: np.ndarray
    fibres: np.ndarray
    gaps: np.ndarray
    drift: float = 1.0


def simulate_stain(n_regions: int, rng: np.random.Generator) -> Stain:
    """Spread each property evenly over the regions, in its own random order."""

    def spread(low: float, high: float) -> np.ndarray:
        return rng.permutation(np.linspace(low, high, n_regions)).astype(np.float32)

    return Stain(
        nuclei_per_mm2=rng.permutation(np.geomspace(2000, 5000, n_regions)).astype(np.float32),
        radius_um=spread(2.9, 3.9),
        darkness=spread(0.8, 1.0),
        eosin=spread(0.35, 0.48),
        fibres=spread(0.12, 0.26),
        gaps=spread(0.0, 0.03),
    )


def separate_stain(stain: Stain, pair: tuple[int, int], source: str) -> Stain:
    """The stain of a section in which `source` alone, one of SOURCES, tells the two regions of `pair` apart.

    For `image` the first has the fewest nuclei and most eosin of all, the second the most nuclei and least eosin; else
    both look the same. There is no drift, which would have different values in any two regions.
    """
    if source == "image":
        nuclei, eosin = exchange(stain.nuclei_per_mm2, (0, -1), pair), exchange(stain.eosin, (-1, 0), pair)
        return replace(stain, nuclei_per_mm2=nuclei, eosin=eosin, drift=0.0)
    alike = np.arange(len(stain.eosin))
    alike[pair[1]] = pair[0]
    properties = {name: values[alike] for name, values in vars(stain).items() if name != "drift"}
    return Stain(**properties, drift=0.0)


@dataclass(frozen=True)
class Appearance:
    """What is drawn, independent of pixels.

    `eosin` and `haze` (diffuse haematoxylin) float32 [raster]; nuclei, sorted by y: `nuclei_um` [n, 2] in the image
    plane, `axes_um` [n, 2], `turn` [n] in radians, `darkness` [n].
    """

    tissue: Tissue
    frame: Frame
    eosin: np.ndarray
    haze: np.ndarray
    nuclei_um: np.ndarray
    axes_um: np.ndarray
    turn: np.ndarray
    darkness: np.ndarray


def simulate_appearance(tissue: Tissue, stain: Stain, frame: Frame, rng: np.random.Generator) -> Appearance:
    """Place nuclei and lay out the eosin of a section."""
    blurred = _property_maps(tissue)
    full = _cover(tissue, stain, blurred, rng)
    eosin = _lay_out_eosin(tissue, stain, blurred, rng) * full
    uneven = (1 + 0.2 * smooth_field(tissue.raster.shape, 120 / tissue.raster_um, rng)).clip(0.2)
    nuclei = _draw_nuclei(tissue, blurred(stain.nuclei_per_mm2, 20.0) * full * uneven, rng)
    nuclei_um = frame.to_image(nuclei)
    order = np.argsort(nuclei_um[:, 1], kind="stable")
    shapes = {name: values[order] for name, values in _shape_nuclei(tissue, stain, nuclei, rng).items()}
    return Appearance(tissue, frame, eosin.astype(np.float32), 0.05 * full, nuclei_um[order], **shapes)


def _cover(tissue: Tissue, stain: Stain, blurred: PropertyMaps, rng: np.random.Generator) -> np.ndarray:
    """How much of each node tissue fills, float32 [raster] from 0 (glass and gaps) to 1."""
    step = tissue.raster_um
    gap_level = ndimage.gaussian_filter(smooth_field(tissue.raster.shape, 45 / step, rng), 0.5)
    gaps = blurred(_upper_quantile(stain.gaps), 15.0) < gap_level
    return ndimage.gaussian_filter((~gaps & (tissue.raster != OUTSIDE)).astype(np.float32), 6 / step)


def _lay_out_eosin(tissue: Tissue, stain: Stain, blurred: PropertyMaps, rng: np.random.Generator) -> np.ndarray:
    """Eosin float [raster] of tissue without gaps: each region's own, with its fibres and the section's drift."""
    shape, step = tissue.raster.shape, tissue.raster_um
    slow = 1 + stain.drift * 0.10 * smooth_field(shape, 900 / step, rng)
    slow += stain.drift * 0.05 * smooth_field(shape, 250 / step, rng)
    fine = smooth_field(shape, max(18 / step, 1.5), rng) * 0.6 + smooth_field(shape, max(45 / step, 2.0), rng) * 0.4
    return blurred(stain.eosin, 25.0) * slow * np.clip(1 + blurred(stain.fibres, 25.0) * fine, 0.2, 2)


def _shape_nuclei(tissue: Tissue, stain: Stain, nuclei: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """`axes_um`, `turn` and `darkness` of Appearance for nuclei [n, 2] in the array plane, in their order."""
    region = tissue.raster[tuple(np.rint(tissue.on_raster(nuclei)).astype(int))]
    region = np.where(region == OUTSIDE, 0, region)
    n_nuclei = len(region)
    radius = stain.radius_um[region] * rng.lognormal(0, 0.16, n_nuclei)
    stretch = rng.uniform(1.0, 1.35, n_nuclei)
    return {
        "axes_um": np.column_stack([radius * stretch, radius / stretch]).astype(np.float32),
        "turn": rng.uniform(0, np.pi, n_nuclei).astype(np.float32),
        "darkness": (stain.darkness[region] * rng.lognormal(0, 0.15, n_nuclei)).astype(np.float32),
    }


def render_image(appearance: Appearance, um_per_px: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the section at a pixel size: uint8 [height, width, 3], in strips of bounded memory."""
    height, width = appearance.frame.image_shape(um_per_px)
    image = np.empty((height, width, 3), np.uint8)
    for first, last in _strips(height):
        top, bottom = max(0, first - HALO_PX), min(height, last + HALO_PX)
        strip = _render_strip(appearance, um_per_px, top, (bottom - top, width), rng)
        image[first:last] = strip[first - top : last - top]
    return image


def _strips(height: int) -> Iterator[tuple[int, int]]:
    for first in range(0, height, STRIP_ROWS):
        yield first, min(first + STRIP_ROWS, height)


def _property_maps(tissue: Tissue) -> PropertyMaps:
    """A function (per-region values, blur in µm) → map float32 [raster]; places outside take the nearest region's."""
    nearest = ndimage.distance_transform_edt(tissue.raster == OUTSIDE, return_distances=False, return_indices=True)
    region = tissue.raster[tuple(nearest)]

    def blurred(values: np.ndarray, blur_um: float) -> np.ndarray:
        return ndimage.gaussian_filter(values.astype(np.float32)[region], blur_um / tissue.raster_um, truncate=3)

    return blurred


def _upper_quantile(part: np.ndarray) -> np.ndarray:
    """The level that a standard normal field exceeds with probability `part` (0 becomes one in a million)."""

    return -ndtri(np.maximum(part, 1e-6))


def _draw_nuclei(tissue: Tissue, per_mm2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Poisson process with the given intensity [raster] per mm²: places [n, 2] in the array plane."""
    expected = per_mm2 * (tissue.raster_um / 1000) ** 2
    nodes = np.repeat(np.arange(expected.size), rng.poisson(expected).ravel())
    row, column = np.unravel_index(nodes, expected.shape)
    within = rng.uniform(-0.49, 0.49, (len(nodes), 2))
    return (np.column_stack([column, row]) + within) * tissue.raster_um - MARGIN_UM


def _render_strip(
    appearance: Appearance, um_per_px: float, top: int, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """uint8 [shape, 3]: the strip whose first row is `top`."""
    nuclei = _stamp_nuclei(appearance, um_per_px, top, shape)
    haematoxylin = _resample(appearance, appearance.haze, um_per_px, top, shape) + 1.1 * (1 - np.exp(-nuclei / 1.1))
    grain = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 1.0)
    eosin = _resample(appearance, appearance.eosin, um_per_px, top, shape) * (1 + 0.25 * grain)
    blur_px = max(0.45, 0.6 / um_per_px)
    density = [ndimage.gaussian_filter(stain, blur_px) for stain in (haematoxylin, eosin)]
    image = GLASS * np.exp(-(density[0][..., None] * HAEMATOXYLIN + density[1][..., None] * EOSIN))
    for channels in (1, 3):  # brightness, then colour
        image += rng.standard_normal((*shape, channels), dtype=np.float32)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _resample(
    appearance: Appearance, field: np.ndarray, um_per_px: float, top: int, shape: tuple[int, int]
) -> np.ndarray:
    """A raster field at the pixels of a strip, float32 [shape]."""
    frame, step = appearance.frame, appearance.tissue.raster_um
    backwards = frame.rotation.T[::-1, ::-1]  # (row, column) instead of (x, y)
    first_pixel = np.array([top + 0.5, 0.5]) * um_per_px
    offset = backwards @ (first_pixel - frame.target_um[::-1]) + frame.centre_um[::-1] + MARGIN_UM
    return ndimage.affine_transform(
        field, backwards * um_per_px / step, offset / step, output_shape=shape, order=1, output=np.float32
    )


def _stamp_nuclei(appearance: Appearance, um_per_px: float, top: int, shape: tuple[int, int]) -> np.ndarray:
    """Sum of the haematoxylin of all nuclei in a strip, float32 [shape]; rims darker, edges antialiased."""
    reach = int(np.ceil(float(appearance.axes_um.max(initial=0)) / um_per_px)) + 1
    bounds = (np.array([top - reach, top + shape[0] + reach])) * um_per_px
    first, last = np.searchsorted(appearance.nuclei_um[:, 1], bounds)
    steps = np.arange(-reach, reach + 1)
    per_batch = max(1, 4_000_000 // len(steps) ** 2)
    canvas = np.zeros(shape[0] * shape[1], np.float32)
    for start in range(first, last, per_batch):
        batch = slice(start, min(start + per_batch, last))
        centre = np.floor(appearance.nuclei_um[batch] / um_per_px).astype(int)
        column = centre[:, 0, None, None] + steps[None, None, :]
        row = centre[:, 1, None, None] + steps[None, :, None]
        value = _nucleus_profile(appearance, batch, (column + 0.5) * um_per_px, (row + 0.5) * um_per_px, um_per_px)
        row, column = np.broadcast_arrays(row - top, column)
        inside = (value > 0) & (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
        flat = row[inside] * shape[1] + column[inside]
        canvas += np.bincount(flat, weights=value[inside], minlength=canvas.size).astype(np.float32)
    return canvas.reshape(shape)


def _nucleus_profile(
    appearance: Appearance, batch: slice, x_um: np.ndarray, y_um: np.ndarray, um_per_px: float
) -> np.ndarray:
    """Haematoxylin of each nucleus of `batch` at the pixels around it, float32 [n, side, side]."""
    centre = appearance.nuclei_um[batch, :, None, None]
    axes = appearance.axes_um[batch, :, None, None]
    turn = appearance.turn[batch, None, None]
    dx, dy = (x_um - centre[:, 0]).astype(np.float32), (y_um - centre[:, 1]).astype(np.float32)
    along = (dx * np.cos(turn) + dy * np.sin(turn)) / axes[:, 0]
    across = (dy * np.cos(turn) - dx * np.sin(turn)) / axes[:, 1]
    radius = np.sqrt(along**2 + across**2)
    cover = np.clip(0.5 + (1 - radius) * axes[:, 1] / um_per_px, 0, 1)
    return appearance.darkness[batch, None, None] * cover * (0.75 + 0.35 * np.minimum(radius, 1) ** 2)
