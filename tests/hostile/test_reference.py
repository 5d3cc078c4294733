"""A reference with right checksums and wrong arrays or numbers is refused when it is read, or used soundly."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from anndata import AnnData
from safetensors.numpy import load_file, save_file
from tests.support.grids import square

from efnst.domains.naming import Taught, fit_naming
from efnst.domains.options import DomainOptions
from efnst.domains.saved_naming import load_naming, save_naming
from efnst.domains.saved_vocabulary import load_vocabulary, save_vocabulary
from efnst.domains.vocabulary import fit_vocabulary
from efnst.embedding.cohort import Learned
from efnst.embedding.image_features import ImageFeatures
from efnst.embedding.options import EmbeddingOptions, TrainingOptions
from efnst.embedding.part import Part, part_of, pooled
from efnst.embedding.saved_space import load_space, save_space
from efnst.embedding.space import fit_components, fit_image, fit_space
from efnst.errors import EfnstError
from efnst.genes.shared import Survey

pytestmark = pytest.mark.slow

WRONG = (None, "x", -1, 10**12, 1e300, [], {}, True)  # in the place of anything in a JSON file


@pytest.fixture(scope="module")
def space(simulated_section: Callable[..., AnnData], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Part]:
    """The folder of a space of two sections with images, and one of them."""
    options, survey = EmbeddingOptions(expression_pcs=4, n_genes=60, n_neighbours=2), Survey()
    sections = [simulated_section(n_spots, 120) for n_spots in (120, 100)]
    for section in sections:
        survey.add(section, 10)
    genes, parts = survey.chosen(60, 1.0), []
    for section, batch in zip(sections, "ab", strict=True):
        features = np.random.default_rng(0).normal(size=(section.n_obs, 6)).astype(np.float32)
        features[:, 0] += section.obsm["spatial"][:, 0] / 100  # something to be fused
        parts.append(part_of(section, ImageFeatures(features, (200.0,)), batch, genes, options))
    training = TrainingOptions(epochs=2)
    pool = pooled(parts)
    fitted, _, _ = fit_space(training, pool, 60, fit_image(pool, options, 0), options, torch.device("cpu"))
    assert fitted.image.fusion is not None
    folder = tmp_path_factory.mktemp("space")
    components, _ = fit_components(pool, np.arange(60), 4, 0)
    save_space(folder, Learned(genes, components, [fitted], options, training))
    return folder, parts[0]


def changed_arrays(path: Path) -> Iterator[str]:
    """The file at `path` with one array after the other cut short, with another axis, or away; what was done."""
    whole, arrays = path.read_bytes(), load_file(path)
    for name, values in arrays.items():
        kinds = {"away": None, "one more axis": values[..., None], "negative": -np.abs(values) - 1}
        for axis in range(values.ndim):
            kinds[f"axis {axis} cut"] = np.ascontiguousarray(np.delete(values, 0, axis))
            kinds[f"axis {axis} doubled"] = np.concatenate([values, values], axis)
        for kind, other in kinds.items():
            kept = {key: each for key, each in arrays.items() if key != name}
            save_file(kept if other is None else kept | {name: other}, path)
            yield f"{name}: {kind}"
    path.write_bytes(whole)


def places(value: object, way: tuple = ()) -> Iterator[tuple]:
    """The way to everything in a JSON document; of a long list to its first two members."""
    yield way
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*way, key))


def changed_texts(path: Path) -> Iterator[str]:
    """The JSON file at `path` with one thing after the other replaced by all that is `WRONG`; what was done."""
    whole = path.read_text()
    for way in list(places(json.loads(whole)))[1:]:
        for wrong in WRONG:
            document = json.loads(whole)
            place = document
            for key in way[:-1]:
                place = place[key]
            place[way[-1]] = wrong
            path.write_text(json.dumps(document))
            yield f"{'.'.join(map(str, way))} = {wrong!r}"
    path.write_text(whole)


def refused(changes: Iterator[str], use: Callable[[], object]) -> list[bool]:
    """Whether each of the `changes` was refused by `use`; anything else than that, or a sound use, fails."""
    found = []
    for change in changes:
        try:
            use()
            found.append(False)
        except EfnstError:
            found.append(True)
        except Exception as error:
            raise AssertionError(change) from error
    return found


def test_a_space_that_does_not_fit_together(space: tuple[Path, Part]) -> None:
    folder, part = space

    def use() -> None:
        arrays = load_space(folder).arrays(part)
        assert all(len(values) == len(part.seen) and np.isfinite(values).all() for values in arrays.values())

    of_arrays = refused(changed_arrays(folder / "space.safetensors"), use)
    assert np.mean(of_arrays) > 0.75  # negative weights are weights
    assert np.mean(refused(changed_texts(folder / "space.json"), use)) > 0.5
    use()


def test_domains_and_names_that_do_not_fit_together(tmp_path: Path) -> None:
    positions = square(12, 12)
    kinds = (positions[:, 0] * 3 // 12).astype(int)
    values = np.eye(3)[kinds] * 5 + np.random.default_rng(0).normal(size=(144, 3))
    vocabulary, _ = fit_vocabulary([values, values * 2], [positions], DomainOptions(n_domains=3))
    save_vocabulary(tmp_path, vocabulary, {})
    labels = np.array(["a", "b", "c"])[kinds]
    taught = {name: Taught(values, labels, np.ones(144, bool), positions) for name in "xy"}
    save_naming(tmp_path, fit_naming(taught), {}, weigh_by_counts=True)

    def use() -> None:
        read, _ = load_vocabulary(tmp_path)
        assert np.isfinite(read.votes(read.partitions([values, values * 2], positions, 1))).all()
        assert np.isfinite(read.p_values([values, values * 2], positions)).all()

    def name() -> None:
        naming, _ = load_naming(tmp_path)
        naming.of("x", values, positions, 1)

    assert np.mean(refused(changed_arrays(tmp_path / "vocabulary.safetensors"), use)) > 0.7
    assert np.mean(refused(changed_texts(tmp_path / "vocabulary.json"), use)) > 0.5
    assert np.mean(refused(changed_arrays(tmp_path / "naming.safetensors"), name)) > 0.5
    assert np.mean(refused(changed_texts(tmp_path / "naming.json"), name)) > 0.5
    use()
    name()
