"""What the section report shows, worked out on a small section."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from tests.support.hostile import EVIL
from tests.support.places import PROJECT
from tests.support.records import example, example_fields

from efnst.palette import VALUE_COLOURS, domain_colour
from efnst.provenance.methods import methods_text
from efnst.records.domains import DomainsRecord, MethodRecord, TrainingRecord
from efnst.records.quality import ImageQc, Stain
from efnst.records.reference import ReferenceFit
from efnst.records.section import Records
from efnst.reports.maps import section_view
from efnst.reports.section import (
    Tables,
    adjacency_table,
    dot_plot,
    gene_set_rows,
    histograms,
    label_table,
    number_curves,
    report_context,
    score_table,
    stability_of,
    stain_table,
    training_curves,
)
from efnst.reports.summary import section_warnings

TEMPLATES = PROJECT / "assets" / "section_report"


def test_best_scores_are_marked(records: Records) -> None:
    table = score_table(records.domains)
    names = [column["name"] for column in table["columns"]]
    assert names == ["CHAOS", "PAS", "silhouette", "ARI"]
    best = {row["name"]: [score["best"] for score in row["scores"]] for row in table["rows"]}
    assert best["EfNST"] == [True, False, True, True]
    assert best["diffused"] == [False, True, False, False]


def test_scores_without_labels_have_no_ari(records: Records) -> None:
    without = example(DomainsRecord, methods=dict.fromkeys(records.domains.methods, example_fields(MethodRecord)))
    assert [column["name"] for column in score_table(without)["columns"]] == ["CHAOS", "PAS", "silhouette"]


def test_adjacency_is_shaded_by_z_score(records: Records) -> None:
    shades = [[cell["shade"] for cell in row["cells"]] for row in adjacency_table(records.description)]
    part = np.log(5) / np.log(30)
    np.testing.assert_allclose(shades, [[1, -part], [-part, 0]])


def test_connectivity_stands_beside_the_pairs(records: Records) -> None:
    adjacency = records.description.adjacency.changed(connectivity=[[0.0, 0.25], [0.25, 0.0]])
    rows = adjacency_table(records.description.changed(adjacency=adjacency.plain()))
    assert [[cell["connectivity"] for cell in row["cells"]] for row in rows] == [[0.0, 0.25], [0.25, 0.0]]
    assert adjacency_table(records.description)[0]["cells"][0]["connectivity"] is None  # not known


def test_gene_sets_are_shaded_by_the_largest_activity(records: Records) -> None:
    found = {"names": ["A", "B"], "domains": ["1", "2"], "activity": [[4.0, -1.0], [0.0, 2.0]]}
    rows = gene_set_rows(records.description.changed(gene_sets=found))
    assert [row["name"] for row in rows] == ["A", "B"]
    assert rows[0]["cells"] == [{"activity": 4.0, "shade": 1.0}, {"activity": 0.0, "shade": 0.0}]
    assert [cell["shade"] for cell in rows[1]["cells"]] == [-0.25, 0.5]
    assert gene_set_rows(records.description) == []


def test_dots_are_scaled_to_the_largest_of_a_gene(records: Records) -> None:
    plot = dot_plot(records.description)
    first, second = (row["dots"] for row in plot["rows"])
    assert (first[0]["colour"], second[0]["colour"]) == (VALUE_COLOURS[-1], VALUE_COLOURS[4])
    assert first[1]["colour"] == second[1]["colour"] == VALUE_COLOURS[0]  # a gene that is nowhere
    none = {"genes": [], "mean": [[], []], "fraction": [[], []]}
    assert dot_plot(records.description.changed(dot_plot=none))["rows"] == []


def test_histogram_by_hand() -> None:
    """0 to 39 once each, and 1000: the axis ends at the 99.5th percentile, and the limit of 8 lies on it."""
    obs = pd.DataFrame({"total_counts": [*range(40), 1000], "pct_counts_mt": 1.0})
    (drawn,) = histograms(obs, {"min_counts_per_spot": 8})
    high = np.quantile(obs["total_counts"], 0.995)
    assert (drawn["low"], drawn["high"], drawn["median"]) == (0, pytest.approx(high), 20)
    assert drawn["limit_at"] == pytest.approx(8 / high)
    assert drawn["bars"][-1] == pytest.approx(1 / drawn["most"], abs=1e-3) and max(drawn["bars"]) == 1
    assert histograms(obs, {})[0]["limit_at"] is None


def test_stains_have_the_colour_of_their_density() -> None:
    """Density 1 in red alone takes nine tenths of the red away."""
    macenko = {"stains": [[1.0, 0, 0], [0, 0.5, 0.5]], "concentrations": [1.0, 2.0]}
    first, second = stain_table(example(ImageQc, stain=example(Stain, macenko=macenko)))
    assert (first["name"], first["colour"], second["colour"]) == (
        "haematoxylin",
        "rgb(26, 255, 255)",
        "rgb(255, 26, 26)",
    )
    alone = example(ImageQc, stain=example(Stain, macenko=None))
    assert stain_table(None) == stain_table(example(ImageQc, stain=None)) == stain_table(alone) == []


def test_training_curve_runs_from_corner_to_corner() -> None:
    (curve,) = training_curves(example(TrainingRecord, loss={"total": [3.0, 2.0, 1.0]}), 100, 10)
    assert curve["points"] == "0.0,0.0 50.0,5.0 100.0,10.0"
    assert training_curves(example(TrainingRecord, loss={"total": [3.0]}))[0]["points"] == "130.0,110.0"


def test_a_number_that_was_chosen_is_drawn_and_doubted_where_flat(records: Records) -> None:
    """Of 2, 3 and 4 domains, 3 was chosen: in the middle of a chart 260 wide, at its top in stability."""
    curve = {"n_domains": [2, 3, 4], "stability": [0.5, 0.9, 0.7], "gain": [1.0, 2.0, 2.5]}
    curve |= {"sd": [0.1, 0.1, 0.1], "se": [0.1, 0.1, 0.1], "gain_se": [0.1, 0.1, 0.1]}
    choice = {"n_domains": 3, "runner_up": 4, "flat": True, "supported": True, "curve": curve}
    domains = records.domains.changed(n_domains_asked=3, n_domains_found=3, choice=choice)
    stability, gain = number_curves(domains)
    assert (stability["points"], stability["mark"]) == ("0.0,110.0 130.0,0.0 260.0,55.0", ["130.0", "0.0"])
    assert (gain["chosen"], gain["low"], gain["high"], gain["tried"]) == (2.0, 1.0, 2.5, [2, 3, 4])
    assert number_curves(records.domains) == []

    assert section_warnings(replace(records, domains=domains)) == []
    assert "of 2 to 4" in methods_text(replace(records, domains=domains), {}, {"image": {"source": "hires"}})["number"]
    assert "number" not in methods_text(records, {}, {"image": {"source": "hires"}})
    most = domains.changed(choice=choice | {"n_domains": 4, "runner_up": 3})
    (found,) = section_warnings(replace(records, domains=most))
    assert found.startswith("4 domains, the most that were tried, were chosen: raise max_domains")
    unsupported = most.changed(choice=most.choice.changed(supported=False))
    assert section_warnings(replace(records, domains=unsupported)) == []


def test_stability_and_labels_by_hand() -> None:
    method = {"n_runs": 3, "stability": 0.8, "ari_of_runs": [0.4, 0.6]}
    method["best_matches"] = [{"label": "a", "domain": 3, "jaccard": 0.75, "n_spots": 4}]
    method["confusion"] = {"index": [1, 3], "columns": ["a"], "data": [[1], [3]]}
    domains = example(DomainsRecord, methods={"efnst": example(MethodRecord, **method)})
    without = example(DomainsRecord, methods={"efnst": example(MethodRecord)})
    expected = {"n_runs": 3, "stability": 0.8, "alone": pytest.approx(0.5), "spread": pytest.approx(0.1)}
    expected |= {"runs": [0.4, 0.6], "by_units": None}
    assert stability_of(domains) == expected
    assert stability_of(without) is None
    table = label_table(domains)
    (row,) = table["rows"]
    assert [column["name"] for column in table["columns"]] == [1, 3]
    assert [column["colour"] for column in table["columns"]] == [domain_colour(1), domain_colour(3)]
    assert row["label"] == "a" and row["domain"] == 3
    assert row["cells"] == [{"spots": 1, "share": 0.25}, {"spots": 3, "share": 0.75}]
    assert label_table(without)["rows"] == []


def rendered(context: dict) -> str:
    """The report as HTML."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("report.html").render(context)


