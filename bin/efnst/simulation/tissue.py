"""Simulated Visium tissue with known regions: spots on the 10x grid, counts, and an H&E-like image.

Three planes are used. The *array plane* (µm, spot of array_row 0 and array_col 0 at the origin) holds spots and
regions; the *image plane* (µm, origin at the top left corner of the image) is the array plane turned a little and
shifted; pixels are the image plane divided by the size of a pixel.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, sparse
from scipy.special import ndtri

from efnst.errors import EfnstError

PITCH_UM = 100.0  # centre to centre, Visium
SPOT_UM = 55.0
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
MIXING = 0.75  # `space`: part of a region's spots that follow its own programme; the others follow its partner's
MITOCHONDRIAL = (
    *("MT-ND1", "MT-ND2", "MT-CO1", "MT-CO2", "MT-ATP8", "MT-ATP6", "MT-CO3"),
    *("MT-ND3", "MT-ND4L", "MT-ND4", "MT-ND5", "MT-ND6", "MT-CYB"),
)
N_RIBOSOMAL = 40
N_CELL_TYPES = 6  # programmes that vary from spot to spot without regard to regions
BLEED_UM = 40.0  # transcripts drift this far from where they were made
HAEMATOXYLIN = np.array([0.65, 0.70, 0.29], dtype=np.float32)  # optical density per unit of stain, RGB
EOSIN = np.array([0.09, 0.93, 0.36], dtype=np.float32)
GLASS = np.array([243, 242, 245], dtype=np.float32)
STRIP_ROWS = 1024  # an image is rendered in strips of this height
HALO_PX = 4  # rows rendered beyond a strip so that the blur shows no seam


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


def simulate_tissue(
    n_spots: int, layout: str, n_regions: int, rng: np.random.Generator, with_pair: bool = False
) -> Tissue:
    """Lay `n_regions` regions with smooth irregular borders over a grid with exactly `n_spots` spots under tissue.

    `with_pair` names a pair of neighbouring bands, the same ones for every `rng`, and makes them the largest (nested:
    as large as any ring).
    """
    _check_request(n_spots, layout, n_regions)
    grid = grid_for(n_spots)
    raster_um = max(RASTER_UM, float(np.max(np.ptp(grid.positions_um, axis=0)) + 2 * MARGIN_UM) / RASTER_SIDE)
    shape = tuple(np.ceil((np.ptp(grid.positions_um, axis=0)[::-1] + 2 * MARGIN_UM) / raster_um).astype(int) + 1)
    unlabelled = Tissue(grid, np.zeros(len(grid.array_row), int), np.zeros(shape, np.int8), raster_um, ())
    x, y = _unit_coordinates(unlabelled)

    outline = _outline(x, y, rng, hole=layout == "mixed")
    outline_at_spots = _at_spots(unlabelled, outline)
    level = np.sort(outline_at_spots)[-n_spots]
    in_tissue = outline_at_spots >= level

    n_islands = _island_kinds(layout, n_regions)
    pair = _neighbouring_bands(layout, n_regions - n_islands) if with_pair else None
    depth = _depth(layout, x, y, rng)
    depth_at_spots = _at_spots(unlabelled, depth)
    fractions = _area_fractions(layout, n_regions - n_islands, rng, pair)
    cuts = np.quantile(depth_at_spots[in_tissue], np.cumsum(fractions)[:-1])
    away_from_edge = outline_at_spots > np.quantile(outline_at_spots[in_tissue], 0.2)
    allowed = away_from_edge & (depth_at_spots > cuts[-1]) if layout == "nested" else away_from_edge
    islands = _islands(unlabelled, n_islands, allowed, rng)

    raster = _classify(outline >= level, depth, cuts, islands)
    at_spots = [_at_spots(unlabelled, island) for island in islands]
    spot_region = _classify(in_tissue, depth_at_spots, cuts, at_spots)
    return Tissue(grid, spot_region, raster.astype(np.int8), raster_um, _region_names(layout, n_regions), pair)


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


def _at_spots(tissue: Tissue, field: np.ndarray) -> np.ndarray:
    """The field interpolated at every place of the grid, float [n_places]."""
    return ndimage.map_coordinates(field, tissue.on_raster(tissue.grid.positions_um), order=1, mode="nearest")


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
        fractions = _exchange(fractions, (-1, -2), pair)
    fractions *= rng.uniform(0.95, 1.1, n_bands)
    return fractions / fractions.sum()


def _exchange(values: np.ndarray, ranks: tuple[int, int], places: tuple[int, int]) -> np.ndarray:
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


@dataclass(frozen=True)
class Programmes:
    """What makes regions differ in expression; G genes, natural logarithms.

    `log_mean` [G]; `region` [n_regions, G], log fold change of each region; `gradient` [2, G], loadings of two smooth
    fields that know nothing of regions; `cell_type` [N_CELL_TYPES, G], loadings of programmes that vary from spot to
    spot; `dispersion` [G] of the negative binomial; `depth` [n_regions], log library size of a region.
    """

    log_mean: np.ndarray
    region: np.ndarray
    gradient: np.ndarray
    cell_type: np.ndarray
    dispersion: np.ndarray
    depth: np.ndarray


def gene_names(n_genes: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and symbols [G]: mitochondrial, ribosomal, then `GENE0001` …; the last two symbols repeat earlier ones."""
    if n_genes < 100:
        raise EfnstError(f"Expected at least 100 genes, found {n_genes}: ask for more genes.")
    ribosomal = [f"RP{'L' if number % 2 else 'S'}{3 + number // 2}" for number in range(N_RIBOSOMAL)]
    n_others = n_genes - len(MITOCHONDRIAL) - N_RIBOSOMAL
    symbols = [*MITOCHONDRIAL, *ribosomal, *(f"GENE{number:04d}" for number in range(1, n_others + 1))]
    symbols[-2:] = symbols[-12:-10]
    ids = [f"ENSG{900000 + number:011d}" for number in range(n_genes)]
    return np.array(ids), np.array(symbols)


