"""Metrics and thresholds of spots, against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix

from efnst.errors import EfnstError
from efnst.inputs.gene_kinds import genes_of_kinds, unrecognised
from efnst.quality.spots import (
    Thresholds,
    idle_thresholds,
    keep_good_spots,
    kinds_in,
    qc_record,
    spot_metrics,
    with_mads,
)

GENES = ["MT-CO1", "SAMD11", "mt-Nd1", "MTOR"]
COUNTS = [[1, 2, 0, 1], [0, 0, 0, 0], [3, 0, 1, 0], [0, 5, 0, 5], [0, 9, 0, 0]]


def limits(min_counts: float = 1, min_genes: float = 1, max_pct_mt: float = 100) -> Thresholds:
    """Thresholds of which the others take nothing."""
    return Thresholds(min_counts, min_genes, max_pct_mt, max_pct_ribo=100, max_pct_hb=100)


def section() -> AnnData:
    made = AnnData(csr_matrix(np.array(COUNTS, dtype=np.int32)))
    made.var_names, made.obs_names = GENES, [f"spot{i}" for i in range(5)]
    return made


def test_metrics() -> None:
    metrics = spot_metrics(section().X, kinds_in(section()))
    assert metrics["total_counts"].tolist() == [4, 0, 4, 10, 9]
    assert metrics["n_genes_by_counts"].tolist() == [3, 0, 2, 2, 1]
    assert metrics["pct_counts_mt"].tolist() == [25, 0, 100, 0, 0], "MTOR is not mitochondrial"


def test_a_spot_counts_for_the_first_threshold_that_takes_it() -> None:
    kept, lost, _ = keep_good_spots(section(), limits(1, 2, 50))
    others = {"max_pct_ribo": 0, "max_pct_hb": 0}
    assert lost == {"min_counts_per_spot": 1, "min_genes_per_spot": 1, "max_pct_mt": 1} | others
    assert list(kept.obs_names) == ["spot0", "spot3"] and kept.n_vars == 4
    assert kept.obs["total_counts"].tolist() == [4, 10]


def test_thresholds_are_inclusive() -> None:
    kept, _, _ = keep_good_spots(section(), limits(4, 2, 25))
    assert list(kept.obs_names) == ["spot0", "spot3"]


def test_the_record_adds_up() -> None:
    made = section()
    made.obsm["spatial"] = np.array([[0, 0], [10, 0], [20, 0], [30, 0], [90, 0]], float)
    kept, lost, _ = keep_good_spots(made, limits(1, 1, 100))
    record = qc_record(kept, lost, pitch_px=10.0)
    assert record["n_spots_in_tissue"] == 5 and record["n_spots_kept"] == 4 and record["share_kept"] == 0.8
    assert record["median_counts"] == 6.5 and record["median_genes"] == 2 and record["median_pct_mt"] == 12.5
    assert record["quantiles"]["total_counts"] == [4, 4, 6.5, 9.25, 10]
    assert record["n_isolated_spots"] == 2, "the first, whose only neighbour is lost, and the last"


@pytest.mark.parametrize(
    ("kind", "members", "others"),
    [
        (
            "mt",
            "MT-CO1 mt-Nd1 Mt-nd2 GRCh38_MT-CYB mm10___mt-Atp6 GRCh38-MT-ND5 mm10---mt-Co1 MT.ND2",
            "MTOR mTm1 MT1A",
        ),
        ("ribo", "RPS6 Rpl10a RPSA RPLP0 Rps27l hg19_RPL3", "RPS6KA1 Rps6kb2 RPTOR MRPL1 RPE"),
        ("hb", "HBA1 HBB HBG2 Hba-a1 Hbb-bs Hbb-bh1 HBD HBZ Hbq1a", "HBEGF HBS1L HBP1 HBXIP Hbegf"),
    ],
)
def test_genes_of_man_and_mouse(kind: str, members: str, others: str) -> None:
    """One spot with one count of every gene."""
    genes = np.array(f"{members} {others}".split())
    metrics = spot_metrics(csr_matrix(np.ones((1, len(genes)), np.int32)), genes_of_kinds(genes, genes))
    assert metrics[f"pct_counts_{kind}"][0] == pytest.approx(100 * len(members.split()) / len(genes))


@pytest.mark.parametrize(
    ("kind", "members", "others"),
    [
        ("mt", "ENSG00000198804 GRCh38_ENSG00000198888.2 mm10___ENSMUSG00000064351", "ENSG00000198793"),  # MTOR
        ("ribo", "ENSG00000137154 ENSMUSG00000028495.15", "ENSG00000117676"),  # RPS6, Rps6, RPS6KA1
        ("hb", "ENSG00000244734.4 ENSMUSG00000052305", "ENSG00000113070"),  # HBB, Hbb-bs, HBEGF
    ],
)
def test_genes_of_man_and_mouse_by_their_ids(kind: str, members: str, others: str) -> None:
    ids = np.array(f"{members} {others}".split())
    for names in (ids, np.array([f"gene{number}" for number in range(len(ids))])):
        found = genes_of_kinds(names, ids)
        assert found[kind].sum() == len(members.split()) and not found[kind][len(members.split()) :].any()
        assert not np.any([found[other] for other in found if other != kind])


def test_symbols_go_before_ids() -> None:
    assert genes_of_kinds(np.array(["RPS6", "X"]), np.array(["A", "ENSG00000198804"]))["mt"].sum() == 0


def test_ids_of_another_species_are_named() -> None:
    pig = np.array(["ENSSSCG00000018075.1", "ENSSSCG00000018078.2"])
    (warning,) = unrecognised(pig, pig)
    assert "such as ENSSSCG00000018075.1, and none" in warning
    mouse = np.append(pig, "ENSMUSG00000064351.2")
    assert unrecognised(mouse, mouse) == []
    assert unrecognised(np.array(["SAMD11", "TTN"]), pig) == [], "a panel may have none"


def test_a_limit_without_genes_of_its_kind_is_named() -> None:
    made = section()
    made.var_names = ["A", "SAMD11", "RPS6", "MTOR"]
    assert idle_thresholds(made, limits()) == []
    (warning,) = idle_thresholds(made, Thresholds(1, 1, 20, 50, 100))
    assert warning.startswith(
        "No gene of the section is known as mitochondrial (its genes are such as A, SAMD11, RPS6)"
    )
    assert warning.endswith("max_pct_mt 20 leaves out no spot.")


def test_a_percentage_without_genes_of_its_kind_is_not_known() -> None:
    made = section()
    made.var_names = ["A", "SAMD11", "RPS6", "MTOR"]
    made.obsm["spatial"] = np.column_stack([10 * np.arange(5), np.zeros(5)])
    kept, lost, used = keep_good_spots(made, Thresholds(1, 1, 20, 100, 100), mads=3)
    assert lost["max_pct_mt"] == 0 and used.max_pct_mt == 20
    assert kept.obs["pct_counts_mt"].isna().all() and kept.obs["pct_counts_ribo"].tolist() == [0, 25, 0, 0]
    record = qc_record(kept, lost, pitch_px=10.0)
    assert record["median_pct_mt"] is None and record["quantiles"]["pct_counts_mt"] is None
    assert record["median_pct_ribo"] == 0 and record["quantiles"]["pct_counts_ribo"] == [0, 0, 0, 6.25, 25]
    with pytest.raises(EfnstError, match=r"n_genes_by_counts \S+, pct_counts_ribo \S+\):"):
        keep_good_spots(made, limits(100))


def test_mads_make_thresholds_tighter_and_never_looser() -> None:
    counts = np.array([100, 110, 90, 105, 95, 2000, 5])
    metrics = pd.DataFrame(
        {"total_counts": counts, "n_genes_by_counts": counts // 2, "pct_counts_mt": [5, 6, 4, 5, 6, 5, 60]}
    )
    metrics = metrics.assign(pct_counts_ribo=0.0, pct_counts_hb=0.0)
    assert with_mads(limits(), metrics, 0) == limits()
    found = with_mads(limits(), metrics, 3)
    logs = np.log1p(counts)
    lowest = np.expm1(np.median(logs) - 3 * 1.4826 * np.median(np.abs(logs - np.median(logs))))
    assert found.min_counts_per_spot == pytest.approx(lowest, abs=1e-3) and 5 < lowest < 90
    assert found.max_pct_mt == pytest.approx(5 + 3 * 1.4826 * 1, abs=1e-3)
    assert found.max_pct_ribo == 100, "no spread says nothing"
    tight = limits(99, max_pct_mt=5)
    assert with_mads(tight, metrics, 3).min_counts_per_spot == 99 and with_mads(tight, metrics, 3).max_pct_mt == 5


def test_no_spot_left_says_what_each_threshold_took() -> None:
    said = r"none of 5 \(min_counts_per_spot 10 took 4, min_genes_per_spot 3 took 1, max_pct_mt 100 took 0, max_"
    with pytest.raises(EfnstError, match=said):
        keep_good_spots(section(), limits(10, 3, 100))


@settings(max_examples=50, deadline=None)
@given(arrays(np.int32, (6, 4), elements=st.integers(0, 5)), st.integers(0, 9), st.integers(0, 4), st.floats(0, 100))
def test_no_spot_is_lost_twice_and_every_spot_kept_keeps_to_the_thresholds(
    counts: np.ndarray, min_counts: int, min_genes: int, max_mt: float
) -> None:
    made = AnnData(csr_matrix(counts))
    made.var_names = GENES
    try:
        kept, lost, _ = keep_good_spots(made, limits(min_counts, min_genes, max_mt))
    except EfnstError:
        good = (counts.sum(1) >= min_counts) & ((counts > 0).sum(1) >= min_genes)
        good &= 100 * counts[:, [0, 2]].sum(1) / np.maximum(counts.sum(1), 1) <= max_mt
        assert not good.any()
        return
    assert kept.n_obs + sum(lost.values()) == 6
    assert (kept.X.toarray().sum(1) >= min_counts).all() and ((kept.X.toarray() > 0).sum(1) >= min_genes).all()
    assert (kept.obs["pct_counts_mt"] <= max_mt).all()