def test_names_from_data_are_escaped(data: anndata.AnnData, records: Records) -> None:
    """A sample, barcode, label, gene, warning and parameter that try to leave their place stay text."""
    records = replace(
        records,
        qc=records.qc.changed(sample=EVIL, warnings=[EVIL]),
        description=records.description.changed(top_markers={"1": [EVIL], "2": []}),
        training=records.training.changed(parameters={EVIL: EVIL}),
    )
    data.obs_names = [EVIL + str(number) for number in range(36)]
    data.obs["label"] = pd.Categorical([EVIL] * 36)
    markers = pd.DataFrame({"domain": ["1"], "gene": [EVIL], "score": [1.0]})
    spatial = pd.DataFrame({"gene": [EVIL], "morans_i": [1.0]})
    html = rendered(report_context(data, records, section_view(data, None), None, Tables(markers, spatial)))
    assert "<script>alert" not in html
    assert (html.count("<script>"), html.count("<script type"), html.count("</script>")) == (1, 1, 2)
    body = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in body


def test_a_broken_rule_stands_above_all(data: anndata.AnnData, records: Records) -> None:
    warnings = ["Quality control (fail): few counts."]
    records = replace(records, qc=records.qc.changed(qc_status="fail", warnings=warnings))
    tables = pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]})
    html = rendered(report_context(data, records, section_view(data, None), None, Tables(*tables)))
    assert '<span class="badge fail">fail</span>' in html
    assert html.index("This section fails quality control") < html.index("few counts") < html.index('id="tissue"')


