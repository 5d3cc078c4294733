"""Declarations of encoders: what is accepted, and what windows and images they take."""

import json
from pathlib import Path

import pytest

from efnst.encoder.declaration import read_declaration, refuse_image, refuse_precision, refuse_windows, window_um
from efnst.errors import EfnstError
from efnst.records.encoder import EncoderDeclaration

COLOURS = {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
SCALED = EncoderDeclaration(name="mine", input_px=224, layout="NCHW", um_per_px=0.5, **COLOURS)


def test_a_declaration_with_defaults(tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text(json.dumps({"input_px": 256}))
    declared = read_declaration(tmp_path / "own.json", tmp_path / "own.onnx")
    assert (declared.name, declared.input_px, declared.layout) == ("own", 256, "NCHW")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "input_px: Field required"),
        ({"input_px": 0}, "input_px: Input should be greater than or equal to 8"),
        ({"input_px": 224, "layout": "HWC"}, "layout: Input should be 'NCHW' or 'NHWC'"),
        ({"input_px": 224, "std": [0, 1, 1]}, "std/0: Input should be greater than 0"),
        ({"input_px": 224, "sdt": [1, 1, 1]}, "sdt: Extra inputs are not permitted"),
        ({"input_px": 224, "name": "../x"}, "name: String should match pattern"),
    ],
)
def test_declarations_that_are_wrong(given: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text(json.dumps(given))
    with pytest.raises(EfnstError, match=message):
        read_declaration(tmp_path / "own.json", tmp_path / "own.onnx")


def test_a_declaration_that_is_missing_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"Expected `own\.json` beside `own\.onnx`"):
        read_declaration(tmp_path / "own.json", tmp_path / "own.onnx")
    (tmp_path / "own.json").write_text("{")
    with pytest.raises(EfnstError, match=r"Expected `own\.json` to be JSON"):
        read_declaration(tmp_path / "own.json", tmp_path / "own.onnx")


@pytest.mark.parametrize(
    "given",
    [
        {"input_px": 224, "licence": "free\nof charge"},
        {"input_px": 224, "um_per_px": 0},
        {"input_px": 224, "um_per_px_range": [0.5]},
        {"input_px": 224, "external": {"../weights": "0" * 64}},
        {"input_px": 224, "external": {"a": "0" * 64, "b": "0" * 64}},
        {"input_px": 224, "commercial": "yes"},
    ],
)
def test_what_a_run_would_show_or_open_is_checked(given: dict, tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text(json.dumps(given))
    with pytest.raises(EfnstError, match=r"Expected `own\.json` to declare an encoder"):
        read_declaration(tmp_path / "own.json", tmp_path / "own.onnx")


def test_the_scale_decides_the_window() -> None:
    assert window_um(SCALED) == 112
    assert window_um(EncoderDeclaration(name="mine", input_px=224, layout="NCHW", **COLOURS)) is None


def test_windows_at_other_scales_are_refused_with_both_figures() -> None:
    refuse_windows(SCALED, [56, 112, 168])
    with pytest.raises(EfnstError, match=r"at 0\.25 to 0\.75 µm per px .*found 190 µm in 224 px, 0\.848 µm per px"):
        refuse_windows(SCALED, [112, 190])
    refuse_windows(SCALED.changed(um_per_px_range=[0.9, 0.4]), [190])


def test_a_finer_image_is_taken_and_a_coarser_one_refused_with_both_figures() -> None:
    refuse_image(SCALED, 0.1)
    refuse_image(SCALED, 0.75)
    with pytest.raises(EfnstError, match=r"at most 0\.75 µm per px for mine, .*for 0\.5, found one of 2\.9 µm per px"):
        refuse_image(SCALED, 2.9)


@pytest.mark.parametrize(
    ("precision", "declared", "is_one_file", "message"),
    [
        ("int8", SCALED.changed(precision="fp16"), True, "found one in fp16"),
        ("int8", SCALED, False, "whose weights lie in another file"),
        ("fp16", SCALED, False, "--half"),
    ],
)
def test_precisions_that_an_encoder_cannot_be_brought_to(
    precision: str, declared: EncoderDeclaration, is_one_file: bool, message: str
) -> None:
    with pytest.raises(EfnstError, match=message):
        refuse_precision(declared, precision, is_one_file)
    refuse_precision(declared, "fp32", is_one_file)
