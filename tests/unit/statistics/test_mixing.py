"""How well batches mix in an embedding."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_score

from efnst.statistics.mixing import LEAST_POINTS, mixing_table


def test_batches_that_mix_and_batches_that_lie_apart() -> None:
    rng = np.random.default_rng(0)
    apart = np.repeat(["a", "b"], 150)
    embedding = rng.normal(size=(300, 4)) + np.where(apart == "b", 20, 0)[:, None]
    batches = pd.DataFrame({"apart": apart, "mixed": rng.permutation(apart), "single": "x", "unknown": None})
    table = mixing_table(embedding, batches).set_index("batch")
    assert list(table.index) == ["apart", "mixed"] and table["n_batches"].tolist() == [2, 2]
    assert table.loc["apart", "ilisi"] == pytest.approx(1, abs=1e-6)
    assert table.loc["apart", "ilisi_scaled"] == pytest.approx(0, abs=1e-6)
    assert table.loc["mixed", "ilisi"] > 1.8 and table.loc["mixed", "ilisi_scaled"] > 0.8
    assert table.loc["apart", "silhouette"] > 0.7 and abs(table.loc["mixed", "silhouette"]) < 0.05
    assert table.loc["apart", "silhouette"] == pytest.approx(silhouette_score(embedding, apart))


def test_points_whose_batch_is_not_known_are_left_out() -> None:
    rng = np.random.default_rng(1)
    embedding, batch = rng.normal(size=(400, 2)), pd.Series(rng.choice(["a", "b"], 400), dtype=object)
    known = pd.DataFrame({"batch": batch.where(np.arange(400) < 200)})
    first = pd.DataFrame({"batch": batch[:200]})
    pd.testing.assert_frame_equal(mixing_table(embedding, known), mixing_table(embedding[:200], first))


def test_too_few_points() -> None:
    batches = pd.DataFrame({"batch": (["a", "b"] * LEAST_POINTS)[: LEAST_POINTS - 1]})
    assert mixing_table(np.zeros((LEAST_POINTS - 1, 2)), batches).empty
