"""The row of a section in the summary of the cohort, its status and warnings."""

from dataclasses import replace

import anndata
from tests.support.records import example

from efnst.records.domains import MethodFigures
from efnst.records.encoder import FeaturesRecord
from efnst.records.quality import ImageQc
from efnst.records.section import Records
from efnst.reports.summary import section_status, section_summary, section_warnings, thinned


def test_a_section_that_breaks_a_rule_fails(records: Records) -> None:
    """Not like one that only has warnings, and whether the rule is of the section or of its image."""
    assert section_status(records, []) == "pass"
    assert section_status(records, ["weak"]) == "warn"
    assert section_status(replace(records, qc=records.qc.changed(qc_status="fail")), ["weak"]) == "fail"
    assert section_status(replace(records, image_qc=example(ImageQc, qc_status="fail")), []) == "fail"


def test_thinned_keeps_the_ends() -> None:
    points = thinned(list(range(1000)))
    assert len(points) == 100
    assert points[0] == [1, 0.0]
    assert points[-1] == [1000, 999.0]
    assert thinned([5.0]) == [[1, 5.0]]


def test_warnings_join_all_steps_once(records: Records) -> None:
    changed = {"qc": records.qc.changed(warnings=["lowres"]), "domains": records.domains.changed(n_domains_found=1)}
    changed["training"] = records.training.changed(warnings=["few genes"])
    found = section_warnings(replace(records, **changed, image_qc=example(ImageQc, warnings=["border", "lowres"])))
    assert found[:3] == ["lowres", "border", "few genes"]
    assert len(found) == 4
    assert "1 domains were found where 2 were asked" in found[3]


def test_seconds_of_a_cohort_add_up(data: anndata.AnnData, records: Records) -> None:
    alone = records.training.changed(seconds=6.0)
    together = alone.changed(cohort={"samples": ["S", "T", "U"], "corrected": True})
    found = [section_summary(data, replace(records, training=training), {}).seconds for training in (alone, together)]
    assert found == [6.0, 2.0]


def test_summary_row(data: anndata.AnnData, records: Records) -> None:
    summary = section_summary(data, replace(records, features=example(FeaturesRecord, patches_per_second=99.0)), {})
    assert summary.status == "pass"
    assert summary.composition == {"1": data.n_obs // 2, "2": data.n_obs // 2}
    assert (summary.efnst_chaos, summary.diffused_pas, summary.ari_leiden) == (0.1, 0.1, 0.3)
    assert summary.methods["leiden"] == MethodFigures(**records.domains.methods["leiden"].plain())
    assert (summary.patches_per_second, summary.encoder, summary.n_epochs) == (99.0, None, [3])
    assert summary.loss == {"total": [[1, 3.0], [2, 2.0], [3, 1.0]]}
    assert summary.names is None and summary.named_macro_f1 is None
    scores = {"macro_f1": 0.8, "ari": 0.7, "known": 0.9}
    named = replace(records, domains=records.domains.changed(names={"1": "tumour"}, named=scores))
    found = section_summary(data, named, {})
    assert found.names == {"1": "tumour"}
    assert (found.named_macro_f1, found.named_ari, found.named_known) == (0.8, 0.7, 0.9)
    weak = replace(records, qc=records.qc.changed(warnings=["weak"]))
    assert section_summary(data, weak, {}).status == "warn"
