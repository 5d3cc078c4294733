"""The learning step as a whole."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from anndata import AnnData
from tests.support.learning import learned_alone

from efnst.embedding.diffusion import diffuse
from efnst.embedding.image_features import ImageFeatures
from efnst.embedding.options import EmbeddingOptions, NetworkOptions, TrainingOptions
from efnst.embedding.training import Trained, train
from efnst.errors import EfnstError
from efnst.genes.components import dense_components, unit_scale
from efnst.geometry.neighbours import neighbour_graph


def features_of(values: np.ndarray | None) -> ImageFeatures | None:
    """Features of a patch around each spot, where there are any."""
    return None if values is None else ImageFeatures(values)


@pytest.fixture(scope="module")
def section(simulated_section: Callable[..., AnnData]) -> AnnData:
    return simulated_section(300, 120)


@pytest.fixture(scope="module")
def features(section: AnnData) -> np.ndarray:
    """Image features that say the region, and noise."""
    region = section.obs["label"].cat.codes.to_numpy()
    noise = np.random.default_rng(0).standard_normal((section.n_obs, 40))
    return (noise + 3 * (region[:, None] == np.arange(40))).astype(np.float32)


def learn(
    section: AnnData,
    features: np.ndarray | None = None,
    epochs: int = 20,
    seed: int = 0,
    n_seeds: int = 1,
    threads: int = 1,
    **options: object,
) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and record, with options of any kind."""
    kinds = {kind: {} for kind in (EmbeddingOptions, TrainingOptions, NetworkOptions)}
    for name, value in options.items():
        next(found for kind, found in kinds.items() if name in kind.__dataclass_fields__)[name] = value
    network = NetworkOptions(**kinds[NetworkOptions])
    training = TrainingOptions(epochs=epochs, seed=seed, n_seeds=n_seeds, network=network, **kinds[TrainingOptions])
    embedding = EmbeddingOptions(**kinds[EmbeddingOptions])
    arrays, has_image, found = learned_alone(section, features_of(features), embedding, training, threads)
    return arrays, found.record | {"image": has_image, "n_image_components_fused": found.learned.n_fused}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, np.ndarray]]:
    """What the network of one training is given: `inputs` and `targets`, by the arguments of `learn`."""
    given = {}

    def note(inputs: np.ndarray, targets: np.ndarray, *others: object) -> Trained:
        given.update(inputs=inputs, targets=targets)
        return train(inputs, targets, *others)

    def learned(*arguments: object, **options: object) -> dict[str, np.ndarray]:
        learn(*arguments, epochs=1, vary_views=False, **options)
        return dict(given)

    monkeypatch.setattr("efnst.embedding.space.train", note)
    return learned


def test_arrays_without_an_image(section: AnnData) -> None:
    arrays, record = learn(section)
    shapes = {"embedding_0": (300, 25), "diffused": (300, 30), "expression": (300, 30)}
    assert {name: values.shape for name, values in arrays.items()} == shapes
    assert all(values.dtype == np.float32 and np.isfinite(values).all() for values in arrays.values())
    assert record["image"] is False and record["epochs"] == 20 and record["seed"] == 0
    assert record["n_genes_used"] <= 120
    assert {name: len(values) for name, values in record["loss"].items()} == {
        "reconstruction": 20,
        "graph": 20,
        "kl": 20,
    }
    assert record["parameters"]["n_neighbours"] == 4 and record["parameters"]["epochs"] == 20


def test_the_baseline_is_diffused_without_weights(section: AnnData) -> None:
    arrays, _ = learn(section)
    expected = diffuse(arrays["expression"], neighbour_graph(section.obsm["spatial"], 6))
    assert np.allclose(arrays["diffused"], expected, atol=1e-4)


@pytest.mark.parametrize(("embedding", "width"), [("decoded", 25), ("latent", 28)])
def test_what_is_kept_of_a_training(section: AnnData, embedding: str, width: int) -> None:
    arrays, _ = learn(section, embedding=embedding, vary_views=False)
    assert arrays["embedding_0"].shape == (300, width)


