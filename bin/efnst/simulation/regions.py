"""Simulated Visium tissue: the spots of the 10x grid, and the regions that lie over them.

Places are in the *array plane*: µm, the spot of array_row 0 and array_col 0 at the origin.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from efnst.errors import EfnstError

PITCH_UM = 100.0  # centre to centre, Visium
ARRAY_ROWS = 78
SPOTS_PER_ROW = 64
COVERAGE = 0.65  # part of the array under tissue
FULL_COVERAGE = 0.9  # as much of a real array as a tissue may cover before the grid outgrows it
MARGIN_UM = 500.0  # glass around the outermost spots
RASTER_UM = 8.0  # step of the region raster
RASTER_SIDE = 1500  # nodes; larger sections get a coarser raster
LAYOUTS = {"layers": 7, "nested": 4, "mixed": 5}  # layout: regions where the caller names no number
OUTSIDE = -1  # region of a place without tissue
SOURCES = ("image", "expression", "space")  # one of them alone may tell a pair of regions apart


@dataclass(frozen=True)
class Grid:
    """A hexagonal array: `array_row`, `array_col` int [n]; `positions_um` float64 [n, 2], x and y."""

    array_row: np.ndarray
    array_col: np.ndarray
    positions_um: np.ndarray


def hexagonal_grid(n_rows: int, spots_per_row: int) -> Grid:
    """Number the spots as 10x does: array_col has the parity of array_row, neighbours in a row differ by 2."""
    array_row = np.repeat(np.arange(n_rows), spots_per_row)
    array_col = 2 * np.tile(np.arange(spots_per_row), n_rows) + array_row % 2
    positions_um = np.column_stack([array_col * PITCH_UM / 2, array_row * PITCH_UM * np.sqrt(3) / 2])
    return Grid(array_row, array_col, positions_um)


def grid_for(n_spots: int) -> Grid:
    """A grid of which about 65 % is `n_spots` spots; above 4,492 spots it is larger than a real array (78 × 64)."""
    array_spots = ARRAY_ROWS * SPOTS_PER_ROW
    n_places = n_spots / COVERAGE
    if n_places > array_spots >= n_spots / FULL_COVERAGE:
        return hexagonal_grid(ARRAY_ROWS, SPOTS_PER_ROW)
    n_rows = int(np.ceil(np.sqrt(n_places * ARRAY_ROWS / SPOTS_PER_ROW)))
    return hexagonal_grid(n_rows, int(np.ceil(n_places / n_rows)))


@dataclass(frozen=True)
class Tissue:
    """Where which region lies.

    `spot_region` int [n_places of the grid], `OUTSIDE` without tissue; `raster` int8 [height, width] is the same on a
    fine raster whose node (0, 0) lies at x = y = -MARGIN_UM of the array plane; `region_names` are the labels; `pair`
    are two neighbouring large regions that one source alone tells apart, where that was asked for.
    """

    grid: Grid
    spot_region: np.ndarray
    raster: np.ndarray
    raster_um: float
    region_names: tuple[str, ...]
    pair: tuple[int, int] | None = None

    @property
    def in_tissue(self) -> np.ndarray:
        """bool [n_places]"""
        return self.spot_region != OUTSIDE

    def on_raster(self, positions_um: np.ndarray) -> np.ndarray:
        """Row and column on the raster, float [2, n], of places in the array plane [n, 2]."""
        return (positions_um[:, ::-1].T + MARGIN_UM) / self.raster_um

    def at_places(self, field: np.ndarray) -> np.ndarray:
        """A field on the raster interpolated at every place of the grid, float [n_places]."""
        return ndimage.map_coordinates(field, self.on_raster(self.grid.positions_um), order=1, mode="nearest")


def simulate_tissue(
    n_spots: int, layout: str, n_regions: int, rng: np.random.Generator, with_pair: bool = False
) -> Tissue:
    """Lay `n_regions` regions with smooth irregular borders over a grid with exactly `n_spots` spots under tissue.

    `with_pair` names a pair of neighbouring bands, the same ones for every `rng`, and makes them the largest (nested:
    as large as any ring).
    """
    _check_request(n_spots, layout, n_regions)
    blank = _without_regions(grid_for(n_spots))
    x, y = _unit_coordinates(blank)
    n_bands = n_regions - _island_kinds(layout, n_regions)
    pair = _neighbouring_bands(layout, n_bands) if with_pair else None

    outline = _outline(x, y, rng, hole=layout == "mixed")
    outline_at_spots = blank.at_places(outline)
    level = np.sort(outline_at_spots)[-n_spots]
    in_tissue = outline_at_spots >= level
    depth = _depth(layout, x, y, rng)
    depth_at_spots = blank.at_places(depth)
    cuts = np.quantile(depth_at_spots[in_tissue], np.cumsum(_area_fractions(layout, n_bands, rng, pair))[:-1])
    allowed = outline_at_spots > np.quantile(outline_at_spots[in_tissue], 0.2)  # away from the edge
    if layout == "nested":
        allowed &= depth_at_spots > cuts[-1]
    islands = _islands(blank, n_regions - n_bands, allowed, rng)

    raster = _classify(outline >= level, depth, cuts, islands).astype(np.int8)
    spot_region = _classify(in_tissue, depth_at_spots, cuts, [blank.at_places(island) for island in islands])
    return Tissue(blank.grid, spot_region, raster, blank.raster_um, _region_names(layout, n_regions), pair)


def _without_regions(grid: Grid) -> Tissue:
    """The grid on its raster, before anything lies on either."""
    size_um = np.ptp(grid.positions_um, axis=0) + 2 * MARGIN_UM
    raster_um = max(RASTER_UM, float(np.max(size_um)) / RASTER_SIDE)
    shape = tuple(np.ceil(size_um[::-1] / raster_um).astype(int) + 1)
    return Tissue(grid, np.zeros(len(grid.array_row), int), np.zeros(shape, np.int8), raster_um, ())


def smooth_field(shape: tuple[int, int], wavelength: float, rng: np.random.Generator) -> np.ndarray:
    """Random field float32 [shape] of mean 0 and standard deviation 1 that varies over about `wavelength` nodes."""
    coarse_shape = [int(np.ceil(side / wavelength)) + 3 for side in shape]
    coarse = rng.standard_normal(coarse_shape, dtype=np.float32)
    scale = np.eye(2) / wavelength
    field = ndimage.affine_transform(coarse, scale, offset=1.0, output_shape=shape, order=3, output=np.float32)
    return (field - field.mean()) / field.std()


def _check_request(n_spots: int, layout: str, n_regions: int) -> None:
    if layout not in LAYOUTS:
        raise EfnstError(f"Expected one of the layouts {', '.join(LAYOUTS)}, found `{layout}`.")
    if not 3 <= n_regions <= 12:
        raise EfnstError(f"Expected 3 to 12 regions, found {n_regions}: choose another number of regions.")
    if n_spots < 20 * n_regions:
        raise EfnstError(
            f"Expected at least {20 * n_regions} spots for {n_regions} regions, found {n_spots}: "
            "ask for more spots or fewer regions."
        )


def _unit_coordinates(tissue: Tissue) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every raster node, float32 [height, width], -1 to 1 over the array."""
    half = np.ptp(tissue.grid.positions_um, axis=0) / 2
    rows, columns = (np.arange(side) * tissue.raster_um - MARGIN_UM for side in tissue.raster.shape)
    x, y = np.meshgrid(columns / half[0] - 1, rows / half[1] - 1)
    return x.astype(np.float32), y.astype(np.float32)


