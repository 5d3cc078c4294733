"""Simulated slides are read as bins and as cells, each at its place and with its region."""

from pathlib import Path

import pandas as pd
import pytest

from efnst.inputs.section import load_section
from efnst.names import LABEL, SECTION, SPATIAL
from efnst.simulation.slide import Slide, regions_of, write_slide


@pytest.mark.parametrize("cells", [False, True])
def test_each_has_its_place_and_its_region(tmp_path: Path, cells: bool) -> None:
    slide = Slide(side=20, counts=50, bin_um=12, width_um=80, n_regions=3, n_genes=40, cells=cells)
    write_slide(slide, tmp_path)
    wanted = "cells" if cells else "12"
    section, _, warnings = load_section("made", tmp_path / "outs", "none", str(tmp_path / "labels.csv"), wanted)
    assert warnings == [] and section.shape == (400, 40)
    assert section.uns[SECTION]["um_per_px"] == 0.5
    column, row = (section.obsm[SPATIAL] * 0.5 // 12).astype(int).T
    assert len(set(zip(row, column, strict=True))) == 400
    regions = [f"region_{number}" for number in regions_of(slide)[row, column]]
    assert pd.Series(regions).equals(section.obs[LABEL].astype(str).reset_index(drop=True).rename(None))
