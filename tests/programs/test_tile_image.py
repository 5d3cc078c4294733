"""tile_image.py on simulated sections and on a real full-resolution image."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

import read_section
import tile_image
from efnst.errors import EfnstError
from efnst.image.options import PatchOptions

PER_SPOT = ("barcodes", "tissue_fraction", "laplacian_variance", "at_border")


def window(pixels: np.ndarray, centre: np.ndarray, px: int) -> np.ndarray:
    """A plain slice around `centre` (x, y)."""
    left, top = (round(float(position) - px / 2) for position in centre)
    return pixels[top : top + px, left : left + px]


def test_patches_are_windows_of_the_hires_image(
    patches_file: Path, section_file: Path, space_ranger_folder: Path
) -> None:
    section = anndata.read_h5ad(section_file)
    facts = section.uns["section"]
    with Image.open(space_ranger_folder / facts["image"]["file"]) as image:
        pixels = np.asarray(image.convert("RGB"))
    centres = section.obsm["spatial"] * facts["image"]["scale"]
    with h5py.File(patches_file) as file:
        assert file["barcodes"].asstr()[:].tolist() == list(section.obs_names)
        assert set(file) == {"patches_190", *PER_SPOT}
        patches, attributes = file["patches_190"][:], dict(file["patches_190"].attrs)
    px = round(190 / (facts["um_per_px"] / facts["image"]["scale"]))
    assert px == 48 and patches.shape == (section.n_obs, px, px, 3)
    assert attributes == {"patch_um": 190, "window_px": px, "um_per_px": pytest.approx(4, rel=0.02)}
    for spot in range(section.n_obs):
        assert np.array_equal(patches[spot], window(pixels, centres[spot], px)), spot
    assert len({patch.tobytes() for patch in patches}) == section.n_obs


def test_the_record(patches_file: Path) -> None:
    record = json.loads(patches_file.with_name("image_qc.json").read_text())
    assert (record["sample"], record["source"]) == ("S1", "hires")
    assert record["um_per_px"] == pytest.approx(4, rel=0.02)
    assert record["patches"] == [{"patch_um": 190, "window_px": 48, "stored_px": 48}]
    assert record["n_spots_at_border"] == 0 and record["warnings"] == []
    assert len(record["tissue_fraction"]) == 5 and record["tissue_fraction"][2] > 0.5
    with h5py.File(patches_file) as file:
        blur = file["laplacian_variance"][:]
    assert record["laplacian_variance"] == pytest.approx(np.quantile(blur, [0, 0.25, 0.5, 0.75, 1]), abs=1e-3)
    assert record["stain"]["n_px"] > 1000
    assert np.linalg.norm(record["stain"]["macenko"]["stains"], axis=1) == pytest.approx([1, 1], abs=1e-4)


def test_a_hostile_image_is_a_record(
    start: Callable[..., tuple[int, str]], section_file: Path, space_ranger_folder: Path, tmp_path: Path
) -> None:
    section = section_with("fullres", section_file, tmp_path)
    path = tmp_path / "he.tif"
    layout = {"tile": (64, 64), "compression": "zlib"}
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), photometric="rgb", **layout)
    with tifffile.TiffFile(path, mode="r+b") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages[0].tags[tag].overwrite(10**9, dtype="I")
    files = ["--section", section, "--source", space_ranger_folder, "--image", path, "--outdir", tmp_path / "out"]
    status, _ = start(tile_image.main, "--sample", "S1", *files, "--failure", tmp_path / "failure.json")
    reason = json.loads((tmp_path / "failure.json").read_text())["reason"]
    assert status == 0 and "S1: Expected `he.tif`" in reason and "1000000000 × 1000000000 px" in reason
    assert list((tmp_path / "out").iterdir()) == []


def test_a_section_of_glass_has_no_stains(section_file: Path, space_ranger_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(space_ranger_folder, tmp_path / "section")
    image = folder / "outs" / "spatial" / "tissue_hires_image.png"
    with Image.open(image) as picture:
        Image.new("RGB", picture.size, (240, 241, 242)).save(image)
    tile_image.main(sample="S1", section=section_file, source=folder, outdir=tmp_path)
    record = json.loads((tmp_path / "image_qc.json").read_text())
    assert record["stain"] is None and record["laplacian_variance"][4] == 0
    assert any(warning.startswith("Too little tissue for the stains: 0 px") for warning in record["warnings"])


def test_several_scales(section_file: Path, space_ranger_folder: Path, patches_file: Path, tmp_path: Path) -> None:
    tile_image.main(
        sample="S1",
        section=section_file,
        source=space_ranger_folder,
        outdir=tmp_path,
        options=PatchOptions(patch_um="380,100,190"),
    )
    with h5py.File(tmp_path / "patches.h5") as file, h5py.File(patches_file) as alone:
        assert set(file) == {"patches_100", "patches_190", "patches_380", *PER_SPOT}
        assert np.array_equal(file["patches_190"][:], alone["patches_190"][:])
    record = json.loads((tmp_path / "image_qc.json").read_text())
    assert [patch["patch_um"] for patch in record["patches"]] == [100, 190, 380]
    assert record["warnings"][0].startswith("A patch is only 25 px wide")


def section_with(source: str, section_file: Path, tmp_path: Path) -> Path:
    section = anndata.read_h5ad(section_file)
    section.uns["section"]["image"]["source"] = source
    section.uns["section"]["image"]["scale"] = 0.0 if source == "none" else 1.0
    section.write_h5ad(tmp_path / "section.h5ad")
    return tmp_path / "section.h5ad"


def test_a_section_without_an_image(section_file: Path, space_ranger_folder: Path, tmp_path: Path) -> None:
    section = section_with("none", section_file, tmp_path)
    with pytest.raises(EfnstError, match=r"Expected a section with an image, found `section\.h5ad` read without one"):
        tile_image.main(sample="S1", section=section, source=space_ranger_folder, outdir=tmp_path)


def test_a_full_resolution_image_that_is_not_given(
    section_file: Path, space_ranger_folder: Path, tmp_path: Path
) -> None:
    section = section_with("fullres", section_file, tmp_path)
    with pytest.raises(EfnstError, match=r"Expected --image, because `section\.h5ad` was read with a full-resolution"):
        tile_image.main(sample="S1", section=section, source=space_ranger_folder, outdir=tmp_path)


def test_a_patch_of_too_few_pixels(section_file: Path, space_ranger_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"A patch of 15 µm is 3\.\d px in this image"):
        tile_image.main(
            sample="S1",
            section=section_file,
            source=space_ranger_folder,
            outdir=tmp_path,
            options=PatchOptions(patch_um="15"),
        )


def test_an_image_that_breaks_off_is_a_record_and_leaves_no_patches(
    start: Callable[..., tuple[int, str]],
    section_file: Path,
    space_ranger_folder: Path,
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(space_ranger_folder, tmp_path / "section")
    image = folder / "outs" / "spatial" / "tissue_hires_image.png"
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    files = ["--section", section_file, "--source", folder, "--outdir", tmp_path / "out"]
    status, _ = start(tile_image.main, "--sample", "S1", *files, "--failure", tmp_path / "failure.json")
    assert status == 0
    record = json.loads((tmp_path / "failure.json").read_text())
    assert (record["sample"], record["step"]) == ("S1", "tile_image")
    assert "Expected `tissue_hires_image.png` to be a readable image" in record["reason"]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_real_full_resolution_image(real_section: Callable[[str], Path], tmp_path: Path) -> None:
    folder = real_section("her2st_C2")
    (path,) = (folder / "fullres").iterdir()
    read_section.main(sample="C2", source=folder, image=str(path), outdir=tmp_path)
    section = tmp_path / "section.h5ad"
    tile_image.main(
        sample="C2",
        section=section,
        source=folder,
        image=path,
        outdir=tmp_path,
        options=PatchOptions(patch_um="190,500"),
    )
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    centres = anndata.read_h5ad(section).obsm["spatial"]
    with h5py.File(tmp_path / "patches.h5") as file:
        small, large = file["patches_190"], file["patches_500"]
        assert (small.attrs["window_px"], large.attrs["window_px"]) == (276, 726)  # 200 µm are 290 px
        for spot in (0, 60, 120, len(centres) - 1):
            assert np.array_equal(small[spot], window(pixels, centres[spot], 276))
            whole = window(pixels, centres[spot], 726).reshape(363, 2, 363, 2, 3).mean((1, 3))
            assert np.abs(large[spot] - whole).max() <= 0.5
    record = json.loads((tmp_path / "image_qc.json").read_text())
    assert record["source"] == "fullres" and record["um_per_px"] == pytest.approx(200 / 290, rel=0.01)


def test_the_scale_of_an_encoder_decides_the_window(
    section_file: Path, space_ranger_folder: Path, tmp_path: Path
) -> None:
    given = {"sample": "S1", "section": section_file, "source": space_ranger_folder, "outdir": tmp_path}
    declaration = tmp_path / "mine.json"
    declaration.write_text(json.dumps({"input_px": 32, "um_per_px": 3.5}))
    tile_image.main(**given, declaration=declaration, options=PatchOptions(patches_per_spot=7))
    record = json.loads((tmp_path / "image_qc.json").read_text())
    assert record["patches"] == [{"patch_um": 112, "window_px": 28, "stored_px": 28}]
    assert (record["patches_per_spot"], record["ring_um"]) == (7, 39)
    with h5py.File(tmp_path / "patches.h5") as file:
        assert len(file["patches_112"]) == 7 * len(file["barcodes"])
        assert file["patches_112"].attrs["n_each"] == 7
    with pytest.raises(EfnstError, match=r"at 1\.75 to 5\.25 µm per px .*found 190 µm in 32 px, 5\.94 µm per px"):
        tile_image.main(**given, declaration=declaration, options=PatchOptions(patch_um="190"))
    declaration.write_text(json.dumps({"input_px": 224, "um_per_px": 0.5}))
    with pytest.raises(EfnstError, match=r"at most 0\.75 µm per px for mine, .*found one of [34][.\d]* µm per px"):
        tile_image.main(**given, declaration=declaration)
