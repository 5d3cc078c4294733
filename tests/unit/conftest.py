"""A described section and its records, as the reports take them."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from tests.support.grids import hexagonal
from tests.support.hostile import EVIL
from tests.support.records import example

from efnst.records.domains import Description, DomainsRecord, TrainingRecord, TrainingRun
from efnst.records.quality import SectionQc, SpotQuantiles
from efnst.records.section import Records


@pytest.fixture
def data() -> anndata.AnnData:
    """36 spots in two halves, 5 genes, pitch 20 px, no image."""
    positions = hexagonal(6, 6, 20) + 40
    half = np.where(positions[:, 0] < 95, "1", "2")
    obs = pd.DataFrame(
        {
            "total_counts": np.arange(36) + 100,
            "n_genes_by_counts": np.arange(36) % 5,
            "pct_counts_mt": np.linspace(0, 5, 36),
            "label": pd.Categorical(np.where(half == "1", "tumour", None)),
            "efnst": pd.Categorical(half),
            "efnst_confidence": np.where(half == "1", 1.0, 0.5),
            "leiden": pd.Categorical(np.where(half == "1", "1", "3")),
            "diffused": pd.Categorical(half),
        },
        index=[f"BARCODE{number}-1" for number in range(36)],
    )
    counts = sp.csr_matrix(np.random.default_rng(0).poisson(2.0, (36, 5)).astype(np.float32))
    section = anndata.AnnData(counts, obs=obs, obsm={"spatial": positions})
    section.var_names = ["A", "B", "C", "D", EVIL]
    image = {"source": "none", "file": "", "scale": 1.0, "width": 0, "height": 0}
    section.uns["section"] = {"sample": "s1", "pitch_px": 20.0, "um_per_px": 5.0, "spot_diameter_px": 11.0}
    section.uns["section"] |= {"grid": "hexagonal", "space_ranger": "1.x", "image": image}
    section.uns["efnst"] = {"parameters": {"n_genes": np.int64(3000)}, "versions": {"efnst": "0.1.0"}}
    return section


@pytest.fixture
def records() -> Records:
    methods = {
        "efnst": {"n_domains": 2, "how": "mixture", "chaos": 0.1, "pas": 0.2, "silhouette": 0.3, "ari": 0.5},
        "diffused": {"n_domains": 2, "how": "mixture", "chaos": 0.2, "pas": 0.1, "silhouette": 0.2, "ari": 0.4},
        "leiden": {"n_domains": 2, "how": "leiden", "chaos": 0.3, "pas": 0.3, "silhouette": 0.1, "ari": 0.3},
    }
    quantiles = example(SpotQuantiles, total_counts=[1.0, 2, 3, 4, 5], n_genes_by_counts=[1.0, 2, 3, 4, 5])
    spots = {"n_spots_in_matrix": 40, "n_spots_in_tissue": 38, "n_spots_kept": 36, "lost": {"x": 2}}
    medians = {"median_counts": 100.0, "median_genes": 5.0, "median_pct_mt": 2.5}
    numbers = {"n_domains_asked": 2, "n_domains_found": 2, "pieces": "spots", "n_pieces": 36, "n_labelled": 18}
    ran = {"loss": {"total": [3.0, 2.0, 1.0]}, "parameters": {"epochs": 3}, "runs": [example(TrainingRun, epochs=3)]}
    adjacency = {"domains": ["1", "2"], "pairs": [[30, 6], [6, 30]], "enrichment": [[2.0, 0.25], [0.25, None]]}
    adjacency |= {"z_score": [[30.0, -5.0], [-5.0, None]], "n_permutations": 1000}
    dots = {"genes": ["A", EVIL], "mean": [[2.0, 0.0], [1.0, 0.0]], "fraction": [[1.0, 0.0], [0.25, 0.0]]}
    genes = {"top_markers": {"1": ["A", "B"], "2": []}, "top_spatial_genes": ["C", EVIL]}
    return Records(
        qc=example(SectionQc, sample="s1", **spots, **medians, quantiles=quantiles, warnings=[]),
        domains=example(DomainsRecord, sample="s1", **numbers, methods=methods),
        training=example(TrainingRecord, seed=7, device="cpu", **ran),
        description=example(Description, **genes, dot_plot=dots, adjacency=adjacency, notes=[]),
    )
