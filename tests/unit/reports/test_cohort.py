"""The cohort's rows and report content, whatever ended how."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.records import example

from efnst.names import METHOD_TITLES
from efnst.palette import domain_colour
from efnst.records.cohort import Failure, SectionSummary
from efnst.records.domains import Adjacency
from efnst.records.quality import SpotQuantiles
from efnst.reports.cohort import (
    COLUMNS,
    ENDED_UNEXPECTEDLY,
    files_below,
    merged_versions,
    outcomes,
    write_sections,
)
from efnst.reports.multiqc import contents

EVIL = "<script>alert(1)</script>&\"'"


def summary(sample: str, **changed: object) -> SectionSummary:
    """The record of a section with two domains and labels."""
    row = {"status": "pass", "warnings": [], "n_spots_in_tissue": 12, "n_spots_kept": 10, "n_epochs": [40, 30]}
    row |= {"median_counts": 100.0, "median_genes": 50.0, "median_pct_mt": 1.5, "efnst_stability": 0.75}
    for method, value in (("efnst", 0.1), ("diffused", 0.2), ("leiden", 0.3)):
        row |= {f"{method}_chaos": value, f"{method}_pas": value, f"{method}_silhouette": value, f"ari_{method}": value}
    row |= {"composition": {"1": 9, "2": 3}, "lost": {"min_counts_per_spot": 2, "max_pct_mt": 0}}
    row["quantiles"] = example(SpotQuantiles, total_counts=[1, 2, 3, 4, 5], n_genes_by_counts=[6, 7, 8, 9, 10])
    row |= {"top_markers": {"1": ["A", "B", "C", "D"], "2": []}, "n_domains_found": 2}
    row |= {"loss": {"kl": [[1, 5.0]], "total": [[1, 9.0], [40, 2.0]]}}
    row["adjacency"] = example(Adjacency, domains=["1", "2", "3"], pairs=[[5, 3, 0], [3, 9, 2], [0, 2, 1]])
    row |= {"methods_text": {"image": "hires.", "network": "40 epochs."}}
    return example(SectionSummary, sample=sample, **row | changed)


def record(sample: str, step: str, reason: str) -> Failure:
    """The record of a step that ended."""
    return Failure(sample=sample, step=step, reason=reason)


def rows(path: Path) -> list[dict]:
    """sections.csv as dictionaries."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_sample_has_one_row_in_the_order_of_the_sheet(tmp_path: Path) -> None:
    failures = [
        record("c", "read_section", "Expected spots, found none"),
        record("c", "tile_image", "no tissue"),
    ]
    finished = [summary("a", status="warn", warnings=["weak, image", "border"]), summary("d")]
    ended = outcomes(["d", "c", "b", "a"], finished, failures)
    write_sections(ended, tmp_path / "sections.csv")
    table = rows(tmp_path / "sections.csv")
    assert list(table[0]) == list(COLUMNS)
    assert [(row["sample"], row["status"]) for row in table] == [
        ("d", "pass"),
        ("c", "error"),
        ("b", "error"),
        ("a", "warn"),
    ]
    assert table[1]["reason"] == "read_section: Expected spots, found none; tile_image: no tissue"
    assert table[2]["reason"] == ENDED_UNEXPECTEDLY
    assert table[3]["reason"] == "weak, image; border"
    assert [row["report"] for row in table] == ["d/report.html", "", "", "a/report.html"]
    assert table[0]["n_spots_kept"] == "10"
    assert table[0]["ari_efnst"] == "0.1"
    assert table[1]["n_spots_kept"] == ""


def test_what_a_section_does_without_is_a_warning() -> None:
    without = record("a", "export_domains", "a: figures, disk full")
    passed, warned = summary("a"), summary("a", status="warn", warnings=["weak image"])
    reason = "export_domains: a: figures, disk full"
    (outcome,) = outcomes(["a"], [passed], [], [without])
    assert (outcome.status, outcome.reason) == ("warn", reason)
    (outcome,) = outcomes(["a"], [warned], [], [without])
    assert (outcome.status, outcome.reason) == ("warn", f"weak image; {reason}")
    failed = record("a", "read_section", "no spots")
    (outcome,) = outcomes(["a"], [], [failed], [])
    assert (outcome.status, outcome.reason) == ("error", "read_section: no spots")


def test_a_section_that_breaks_a_rule_is_told_apart_from_one_without_a_result() -> None:
    broken = summary("a", status="fail", warnings=["Quality control (fail): the median of counts 3 is below 20."])
    without = record("a", "export_domains", "disk full")
    stopped = record("b", "read_section", "no spots")
    ended = outcomes(["a", "b", "c"], [broken, summary("c")], [stopped], [without])
    assert [outcome.status for outcome in ended] == ["fail", "error", "pass"]
    table = contents(ended, {})["efnst_status"]
    assert table["description"] == "3 sections: 1 pass, 1 fail, 1 error."
    assert "below 20" in table["data"]["a"]["reason"] and "a/report.html" in table["data"]["a"]["report"]
    colours = [next(iter(colour.values())) for colour in table["headers"]["status"]["cond_formatting_colours"]]
    assert len(set(colours)) == 4


