"""Statistics of a cohort, and the parts of the report that show them."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.support.records import example

from efnst.palette import domain_colour
from efnst.records.cohort import Failure, SectionSummary, SheetRow
from efnst.reports.cohort import outcomes, write_sections
from efnst.reports.cohort_statistics import Statistics, cohort_statistics, write_statistics
from efnst.reports.multiqc_statistics import domain_key, statistics_contents
from efnst.reports.point_picture import points_uri
from efnst.statistics.embedding import POINTS, SharedSpots, read_shared_spots

EVIL = "<script>alert(1)</script>&"


def summary(sample: str, **composition: int) -> SectionSummary:
    """A section with so many spots in these domains (`d1=50`), of two that were asked for."""
    spots = {name[1:]: count for name, count in composition.items()}
    about = {"status": "pass", "warnings": [], "n_domains_asked": 2}
    return example(SectionSummary, sample=sample, **about, composition=spots)


def statistics_of(sections: list[SectionSummary], common: bool, described: dict[str, Path] | None = None) -> Statistics:
    """The statistics of these sections, all of which ended well."""
    ended = outcomes([section.sample for section in sections], sections, [])
    return cohort_statistics(ended, ROWS, described or {}, common)


ROWS = [example(SheetRow, id=name, group=EVIL, covariates={"age": "7"}) for name in ("a", "b", "failed")]


def test_without_common_domains_only_proportions_are_known() -> None:
    found = statistics_of([summary("a", d1=25, d2=75), summary("b", d1=100)], common=False)
    assert found.proportions["n_spots"].tolist() == [25, 75, 100] and list(found.covariates.index) == ["a", "b"]
    assert (found.tests, found.markers, found.spots) == (None, None, None)
    assert statistics_contents(found) == {} == statistics_contents(None) and domain_key(found) == "" == domain_key(None)


def test_common_domains_without_files_of_the_sections(tmp_path: Path) -> None:
    found = statistics_of([summary("a", d1=50, d2=50), summary("b", d1=100)], True, {"a": tmp_path})
    assert found.proportions["n_spots"].tolist() == [50, 50, 100, 0]
    assert found.markers.empty and found.gene_sets.empty and found.tests.empty and found.mixing is None
    assert not any(content["data"] for content in statistics_contents(found).values())
    key = domain_key(found)
    assert domain_colour(1) in key and domain_colour(2) in key and domain_colour(3) not in key


def test_a_domain_that_no_section_has_is_told_and_has_rows_of_0() -> None:
    three = {"n_domains_asked": 3}
    sections = [summary("a", d1=50, d3=50).changed(**three), summary("b", d1=100).changed(**three)]
    found = statistics_of(sections, common=True)
    assert found.proportions["domain"].tolist() == ["1", "2", "3"] * 2
    assert found.proportions["n_spots"].tolist() == [50, 0, 50, 100, 0, 0]
    (text,) = found.told
    assert text.startswith("Of the 3 domains that the sections share, domain 2 is in none of them: no more than 2 were")
    third = summary("failed", d2=100).changed(**three)
    assert not statistics_of([*sections, third], common=True).told
    of_reference = [section.changed(verdict="pass") for section in sections]
    assert not statistics_of(of_reference, common=True).told, "a reference may have more"
    own = statistics_of(sections, common=False)
    assert own.proportions["domain"].tolist() == ["1", "3", "1"] and not own.told


def test_a_section_has_one_status_in_all_tables(tmp_path: Path) -> None:
    """Also one that a later step or the other sections raise: that of sections.csv."""
    sections = [summary("a", d1=50, d2=50), summary("b", d1=25, d2=75), summary("failed", d1=10).changed(status="fail")]
    without = Failure(sample="a", step="export_domains", reason="no space")
    stopped = Failure(sample="b", step="section_report", reason="no space")
    ended = outcomes(["a", "b", "failed"], sections, [stopped], [without])
    write_sections(ended, tmp_path / "sections.csv")
    found = cohort_statistics(ended, ROWS, {}, common=True)
    write_statistics(found, {}, tmp_path)
    statuses = {"a": "warn", "b": "error", "failed": "fail"}
    assert found.statuses == statuses
    assert pd.read_csv(tmp_path / "sections.csv").set_index("sample")["status"].to_dict() == statuses
    table = pd.read_csv(tmp_path / "proportions.csv")
    assert table["section_status"].tolist() == [status for status in statuses.values() for _ in range(2)]
    assert found.told[-1].startswith("Sections with the status fail or error (2 of 3) count in the tables")


def test_spots_are_counted_and_not_worked_back_from_rounded_shares() -> None:
    """Of a million units a share of six digits is off by one."""
    spots = [333_334, 1_000_003]
    found = statistics_of([summary("a", d1=spots[0], d2=spots[1])], common=False)
    assert found.proportions["n_spots"].tolist() == spots


def test_what_is_no_domain_has_no_colour_of_a_domain() -> None:
    found = statistics_of([summary("a", d0=50, d1=50), summary("b", d1=100)], common=True)
    assert domain_colour(0) in domain_key(found) and domain_key(found).count(domain_colour(1)) == 1


def test_nothing_of_the_data_is_html() -> None:
    samples = np.repeat([EVIL, "b"], 60)
    spots = SharedSpots(samples, np.full(120, EVIL), np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32))
    tests = {"domain": EVIL, "covariate": EVIL, "levels": EVIL, "test": "kendall", "n_samples": 4}
    tests |= {"statistic": 1.0, "p_value": 0.5, "p_adjusted": 0.5, "smallest_p": 0.1, "n_failed": 0, "higher_in": EVIL}
    markers = {"domain": EVIL, "gene": EVIL, "mean_rank": 1.0, "n_samples_tested": 2, "n_significant": 2}
    sets = {"domain": EVIL, "gene_set": EVIL, "mean_activity": 2.0, "n_samples": 2}
    mixing = {"batch": EVIL, "n_batches": 2, "silhouette": 0.1, "ilisi": 1.5, "ilisi_scaled": 0.5}
    tables = [pd.DataFrame([row]) for row in (tests, markers, sets, mixing)]
    proportions = pd.DataFrame({"sample": ["b"], "domain": [EVIL], "n_spots": [1], "share": [1.0]})
    statistics = Statistics(True, pd.DataFrame(index=[EVIL, "b"]), proportions, *tables, spots)
    contents = statistics_contents(statistics)
    assert all(content["data"] for content in contents.values()) and len(contents) == 5
    assert "<script" not in json.dumps(contents) + domain_key(statistics)


def test_points_are_drawn_in_their_colours() -> None:
    places = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    uri = points_uri(places, np.array(["#ff0000", "#0000ff", "#00ff00"]))
    picture = Image.open(io.BytesIO(base64.b64decode(re.sub("^data:image/webp;base64,", "", uri)))).convert("RGB")
    pixels = np.asarray(picture).astype(int).reshape(-1, 3)
    for channel in range(3):
        others = pixels[:, [c for c in range(3) if c != channel]].max(axis=1)
        assert ((pixels[:, channel] > 180) & (others < 120)).any()
    assert uri == points_uri(places, np.array(["#ff0000", "#0000ff", "#00ff00"]))


@pytest.mark.parametrize("n_sections", [1, 40])
def test_as_many_spots_of_each_section(tmp_path: Path, n_sections: int) -> None:
    paths = {}
    for number in range(n_sections):
        paths[f"s{number}"] = tmp_path / f"{number}.npz"
        arrays = {"barcodes": np.arange(500).astype(str), "domain": np.full(500, "1")}
        np.savez(paths[f"s{number}"], **arrays, embedding=np.full((500, 2), number, np.float32))
    spots = read_shared_spots(paths)
    of_each = min(500, POINTS // n_sections)
    assert pd.Series(spots.samples).value_counts().to_dict() == dict.fromkeys(paths, of_each)
    assert [f"s{int(x)}" for x in spots.embedding[:, 0]] == list(spots.samples)
    assert read_shared_spots({}) is None
