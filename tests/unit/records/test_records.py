"""Records: what is written is read again, and what does not fit is refused with the file and the field."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from tests.support.places import PROJECT
from tests.support.records import example, example_fields

from efnst.errors import EfnstError
from efnst.program.arrays import read_arrays, write_arrays
from efnst.records.arrays import EMBEDDING_NPZ, FEATURES_NPZ, Arrays
from efnst.records.base import Record, read_record, write_record
from efnst.records.cohort import Failure, SheetRow
from efnst.records.domains import DomainsRecord, TrainingRecord
from efnst.records.files import FILES
from efnst.records.quality import SectionQc

KINDS = {file.name: file.kind for file in FILES if isinstance(file.kind, type)}


def misfit(path: Path, kind: type[Record], content: object) -> str:
    """What is said of a file with `content` that should be of this kind."""
    path.write_text(json.dumps(content))
    with pytest.raises(EfnstError) as raised:
        read_record(path, kind)
    return str(raised.value)


@pytest.mark.parametrize("with_optional", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_a_record_is_read_as_it_was_written(tmp_path: Path, name: str, with_optional: bool) -> None:
    record = example(KINDS[name], with_optional)
    write_record(tmp_path / name, record)
    assert read_record(tmp_path / name, KINDS[name]) == record
    assert json.loads((tmp_path / name).read_text()) == record.plain() == example_fields(KINDS[name], with_optional)


@pytest.mark.parametrize("name", KINDS)
def test_an_unknown_a_missing_and_a_mistyped_field_are_refused(tmp_path: Path, name: str) -> None:
    fields = example_fields(KINDS[name])
    for field, value in fields.items():
        wrong = "text" if isinstance(value, list | dict) else []
        assert f"`{name}`" in misfit(tmp_path / name, KINDS[name], fields | {"more": 1})
        assert "more: Extra" in misfit(tmp_path / name, KINDS[name], fields | {"more": 1})
        without = {key: value for key, value in fields.items() if key != field}
        assert f"{field}: Field required" in misfit(tmp_path / name, KINDS[name], without)
        assert f"{field}: Input should be" in misfit(tmp_path / name, KINDS[name], fields | {field: wrong})


def test_the_place_within_nested_records_is_named(tmp_path: Path) -> None:
    fields = example_fields(SectionQc)
    fields["geometry"]["measured"]["pitch_px"] = "100"
    fields["qc_findings"][0]["limit"] = None
    said = misfit(tmp_path / "section_qc.json", SectionQc, fields)
    assert "geometry.measured.pitch_px: Input should be a valid number" in said
    assert "qc_findings.0.limit: Input should be" in said


def test_many_problems_are_counted(tmp_path: Path) -> None:
    assert "(and 22 more)" in misfit(tmp_path / "section_qc.json", SectionQc, {})


@pytest.mark.parametrize("content", [b'{"sample": "a",', b"", b"\xff\xfe", b"[]", b"null"])
def test_what_is_no_record_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "failure.json").write_bytes(content)
    with pytest.raises(EfnstError, match=r"`failure.json` .* found the file: "):
        read_record(tmp_path / "failure.json", Failure)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"failure.json`, which an earlier step writes, found no such file"):
        read_record(tmp_path / "failure.json", Failure)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_are_finite(tmp_path: Path, number: float) -> None:
    fields = example_fields(TrainingRecord)
    for changed in ({"seconds": number}, {"loss": {"kl": [1.0, number]}}, {"parameters": {"image_weight": number}}):
        with pytest.raises(ValidationError, match="finite"):
            TrainingRecord(**fields | changed)
        assert "finite" in misfit(tmp_path / "training.json", TrainingRecord, fields | changed)


def test_a_producer_that_builds_a_wrong_record_fails() -> None:
    with pytest.raises(ValidationError, match="methods\\.efnst\\.pas"):
        example(DomainsRecord, methods={"efnst": {"n_domains": 2, "how": "mixture", "silhouette": None, "chaos": 0.1}})
    with pytest.raises(ValidationError, match="frozen"):
        example(Failure).reason = "another"


def test_whole_numbers_and_truth_values_stay_what_they_are(tmp_path: Path) -> None:
    parameters = {"n_genes": 3000, "image_weight": 1.0, "vary_views": True, "expression_rep": "", "n_domains": None}
    write_record(tmp_path / "training.json", example(TrainingRecord, parameters=parameters))
    read = read_record(tmp_path / "training.json", TrainingRecord).parameters
    assert [(value, type(value)) for value in read.values()] == [(value, type(value)) for value in parameters.values()]


def test_a_changed_record_is_checked() -> None:
    record = example(Failure)
    assert record.changed(reason="another") == example(Failure, reason="another")
    with pytest.raises(ValidationError, match="cause"):
        record.changed(cause="another")


def test_a_list_of_records_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [example(SheetRow, id=name, n_domains=None) for name in ("a", "donor's ä")]
    write_record(tmp_path / "sections.json", rows)
    assert read_record(tmp_path / "sections.json", list[SheetRow]) == rows
    assert (tmp_path / "sections.json").read_bytes().isascii()
    (tmp_path / "sections.json").write_text('[{"id": 1}]')
    with pytest.raises(EfnstError, match=r"`sections.json` .* 0\.id: Input should be a valid string"):
        read_record(tmp_path / "sections.json", list[SheetRow])


def embedding(**changed: np.ndarray | None) -> dict[str, np.ndarray]:
    """The arrays of an embedding.npz of two spots, some changed or, with None, left out."""
    names = ("embedding_0", "embedding_1", "diffused", "expression")
    arrays = dict.fromkeys(names, np.zeros((2, 3), np.float32)) | changed
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"diffused": None}, "diffused: missing"),
        ({"embedding_0": None, "embedding_1": None}, "embedding_…: missing"),
        ({"latent": np.zeros((2, 3), np.float32)}, "latent: not known"),
        ({"expression": np.zeros((2, 3))}, "expression: float64 instead of float32"),
        ({"embedding_1": np.zeros(2, np.float32)}, "embedding_1: 1 axes instead of 2"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, changed: dict, said: str) -> None:
    barcodes = np.array(["a", "b"])
    path = tmp_path / "embedding.npz"
    with pytest.raises(EfnstError, match=f"`embedding.npz` .*{said}"):
        write_arrays(path, EMBEDDING_NPZ, barcodes, **embedding(**changed))
    np.savez(path, barcodes=barcodes, **embedding(**changed))
    with pytest.raises(EfnstError, match=f"`embedding.npz` .*{said}"):
        read_arrays(path, EMBEDDING_NPZ, barcodes)
    write_arrays(path, EMBEDDING_NPZ, barcodes, **embedding(image_pcs=np.ones((2, 5), np.float32)))
    assert sorted(read_arrays(path, EMBEDDING_NPZ, barcodes)) == sorted([*embedding(), "image_pcs"])


def test_the_file_of_another_step_is_refused(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a.npz", EMBEDDING_NPZ, np.array(["a", "b"]), **embedding())
    with pytest.raises(EfnstError, match="features: missing"):
        read_arrays(tmp_path / "a.npz", FEATURES_NPZ, np.array(["a", "b"]))


def test_every_field_and_array_says_what_it_holds() -> None:
    for file in FILES:
        if isinstance(file.kind, Arrays):
            assert all(member.about for member in file.kind.members)
        elif isinstance(file.kind, type):
            assert all(field.description for field in file.kind.model_fields.values())


def test_the_data_flow_names_every_file() -> None:
    flow = (PROJECT / "docs" / "architecture.md").read_text().split("## Data flow")[1].split("Rules:")[0]
    for file in FILES:
        assert file.name in flow, f"docs/architecture.md, Data flow: {file.name} is missing"