def simulate_programmes(n_genes: int, n_regions: int, rng: np.random.Generator, contrast: float = 1.0) -> Programmes:
    """Draw the programmes: neighbouring regions share one, and a fifth of the genes (housekeeping) are in none.

    `contrast` multiplies the log fold changes between regions. At 1, with 1,800 spots, 2,000 genes and 4,500 counts,
    clustering without space is wrong about many spots, and smoothing over neighbours repairs most of them.
    """
    special = len(MITOCHONDRIAL) + N_RIBOSOMAL
    log_mean = rng.normal(0, 1.5, n_genes)
    log_mean[len(MITOCHONDRIAL) : special] = rng.normal(2.0, 0.4, N_RIBOSOMAL)
    housekeeping = rng.random(n_genes) < 0.2
    housekeeping[:special] = True
    free = np.flatnonzero(~housekeeping)

    region = np.zeros((n_regions, n_genes))
    for number in range(n_regions):
        markers = rng.choice(free, max(4, len(free) // 25), replace=False)
        region[number, markers] += rng.choice([1, 1, -1], len(markers)) * rng.gamma(4, 0.135, len(markers))
        shared = rng.choice(free, max(4, len(free) // 20), replace=False)
        region[[[number], [(number + 1) % n_regions]], shared] += rng.normal(0, 0.3, len(shared))
    return Programmes(
        log_mean=log_mean,
        region=contrast * region,
        gradient=_loadings(2, 0.2, 0.16, free, n_genes, rng),
        cell_type=_loadings(N_CELL_TYPES, 0.15, 0.24, free, n_genes, rng),
        dispersion=rng.gamma(3, 0.1, n_genes) + 0.05,
        depth=rng.normal(0, 0.2, n_regions),
    )


def separate_programmes(programmes: Programmes, pair: tuple[int, int], source: str) -> Programmes:
    """The programmes of a section in which `source` alone, one of SOURCES, tells the two regions of `pair` apart.

    Both have one library size, and for `image` one programme. There are no gradients: a smooth field has different
    values in any two regions.
    """
    region, depth = programmes.region.copy(), programmes.depth.copy()
    depth[pair[1]] = depth[pair[0]]
    if source == "image":
        region[pair[1]] = region[pair[0]]
    return replace(programmes, region=region, depth=depth, gradient=np.zeros_like(programmes.gradient))


def _loadings(n: int, part: float, sd: float, free: np.ndarray, n_genes: int, rng: np.random.Generator) -> np.ndarray:
    """`n` programmes [n, G], each over a random `part` of the genes `free`, loadings of standard deviation `sd`."""
    loadings = np.zeros((n, n_genes))
    for programme in loadings:
        genes = rng.choice(free, int(part * len(free)), replace=False)
        programme[genes] = rng.normal(0, sd, len(genes))
    return loadings


def simulate_counts(
    tissue: Tissue,
    programmes: Programmes,
    median_counts: float,
    rng: np.random.Generator,
    chunk: int = 2000,
    shares: np.ndarray | None = None,
) -> sparse.csr_matrix:
    """Counts int32 CSR [n_spots, G] of the spots in tissue, in grid order.

    Negative binomial (gamma-Poisson) around region, gradient and cell type programmes, with log-normal library sizes
    of median about `median_counts`; 1 % of the spots have nearly no counts and 1 % a very high mitochondrial share.
    Memory is bounded by `chunk` spots × G beside the sparse result.
    `shares` float [n_spots, n_regions] says how much of each region's programme is in a spot; None: `region_shares`.
    """
    activity = _programme_activity(tissue, programmes, region_shares(tissue) if shares is None else shares, rng)
    loadings = np.vstack([programmes.region, programmes.gradient, programmes.cell_type]).astype(np.float32)
    library, mitochondrial = _spot_quality(tissue, programmes, median_counts, rng)
    chunks = []
    for start in range(0, len(library), chunk):
        part = slice(start, start + chunk)
        rate = np.exp(activity[part] @ loadings + programmes.log_mean.astype(np.float32))
        rate = _share_out(rate, mitochondrial[part]) * library[part, None]
        chunks.append(sparse.csr_matrix(_negative_binomial(rate, programmes.dispersion, rng)))
    return sparse.vstack(chunks, format="csr")


def _programme_activity(
    tissue: Tissue, programmes: Programmes, shares: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """How active each programme is in each spot in tissue, float32 [n_spots, n_regions + 2 + N_CELL_TYPES]."""
    n_spots, n_nodes = tissue.in_tissue.sum(), max(tissue.raster.shape)
    gradients = [_at_spots(tissue, smooth_field(tissue.raster.shape, n_nodes / 3, rng)) for _ in programmes.gradient]
    cell_types = rng.standard_normal((n_spots, N_CELL_TYPES))
    return np.column_stack([shares, np.array(gradients).T[tissue.in_tissue], cell_types]).astype(np.float32)


def region_shares(tissue: Tissue) -> np.ndarray:
    """From which region a spot's transcripts come, float [n_spots, n_regions]: its own, and at borders others too."""
    where = np.rint(tissue.on_raster(tissue.grid.positions_um[tissue.in_tissue])).astype(int)
    sigma = BLEED_UM / tissue.raster_um
    shares = np.empty((where.shape[1], len(tissue.region_names)), np.float32)
    for region in range(shares.shape[1]):
        inside = (tissue.raster == region).astype(np.float32)
        shares[:, region] = ndimage.gaussian_filter(inside, sigma, truncate=3)[tuple(where)]
    return shares / shares.sum(axis=1, keepdims=True)


def mixed_shares(tissue: Tissue, rng: np.random.Generator) -> np.ndarray:
    """`region_shares` where both regions of the pair are made of the same two kinds of spots.

    Each spot draws one of the pair's two programmes and takes from it what would come from either region: with
    probability MIXING the programme of the region it lies in, else that of the other.
    """
    shares = region_shares(tissue)
    pair = list(tissue.pair)
    own = shares[:, pair].argmax(axis=1)
    kind = np.where(rng.random(len(own)) < MIXING, own, 1 - own)
    shares[:, pair] = shares[:, pair].sum(axis=1, keepdims=True) * np.eye(2)[kind]
    return shares


def _spot_quality(
    tissue: Tissue, programmes: Programmes, median_counts: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Library size and mitochondrial share of each spot in tissue, float32 [n_spots] each, with a few bad spots."""
    region = tissue.spot_region[tissue.in_tissue]
    n_spots = len(region)
    library = median_counts * np.exp(programmes.depth[region] + rng.normal(0, 0.35, n_spots))
    mitochondrial = np.clip(0.09 * np.exp(rng.normal(0, 0.25, n_spots)), 0.02, 0.3)
    poor, dying = np.array_split(rng.choice(n_spots, max(2, n_spots // 50), replace=False), 2)
    library[poor] *= rng.uniform(0.005, 0.03, len(poor))
    mitochondrial[dying] = rng.uniform(0.4, 0.7, len(dying))
    return library.astype(np.float32), mitochondrial.astype(np.float32)


def _share_out(rate: np.ndarray, mitochondrial: np.ndarray) -> np.ndarray:
    """Scale rates [n, G] so that each spot sums to 1 with the given mitochondrial share [n]."""
    n = len(MITOCHONDRIAL)
    rate[:, :n] *= (mitochondrial / rate[:, :n].sum(axis=1))[:, None]
    rate[:, n:] *= ((1 - mitochondrial) / rate[:, n:].sum(axis=1))[:, None]
    return rate


def _negative_binomial(mean: np.ndarray, dispersion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw int32 [n, G] with the given mean [n, G] and variance mean + dispersion · mean²; dispersion [G]."""
    size = np.broadcast_to((1 / dispersion).astype(np.float32), mean.shape)
    rate = rng.standard_gamma(size, dtype=np.float32) * (mean / size)
    return rng.poisson(rate).astype(np.int32)


def simulate_expression(
    n_spots: int, n_genes: int, n_regions: int, seed: int, layout: str = "mixed", median_counts: float = 4500.0
) -> tuple[np.ndarray, np.ndarray, sparse.csr_matrix]:
    """A section without image and files, for tests of scale.

    Returns positions in µm, float64 [n_spots, 2]; names of the regions [n_spots]; counts, int32 CSR [n_spots, n_genes].
    """
    rng = np.random.default_rng(seed)
    gene_names(n_genes)  # refuses too few genes
    tissue = simulate_tissue(n_spots, layout, n_regions, rng)
    counts = simulate_counts(tissue, simulate_programmes(n_genes, n_regions, rng), median_counts, rng)
    labels = np.array(tissue.region_names)[tissue.spot_region[tissue.in_tissue]]
    return tissue.grid.positions_um[tissue.in_tissue], labels, counts


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
        nuclei, eosin = _exchange(stain.nuclei_per_mm2, (0, -1), pair), _exchange(stain.eosin, (-1, 0), pair)
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
    shape, step = tissue.raster.shape, tissue.raster_um
    blurred = _property_maps(tissue)
    gap_level = ndimage.gaussian_filter(smooth_field(shape, 45 / step, rng), 0.5)
    gaps = blurred(_upper_quantile(stain.gaps), 15.0) < gap_level
    full = ndimage.gaussian_filter((~gaps & (tissue.raster != OUTSIDE)).astype(np.float32), 6 / step)

    slow = 1 + stain.drift * 0.10 * smooth_field(shape, 900 / step, rng)
    slow += stain.drift * 0.05 * smooth_field(shape, 250 / step, rng)
    fine = smooth_field(shape, max(18 / step, 1.5), rng) * 0.6 + smooth_field(shape, max(45 / step, 2.0), rng) * 0.4
    eosin = blurred(stain.eosin, 25.0) * slow * np.clip(1 + blurred(stain.fibres, 25.0) * fine, 0.2, 2) * full
    density = blurred(stain.nuclei_per_mm2, 20.0) * full * (1 + 0.2 * smooth_field(shape, 120 / step, rng)).clip(0.2)
    nuclei = _draw_nuclei(tissue, density, rng)
    region = tissue.raster[tuple(np.rint(tissue.on_raster(nuclei)).astype(int))]
    region = np.where(region == OUTSIDE, 0, region)

    nuclei_um = frame.to_image(nuclei)
    order = np.argsort(nuclei_um[:, 1], kind="stable")
    radius = stain.radius_um[region] * rng.lognormal(0, 0.16, len(region))
    stretch = rng.uniform(1.0, 1.35, len(region))
    return Appearance(
        tissue=tissue,
        frame=frame,
        eosin=eosin.astype(np.float32),
        haze=0.05 * full,
        nuclei_um=nuclei_um[order],
        axes_um=np.column_stack([radius * stretch, radius / stretch]).astype(np.float32)[order],
        turn=rng.uniform(0, np.pi, len(region)).astype(np.float32)[order],
        darkness=(stain.darkness[region] * rng.lognormal(0, 0.15, len(region))).astype(np.float32)[order],
    )


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


def _property_maps(tissue: Tissue) -> Callable[[np.ndarray, float], np.ndarray]:
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


@dataclass(frozen=True)
class Specimen:
    """A section before microscope and sequencer: `counts` int32 CSR [n_spots in tissue, G], in grid order.

    `separated_by`: the source that alone tells `tissue.pair` apart, where that was asked for.
    """

    tissue: Tissue
    appearance: Appearance
    counts: sparse.csr_matrix
    separated_by: str | None = None


@dataclass(frozen=True)
class Recipe:
    """How large and how difficult a section is; `n_regions` None takes the layout's own number.

    `separated_by`, one of SOURCES, makes a section in which one pair of neighbouring large regions (`Tissue.pair`)
    differs in one thing only: `image`, its stain and nuclei; `expression`, its programme; `space`, the proportions of
    two kinds of spots that both regions are made of. The other regions differ in image and expression as always;
    gradients of expression and drift of the stain, which would tell any two places apart, are left out.
    """

    n_spots: int = 1800
    n_genes: int = 2000
    n_regions: int | None = None
    median_counts: float = 4500.0
    contrast: float = 1.0
    um_per_px: float = 0.5  # of the full-resolution image
    separated_by: str | None = None


def simulate_specimen(layout: str, recipe: Recipe, kind: np.random.Generator, rng: np.random.Generator) -> Specimen:
    """A section whose programmes and stain come from `kind`, and everything else from `rng`.

    Two specimens of one `kind` are the same kind of tissue in different shapes.
    """
    source = recipe.separated_by
    if source not in (None, *SOURCES):
        raise EfnstError(f"Expected regions separated by one of {', '.join(SOURCES)}, found `{source}`.")
    n_regions = recipe.n_regions or LAYOUTS[layout]
    tissue = simulate_tissue(recipe.n_spots, layout, n_regions, rng, with_pair=source is not None)
    programmes = simulate_programmes(recipe.n_genes, n_regions, kind, recipe.contrast)
    stain = simulate_stain(n_regions, kind)
    if source:
        programmes = separate_programmes(programmes, tissue.pair, source)
        stain = separate_stain(stain, tissue.pair, source)
    shares = mixed_shares(tissue, rng) if source == "space" else region_shares(tissue)
    counts = simulate_counts(tissue, programmes, recipe.median_counts, rng, shares=shares)
    return Specimen(tissue, simulate_appearance(tissue, stain, simulate_frame(tissue, rng), rng), counts, source)