@pytest.mark.parametrize(("status", "said"), [("pass", ""), ("fail", "fails quality control and ")])
def test_a_section_that_does_not_fit_the_reference_is_said_not_to(
    status: str, said: str, data: anndata.AnnData, records: Records
) -> None:
    fit = ReferenceFit(
        sample="S", missing_genes=0.4, depth=1, structure=1, known_batch=True, verdict="fail", reasons=["few genes"]
    )
    given = {"domains": records.domains.changed(fit=fit), "qc": records.qc.changed(qc_status=status)}
    records = replace(records, **given, image_qc=None)
    tables = pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]})
    html = rendered(report_context(data, records, section_view(data, None), None, Tables(*tables)))
    assert f"<b>This section {said}does not fit the reference. Do not rely" in " ".join(html.split())


@pytest.mark.parametrize(
    ("roles", "ignored", "said"),
    [
        ([], [], "No labels were given, so there is no ARI."),
        (["labels"], [], "The labels that were given tell no regions apart to score against, so there is no ARI."),
        (["labels"], ["NA"], "apart to score against, without those ignored (NA), so there is no ARI."),
    ],
)
def test_labels_that_cannot_be_scored_were_given(
    roles: list[str], ignored: list[str], said: str, data: anndata.AnnData, records: Records
) -> None:
    files = {"role": ["counts", *roles], **dict.fromkeys(("file", "checksum", "method"), ["x"] * (1 + len(roles)))}
    qc = records.qc.changed(inputs=records.qc.inputs.plain() | files | {"bytes": [1] * (1 + len(roles))})
    domains = records.domains.changed(n_labelled=0, ignore_labels=ignored)
    tables = pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]})
    records = replace(records, qc=qc, domains=domains)
    html = rendered(report_context(data, records, section_view(data, None), None, Tables(*tables)))
    assert said in " ".join(html.split()) and (roles == []) == ("No labels were given" in html)


