"""Grid, regions, counts and image of the simulated tissue."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import sparse
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.ndimage import label as connected
from scipy.spatial import cKDTree
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from efnst.errors import EfnstError
from efnst.simulation.counts import (
    MITOCHONDRIAL,
    MIXING,
    Programmes,
    gene_names,
    mixed_shares,
    region_shares,
    separate_programmes,
    simulate_counts,
    simulate_programmes,
)
from efnst.simulation.regions import LAYOUTS, OUTSIDE, SOURCES, Tissue, grid_for, hexagonal_grid, simulate_tissue
from efnst.simulation.specimen import Recipe, Specimen, simulate_expression, simulate_specimen
from efnst.simulation.stained_image import Stain, render_image, separate_stain, simulate_appearance


def test_grid_of_two_rows_by_hand() -> None:
    grid = hexagonal_grid(2, 3)
    assert grid.array_row.tolist() == [0, 0, 0, 1, 1, 1]
    assert grid.array_col.tolist() == [0, 2, 4, 1, 3, 5]
    height = 86.60254037844386  # 100 µm · √3 / 2
    expected = [[0, 0], [100, 0], [200, 0], [50, height], [150, height], [250, height]]
    np.testing.assert_allclose(grid.positions_um, expected)


def test_whole_array_has_the_numbers_of_10x() -> None:
    grid = hexagonal_grid(78, 64)
    assert len(grid.array_row) == 4992
    assert grid.array_row.max() == 77
    assert (grid.array_col.min(), grid.array_col.max()) == (0, 127)
    np.testing.assert_array_equal(grid.array_row % 2, grid.array_col % 2)


def test_every_inner_spot_has_six_neighbours_at_one_pitch() -> None:
    grid = hexagonal_grid(7, 7)
    tree = cKDTree(grid.positions_um)
    distance, _ = tree.query(grid.positions_um, k=7)
    inner = (
        (grid.array_row > 0) & (grid.array_row < 6) & (grid.array_col > 1) & (grid.array_col < grid.array_col.max() - 1)
    )
    assert inner.sum() == 25
    np.testing.assert_allclose(distance[inner, 1:], 100.0)


@pytest.mark.parametrize(
    ("n_spots", "n_places"), [(1800, (2700, 2900)), (4000, (4992, 4992)), (60_000, (92_000, 94_000))]
)
def test_grid_is_as_large_as_the_spots_need(n_spots: int, n_places: tuple[int, int]) -> None:
    assert n_places[0] <= len(grid_for(n_spots).array_row) <= n_places[1]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n_regions", [4, 5, 7, 9])
def test_regions_are_all_there_and_none_is_tiny(layout: str, n_regions: int) -> None:
    tissue = simulate_tissue(900, layout, n_regions, np.random.default_rng(n_regions))
    assert tissue.in_tissue.sum() == 900
    assert len(set(tissue.region_names)) == n_regions
    sizes = np.bincount(tissue.spot_region[tissue.in_tissue], minlength=n_regions)
    assert len(sizes) == n_regions
    assert sizes.min() >= 10


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tissue_is_one_piece_smaller_than_the_array(layout: str) -> None:
    tissue = simulate_tissue(900, layout, 5, np.random.default_rng(1))
    grid = tissue.grid
    corner = (grid.array_row % grid.array_row.max() == 0) & (
        np.abs(grid.array_col - grid.array_col.mean()) > grid.array_col.mean() - 2
    )
    assert not tissue.in_tissue[corner].any()
    _, n_pieces = connected(tissue.raster != OUTSIDE)
    assert n_pieces == 1


def test_mixed_tissue_has_a_hole() -> None:
    tissue = simulate_tissue(900, "mixed", 5, np.random.default_rng(1))
    _, n_outside = connected(tissue.raster == OUTSIDE)
    assert n_outside == 2


def test_spots_agree_with_the_raster() -> None:
    tissue = simulate_tissue(900, "nested", 4, np.random.default_rng(3))
    where = np.rint(tissue.on_raster(tissue.grid.positions_um)).astype(int)
    assert np.mean(tissue.raster[tuple(where)] == tissue.spot_region) > 0.98


def test_neighbouring_spots_mostly_share_their_region() -> None:
    tissue = simulate_tissue(900, "layers", 7, np.random.default_rng(3))
    positions, region = tissue.grid.positions_um[tissue.in_tissue], tissue.spot_region[tissue.in_tissue]
    pairs = cKDTree(positions).query_pairs(101, output_type="ndarray")
    assert np.mean(region[pairs[:, 0]] == region[pairs[:, 1]]) > 0.75


def touching(tissue: Tissue) -> np.ndarray:
    """Pairs of neighbouring spots in tissue, int [n_pairs, 2]."""
    return cKDTree(tissue.grid.positions_um[tissue.in_tissue]).query_pairs(101, output_type="ndarray")


@pytest.mark.parametrize(("layout", "pair"), [("layers", (2, 3)), ("nested", (0, 1)), ("mixed", (1, 2))])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_pair_is_the_same_for_every_shape_large_and_side_by_side(
    layout: str, pair: tuple[int, int], seed: int
) -> None:
    tissue = simulate_tissue(900, layout, LAYOUTS[layout], np.random.default_rng(seed), with_pair=True)
    assert tissue.pair == pair
    region = tissue.spot_region[tissue.in_tissue]
    assert np.bincount(region)[list(pair)].min() > 0.15 * 900
    ends = np.sort(region[touching(tissue)], axis=1)
    assert np.sum(np.all(ends == pair, axis=1)) > 30


def test_layers_of_a_pair_are_the_largest_and_the_outline_stays() -> None:
    plain = simulate_tissue(900, "layers", 7, np.random.default_rng(3))
    paired = simulate_tissue(900, "layers", 7, np.random.default_rng(3), with_pair=True)
    assert plain.pair is None
    np.testing.assert_array_equal(plain.in_tissue, paired.in_tissue)
    sizes = np.bincount(paired.spot_region[paired.in_tissue])
    assert set(np.argsort(sizes)[-2:]) == {2, 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((900, "stripes", 4), "layouts"),
        ((900, "layers", 2), "3 to 12 regions"),
        ((50, "layers", 7), "at least 140 spots"),
    ],
)
def test_impossible_tissues_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(EfnstError, match=message):
        simulate_tissue(*arguments, np.random.default_rng(0))


def test_gene_names() -> None:
    ids, symbols = gene_names(2000)
    assert len(set(ids)) == len(ids) == 2000
    assert {len(name) for name in ids} == {15}
    assert len(symbols) - len(set(symbols)) == 2
    assert tuple(symbols[:13]) == MITOCHONDRIAL
    assert sum(name.startswith(("RPL", "RPS")) for name in symbols) == 40
    with pytest.raises(EfnstError, match="at least 100 genes"):
        gene_names(60)


def counts_of(n_spots: int = 800, median_counts: float = 4500.0, chunk: int = 2000) -> sparse.csr_matrix:
    rng = np.random.default_rng(5)
    tissue = simulate_tissue(n_spots, "layers", 4, rng)
    return simulate_counts(tissue, simulate_programmes(600, 4, rng), median_counts, rng, chunk)


def test_library_sizes_mitochondrial_share_and_bad_spots() -> None:
    counts = counts_of()
    totals = np.asarray(counts.sum(axis=1)).ravel()
    share = np.asarray(counts[:, :13].sum(axis=1)).ravel() / totals
    assert counts.dtype == np.int32
    assert counts.data.min() > 0
    assert 3000 < np.median(totals) < 6500
    assert 0.05 < np.median(share) < 0.15
    assert np.sum(totals < 300) == 8  # 1 % of 800
    assert np.sum(share > 0.35) == 8


def test_counts_are_overdispersed_around_housekeeping_means() -> None:
    counts = counts_of(median_counts=20_000).toarray().astype(float)
    totals = counts.sum(axis=1)
    usual = (totals > 2000) & (counts[:, :13].sum(axis=1) < 0.3 * totals)
    ribosomal = (counts[usual] / totals[usual, None] * np.median(totals))[:, 13:53]
    mean, variance = ribosomal.mean(axis=0), ribosomal.var(axis=0)
    dispersion = np.median((variance - mean) / mean**2)
    assert 0.15 < dispersion < 0.7  # drawn as 0.05 + Gamma(3, 0.1): median 0.32


def test_marker_genes_differ_between_regions() -> None:
    rng = np.random.default_rng(5)
    programmes = simulate_programmes(600, 4, rng)
    assert np.all(np.sum(programmes.region != 0, axis=1) > 20)
    assert np.all(programmes.region[:, :53] == 0)
    shared = (programmes.region[0] != 0) & (programmes.region[1] != 0)
    assert shared.sum() >= 10
    np.testing.assert_allclose(
        simulate_programmes(600, 4, np.random.default_rng(5), contrast=2.0).region, 2 * programmes.region
    )


def test_expression_is_the_same_for_a_seed_only() -> None:
    first, second, other = (simulate_expression(300, 200, 4, seed) for seed in (1, 1, 2))
    assert first[2].shape == (300, 200)
    assert len(set(first[1])) == 4
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert (first[2] != second[2]).nnz == 0
    assert (first[2] != other[2]).nnz > 1000


def test_expression_carries_the_regions() -> None:
    _, labels, counts = simulate_expression(1000, 500, 4, 0)
    usual = np.asarray(counts.sum(axis=1)).ravel() > 1000
    share = counts.toarray()[usual] / counts.sum(axis=1)[usual]
    logs = np.log1p(1e4 * np.asarray(share))
    centred = logs - logs.mean(axis=0)
    means = np.array([centred[labels[usual] == name].mean(axis=0) for name in np.unique(labels)])
    shuffled = np.random.default_rng(0).permutation(labels[usual])
    chance = np.array([centred[shuffled == name].mean(axis=0) for name in np.unique(labels)])
    assert np.sum(means**2) > 4 * np.sum(chance**2)


def specimen_of(n_spots: int = 400) -> Specimen:
    [np.random.default_rng(seed) for seed in (2, 3)]
    return simulate_specimen(
        "layers", Recipe(n_spots=n_spots, n_genes=100, n_regions=5), *np.random.default_rng(2).spawn(2)
    )


@pytest.mark.parametrize("source", SOURCES)
def test_programmes_of_a_pair(source: str) -> None:
    before = simulate_programmes(300, 5, np.random.default_rng(5))
    after = separate_programmes(before, (1, 2), source)
    assert np.array_equal(after.region[1], after.region[2]) == (source == "image")
    assert after.depth[1] == after.depth[2] == before.depth[1]
    assert not after.gradient.any()
    others = [0, 1, 3, 4] if source == "image" else [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(after.region[others], before.region[others])
    np.testing.assert_array_equal(np.delete(after.depth, 2), np.delete(before.depth, 2))


STAIN = Stain(
    nuclei_per_mm2=np.array([3000, 2000, 4000, 5000]),
    radius_um=np.array([3.0, 3.1, 3.2, 3.3]),
    darkness=np.array([0.8, 0.9, 1.0, 0.7]),
    eosin=np.array([0.3, 0.4, 0.5, 0.6]),
    fibres=np.array([0.1, 0.2, 0.3, 0.4]),
    gaps=np.array([0.0, 0.01, 0.02, 0.03]),
)


def test_stain_of_a_pair_that_the_image_tells_apart_by_hand() -> None:
    stain = separate_stain(STAIN, (1, 2), "image")
    assert stain.nuclei_per_mm2.tolist() == [3000, 2000, 5000, 4000]  # 5000 and 4000 change places
    assert stain.eosin.tolist() == [0.5, 0.6, 0.3, 0.4]  # 0.6 and 0.4, then 0.3 and 0.5
    for name in ("radius_um", "darkness", "fibres", "gaps"):
        assert getattr(stain, name).tolist() == getattr(STAIN, name).tolist(), name
    assert stain.drift == 0


@pytest.mark.parametrize("source", ["expression", "space"])
def test_stain_of_a_pair_that_looks_alike(source: str) -> None:
    stain = separate_stain(STAIN, (1, 2), source)
    assert stain.drift == 0
    for name, values in vars(stain).items():
        if name != "drift":
            first, own, _, last = getattr(STAIN, name)
            assert values.tolist() == [first, own, own, last], name


def test_mixed_spots_have_one_of_two_kinds_in_the_proportions_of_their_region() -> None:
    tissue = simulate_tissue(1800, "mixed", 5, np.random.default_rng(2), with_pair=True)
    region, plain = tissue.spot_region[tissue.in_tissue], region_shares(tissue)
    mixed = mixed_shares(tissue, np.random.default_rng(0))
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(mixed[:, [0, 3, 4]], plain[:, [0, 3, 4]])
    assert np.all(mixed[:, 1:3].min(axis=1) == 0)  # never some of both

    second = mixed[:, 2] > mixed[:, 1]
    assert np.mean(second[region == 1]) == pytest.approx(1 - MIXING, abs=0.03)
    assert np.mean(second[region == 2]) == pytest.approx(MIXING, abs=0.03)
    a, b = touching(tissue).T
    inside = (region[a] == region[b]) & np.isin(region[a], tissue.pair)
    assert np.mean(second[a] == second[b], where=inside) == pytest.approx(MIXING**2 + (1 - MIXING) ** 2, abs=0.04)


SEPARATED = Recipe(n_spots=1200, n_genes=400, contrast=2.0)


@cache
def separated(source: str) -> Specimen:
    """A section of mixed tissue whose pair differs in `source` alone."""
    return simulate_specimen("mixed", replace(SEPARATED, separated_by=source), *np.random.default_rng(2).spawn(2))


def of_pair(specimen: Specimen) -> tuple[np.ndarray, np.ndarray]:
    """Which spots in tissue to tell apart, bool [n_spots]: those of the pair without the poor and dying ones; and which
    of the chosen ones lie in the second region, bool [n_chosen]."""
    tissue, totals = specimen.tissue, np.asarray(specimen.counts.sum(axis=1)).ravel()
    mitochondrial = np.asarray(specimen.counts[:, : len(MITOCHONDRIAL)].sum(axis=1)).ravel()
    region = tissue.spot_region[tissue.in_tissue]
    chosen = np.isin(region, tissue.pair) & (totals > 500) & (mitochondrial < 0.35 * totals)
    return chosen, region[chosen] == tissue.pair[1]


def expression_accuracy(specimen: Specimen) -> float:
    """How often a classifier that learns from other spots of the pair is right about a spot's region."""
    chosen, second = of_pair(specimen)
    counts = specimen.counts[chosen].toarray()
    logs = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    classifier = make_pipeline(PCA(15, random_state=0), LogisticRegression(class_weight="balanced"))
    return balanced_accuracy_score(second, cross_val_predict(classifier, logs, second, cv=folds))