def test_a_failure_after_the_report_still_counts() -> None:
    (outcome,) = outcomes(["a"], [summary("a")], [record("a", "export", "disk")])
    assert (outcome.status, outcome.reason, outcome.report) == ("error", "export: disk", "a/report.html")


def test_a_failure_of_all_sections_is_the_reason_of_those_that_did_not_end() -> None:
    failure = record("", "export_encoder", "Expected weights, found none")
    done, not_done = outcomes(["a", "b"], [summary("a")], [failure])
    assert done.status == "pass"
    assert not_done.reason == "export_encoder: Expected weights, found none"


def test_results_of_an_unknown_sample_are_a_bug() -> None:
    with pytest.raises(ValueError, match="stranger"):
        outcomes(["a"], [summary("stranger")], [])


def test_all_failed_leaves_the_status_only() -> None:
    made = contents(outcomes(["a", "b"], [], []), {})
    assert list(made) == ["efnst_status"]
    assert made["efnst_status"]["description"] == "2 sections: 2 error."
    assert made["efnst_status"]["data"]["a"] == {"status": "error", "report": "–", "reason": ENDED_UNEXPECTEDLY}


def test_contents_of_a_finished_section(tmp_path: Path) -> None:
    thumbnail = tmp_path / "a_thumbnail.webp"
    thumbnail.write_bytes(b"webp")
    made = contents(outcomes(["a"], [summary("a")], []), {"a": thumbnail})
    names = ["status", "statistics", "scores", "spots_lost", "quantiles", "composition", "gallery", "markers"]
    names += ["adjacency", "training", "stability", "devices", "methods"]
    assert list(made) == [f"efnst_{name}" for name in names]
    assert made["efnst_adjacency"]["data"]["a"] == {"1–2": 60.0, "1–3": 0.0, "2–3": 40.0}
    assert made["efnst_stability"]["data"]["a"] == {"Stability": 0.75}
    assert made["efnst_devices"]["data"]["a"]["epochs"] == 70
    assert made["efnst_status"]["data"]["a"]["report"] == '<a href="a/report.html">report</a>'
    assert made["efnst_statistics"]["data"]["a"]["median_genes"] == 50.0
    assert made["efnst_spots_lost"]["data"]["a"] == {"min counts per spot": 2, "max pct mt": 0}
    counts, genes = made["efnst_quantiles"]["data"]
    assert counts["a"] == {"min": 1, "q1": 2, "median": 3, "q3": 4, "max": 5}
    assert genes["a"]["median"] == 8
    assert made["efnst_composition"]["data"]["a"] == {"Domain 1": 75.0, "Domain 2": 25.0}
    assert made["efnst_composition"]["categories"]["Domain 2"]["color"] == domain_colour(2)
    assert made["efnst_markers"]["data"]["a"] == {"n_domains_found": 2, "domain_1": "A, B, C", "domain_2": "–"}
    assert made["efnst_training"]["data"][0] == {"a": [[1, 9.0], [40, 2.0]]}
    assert "data:image/webp;base64,d2VicA==" in made["efnst_gallery"]["data"]
    assert made["efnst_methods"]["data"] == "<p>hires. 40 epochs.</p>"


def test_labels_for_some_only() -> None:
    unlabelled = example(SectionSummary, **summary("b").model_dump(exclude={f"ari_{name}" for name in METHOD_TITLES}))
    made = contents(outcomes(["a", "b"], [summary("a"), unlabelled], []), {})
    scores = made["efnst_scores"]["data"]
    assert scores["a"]["ari_leiden"] == 0.3
    assert "ari_leiden" not in scores["b"]
    assert list(scores) == ["a", "b"]
    none = contents(outcomes(["b"], [unlabelled], []), {})
    assert not any(key.startswith("ari") for key in none["efnst_scores"]["headers"])
    assert "ari_efnst" not in none["efnst_statistics"]["headers"]


def test_names_of_domains_and_how_well_a_section_was_named(tmp_path: Path) -> None:
    named = summary("a", names={"1": EVIL, "2": "unknown"}, named_macro_f1=0.8, named_ari=0.7, named_known=0.9)
    ended = outcomes(["a", "b", "c"], [named, summary("b", names={"3": "stroma"}), summary("c")], [])
    made = contents(ended, {})
    found = made["efnst_names"]
    assert found["data"]["b"] == {"n_domains_found": 2, "domain_3": "stroma"} and "c" not in found["data"]
    assert found["data"]["a"]["domain_2"] == "unknown" and "<" not in found["data"]["a"]["domain_1"]
    assert list(found["headers"]) == ["n_domains_found", "domain_1", "domain_2", "domain_3"]
    figures = made["efnst_statistics"]["data"]
    assert figures["a"]["named_macro_f1"] == 0.8 and "named_macro_f1" not in figures["b"]
    write_sections(ended, tmp_path / "sections.csv")
    table = rows(tmp_path / "sections.csv")
    assert [row["names"] for row in table] == [f"1 {EVIL}; 2 unknown", "3 stroma", ""]
    columns = ("named_macro_f1", "named_ari", "named_known")
    assert [[row[name] for name in columns] for row in table] == [["0.8", "0.7", "0.9"], [""] * 3, [""] * 3]