def test_what_an_ingredient_adds_has_the_digits_of_its_error(data: anndata.AnnData, records: Records) -> None:
    added = {"image": {"gain": -1.6e-5, "error": 9e-6, "verdict": "little"}}
    evidence = records.domains.evidence.model_dump() | {"ingredients": added}
    records = replace(records, domains=records.domains.changed(evidence=evidence))
    tables = pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]})
    html = rendered(report_context(data, records, section_view(data, None), None, Tables(*tables)))
    assert ">-0.000016</td>" in html and ">0.000009</td>" in html
    assert "the image added -0.000016 ± 0.000009 (little)" in " ".join(html.split())


def test_a_reference_is_named_with_its_files(data: anndata.AnnData, records: Records) -> None:
    """And the parameters of its training are not among those of the section."""
    used = {"samples": ["a", "b"], "corrected": False, "correct_by": "none", "files": {"space.json": "12ab"}}
    used |= {"parameters": {"save_model": True, "n_seeds": 2}}
    training = records.training.changed(parameters={}, reference=used)
    tables = pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]})
    ran = replace(records, training=training)
    context = report_context(data, ran, section_view(data, None), None, Tables(*tables))
    html = " ".join(rendered(context).split())
    assert "<td>a, b</td>" in html and "SHA-256 <code>12ab</code>" in html and "<code>save_model True</code>" in html
    assert "<code>save_model</code>" not in html and "No network was trained on the section" in html


@pytest.mark.parametrize(("common", "chosen_for"), [(None, "section"), (True, "cohort")])
def test_a_number_is_chosen_for_who_it_was_chosen_for(
    common: bool | None, chosen_for: str, data: anndata.AnnData, records: Records
) -> None:
    """For the section, for its cohort, or for that of a reference, which nobody can choose again here."""
    curve = {name: [0.1, 0.2] for name in ("stability", "sd", "gain", "gain_se", "se")} | {"n_domains": [2, 3]}
    choice = {"n_domains": 3, "runner_up": 2, "flat": True, "supported": False, "curve": curve}
    domains = records.domains.changed(choice=choice, **({"common": True} if common else {}))
    reference = {"samples": ["a"], "corrected": False, "correct_by": "none", "files": {}, "parameters": {}}
    training = records.training.changed(reference=reference)
    tables = Tables(pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]}))
    own, brought = (
        " ".join(rendered(report_context(data, ran, section_view(data, None), None, tables)).split())
        for ran in (replace(records, domains=domains), replace(records, domains=domains, training=training))
    )
    for_all = " for the cohort" if common else ""
    assert f"3 domains were chosen{for_all}; the runner-up is 2. <b>This {chosen_for} does not support a choice" in own
    assert f"whole blocks of the {chosen_for} held out" in own and 'class="curves"' in own
    assert "Numbered as in the reference, for which 3 domains were chosen." in brought
    assert "runner-up" not in brought and "No number was given" not in brought and "if you know it" not in brought


def test_the_report_says_who_voted_and_how_domains_are_numbered(data: anndata.AnnData, records: Records) -> None:
    """Views vote beside the trainings; in a cohort all count alike, and numbers are not by size."""
    tables = pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]})

    def shown(**changed: object) -> str:
        members = [{"kind": kind, "gain": 0.5, "weight": 1.0} for kind in ("training", "training", "view")]
        evidence = records.domains.evidence.changed(members=members[: changed.pop("n_members", 3)]).plain()
        methods = records.domains.methods | {
            "efnst": records.domains.methods["efnst"].changed(n_runs=2, stability=0.9).plain()
        }
        domains = records.domains.changed(evidence=evidence, methods=methods, **changed)
        view = section_view(data, None)
        context = report_context(data, replace(records, domains=domains), view, None, Tables(*tables))
        return " ".join(rendered(context).split())

    alone, common, one = shown(), shown(common=True), shown(n_members=1)
    assert "EfNST is the consensus of 2 trainings and 1 view without a network. The 2 trainings agree" in alone
    assert "3 of 3 partitions, 2 trainings and 1 view without a network, held against the best" in alone
    assert "Numbered by decreasing size. Markers" in alone
    assert "All 3 partitions counted alike in the vote." in common and "held against the best" not in common
    assert "Numbered alike in all sections of the cohort" in common and "Numbered by" not in common
    assert "There was one partition only, and no vote." in one