def test_what_the_network_decodes(section: AnnData, seen: Callable[..., dict[str, np.ndarray]]) -> None:
    """Without augmentation the inputs are the components of the expression itself."""
    arrays, _ = learn(section, epochs=1)
    plain = {"augmentation": 0.0, "weigh_by_counts": False}
    diffused, inputs = seen(section, **plain), seen(section, target="inputs", **plain)
    assert np.allclose(diffused["inputs"], unit_scale(arrays["expression"]), atol=1e-3)
    assert np.allclose(diffused["targets"], unit_scale(arrays["diffused"]), atol=1e-3)
    assert np.array_equal(inputs["targets"], inputs["inputs"])


def test_weights_by_counts_matter_where_a_spot_has_few_counts(
    section: AnnData, seen: Callable[..., dict[str, np.ndarray]]
) -> None:
    poor = section.copy()
    poor.X = poor.X.astype(np.int32)
    rows = poor.X.tolil()
    rows[7] = np.minimum(rows[7].toarray(), 1)
    poor.X = rows.tocsr()
    neighbours = neighbour_graph(section.obsm["spatial"], 6)[[7]].nonzero()[1]
    far = {}
    for weigh in (True, False):
        values = seen(poor, weigh_by_counts=weigh)["targets"][:, :5]
        values = values / values.std(0)
        far[weigh] = np.linalg.norm(values[7] - values[neighbours].mean(0))
    assert far[True] < 0.7 * far[False]


@pytest.mark.slow
def test_trainings_have_seeds_of_their_own_and_do_not_depend_on_threads(section: AnnData) -> None:
    alone, record = learn(section, n_seeds=3, epochs=3)
    assert len({run["seed"] for run in record["runs"]}) == 3
    assert [name for name in alone if name.startswith("embedding")] == ["embedding_0", "embedding_1", "embedding_2"]
    together, _ = learn(section, n_seeds=3, epochs=3, threads=2)
    for name, values in alone.items():
        assert values.tobytes() == together[name].tobytes(), name
    fewer, _ = learn(section, n_seeds=2, epochs=3)
    assert np.array_equal(fewer["embedding_1"], alone["embedding_1"]), "a further training changes no other"


