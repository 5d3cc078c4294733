"""Sections in other forms than a plain folder go through the whole pipeline, from hostile paths too."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import anndata
import numpy as np
import pandas as pd
import pytest
from tests.pipeline.conftest import QUICK, Efnst, Run, write_sheet

from efnst.simulation.forms import pack, to_anndata
from efnst.simulation.space_ranger import SMALL, simulate_section
from efnst.simulation.visium_hd import write_visium_hd

pytestmark = pytest.mark.slow
STRANGE = "a $(touch owned)`touch owned`; touch owned & b'c"  # names of files are no commands


@pytest.fixture(scope="module")
def run(efnst: Efnst, cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Visium HD and its cells, an archive at a strange path, and an .h5ad file from a server."""
    folder = tmp_path_factory.mktemp("forms")
    write_visium_hd(simulate_section(1, 0, SMALL), folder / "hd", n_bins=300)
    outs = cohort / "sim_nested" / "outs"
    (folder / STRANGE).mkdir()
    pack(outs, folder / STRANGE / "packed.tar.gz")
    data = to_anndata(outs)
    data.obsm["X_before"] = np.random.default_rng(0).normal(size=(data.n_obs, 8))
    data.write_h5ad(folder / "one.h5ad")
    shutil.copy2(cohort / "sim_nested" / "labels.csv", folder / STRANGE / "labels.csv")
    rows = [
        {"sample": "bins", "section": "hd/outs", "bin_um": "8", "labels": "hd/labels.csv", "image": "none"},
        {"sample": "cells", "section": "hd", "bin_um": "cells", "image": "none"},
        {"sample": "packed", "section": f"{STRANGE}/packed.tar.gz", "labels": f"{STRANGE}/labels.csv"},
    ]
    with served(folder) as address:
        rows.append({"sample": "one", "section": f"{address}/one.h5ad"})
        sheet = write_sheet(folder / "sheet.csv", *(row | {"n_domains": "4"} for row in rows))
        ended = efnst(folder, *QUICK, "--input", sheet, "--qc_rules", own_rules(folder))
    assert ended.status == 0, ended.output
    return ended


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which the files of `folder` are to be had."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def own_rules(folder: Path) -> Path:
    """Rules that no section keeps."""
    path = folder / "rules.yml"
    path.write_text("section_qc: [{metric: n_spots_kept, side: below, fail: 100000, text: The number of spots}]")
    return path


def test_every_form_is_finished(run: Run) -> None:
    assert {sample: row["status"] for sample, row in run.summary.items() if row["status"] == "error"} == {}
    assert list(run.summary) == ["bins", "cells", "packed", "one"]
    assert all((run.outdir / sample / "report.html").is_file() for sample in run.summary)


def test_no_name_was_run_as_a_command(run: Run) -> None:
    assert list(run.outdir.parent.rglob("owned")) == []


def test_rules_of_ones_own_decide(run: Run) -> None:
    said = "Quality control (fail): The number of spots"
    assert all(said in row["reason"] for row in run.summary.values())


def test_the_archive_and_the_h5ad_hold_the_same_section(run: Run) -> None:
    packed, one = (anndata.read_h5ad(run.outdir / sample / f"{sample}.h5ad") for sample in ("packed", "one"))
    assert (packed.X != one.X).nnz == 0 and list(packed.obs_names) == list(one.obs_names)
    assert packed.uns["section"]["image"]["source"] == one.uns["section"]["image"]["source"] == "hires"


def test_bins_have_their_scale_and_cells_theirs(run: Run) -> None:
    bins, cells = (read_bins_of(run, sample).uns["section"] for sample in ("bins", "cells"))
    assert bins["bin_um"] == 8 and bins["grid"] == "square" and cells["grid"] == "irregular"
    assert bins["um_per_px"] == pytest.approx(cells["um_per_px"], rel=1e-3)


@pytest.mark.parametrize("sample", ["bins", "cells"])
def test_every_bin_and_cell_has_a_domain(run: Run, sample: str) -> None:
    units = anndata.read_h5ad(run.outdir / sample / f"{sample}.h5ad")
    bins, table = read_bins_of(run, sample), pd.read_csv(run.outdir / sample / "domains.csv", dtype={"domain": str})
    assert units.n_obs < bins.n_obs == units.uns["section"]["n_bins"] == units.obs["n_bins"].sum()
    assert table["barcode"].tolist() == bins.obs_names.tolist() and table["unit"].isin(units.obs_names).all()
    assert table["domain"].tolist() == bins.obs["efnst"].astype(str).tolist()
    assert bins.X.sum() == units.X.sum()


def read_bins_of(run: Run, sample: str) -> anndata.AnnData:
    """The file of a section's bins or cells."""
    return anndata.read_h5ad(run.outdir / sample / f"{sample}_bins.h5ad")