def nuclei_accuracy(specimen: Specimen) -> float:
    """How often the number of nuclei within 95 µm, against the best limit, is right about a spot's region.

    Spots whose 95 µm reach beyond the pair are left out.
    """
    tissue, appearance = specimen.tissue, specimen.appearance
    positions = tissue.grid.positions_um
    to_others = cKDTree(positions[~np.isin(tissue.spot_region, tissue.pair)]).query(positions)[0]
    inner = np.isin(tissue.spot_region, tissue.pair) & (to_others > 180)
    places = appearance.frame.to_image(positions[inner])
    nuclei = cKDTree(appearance.nuclei_um).query_ball_point(places, 95, return_length=True)
    second = tissue.spot_region[inner] == tissue.pair[1]
    return max(balanced_accuracy_score(second, nuclei > limit) for limit in np.unique(nuclei))


def nearer_programme(specimen: Specimen, programmes: Programmes) -> np.ndarray:
    """Which of the pair's two true programmes makes the counts of each chosen spot likelier, bool [n_chosen].

    Likelihood of the negative binomial with mean m and size k: x · log(m / (m + k)) - k · log(m + k), terms without m
    left out.
    """
    counts = specimen.counts[of_pair(specimen)[0]].toarray()[:, len(MITOCHONDRIAL) :]
    size = 1 / programmes.dispersion[len(MITOCHONDRIAL) :]
    likelihood = []
    for region in specimen.tissue.pair:
        rate = np.exp(programmes.log_mean + programmes.region[region])[len(MITOCHONDRIAL) :]
        mean = counts.sum(axis=1, keepdims=True) * rate / rate.sum()
        likelihood.append((counts * np.log(mean / (mean + size)) - size * np.log(mean + size)).sum(axis=1))
    return likelihood[1] > likelihood[0]