@pytest.mark.slow
def test_workers_that_are_started_anew_train_alike(section: AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are where PyTorch sees a GPU that it is not to use, because it cannot be forked then."""
    forked, _ = learn(section, n_seeds=2, epochs=3, threads=2)
    monkeypatch.setattr("efnst.embedding.at_once._start_method", lambda: "spawn")
    spawned, _ = learn(section, n_seeds=2, epochs=3, threads=2)
    for name, values in forked.items():
        assert values.tobytes() == spawned[name].tobytes(), name


def test_where_the_image_comes_in(section: AnnData, features: np.ndarray) -> None:
    def arrays(scale: float = 1.0, **options: object) -> dict[str, np.ndarray]:
        given = section.copy()
        given.uns["section"]["image"]["scale"] = scale
        return learn(given, features, epochs=1, **options)[0]

    late = arrays()
    assert late["image_pcs"].shape == (300, 40) and 0 < late["fused"].shape[1] < 10
    coarse = arrays(scale=31.9 / 380)  # patches of 190 µm have 380 px at scale 1
    assert "fused" not in coarse and "image_pcs" in coarse
    assert "fused" in arrays(scale=32.1 / 380)
    assert "fused" not in arrays(image_fusion="weights")
    assert "image_pcs" not in arrays(image_fusion="none")
    assert np.allclose(arrays(image_weight=0.5)["fused"], late["fused"] / 2)


def test_which_inputs_the_image_reaches(
    section: AnnData, features: np.ndarray, seen: Callable[..., dict[str, np.ndarray]]
) -> None:
    """The augmented expression, through the neighbour weights, and columns beside it."""
    late, weights, none = (
        seen(section, features, image_fusion=fusion)["inputs"] for fusion in ("late", "weights", "none")
    )
    fused = learn(section, features, epochs=1)[0]["fused"]
    assert np.array_equal(none, seen(section)["inputs"])
    assert weights.shape == (300, 30) and not np.allclose(weights, none, atol=0.01)
    assert np.array_equal(late, np.hstack([weights, fused]))


def test_an_image_without_structure_leaves_the_inputs_alone(
    section: AnnData, seen: Callable[..., dict[str, np.ndarray]]
) -> None:
    noise = np.random.default_rng(0).standard_normal((section.n_obs, 40)).astype(np.float32)
    _, record = learn(section, noise, epochs=1)
    assert record["n_image_components_fused"] == 0 and record["image"] is True
    assert seen(section, noise)["inputs"].shape == (300, 30)


def test_a_training_ends_when_its_loss_no_longer_falls(section: AnnData) -> None:
    assert learn(section, epochs=50, tolerance=0.0)[1]["epochs"] == 50
    assert learn(section, epochs=50, tolerance=0.99)[1]["epochs"] == 40, "after two windows of 20 epochs"


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        *(("image_fusion", "late, weights, none"), ("target", "diffused, inputs"), ("embedding", "decoded, latent")),
        *(("graph_loss", "repaired, published"), ("decoder", "linear, sigmoid")),
    ],
)
def test_unknown_choices_are_errors(section: AnnData, name: str, allowed: str) -> None:
    with pytest.raises(EfnstError, match=f'parameter --{name}: found "something", expected one of {allowed}'):
        learn(section, epochs=1, **{name: "something"})


def test_an_image_changes_the_embedding_and_adds_its_components(section: AnnData, features: np.ndarray) -> None:
    without, _ = learn(section)
    arrays, record = learn(section, features)
    assert record["image"] is True
    assert arrays["image_pcs"].shape == (300, 40), "no more components than features"
    assert np.array_equal(arrays["expression"], without["expression"])
    assert not np.allclose(arrays["embedding_0"], without["embedding_0"], atol=1e-2)
    assert learn(section, features, image_pcs=7)[0]["image_pcs"].shape == (300, 7)


def test_one_seed_gives_one_embedding(section: AnnData, features: np.ndarray) -> None:
    (first, _), (second, _), (other, _) = (learn(section, features, seed=seed) for seed in (5, 5, 6))
    for name, values in first.items():
        assert values.tobytes() == second[name].tobytes(), name
    assert not np.allclose(first["embedding_0"], other["embedding_0"], atol=0.1)


@pytest.mark.parametrize("graph_loss", ["repaired", pytest.param("published", marks=pytest.mark.slow)])
def test_the_loss_falls(section: AnnData, graph_loss: str) -> None:
    _, record = learn(section, epochs=100, graph_loss=graph_loss, tolerance=0.0)
    loss = {name: np.array(values) for name, values in record["loss"].items()}
    assert np.isfinite(np.concatenate(list(loss.values()))).all()
    assert loss["reconstruction"][-10:].mean() < 0.7 * loss["reconstruction"][:3].mean()
    if graph_loss == "repaired":
        assert loss["graph"][-10:].mean() < 0.95 * loss["graph"][:3].mean()
    assert record["parameters"]["graph_loss"] == graph_loss


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_short_training_gives_an_embedding_that_can_be_used(section: AnnData, epochs: int) -> None:
    """With running statistics that follow slowly, evaluation after few epochs would use those of no data at all."""
    arrays, _ = learn(section, epochs=epochs, embedding="latent")
    latent = arrays["embedding_0"]
    assert np.isfinite(latent).all() and (latent.std(0) > 1e-3).all()


def test_more_components_asked_for_than_there_are_spots(section: AnnData) -> None:
    few = section[:12].copy()
    arrays, _ = learn(few, np.random.default_rng(0).standard_normal((12, 30)).astype(np.float32))
    assert {name: values.shape[1] for name, values in arrays.items()} == {
        "embedding_0": 11,
        "diffused": 11,
        "expression": 11,
        "image_pcs": 11,
        "fused": 2,
    }
    assert all(np.isfinite(values).all() for values in arrays.values())


def test_fewer_than_ten_spots_are_refused(section: AnnData) -> None:
    assert learn(section[:10].copy())[0]["embedding_0"].shape[0] == 10
    with pytest.raises(EfnstError, match="Expected at least 10 spots to learn from, found 9"):
        learn(section[:9].copy())


def test_genes_seen_too_seldom_are_refused(section: AnnData) -> None:
    with pytest.raises(EfnstError, match="Expected at least 2 genes seen in 301 or more spots, found 0"):
        learn(section, min_spots_per_gene=301)


def test_the_number_of_genes_is_kept(section: AnnData) -> None:
    assert learn(section, n_genes=50)[1]["n_genes_used"] == 50


def test_spots_without_neighbours_are_counted(section: AnnData) -> None:
    assert learn(section)[1]["n_spots_without_neighbours"] == 0
    apart = section.copy()
    apart.obsm["spatial"][[3, 70]] += [[1e6, 0], [0, 1e6]]
    arrays, record = learn(apart)
    assert record["n_spots_without_neighbours"] == 2
    assert np.isfinite(arrays["embedding_0"]).all()


def test_without_augmentation_no_spot_misses_neighbours(section: AnnData) -> None:
    assert learn(section, n_neighbours=0)[1]["n_spots_without_neighbours"] == 0


def test_augmentation_makes_a_difference(section: AnnData) -> None:
    with_neighbours, without = learn(section)[0], learn(section, augmentation=0.0)[0]
    assert np.array_equal(with_neighbours["diffused"], without["diffused"])
    assert not np.allclose(with_neighbours["embedding_0"], without["embedding_0"], atol=1e-2)


def test_counts_stay_as_they_were(section: AnnData) -> None:
    before = section.X.copy()
    learn(section)
    assert (before != section.X).nnz == 0 and section.X.dtype == np.int32


def test_a_loss_that_is_no_number_is_an_error(section: AnnData) -> None:
    with pytest.raises(EfnstError, match=r"The loss became .*nan.* in epoch \d+\. Choose a smaller learning_rate"):
        learn(section, epochs=50, learning_rate=1e30)


@pytest.mark.slow
def test_memory_stays_far_below_one_byte_for_each_pair_of_spots(simulated_section: Callable[..., AnnData]) -> None:
    """What numpy and scipy allocate; PyTorch's part is measured with the whole program, on a larger section."""
    section = simulated_section(20_000, 100)
    features = np.zeros((section.n_obs, 60), np.float32)
    features[:, :3] = section.obs["label"].cat.codes.to_numpy()[:, None] == np.arange(3)
    tracemalloc.start()
    try:
        learn(section, features, epochs=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.75 * section.n_obs**2


def test_features_computed_before_take_the_place_of_expression(section: AnnData, features: np.ndarray) -> None:
    given = section.copy()
    given.obsm["X_other"] = features
    arrays, record = learn(given, expression_rep="X_other", expression_pcs=10)
    assert np.allclose(arrays["expression"], dense_components(features, 10))
    assert record["parameters"]["expression_rep"] == "X_other"
    plain, _ = learn(given, expression_pcs=10)
    assert not np.allclose(arrays["embedding_0"], plain["embedding_0"])
    given.X = given.X[np.random.default_rng(0).permutation(given.n_obs)]
    again, _ = learn(given, expression_rep="X_other", expression_pcs=10, weigh_by_counts=False, augmentation=0.0)
    assert np.allclose(again["expression"], arrays["expression"]), "the counts of a spot have no part in it"
    with pytest.raises(EfnstError, match=r"Expected the features X_none in obsm of section.h5ad, found spatial"):
        learn(given, expression_rep="X_none")
