"""Sections of bins and of cells from their folder to their results: what is told of bins, and what of their units."""

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

import assign_domains
import learn_embedding
import read_section
from efnst.domains.options import DomainOptions
from efnst.embedding.options import DeviceOptions, TrainingOptions
from efnst.simulation.space_ranger import SMALL, simulate_section
from efnst.simulation.visium_hd import write_visium_hd


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