def smoothed_twice(specimen: Specimen, values: np.ndarray) -> np.ndarray:
    """`values` [n_chosen] averaged over each spot and its neighbours in the pair, then once more."""
    positions = specimen.tissue.grid.positions_um[specimen.tissue.in_tissue][of_pair(specimen)[0]]
    near = cKDTree(positions).sparse_distance_matrix(cKDTree(positions), 101, output_type="coo_matrix")
    near = sparse.csr_matrix((np.ones(near.nnz), (near.row, near.col)), near.shape)
    near.setdiag(1)
    average = sparse.diags(1 / np.asarray(near.sum(axis=1)).ravel()) @ near
    return average @ (average @ values)


def test_image_alone_separates() -> None:
    specimen = separated("image")
    assert len(of_pair(specimen)[1]) >= 600
    assert 0.45 < expression_accuracy(specimen) < 0.55
    assert nuclei_accuracy(specimen) > 0.95


def test_expression_alone_separates() -> None:
    specimen = separated("expression")
    assert expression_accuracy(specimen) > 0.95
    assert nuclei_accuracy(specimen) < 0.6


def test_space_alone_separates() -> None:
    """A spot by itself says no more than the proportions of the mixture, its neighbourhood says the region."""
    specimen = separated("space")
    programmes = simulate_programmes(400, 5, np.random.default_rng(2).spawn(2)[0], SEPARATED.contrast)
    _, second = of_pair(specimen)
    kind = nearer_programme(specimen, programmes)
    assert balanced_accuracy_score(second, kind) == pytest.approx(MIXING, abs=0.03)
    assert expression_accuracy(specimen) < MIXING + 0.03
    assert nuclei_accuracy(specimen) < 0.6
    assert balanced_accuracy_score(second, smoothed_twice(specimen, kind) > 0.5) > 0.9