def _outline(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, hole: bool) -> np.ndarray:
    """A field that falls from the middle of the tissue outwards; one of its contours is the edge of the tissue."""
    radius = (np.abs(x) ** 2.5 + np.abs(y) ** 2.5) ** (1 / 2.5)
    outline = -radius + 0.07 * smooth_field(x.shape, max(x.shape) / 4, rng)
    outline += 0.012 * smooth_field(x.shape, max(x.shape) / 24, rng)
    if hole:
        centre = rng.uniform(-0.35, 0.35, 2)
        distance = np.hypot(x - centre[0], 0.7 * (y - centre[1])) + 0.02 * smooth_field(x.shape, max(x.shape) / 16, rng)
        outline -= 3 * np.exp(-((distance / 0.09) ** 2))
    return outline


def _depth(layout: str, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A field whose contours separate bands (layers, mixed) or rings (nested)."""
    angle = rng.uniform(0, 2 * np.pi)
    if layout == "nested":
        centre = 0.2 * np.array([np.cos(angle), np.sin(angle)])
        warp, distance = 0.13, np.hypot(x - centre[0], 0.8 * (y - centre[1]))
    else:  # arcs around a point far outside the tissue
        centre = rng.uniform(1.8, 2.4) * np.array([np.cos(angle), np.sin(angle)])
        warp, distance = 0.09, np.hypot(x - centre[0], y - centre[1])
    fine = smooth_field(x.shape, max(x.shape) / 16, rng)
    return distance + warp * smooth_field(x.shape, max(x.shape) / 5, rng) + 0.15 * warp * fine


def _neighbouring_bands(layout: str, n_bands: int) -> tuple[int, int]:
    """Two bands that lie alike: both in the middle of the tissue, where both or neither meet its edge."""
    first = 0 if layout == "nested" else n_bands // 2 - 1
    return first, first + 1


def _area_fractions(
    layout: str, n_bands: int, rng: np.random.Generator, pair: tuple[int, int] | None = None
) -> np.ndarray:
    """Parts of the area for each band: layers between 1 and 2.5, nested rings 1 each inside a large stroma.

    The layers of a `pair` take the two largest parts.
    """
    fractions = rng.permutation(np.linspace(1.0, 2.5, n_bands))
    if layout == "nested":
        fractions = np.append(np.ones(n_bands - 1), 2.0)
    elif pair:
        fractions = exchange(fractions, (-1, -2), pair)
    fractions *= rng.uniform(0.95, 1.1, n_bands)
    return fractions / fractions.sum()


def exchange(values: np.ndarray, ranks: tuple[int, int], places: tuple[int, int]) -> np.ndarray:
    """Change places among `values` [n] so that the two of these ranks (0 smallest, -1 largest) lie at `places`."""
    values = values.copy()
    for rank, place in zip(ranks, places, strict=True):
        taken_from = np.argsort(values)[rank]
        values[[place, taken_from]] = values[[taken_from, place]]
    return values


def _island_kinds(layout: str, n_regions: int) -> int:
    """How many of the regions are scattered islands (nested) or nodules (mixed) instead of bands."""
    if layout == "layers":
        return 0
    return 1 if n_regions <= 5 else 2 if n_regions <= 7 else 3


def _islands(tissue: Tissue, n_kinds: int, allowed: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """For each kind a field [height, width] that is positive inside its islands, centred on `allowed` spots [n_places].

    Each kind covers about as much as 35 % of `allowed`, shared by all kinds, but at most 12 % of the tissue.
    """
    x, y = (np.arange(side) * tissue.raster_um - MARGIN_UM for side in tissue.raster.shape[::-1])
    n_spots = min(0.35 * allowed.sum() / max(n_kinds, 1), 0.12 * tissue.in_tissue.sum() * COVERAGE)
    n_islands = 3
    radius_um = PITCH_UM * np.sqrt(n_spots / n_islands * np.sqrt(3) / 2 / np.pi)
    centres = _spread_out(tissue.grid.positions_um[allowed], n_kinds * n_islands, rng)
    fields = []
    for kind in range(n_kinds):
        distance = np.full(tissue.raster.shape, np.inf, np.float32)
        for centre in centres[kind::n_kinds]:
            np.minimum(distance, np.hypot(x[None, :] - centre[0], y[:, None] - centre[1]), out=distance)
        wobble = smooth_field(tissue.raster.shape, radius_um / tissue.raster_um, rng)
        fields.append(1 + 0.2 * wobble - distance / radius_um)
    return fields


def _spread_out(places: np.ndarray, n_wanted: int, rng: np.random.Generator) -> np.ndarray:
    """`n_wanted` of `places` [n, 2], each as far from the earlier ones as 40 random candidates allow."""
    chosen = [places[rng.integers(len(places))]]
    while len(chosen) < n_wanted:
        candidates = places[rng.integers(len(places), size=40)]
        distance = np.min([np.hypot(*(candidates - other).T) for other in chosen], axis=0)
        chosen.append(candidates[np.argmax(distance)])
    return np.array(chosen)


def _classify(in_tissue: np.ndarray, depth: np.ndarray, cuts: np.ndarray, islands: list[np.ndarray]) -> np.ndarray:
    """Region of every place: bands by depth, then islands on top of them, `OUTSIDE` without tissue."""
    region = np.searchsorted(cuts, depth)
    for kind, island in enumerate(islands):
        region[island > 0] = len(cuts) + 1 + kind
    return np.where(in_tissue, region, OUTSIDE)


def _region_names(layout: str, n_regions: int) -> tuple[str, ...]:
    n_islands = _island_kinds(layout, n_regions)
    n_bands = n_regions - n_islands
    if layout == "nested":
        rims = ("rim",) if n_bands == 3 else tuple(f"rim_{number}" for number in range(1, n_bands - 1))
        bands, island = ("core", *rims, "stroma"), "islands"
    else:
        bands, island = tuple(f"layer_{number}" for number in range(1, n_bands + 1)), "nodules"
    islands = (island,) if n_islands == 1 else tuple(f"{island}_{number}" for number in range(1, n_islands + 1))
    return (*bands, *islands[:n_islands])
