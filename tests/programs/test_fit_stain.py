"""fit_stain.py on records of tile_image.py."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.support.records import example

import fit_stain
from efnst.records.base import write_record
from efnst.records.quality import ImageQc


def image_qc_of(folder: Path, lightness: float | None) -> Path:
    """An image_qc.json whose section has this mean lightness, or no statistics."""
    stain = {
        "n_px": 5000,
        "macenko": None,
        "reinhard": {"mean": [lightness, 20.0, -20.0], "sd": [10.0, 5.0, 5.0]},
    }
    folder.mkdir()
    path = folder / "image_qc.json"
    write_record(path, example(ImageQc, sample=folder.name, stain=stain if lightness else None))
    return path


def test_the_reference_of_a_cohort(
    start: Callable[..., tuple[int, str]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    records = [image_qc_of(tmp_path / f"s{n}", value) for n, value in enumerate((50.0, 80.0, None, 60.0))]
    status, _ = start(fit_stain.main, *records, "--outdir", tmp_path / "out")
    assert status == 0
    reference = json.loads((tmp_path / "out" / "stain_reference.json").read_text())
    assert reference == {
        "n_sections": 4,
        "macenko": None,
        "reinhard": {"mean": [60.0, 20.0, -20.0], "sd": [10.0, 5.0, 5.0]},
    }
    assert "no section has macenko statistics" in caplog.text and "reinhard" not in caplog.text


def test_a_cohort_of_one_real_record_is_its_own_reference(patches_file: Path, tmp_path: Path) -> None:
    qc = patches_file.with_name("image_qc.json")
    fit_stain.main([qc], outdir=tmp_path)
    reference = json.loads((tmp_path / "stain_reference.json").read_text())
    for method, statistics in json.loads(qc.read_text())["stain"].items():
        for name, values in statistics.items() if method != "n_px" else ():
            assert np.array(reference[method][name]) == pytest.approx(np.array(values), abs=1e-5)