def test_sections_of_new_tissue_are_in_the_tables_of_domains() -> None:
    """Domain 0 of a reference run has a column, and no other number has one that no section has.

    Each row has something in the first column, from which MultiQC takes the order of the rows.
    """
    novel = summary(
        "a", composition={"0": 10}, top_markers={"0": ["N", "M"]}, names={"0": "unknown"}, n_domains_found=0
    )
    known = summary("b", composition={"2": 10}, top_markers={"2": ["A"]}, names={"2": "stroma"}, n_domains_found=1)
    made = contents(outcomes(["a", "b"], [novel, known], []), {})
    assert made["efnst_markers"]["data"] == {
        "a": {"n_domains_found": 0, "domain_0": "N, M"},
        "b": {"n_domains_found": 1, "domain_2": "A"},
    }
    assert made["efnst_names"]["data"] == {
        "a": {"n_domains_found": 0, "domain_0": "unknown"},
        "b": {"n_domains_found": 1, "domain_2": "stroma"},
    }
    columns = ["n_domains_found", "domain_0", "domain_2"]
    assert list(made["efnst_markers"]["headers"]) == list(made["efnst_names"]["headers"]) == columns


def test_the_same_pairs_of_domains_are_shown_of_all_sections() -> None:
    """The first eight numbers that any section has; a domain that a section lacks is no domain that touches none."""
    few = example(Adjacency, domains=["2", "9"], pairs=[[4, 3], [3, 4]])
    many = [str(number) for number in range(10)]
    chain = example(Adjacency, domains=many, pairs=(np.eye(10, k=1) + np.eye(10, k=-1)).astype(int).tolist())
    sections = [summary("few", adjacency=few), summary("many", adjacency=chain), summary("three")]
    shown = contents(outcomes(["few", "many", "three"], sections, []), {})["efnst_adjacency"]["data"]
    pairs = [f"{one}–{other}" for one in range(8) for other in range(one + 1, 8)]
    assert [list(row) for row in shown.values()] == [pairs] * 3
    assert set(shown["few"].values()) == {None}, "9 is not among the first eight"
    assert shown["many"] == {pair: 11.1 if int(pair[2]) == int(pair[0]) + 1 else 0 for pair in pairs}
    known = {pair: value for pair, value in shown["three"].items() if value is not None}
    assert known == {"1–2": 60.0, "1–3": 0.0, "2–3": 40.0}


def test_methods_say_of_how_many_sections_a_sentence_is_true() -> None:
    without = summary("b", methods_text={"image": "No image.", "network": "40 epochs."})
    made = contents(outcomes(["a", "b", "c"], [summary("a"), without, summary("c")], []), {})
    assert made["efnst_methods"]["data"] == (
        "<p>hires. <i>(2 of 3 sections)</i> No image. <i>(1 of 3 sections)</i> 40 epochs.</p>"
    )


def test_text_from_data_is_escaped(tmp_path: Path) -> None:
    thumbnail = tmp_path / "t.webp"
    thumbnail.write_bytes(b"webp")
    texts = {
        "warnings": [EVIL],
        "image_source": EVIL,
        "device": EVIL,
        "provider": EVIL,
        "methods_text": {"image": EVIL},
    }
    evil = summary(EVIL, status="warn", **texts, lost={EVIL: 1}, top_markers={"1": [EVIL]})
    failure = record("b", "read_section", EVIL)
    made = contents(outcomes([EVIL, "b"], [evil], [failure]), {EVIL: thumbnail})
    assert len(made) == 13
    text = json.dumps(made)
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_files_below_follows_links_and_takes_files(tmp_path: Path) -> None:
    (tmp_path / "work" / "deep").mkdir(parents=True)
    (tmp_path / "work" / "deep" / "one.json").write_text("{}")
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged" / "1").symlink_to(tmp_path / "work" / "deep")
    (tmp_path / "staged" / "note.txt").write_text("")
    (tmp_path / "two.json").write_text("{}")
    found = files_below([tmp_path / "staged", tmp_path / "two.json"], ".json")
    assert [path.name for path in found] == ["one.json", "two.json"]


def test_versions_are_merged_and_differences_kept(tmp_path: Path) -> None:
    (tmp_path / "1.yml").write_text('"READ":\n  python: 3.11.2\n  scanpy: "1.10"\n')
    (tmp_path / "2.yml").write_text('"READ":\n  python: 3.12.1\n"LEARN":\n  torch: 2.6.0\n')
    assert merged_versions([tmp_path / "1.yml", tmp_path / "2.yml"]) == {
        "LEARN": {"torch": ["2.6.0"]},
        "READ": {"python": ["3.11.2", "3.12.1"], "scanpy": ["1.10"]},
    }
