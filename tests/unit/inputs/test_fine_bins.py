"""Bins of 2 µm that are summed as they are read, against the same bins read one by one."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from efnst.errors import EfnstError
from efnst.inputs import fine_bins
from efnst.inputs.section import load_section
from efnst.names import SECTION, SPATIAL
from efnst.simulation.slide import Slide, write_slide

SIDE, ACROSS = 58, 4  # bins, so that the last squares are half empty
FINE = Slide(side=SIDE, counts=20, bin_um=2, width_um=60, n_regions=2, n_genes=30)


@pytest.fixture
def outs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_slide(FINE, tmp_path)
    monkeypatch.setattr(fine_bins, "BINS_AT_ONCE", 701)
    return tmp_path / "outs"


def read(outs: Path, monkeypatch: pytest.MonkeyPatch, many: int, **options: bool) -> tuple[AnnData, list[str]]:
    monkeypatch.setattr(fine_bins, "MANY_BINS", many)
    section, _, warnings = load_section("fine", outs, "none", "", "2", **options)
    return section, warnings


def test_sums_and_places_are_those_of_the_bins(outs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bins, _), (squares, warnings) = (read(outs, monkeypatch, many) for many in (10**6, 1000))
    columns = -(-SIDE // ACROSS)
    square = (bins.obs["array_row"] // ACROSS * columns + bins.obs["array_col"] // ACROSS).to_numpy()
    member = sparse.csr_array((np.ones(len(square), int), (square, np.arange(len(square)))))
    assert (member @ bins.X != squares.X).nnz == 0
    mean = member @ bins.obsm[SPATIAL] / member.sum(1)[:, None]
    assert np.allclose(squares.obsm[SPATIAL], mean)
    assert squares.obs_names[columns + 2] == "s_008um_00001_00002-1"
    assert warnings == [
        "The 3364 bins of 2 µm were summed into bins of 8 µm as they were read; domains are given for these."
    ]
    facts = squares.uns[SECTION]
    assert (facts["bin_um"], facts["um_per_px"]) == (8, 0.5) and facts["pitch_px"] == pytest.approx(16, abs=0.05)


def test_a_quick_look_has_the_names_alone(outs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    squares, _ = read(outs, monkeypatch, 1000, with_counts=False)
    assert squares.n_obs == 225 and squares.X.nnz == 0


@pytest.mark.parametrize(
    ("name", "place", "value", "found"),
    [
        ("barcodes", 5, b"CELL", "Expected barcodes like s_002um_00000_00000-1"),
        ("barcodes", 5, b"s_002um_00000_00006-1", "stand more than once"),
        ("indices", 5, 30, "cannot be read"),
        ("data", 5, -1, "Expected counts of 0 or more"),
        ("indptr", 5, 10**9, "do not fit together"),
    ],
)
def test_what_is_damaged_is_refused(
    name: str, place: int, value: int | bytes, found: str, outs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(outs / "binned_outputs" / "square_002um" / "filtered_feature_bc_matrix.h5", "r+") as file:
        file["matrix"][name][place] = value
    with pytest.raises(EfnstError, match=found):
        read(outs, monkeypatch, 1000)