def test_unknown_source_is_refused() -> None:
    with pytest.raises(EfnstError, match="image, expression, space, found `smell`"):
        simulate_specimen("mixed", Recipe(separated_by="smell"), *np.random.default_rng(2).spawn(2))


def test_frame_turns_and_shifts_without_stretching() -> None:
    frame = specimen_of().appearance.frame
    points = np.array([[0.0, 0.0], [300.0, 400.0]])
    moved = frame.to_image(points)
    assert np.hypot(*(moved[1] - moved[0])) == pytest.approx(500.0)
    np.testing.assert_allclose(frame.to_image(frame.centre_um[None]), frame.target_um[None])
    turn = np.arctan2(*(moved[1] - moved[0])[::-1]) - np.arctan2(400, 300)
    assert turn == pytest.approx(frame.angle)


def test_nuclei_lie_where_the_tissue_is_and_as_dense_as_the_stain_says() -> None:
    specimen = specimen_of()
    appearance, tissue = specimen.appearance, specimen.tissue
    area_mm2 = np.sum(tissue.raster != OUTSIDE) * (tissue.raster_um / 1000) ** 2
    assert 1800 < len(appearance.nuclei_um) / area_mm2 < 5200
    assert np.all(np.diff(appearance.nuclei_um[:, 1]) >= 0)


