"""Labels of bins of another width than those of the section."""

from pathlib import Path

import pandas as pd
import pytest

from efnst.errors import EfnstError
from efnst.inputs import fine_bins
from efnst.inputs.labels_of_bins import for_bins
from efnst.inputs.section import load_section
from efnst.simulation.slide import Slide, write_slide
from efnst.simulation.space_ranger import SMALL, simulate_section
from efnst.simulation.visium_hd import write_visium_hd


def named(um: int, *places: tuple[int, int]) -> list[str]:
    return [f"s_{um:03d}um_{row:05d}_{column:05d}-1" for row, column in places]


def test_a_bin_has_the_commonest_label_of_finer_ones() -> None:
    """The first in order on a tie; none where all are missing; what lies beside the section is left out."""
    own = pd.Index(named(8, (0, 0), (0, 1), (1, 0), (1, 1)))
    fine = named(2, (0, 0), (3, 3), (1, 2), (0, 4), (3, 7), (4, 0), (40, 0))
    labels = pd.Series(["b", "b", "a", "b", "a", None, "a"], fine, dtype=object)
    moved, warnings = for_bins(own, labels)
    assert moved.dropna().to_dict() == {own[0]: "b", own[1]: "a"} and list(moved.index) == list(own[:3])
    assert warnings == [
        "The labels are of bins of 2 µm: each bin of 8 µm has the commonest label of those in it.",
    ]


def test_bins_have_the_label_of_the_wider_one_around_them() -> None:
    own = pd.Index(named(8, (0, 0), (1, 1), (2, 3), (9, 9)))
    moved, warnings = for_bins(own, pd.Series(["a", None], named(16, (0, 0), (1, 1)), dtype=object))
    assert moved.dropna().to_dict() == {own[0]: "a", own[1]: "a"} and list(moved.index) == list(own[:3])
    said = "each bin of 8 µm has the label of the one of 16 µm that it lies in"
    assert warnings == [f"The labels are of bins of 16 µm: {said}."]


def test_widths_that_do_not_fit_are_both_named() -> None:
    own, labels = pd.Index(named(16, (0, 0))), pd.Series(["a"], named(24, (0, 0)), dtype=object)
    said = r"labels of the bins of 16 µm, found some of bins of 24 µm \(s_024um_00000_00000-1\).*or bin_um 24"
    with pytest.raises(EfnstError, match=said):
        for_bins(own, labels)


@pytest.mark.parametrize("others", [named(8, (0, 0)), ["AAAC-1"], ["cellid_000000001-1"], [*named(2, (0, 0)), "x"], []])
def test_other_labels_stay_as_they_are(others: list[str]) -> None:
    labels = pd.Series("a", others, dtype=object)
    moved, warnings = for_bins(pd.Index(named(8, (0, 0))), labels)
    assert moved is labels and warnings == []


def test_labels_of_8_um_for_bins_of_16_um(tmp_path: Path) -> None:
    write_visium_hd(simulate_section(0, 0, SMALL), tmp_path, n_bins=600)
    section, _, warnings = load_section("S", tmp_path, "none", str(tmp_path / "labels.csv"), "16")
    given = pd.read_csv(tmp_path / "labels.csv", index_col="barcode")["label"]
    row, column = section.obs[["array_row", "array_col"]].iloc[7]
    inside = named(8, *((2 * row + r, 2 * column + c) for r in (0, 1) for c in (0, 1)))
    assert section.obs["label"].iloc[7] in given.reindex(inside).dropna().mode().tolist()
    assert any("The labels are of bins of 8 µm" in text for text in warnings)


def test_labels_of_2_um_for_bins_that_were_summed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_bins, "MANY_BINS", 1000)
    write_slide(Slide(side=40, counts=20, bin_um=2, width_um=40, n_regions=2, n_genes=30), tmp_path)
    section, _, warnings = load_section("S", tmp_path / "outs", "none", str(tmp_path / "labels.csv"), "2")
    assert section.n_obs == 100 and section.obs["label"].notna().all()
    assert set(section.obs["label"]) == {"region_0", "region_1"}
    assert "The labels are of bins of 2 µm: each bin of 8 µm has the commonest label of those in it." in warnings
