"""Rules that turn figures into pass, warn or fail."""

from pathlib import Path

import pytest
from tests.support.places import PROJECT

from efnst.errors import EfnstError
from efnst.quality.rules import apply_rules, read_rules

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
