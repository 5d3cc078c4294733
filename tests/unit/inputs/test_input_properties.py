"""Properties of reading that hold for any section: what hypothesis draws is written as a folder, and read again."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from efnst.errors import EfnstError
from efnst.geometry.array_fit import fit_array
from efnst.geometry.grid import compare_with_array, irregular_grid, measure_grid, n_isolated
from efnst.inputs.annotated import choose_counts
from efnst.inputs.feature_matrix import as_counts, read_matrix
from efnst.inputs.positions import POSITION_COLUMNS, read_positions
from efnst.inputs.section import load_section
from efnst.simulation.feature_matrix import FeatureBarcodeMatrix, write_matrix

FEATURE_TYPES = ("Gene Expression", "Antibody Capture")


@contextmanager
def temporary() -> Iterator[Path]:
    """A folder for one example: those of pytest are for a whole test."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@st.composite
def matrices(draw: st.DrawFn) -> FeatureBarcodeMatrix:
    """Any matrix that Space Ranger might write, with at least one gene and one count of it."""
    seed, n_features, n_barcodes = draw(st.integers(0, 2**32)), draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rng = np.random.default_rng(seed)
    values = rng.poisson(draw(st.floats(0, 2)), (n_features, n_barcodes)).astype(np.int32)
    types = rng.choice(FEATURE_TYPES, n_features)
    types[0], values[0, 0] = FEATURE_TYPES[0], draw(st.integers(1, 2**31 - 1))
    names = rng.choice(["A", "B", "C", "MT-CO1", ""], n_features)
    ids = np.array([f"ENSG{number}" for number in range(n_features)])
    barcodes = rng.permutation([f"BARCODE{number}-1" for number in range(n_barcodes)])
    return FeatureBarcodeMatrix(sparse.csc_matrix(values), barcodes, ids, names, types)


@settings(max_examples=60, deadline=None)
@given(matrices(), st.sampled_from(["h5", "mtx"]))
def test_a_matrix_is_read_as_it_was_written(matrix: FeatureBarcodeMatrix, kind: str) -> None:
    with temporary() as outs:
        write_matrix(matrix, outs, kind)
        read = read_matrix(next(outs.iterdir()))
        names = read_matrix(next(outs.iterdir()), with_counts=False)
    is_gene = matrix.types == "Gene Expression"
    assert (read.counts.toarray() == matrix.counts.T.toarray()[:, is_gene]).all() and read.counts.dtype == np.int32
    assert list(read.barcodes) == list(matrix.barcodes) == list(names.barcodes)
    assert list(read.gene_ids) == list(matrix.ids[is_gene]) == list(names.gene_ids)
    expected = [name or identity for name, identity in zip(matrix.names[is_gene], matrix.ids[is_gene], strict=True)]
    assert list(read.gene_names) == expected


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(0, 2**32),
    st.booleans(),
    st.permutations(POSITION_COLUMNS),
    st.sampled_from(["csv", "parquet"]),
)
def test_positions_are_read_as_they_were_written(
    n: int, seed: int, header: bool, columns: list[str], form: str
) -> None:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "barcode": [f"B{number}-1" for number in rng.permutation(n)],
            **{"in_tissue": rng.integers(0, 2, n), "array_row": rng.integers(0, 78, n)},
            **{"array_col": rng.integers(0, 128, n), "pxl_row_in_fullres": rng.normal(0, 1e4, n).round(3)},
            "pxl_col_in_fullres": rng.integers(-5, 30_000, n),
        }
    )
    with temporary() as folder:
        if form == "parquet":
            table[columns].to_parquet(folder / "p.parquet")
        else:
            columns = columns if header else POSITION_COLUMNS
            table.to_csv(folder / "p.csv", columns=columns, header=header, index=False)
        read, _ = read_positions(folder / f"p.{form}")
    assert list(read.index) == list(table["barcode"])
    assert np.allclose(read[POSITION_COLUMNS[1:]].to_numpy(float), table[POSITION_COLUMNS[1:]].to_numpy(float))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.3, 1), st.sampled_from([1, 2, 3]), st.booleans())
