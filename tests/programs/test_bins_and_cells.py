"""Sections of bins and of cells from their folder to their results: what is told of bins, and what of their units."""

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

import assign_domains
import export_domains
import learn_embedding
import read_section
from efnst.domains.options import DomainOptions
from efnst.embedding.options import DeviceOptions, TrainingOptions
from efnst.exports.options import ExportOptions
from efnst.exports.tables import outlines_geojson, section_outlines
from efnst.inputs.section import load_section
from efnst.simulation.space_ranger import SMALL, simulate_section
from efnst.simulation.visium_hd import write_visium_hd

PIECES = ("S_bins.h5ad", "exports/S.zarr")


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of Visium HD with bins of 8 µm and cells, and labels of these bins, the first 100 of which have none."""
    folder = tmp_path_factory.mktemp("hd") / "slide"
    write_visium_hd(simulate_section(0, 0, SMALL), folder, n_bins=2500)
    pd.read_csv(folder / "labels.csv").iloc[100:].to_csv(folder / "labels.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def results(slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`results(bin_um)`: the folder of all files of that slide in bins or cells, of two short trainings, made once."""
    made = {}

    def folder(bin_um: str) -> Path:
        if bin_um not in made:
            outdir = made[bin_um] = tmp_path_factory.mktemp("results")
            given = {"sample": "S", "source": slide, "outdir": outdir}
            labels = "" if bin_um == "cells" else str(slide / "labels.csv")
            read_section.main(**given, bin_um=bin_um, labels=labels)
            ran = {"training": TrainingOptions(n_seeds=2, epochs=10), "where": DeviceOptions(device="cpu")}
            section = outdir / "section.h5ad"
            learn_embedding.main(sample=["S"], section=[section], outdir=outdir, **ran)
            learned = {"embedding": outdir / "S" / "embedding.npz", "training": outdir / "S" / "training.json"}
            files = {"section": section, "bins": outdir / "bins.h5ad", **learned}
            assign_domains.main(**given, **files, options=DomainOptions(n_domains=3))
            told = {"sample": "S", "domains": outdir / "S.h5ad", "bins": outdir / "S_bins.h5ad", "outdir": outdir}
            export_domains.main(**told, options=ExportOptions(exports="spatialdata"))
        return made[bin_um]

    return folder


def test_what_is_scored_are_bins(results: Callable[[str], Path], slide: Path) -> None:
    """EfNST by the bins' own domains; baselines, trainings and, once more, EfNST by those of their units."""
    record = json.loads((results("8") / "domains.json").read_text())
    table = pd.read_csv(results("8") / "domains.csv", index_col="barcode")
    units = anndata.read_h5ad(results("8") / "S.h5ad").obs
    labels = pd.read_csv(slide / "labels.csv", index_col="barcode")["label"].reindex(table.index).dropna()
    assert (record["pieces"], record["n_pieces"], record["n_labelled"]) == ("bins", len(table), len(labels))
    assert len(units) < len(labels) == len(table) - 100

    scored = table.loc[labels.index]
    by_unit = units.loc[scored["unit"]].set_axis(scored.index)
    found = record["methods"]
    assert found["efnst"]["ari"] == pytest.approx(adjusted_rand_score(labels, scored["domain"]))
    for name in ("leiden", "diffused"):
        assert found[name]["ari"] == pytest.approx(adjusted_rand_score(labels, by_unit[name]))
        assert "ari_of_units" not in found[name]
    assert found["efnst"]["ari_of_units"] == pytest.approx(adjusted_rand_score(labels, by_unit["efnst"]))
    assert len(found["efnst"]["ari_of_runs"]) == 2


def test_cells_are_told_for_cells(results: Callable[[str], Path]) -> None:
    record = json.loads((results("cells") / "domains.json").read_text())
    table = pd.read_csv(results("cells") / "domains.csv", index_col="barcode")
    assert (record["pieces"], record["n_pieces"], record["n_labelled"]) == ("cells", len(table), 0)
    assert table.index.str.startswith("cellid_").all() and "ari_of_units" not in record["methods"]["efnst"]


@pytest.mark.parametrize(
    ("bin_um", "name"), [("8", "S.h5ad"), *((what, name) for what in ("8", "cells") for name in PIECES)]
)
def test_results_are_read_back_as_what_they_are(bin_um: str, name: str, results: Callable[[str], Path]) -> None:
    """Without a word about bins or cells: by their barcodes and scale factors. Nothing is warned of."""
    folder = results(bin_um)
    again, _, warnings = load_section("S", folder / name, "", "")
    was = anndata.read_h5ad(folder / ("section.h5ad" if name == "S.h5ad" else "bins.h5ad"))
    before, after = was.uns["section"], again.uns["section"]
    width = before["unit_um"] if name == "S.h5ad" else before["bin_um"]
    assert (after["bin_um"], after["grid"]) == (width, before["grid"])
    assert after["um_per_px"] == pytest.approx(before["um_per_px"], rel=1e-3)
    assert after["pitch_px"] == pytest.approx(before["pitch_px"], rel=1e-3)
    assert (again.X != was.X).nnz == 0 and after["image"]["source"] == "hires"
    assert not [text for text in warnings if "hires" not in text]


@pytest.mark.parametrize(
    ("bin_um", "name", "pieces"), [("8", "S.h5ad", "Units"), ("8", "S_bins.h5ad", "Bins"), ("cells", "S.h5ad", "Units")]
)
def test_outlines_say_what_they_count(bin_um: str, name: str, pieces: str, results: Callable[[str], Path]) -> None:
    drawn = anndata.read_h5ad(results(bin_um) / name)
    found = json.loads(outlines_geojson(drawn, section_outlines(drawn)["efnst"], "hires"))["features"]
    counts = [feature["properties"]["measurements"][pieces] for feature in found]
    assert counts == drawn.obs["efnst"].value_counts(sort=False).tolist()
    assert not any("Spots" in feature["properties"]["measurements"] for feature in found)


@pytest.mark.parametrize("bin_um", ["8", "cells"])
def test_bins_can_be_drawn_by_scanpy(bin_um: str, results: Callable[[str], Path]) -> None:
    """The picture of the units, the diameter of a bin, and a colour for each domain; the export has the last two."""
    import spatialdata

    units, bins = (anndata.read_h5ad(results(bin_um) / name) for name in ("S.h5ad", "S_bins.h5ad"))
    table = spatialdata.read_zarr(results(bin_um) / "exports" / "S.zarr").tables["table"]
    ours, theirs = bins.uns["spatial"]["S"], units.uns["spatial"]["S"]
    assert np.array_equal(ours["images"]["hires"], theirs["images"]["hires"]) and theirs["images"]["hires"].size
    assert ours["scalefactors"]["tissue_hires_scalef"] == theirs["scalefactors"]["tissue_hires_scalef"]
    for held in (bins, table):
        sizes = held.uns["spatial"]["S"]["scalefactors"]
        assert sizes["spot_diameter_fullres"] == bins.uns["section"]["spot_diameter_px"]
        assert sizes["microns_per_pixel"] == bins.uns["section"]["um_per_px"]
        for key in ("efnst", "leiden", "diffused"):
            assert len(held.uns[f"{key}_colors"]) == len(bins.obs[key].cat.categories)
