"""Counts of a simulated section: programmes that follow its regions, and programmes that know nothing of them."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, sparse

from efnst.errors import EfnstError
from efnst.simulation.regions import Tissue, smooth_field

MIXING = 0.75  # `space`: part of a region's spots that follow its own programme; the others follow its partner's
MITOCHONDRIAL = (
    *("MT-ND1", "MT-ND2", "MT-CO1", "MT-CO2", "MT-ATP8", "MT-ATP6", "MT-CO3"),
    *("MT-ND3", "MT-ND4L", "MT-ND4", "MT-ND5", "MT-ND6", "MT-CYB"),
)
N_RIBOSOMAL = 40
N_CELL_TYPES = 6  # programmes that vary from spot to spot without regard to regions
BLEED_UM = 40.0  # transcripts drift this far from where they were made


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

    return Programmes(
        log_mean=log_mean,
        region=contrast * _fold_changes(n_regions, free, n_genes, rng),
        gradient=_loadings(2, 0.2, 0.16, free, n_genes, rng),
        cell_type=_loadings(N_CELL_TYPES, 0.15, 0.24, free, n_genes, rng),
        dispersion=rng.gamma(3, 0.1, n_genes) + 0.05,
        depth=rng.normal(0, 0.2, n_regions),
    )


def _fold_changes(n_regions: int, free: np.ndarray, n_genes: int, rng: np.random.Generator) -> np.ndarray:
    """Log fold changes [n_regions, G] of the genes `free`: markers of each region, and genes shared with the next."""
    region = np.zeros((n_regions, n_genes))
    for number in range(n_regions):
        markers = rng.choice(free, max(4, len(free) // 25), replace=False)
        region[number, markers] += rng.choice([1, 1, -1], len(markers)) * rng.gamma(4, 0.135, len(markers))
        shared = rng.choice(free, max(4, len(free) // 20), replace=False)
        region[[[number], [(number + 1) % n_regions]], shared] += rng.normal(0, 0.3, len(shared))
    return region


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

    def drawn(part: slice) -> sparse.csr_matrix:
        rate = np.exp(activity[part] @ loadings + programmes.log_mean.astype(np.float32))
        rate = _share_out(rate, mitochondrial[part]) * library[part, None]
        return sparse.csr_matrix(_negative_binomial(rate, programmes.dispersion, rng))

    parts = (slice(start, start + chunk) for start in range(0, len(library), chunk))
    return sparse.vstack([drawn(part) for part in parts], format="csr")


def _programme_activity(
    tissue: Tissue, programmes: Programmes, shares: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """How active each programme is in each spot in tissue, float32 [n_spots, n_regions + 2 + N_CELL_TYPES]."""
    n_spots, n_nodes = tissue.in_tissue.sum(), max(tissue.raster.shape)
    gradients = [tissue.at_places(smooth_field(tissue.raster.shape, n_nodes / 3, rng)) for _ in programmes.gradient]
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
