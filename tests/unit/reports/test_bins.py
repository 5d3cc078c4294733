"""The domains of single bins in the report of a section."""

import base64
import gzip

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from efnst.reports.bins import NONE, bins_layer, name_domains_alike, width_of_named
from efnst.reports.maps import View, section_view

TURN = np.array([[0.8, 0.6], [-0.6, 0.8]])  # of the array in the image


def unpacked(layer: dict) -> np.ndarray:
    codes = np.frombuffer(gzip.decompress(base64.b64decode(layer["codes"]["data"])), np.uint16)
    return codes.reshape(layer["height"], layer["width"])


def made(grid: str) -> tuple[AnnData, View]:
    """Bins of an array, some of which are missing, and the plane of their report."""
    row, column = np.indices((9, 12)).reshape(2, -1) + np.array([[3], [5]])
    kept = np.random.default_rng(0).random(len(row)) > 0.2
    row, column = row[kept], column[kept]
    domains = pd.Categorical((1 + (column > 9)).astype(str))
    obs = pd.DataFrame({"array_row": row, "array_col": column, "efnst": domains})
    obs.index = obs.index.astype(str)
    xy = np.column_stack([column, row]) * 16.0 @ TURN + 400
    image = {"source": "none", "file": "", "scale": 0.0, "width": 0, "height": 0}
    facts = {"grid": grid, "pitch_px": 16.0, "spot_diameter_px": 16.0, "um_per_px": 0.5, "bin_um": 8, "image": image}
    bins = AnnData(obs=obs, obsm={"spatial": xy}, uns={"section": facts})
    return bins, section_view(anndata.AnnData(obs=obs, obsm={"spatial": xy}, uns={"section": facts}), None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("grid", "step", "start"),
    [("square", 1, 0), ("irregular", 1, 0), ("square", 0, -1), ("square", 4, 0)],
    ids=["bins", "cells", "no array", "an array in finer steps"],
)
def test_each_bin_lies_in_a_pixel_of_its_domain(grid: str, step: int, start: int) -> None:
    bins, view = made(grid)
    bins.obs[["array_row", "array_col"]] = bins.obs[["array_row", "array_col"]] * step + start
    layer = bins_layer(bins, view)
    a, b, c, d, e, f = layer["affine"]
    places = view.on_plane(bins.obsm["spatial"])
    pixels = np.floor(np.linalg.solve([[a, c], [b, d]], (places - (e, f)).T).T + 1e-9).astype(int)
    codes = unpacked(layer)[pixels[:, 1], pixels[:, 0]]
    assert codes.tolist() == bins.obs["efnst"].cat.codes.tolist()
    assert layer["n"] == bins.n_obs and layer["what"] == ("bins of 8 µm" if grid == "square" else "cells")


def test_places_without_a_bin_are_empty() -> None:
    bins, view = made("square")
    codes = unpacked(bins_layer(bins, view))
    assert codes.shape == (9, 12) and (codes != NONE).sum() == bins.n_obs


def test_units_and_bins_have_the_same_categories_of_domains() -> None:
    """Also where each lacks some that the other has: numbers of domains stand for the same on either side."""

    def of(*domains: str) -> AnnData:
        return AnnData(obs=pd.DataFrame({"efnst": pd.Categorical(domains)}, [str(place) for place in range(3)]))

    units, bins = of("1", "5", "10"), of("3", "10", "1")
    name_domains_alike(units, bins)
    assert units.obs["efnst"].tolist() == ["1", "5", "10"] and bins.obs["efnst"].tolist() == ["3", "10", "1"]
    assert list(units.obs["efnst"].cat.categories) == list(bins.obs["efnst"].cat.categories) == ["1", "3", "5", "10"]


@pytest.mark.parametrize(("name", "shift", "expected"), [("s_008um", 0, 16), ("s_008um", 1, None), ("cellid", 0, None)])
def test_barcodes_of_bins_say_their_unit_only_where_they_do(name: str, shift: int, expected: int | None) -> None:
    """Bins of 8 µm in units of 16 µm, one of which was left out; not where the units begin elsewhere."""
    row, column = np.indices((6, 8)).reshape(2, -1)
    barcodes = [f"{name}_{r:05d}_{c:05d}-1" for r, c in zip(row, column, strict=True)]
    bins = AnnData(obs=pd.DataFrame({"unit": row // 2 * 4 + column // 2}, barcodes))
    bins.uns["section"] = {"bin_um": 8, "unit_um": 16}
    array = np.indices((3, 4)).reshape(2, -1).T[1:] + shift
    units = AnnData(obs=pd.DataFrame(array, [f"u{n}" for n in range(11)], ["array_row", "array_col"]))
    units.obs["unit"] = np.arange(1, 12)
    assert width_of_named(units, bins) == expected