def test_a_section_is_joined_on_the_barcode_whatever_the_order(seed: int, share: float, step: int, raw: bool) -> None:
    """Positions in any order, any part of them in tissue: each spot keeps its counts and its place."""
    rng = np.random.default_rng(seed)
    row, column = (axis.ravel() for axis in np.mgrid[:10, :10])
    x, y = 50.0 + 40 * column + 20 * (row % 2), 60.0 + 40 * np.sqrt(3) / 2 * row
    barcodes = np.array([f"B{number:03d}-1" for number in range(100)])
    tissue = rng.random(100) < share
    tissue[:step] = True
    columns = (barcodes, tissue.astype(int), row, 2 * column + row % 2, y, x)
    table = pd.DataFrame(dict(zip(POSITION_COLUMNS, columns, strict=True))).set_index("barcode", drop=False)
    held = rng.permutation(100 if raw else np.flatnonzero(tissue))
    counts = rng.integers(1, 9, (3, len(held))).astype(np.int32)
    counts[0] = held + 1  # each spot's own number
    with temporary() as outs:
        (outs / "spatial").mkdir()
        table.sample(frac=1, random_state=seed % 2**31).to_csv(outs / "spatial/tissue_positions.csv", index=False)
        (outs / "spatial/scalefactors_json.json").write_text(json.dumps({"spot_diameter_fullres": 26.0}))
        names = np.array(["G1", "G2", "G3"])
        types = np.full(3, "Gene Expression")
        write_matrix(FeatureBarcodeMatrix(sparse.csc_matrix(counts), barcodes[held], names, names, types), outs, "h5")
        if raw:
            (outs / "filtered_feature_bc_matrix.h5").rename(outs / "raw_feature_bc_matrix.h5")
        section, about, warnings = load_section("S1", outs, "none", "")
    assert list(section.obs_names) == [barcode for barcode in barcodes[held] if table["in_tissue"][barcode]]
    number = section.X[:, [0]].toarray().ravel() - 1
    assert np.allclose(section.obsm["spatial"], np.column_stack([x, y])[number], atol=1e-6)
    assert section.obs["array_col"].tolist() == table["array_col"].to_numpy()[number].tolist()
    assert about["n_spots_in_matrix"] == len(held) and warnings == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=20))
def test_only_whole_numbers_from_0_are_counts(values: list[float]) -> None:
    matrix = sparse.csr_matrix(np.ones((1, len(values))))
    matrix.data = np.array(values)
    sound = all(0 <= value < 2**31 and value == int(value) for value in values if np.isfinite(value)) and all(
        np.isfinite(values)
    )
    if sound:
        assert as_counts(matrix, "m").toarray().ravel().tolist() == values
    else:
        with pytest.raises(EfnstError, match="counts"):
            as_counts(matrix, "m")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(5, 500), st.floats(0, 6.3))
def test_the_array_agrees_with_the_pixels_however_it_lies(seed: int, pitch: float, turn: float) -> None:
    rng = np.random.default_rng(seed)
    row, half = (axis.ravel() for axis in np.mgrid[:12, :10])
    column = 2 * half + row % 2
    xy = np.column_stack([column / 2, row * np.sqrt(3) / 2]) * pitch
    xy = xy @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) + rng.normal(
        0, 0.02 * pitch, xy.shape
    )
    array = np.column_stack([row, column])
    fit = fit_array(xy, array)
    assert compare_with_array(measure_grid(xy), fit) == []
    assert fit.grid == "hexagonal" and fit.pitch_px == pytest.approx(pitch, rel=0.01)
    shuffled = fit_array(xy, rng.permutation(array))
    warnings = compare_with_array(measure_grid(xy, fit=shuffled), shuffled)
    assert len(warnings) == 1 and "mixed up" in warnings[0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.floats(5, 50))
def test_cells_anyhow_have_the_pitch_of_a_grid_as_dense(seed: int, pitch: float) -> None:
    side = 40 * pitch
    n = round(side**2 / (np.sqrt(3) / 2 * pitch**2))
    xy = np.random.default_rng(seed).uniform(0, side, (n, 2))
    assert irregular_grid(xy, 0.5).pitch_px == pytest.approx(pitch, rel=0.12)


def test_isolated_spots_are_those_without_a_neighbour_in_reach() -> None:
    xy = np.array([[0, 0], [10, 0], [24, 0], [50, 0], [65.1, 0]], float)
    assert n_isolated(xy, 10.0) == 2
    assert n_isolated(xy[:1], 10.0) == 1 and n_isolated(xy[:0], 10.0) == 0


def test_the_first_place_with_whole_counts_is_taken() -> None:
    places = {
        "X": lambda: [0.5, 1],
        "layers.a": lambda: [-1.0],
        "layers.b": lambda: [np.nan],
        "raw.X": lambda: [0, 3.0],
    }
    assert choose_counts(places, "f") == "raw.X"
    del places["raw.X"]
    with pytest.raises(EfnstError, match=r"in X \(with 0.5\), layers.a \(with -1\), layers.b \(with nan\)"):
        choose_counts(places, "f")
