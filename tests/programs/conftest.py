"""A small cohort, learned, and its reference."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData
from tests.support.options import chosen
from tests.support.shared import learn

import fit_domains


@pytest.fixture(scope="session")
def sections(simulated_section: Callable[..., AnnData], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two sections of the same tissue, which share its spots, and one of too few spots."""
    folder, paths, tissue = tmp_path_factory.mktemp("sections"), {}, simulated_section(600, 120)
    tissue.obs["total_counts"] = np.asarray(tissue.X.sum(1)).ravel()
    for sample, rows in {"a": slice(0, None, 2), "b": slice(1, None, 2), "few": slice(0, 8)}.items():
        paths[sample] = folder / f"{sample}.h5ad"
        tissue[rows].copy().write_h5ad(paths[sample])
    return paths


@pytest.fixture(scope="session")
def learned(sections: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    outdir = tmp_path_factory.mktemp("learned")
    learn(sections, outdir)
    return outdir


@pytest.fixture(scope="session")
def reference(sections: dict[str, Path], learned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference of both sections, three domains."""
    outdir = tmp_path_factory.mktemp("domains")
    used = [sample for sample in sections if sample != "few"]
    given = {"sample": used, "section": [sections[sample] for sample in used], "space": learned / "space"}
    given |= {"embedding": [learned / sample / "embedding.npz" for sample in used], "outdir": outdir}
    fit_domains.main(**given, **chosen(fit_domains.main, n_domains=3))
    return outdir / "reference"
