"""The records of a run: read once, and what is damaged in them is said."""

import json
from collections import Counter
from pathlib import Path

import pytest
from tests.support.explained import SCHEMA, change

from efnst.errors import EfnstError
from efnst.provenance.explain import explain
from efnst.provenance.last_run import last_run
from efnst.provenance.origin import find_origin

N_SECTIONS = 9


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("sections.json", "[1]", "its content: Input should be a valid dictionary"),
        ("sections.json", "[null]", "its content: Input should be a valid dictionary"),
        ("sections.json", '{"a": 1}', "its content: Input should be a valid list"),
        ("sections.json", "[{}]", "id: not there"),
        ("sections.json", '[{"id": "S1", "section": 5}]', "section: Input should be a valid string"),
        ("run.json", "{}", "launch_dir: not there"),
        ("run.json", '{"launch_dir": "/", "nextflow": "1", "started": 5}', "started: Input should be a valid string"),
        ("run.json", '{"launch_dir": "/", "started": "2020-02-20"}', "nextflow: not there"),
        ("parameters.json", '{"input": ["sheet.csv"]}', "input: Input should be a valid string"),
        ("provenance/S1.json", "{}", "parameters: not there"),
        ("provenance/S1.json", '{"parameters": {}, "seed": 1}', "domains: not there"),
        ("provenance/S1.json", '{"parameters": {}, "seed": 1, "domains": 7}', "domains: Input should be"),
        ("provenance/S1.json", '{"parameters": {}, "seed": 1, "domains": {}}', "domains.n_domains_asked: not there"),
    ],
)
def test_what_is_damaged_is_said(outdir: Path, name: str, content: str, said: str) -> None:
    path = outdir / "pipeline_info" / name
    path.write_text(content)
    with pytest.raises(EfnstError, match=rf"Expected a complete {path.name}, found that .* \({said}.*: copy the file"):
        explain(find_origin(outdir / "S1"), SCHEMA)


@pytest.mark.parametrize("part", ["image", "inputs", "encoder", "cohort", "reference"])
def test_what_a_part_of_a_section_s_record_lacks_is_said(outdir: Path, part: str) -> None:
    change(outdir / "pipeline_info" / "provenance" / "S1.json", **{part: [{}] if part == "inputs" else {}})
    with pytest.raises(EfnstError, match=rf"Expected a complete S1.json, found .* \({part}\.\w+: not there\)"):
        explain(find_origin(outdir / "S1"), SCHEMA)


def test_a_damaged_record_within_a_file_is_said(outdir: Path) -> None:
    path = outdir / "S1" / "domains_hires.geojson"
    path.write_text('{"efnst": {"sample": "S1", "seed": 1, "parameters": {}}}')
    with pytest.raises(EfnstError, match=r"Expected a complete domains_hires.geojson, found .* \(domains: not there\)"):
        find_origin(path)


def test_a_record_of_another_version_is_read(outdir: Path) -> None:
    """It has members that this one does not know, and lacks some that this one writes."""
    info = outdir / "pipeline_info"
    (info / "run.json").write_text(json.dumps({"launch_dir": "/", "nextflow": "1", "started": "2020-02-20", "new": 5}))
    change(info / "provenance" / "S1.json", new={"a": 1})
    assert "doubt" not in explain(find_origin(outdir / "S1"), SCHEMA)


def test_a_byte_order_mark_is_no_damage(outdir: Path) -> None:
    path = outdir / "pipeline_info" / "parameters.json"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert "epochs 20" in explain(find_origin(outdir / "S1"), SCHEMA)


def test_each_record_is_read_as_often_whatever_the_number_of_sections(
    outdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two times those of the run: where the result comes from, and whose it is; once that of each section."""
    info, names = outdir / "pipeline_info", [f"S{number}" for number in range(1, N_SECTIONS + 1)]
    row, record = json.loads((info / "sections.json").read_text())[0], (info / "provenance" / "S1.json").read_text()
    (info / "sections.json").write_text(json.dumps([row | {"id": name} for name in names]))
    for name in names:
        (info / "provenance" / f"{name}.json").write_text(record)
    reads, read_bytes = Counter(), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (reads.update([path.name]), read_bytes(path))[1])
    assert f"results of {N_SECTIONS} sections" in explain(find_origin(outdir), SCHEMA)
    of_run = {"sections.json": 2, "parameters.json": 2, "run.json": 2}
    assert reads == of_run | {f"{name}.json": 1 for name in names}
    reads.clear()
    assert len(last_run(outdir).finished) == N_SECTIONS
    assert set(reads.values()) == {1}
