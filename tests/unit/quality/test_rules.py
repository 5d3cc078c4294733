"""Rules that turn figures into pass, warn or fail."""

from pathlib import Path

import pytest
from tests.support.places import PROJECT

from efnst.errors import EfnstError
from efnst.quality.rules import Rule, apply_rules, read_rules

SHIPPED = PROJECT / "assets" / "qc_rules.yml"
RULES = """
section_qc:
  - {metric: median_counts, side: below, warn: 100, fail: 10, text: The median}
  - {metric: quantiles/total_counts/0, side: above, fail: 5}
  - {metric: metrics_summary/Valid Barcodes, side: below, warn: 0.5}
"""


def rules(tmp_path: Path, content: str = RULES) -> Path:
    (tmp_path / "rules.yml").write_text(content)
    return tmp_path / "rules.yml"


@pytest.mark.parametrize(
    ("record", "status", "levels"),
    [
        ({"median_counts": 100}, "pass", []),
        ({"median_counts": 99.5}, "warn", ["warn"]),
        ({"median_counts": 9}, "fail", ["fail"]),
        ({"median_counts": 50, "quantiles": {"total_counts": [6, 7]}}, "fail", ["warn", "fail"]),
        ({"metrics_summary": {"Valid Barcodes": 0.4}}, "warn", ["warn"]),
        ({"metrics_summary": {"Valid Barcodes": "unknown"}}, "pass", []),
        ({}, "pass", []),
    ],
)
def test_the_worst_rule_decides(tmp_path: Path, record: dict, status: str, levels: list[str]) -> None:
    found, findings = apply_rules(read_rules(rules(tmp_path), "section_qc"), record)
    assert found == status and [finding["level"] for finding in findings] == levels


def test_a_finding_says_figure_and_limit(tmp_path: Path) -> None:
    _, findings = apply_rules(read_rules(rules(tmp_path), "section_qc"), {"median_counts": 9.25})
    text = "Quality control (fail): The median 9.25 is below 10."
    assert findings == [{"level": "fail", "metric": "median_counts", "value": 9.25, "limit": 10, "text": text}]


@pytest.mark.parametrize(
    ("side", "value", "limit", "said"),
    [
        ("below", 0.79996, 0.8, "0.79996 is below 0.8"),
        ("above", 40.0004, 40, "40.0004 is above 40"),
        ("below", 10000.0, 10000.4, "10000 is below 10000.4"),
        ("below", 12345.678, 20000, "12346 is below 20000"),
        ("below", 0.79996, 0.79998, "0.79996 is below 0.79998"),
        ("above", 2.5e6, 1e6, "2500000 is above 1000000"),
        ("above", 0.00001234, 0, "0.00001234 is above 0"),
        ("above", 1e300, 9e299, f"1{'0' * 300} is above 9{'0' * 299}"),
        ("above", float("inf"), 3, "inf is above 3"),
    ],
)
def test_a_figure_is_on_the_side_of_the_limit_that_its_text_says(
    side: str, value: float, limit: float, said: str
) -> None:
    _, findings = apply_rules([Rule("x", side, {"warn": limit}, "It")], {"x": value})
    assert findings[0]["text"] == f"Quality control (warn): It {said}."


def test_the_shipped_rules_are_rules_of_known_figures() -> None:
    assert read_rules(SHIPPED, "section_qc") and read_rules(SHIPPED, "image_qc")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- a", "Expected the rules of section_qc and image_qc"),
        ("other: []", "Expected the rules of"),
        ("section_qc: 3", "Expected a list of rules"),
        ("section_qc: [{metric: x, side: below}]", "numbers for warn or fail in rule 1 of section_qc"),
        ("section_qc: [{metric: x, side: under, warn: 1}]", "Expected side below or above"),
        ("section_qc: [{metric: x, side: below, warn: many}]", "numbers for warn or fail"),
        ("section_qc: [{metric: x, side: below, warn: .nan}]", "numbers for warn or fail"),
        ("section_qc: [{metric: x, side: below, warn: 1, wran: 2}]", "Expected metric, side, warn and fail"),
        ("section_qc: [x", "cannot be read"),
        ("!!python/object/apply:os.system ['true']", "cannot be read"),
    ],
)
def test_files_that_are_no_rules(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(EfnstError, match=said):
        read_rules(rules(tmp_path, content), "section_qc")


def test_no_rules_pass_everything(tmp_path: Path) -> None:
    assert apply_rules(read_rules(rules(tmp_path, ""), "section_qc"), {"median_counts": 0}) == ("pass", [])
