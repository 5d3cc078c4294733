"""Files and fields that no step needs: broken, they are a warning or nothing at all, and refuse no section."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from anndata import AnnData
from PIL import Image
from tests.support.space_ranger import HIRES, SCALE

from efnst.errors import EfnstError
from efnst.inputs.section import load_section


@pytest.fixture
def outs(simulated_folder: Callable[[int], Path], tmp_path: Path) -> Path:
    """A copy of a simulated section, to be changed."""
    return shutil.copytree(simulated_folder(1) / "outs", tmp_path / "outs")


def read(path: Path, image: str = "") -> tuple[AnnData, dict, list[str]]:
    return load_section("S1", path, image, "")


def test_metrics_with_semicolons_have_decimal_commas(outs: Path) -> None:
    (outs / "metrics_summary.csv").write_text("Sample ID;Number of Reads;Q30;Valid\nA;1234;0,912;95,4%\n")
    _, about, warnings = read(outs)
    expected = {"Sample ID": "A", "Number of Reads": 1234, "Q30": 0.912, "Valid": pytest.approx(0.954)}
    assert about["metrics_summary"] == expected and warnings == []


@pytest.mark.parametrize("content", ["", "Number of Spots\n", "a,b\n1\n"])
def test_metrics_that_cannot_be_read_are_a_warning(content: str, outs: Path) -> None:
    (outs / "metrics_summary.csv").write_text(content)
    _, about, (warning,) = read(outs)
    assert warning.startswith("The figures of metrics_summary.csv were left out. Expected a complete metrics_summary")
    assert about["metrics_summary"] == {}


@pytest.mark.parametrize("value", ["0", "-1", "NaN"])
def test_factors_that_nothing_reads_may_be_anything(value: str, outs: Path) -> None:
    path = outs / SCALE
    factors = json.loads(path.read_text()) | {"fiducial_diameter_fullres": "X", "mine": "X"}
    path.write_text(json.dumps(factors).replace('"X"', value))
    section, _, warnings = read(outs)
    assert section.uns["section"]["image"]["scale"] == factors["tissue_hires_scalef"] and warnings == []


def test_only_the_image_that_is_used_must_be_sound(outs: Path, tmp_path: Path) -> None:
    """The full-resolution image is compared with the first one that is."""
    expected = read(outs)[0].uns["section"]["image"]
    lowres = outs / "spatial/tissue_lowres_image.png"
    kept = lowres.read_bytes()
    lowres.write_bytes(b"")
    section, _, (warning,) = read(outs)
    assert section.uns["section"]["image"] == expected
    assert warning.startswith("The lowres image of the section was left out. Expected a complete tissue_lowres_image")
    lowres.write_bytes(kept)
    shutil.copy(outs / HIRES, tmp_path / "he.png")
    (outs / HIRES).write_bytes(b"")
    scale = json.loads((outs / SCALE).read_text())["tissue_hires_scalef"]
    with Image.open(tmp_path / "he.png") as picture:
        full = picture.resize([round(side / scale) for side in picture.size])
    full.save(tmp_path / "he.png")
    _, about, (warning,) = read(outs, image=str(tmp_path / "he.png"))
    assert warning.startswith("The hires image of the section was left out. Expected a complete tissue_hires_image")
    assert about["image_agreement"]["own_image"] == "lowres" and about["image_agreement"]["detail"] > 0.9
    with pytest.raises(EfnstError, match=r"Expected a complete tissue_hires_image\.png"):
        read(outs)