def test_baselines_are_named_after_what_they_read(data: anndata.AnnData, records: Records) -> None:
    table = score_table(records.domains)
    assert table["rows"][0]["what"] == "expression, image and position, learned embedding"
    tables = pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]})
    given = records.training.changed(parameters={"expression_rep": "X_pca"}, image=False)
    view = section_view(data, None)
    rows = report_context(data, replace(records, training=given), view, None, Tables(*tables))["scores"]["rows"]
    what = {row["key"]: row["what"] for row in rows}
    assert what["leiden"] == "baseline: Leiden on components of X_pca; no position, no image"
    assert what["efnst"] == "features given (X_pca) and position, learned embedding"


def test_names_of_domains_and_how_well_they_name(data: anndata.AnnData, records: Records) -> None:
    tables = pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]})

    def shown(**found: object) -> str:
        ran = replace(records, domains=records.domains.changed(**found))
        return " ".join(rendered(report_context(data, ran, section_view(data, None), None, Tables(*tables))).split())

    names, scores = {"1": EVIL, "2": "unknown"}, {"macro_f1": 0.8125, "ari": 0.75, "known": 0.9}
    html = shown(names=names, named=scores)
    assert '<th scope="col">Name</th>' in html and "<td>unknown</td>" in html and "&lt;/script&gt;" in html
    assert "macro F1 0.812, ARI 0.750; 90.0 % of the labelled spots have a name." in html
    assert "macro F1" not in shown(names=names) and '<th scope="col">Name</th>' not in shown()


def test_report_loads_nothing_from_elsewhere(data: anndata.AnnData, records: Records) -> None:
    tables = pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]})
    html = rendered(report_context(data, records, section_view(data, None), None, Tables(*tables)))
    assert not re.search(r"https?://|<link|<script src|@import|url\(", html)
    drawn = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)]
    assert {svg[0].tag for svg in drawn} == {"polyline", "rect", "text"}
    assert all(svg.attrib["aria-label"] for svg in drawn)
    assert "seed 7" in html
    assert "18 labelled spots; 18 unlabelled spots are left out" in " ".join(html.split())


def test_scores_of_bins_say_what_they_are_of(data: anndata.AnnData, records: Records) -> None:
    """The number of bins that were scored, not of units, and EfNST's ARI at the level of the baselines."""
    scored = {"pieces": "bins", "n_pieces": 9000, "n_labelled": 7500}
    told = {"ari_of_units": 0.4567, "stability": 0.9, "n_runs": 2, "ari_of_runs": [0.4, 0.5]}
    efnst = records.domains.methods["efnst"].changed(**told)
    domains = records.domains.changed(**scored, methods=records.domains.methods | {"efnst": efnst})
    tables = pd.DataFrame({"domain": ["1"], "gene": ["A"]}), pd.DataFrame({"gene": ["A"], "morans_i": [1.0]})
    ran = replace(records, domains=domains)
    html = " ".join(rendered(report_context(data, ran, section_view(data, None), None, Tables(*tables))).split())
    assert "the 7,500 labelled bins; 1,500 unlabelled bins are left out" in html
    assert "EfNST tells the domain of each of the bins, a baseline that of its unit; with those of units" in html
    assert html.count("0.457") == 2 and "each alone scores 0.450 ± 0.050 (ARI with the labels), together 0.457" in html