def test_without_drift_the_eosin_is_even() -> None:
    specimen = specimen_of()
    tissue, step = specimen.tissue, specimen.tissue.raster_um
    inner = distance_transform_edt(tissue.raster != OUTSIDE) * step > 400
    even = Stain(*(np.full(5, value, np.float32) for value in (3000, 3.5, 0.9, 0.4, 0.2, 0.0)))
    spread = []
    for drift in (0.0, 1.0):
        stain = replace(even, drift=drift)
        eosin = simulate_appearance(tissue, stain, specimen.appearance.frame, np.random.default_rng(0)).eosin
        windows = gaussian_filter(eosin, 100 / step)[inner]
        spread.append(windows.std() / windows.mean())
    assert spread[0] < 0.03
    assert spread[1] > 0.07


def test_image_shows_the_nuclei_at_their_places() -> None:
    appearance = specimen_of().appearance
    image = render_image(appearance, 2.0, np.random.default_rng(0)).astype(float)
    red = image[..., 0]  # haematoxylin takes red away, eosin hardly does
    row, column = (appearance.nuclei_um[:, ::-1] / 2.0).astype(int).T
    tissue = red < 235
    assert red[row, column].mean() < red[tissue].mean() - 30


def test_strips_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    appearance = specimen_of(250).appearance
    whole = render_image(appearance, 4.0, np.random.default_rng(0)).astype(float)
    monkeypatch.setattr("efnst.simulation.stained_image.STRIP_ROWS", 64)
    strips = render_image(appearance, 4.0, np.random.default_rng(0)).astype(float)
    assert whole.shape == strips.shape
    difference = np.abs(whole - strips).mean(axis=(1, 2))  # noise alone: drawn anew in every strip
    seams = np.arange(64, len(difference) - 1, 64)
    assert difference[seams].mean() < 1.3 * difference.mean()
    assert difference.mean() < 6


@pytest.mark.slow
def test_sixty_thousand_spots_fit_into_three_gigabytes() -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    positions, labels, counts = simulate_expression(60_000, 2000, 7, 0)
    grown_gib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024**2
    assert positions.shape == (60_000, 2)
    assert len(set(labels)) == 7
    assert counts.shape == (60_000, 2000)
    assert grown_gib < 3
