"""What has to fit together in a section: barcodes, grid, scale, image, labels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from efnst.errors import EfnstError
from efnst.geometry.grid import Grid, check_spot_diameter, measure_grid
from efnst.inputs.image_choice import ImageChoice, check_spots_in_image, image_size
from efnst.inputs.labels import match_labels, read_labels
from efnst.inputs.section import rows_in_tissue

GRID = Grid("hexagonal", 100.0, 1.0, 55.0)


def hexagonal(n_rows: int, n_columns: int, pitch: float) -> np.ndarray:
    """Positions x, y of a Visium grid."""
    row, column = np.mgrid[:n_rows, :n_columns]
    return np.column_stack(((column + (row % 2) / 2).ravel(), (row * np.sqrt(3) / 2).ravel())) * pitch


def square(n_rows: int, n_columns: int, pitch: float) -> np.ndarray:
    """Positions x, y of a legacy grid."""
    row, column = np.mgrid[:n_rows, :n_columns]
    return np.column_stack((column.ravel(), row.ravel())) * pitch


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["hexagonal", "square"]),
    st.floats(3, 900),
    st.floats(0, 2 * np.pi),
    st.floats(0, 0.06),
    st.integers(0, 2**31),
)
def test_grid_and_pitch_are_found_turned_jittered_and_with_holes(
    kind: str, pitch: float, turn: float, jitter: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    xy = (hexagonal if kind == "hexagonal" else square)(14, 12, pitch)
    xy = xy[rng.random(len(xy)) > 0.2] + 5000
    xy = xy @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    grid = measure_grid(xy + rng.normal(0, jitter * pitch, xy.shape))
    assert grid.grid == kind
    assert grid.pitch_px == pytest.approx(pitch, rel=0.03)


@pytest.mark.parametrize(("kind", "um_per_px", "spot_px"), [("hexagonal", 0.5, 110.0), ("square", 1.0, 100.0)])
def test_scale_of_visium_and_of_legacy_arrays(kind: str, um_per_px: float, spot_px: float) -> None:
    grid = measure_grid((hexagonal if kind == "hexagonal" else square)(8, 8, 200.0))
    assert (grid.grid, grid.pitch_px) == (kind, pytest.approx(200))
    assert grid.um_per_px == pytest.approx(um_per_px) and grid.spot_diameter_px == pytest.approx(spot_px)


def test_positions_that_make_no_grid() -> None:
    with pytest.raises(EfnstError, match=r"at least 3 positions .* found 2"):
        measure_grid(square(1, 2, 10))
    with pytest.raises(EfnstError, match=r"same pixel"):
        measure_grid(np.zeros((9, 2)))


@pytest.mark.parametrize("declared_px", [55.0, 65.0, 70.0])
def test_spot_diameters_of_real_sections_agree_with_the_pitch(declared_px: float) -> None:
    assert check_spot_diameter(GRID, declared_px) == []


@pytest.mark.parametrize("declared_px", [30.0, 130.0])
def test_a_spot_diameter_against_the_pitch_is_told_with_both_figures(declared_px: float) -> None:
    (warning,) = check_spot_diameter(GRID, declared_px)
    assert f"{declared_px:.1f} px means {65 / declared_px:.3f} µm per px" in warning
    assert "100.0 px apart" in warning and "1.000 µm per px" in warning


def positions(in_tissue: list[int], prefix: str = "S") -> pd.DataFrame:
    """Positions of spots named S0, S1, …"""
    return pd.DataFrame({"in_tissue": in_tissue}, index=[f"{prefix}{i}" for i in range(len(in_tissue))])


def test_rows_keep_the_order_of_the_matrix_and_are_joined_on_the_barcode() -> None:
    rows, warnings = rows_in_tissue(np.array(["S3", "S0", "S2", "S1"]), positions([1, 0, 1, 1]), is_filtered=False)
    assert rows.tolist() == [0, 1, 2] and warnings == []


def test_matrix_and_positions_without_a_common_barcode() -> None:
    with pytest.raises(EfnstError, match=r"found 0 of 2 \(matrix T0, positions S0\): the two files are of different"):
        rows_in_tissue(np.array(["T0", "T1"]), positions([1, 1]), is_filtered=True)


def test_matrix_and_positions_with_less_than_half_in_common() -> None:
    with pytest.raises(EfnstError, match=r"found 2 of 5"):
        rows_in_tissue(np.array(["S0", "S1", "T2", "T3", "T4"]), positions([1, 1, 1]), is_filtered=True)


def test_the_tissue_of_another_section_on_the_same_barcodes() -> None:
    with pytest.raises(EfnstError, match=r"filtered matrix to be in tissue, found 1 of 3"):
        rows_in_tissue(np.array(["S0", "S1", "S2"]), positions([1, 0, 0, 1, 1]), is_filtered=True)


def test_small_losses_are_warnings() -> None:
    _, warnings = rows_in_tissue(np.array(["S0", "S1", "S2", "T0"]), positions([1, 1, 0, 1]), is_filtered=True)
    assert warnings == [
        "1 of 4 barcodes of the matrix have no position.",
        "1 of 4 barcodes of the filtered matrix are not in tissue.",
        "1 of 3 spots in tissue are not in the matrix.",
    ]


def test_no_spot_in_tissue() -> None:
    with pytest.raises(EfnstError, match=r"Expected spots in tissue, found none: 0 of 2 positions"):
        rows_in_tissue(np.array(["S0", "S1"]), positions([0, 0]), is_filtered=True)


FACTORS = {"tissue_hires_scalef": 0.5, "tissue_lowres_scalef": 0.1}
SPOTS = np.array([[100.0, 100.0], [1900.0, 100.0], [1900.0, 3900.0], [100.0, 3900.0]])
HIRES = ImageChoice("hires", "spatial/tissue_hires_image.png", 0.5, 1000, 2000)


def test_spots_inside_the_image() -> None:
    assert check_spots_in_image(SPOTS, HIRES, GRID, FACTORS) == []
    edge = SPOTS + [[-150, 0]] * 4
    assert check_spots_in_image(edge, HIRES, GRID, FACTORS) == [], "one spot diameter is tolerated"


def test_the_other_scale_factor_fits() -> None:
    lowres = ImageChoice("lowres", "", 0.5, 200, 400)
    said = (
        r"inside the lowres image of 200 × 400 px, found 75% of them outside: scaled by tissue_lowres_scalef 0.5 "
        r"they span x 50 to 950 and y 50 to 1950 px. Scaled by tissue_lowres_scalef 0.1 they fit"
    )
    with pytest.raises(EfnstError, match=said):
        check_spots_in_image(SPOTS, lowres, GRID, FACTORS)


def test_a_scale_far_too_large_is_not_blamed_on_the_other_factor() -> None:
    wrong = ImageChoice("hires", "", 1.5, 1000, 2000)
    with pytest.raises(EfnstError, match=r"No scale factor of the section fits"):
        check_spots_in_image(SPOTS, wrong, GRID, {"tissue_hires_scalef": 1.5, "tissue_lowres_scalef": 0.1})


def test_exchanged_axes() -> None:
    with pytest.raises(EfnstError, match=r"With x and y exchanged they fit"):
        check_spots_in_image(SPOTS[:, ::-1], HIRES, GRID, FACTORS)


def test_an_image_of_another_section() -> None:
    with pytest.raises(EfnstError, match=r"No scale factor of the section fits"):
        check_spots_in_image(SPOTS + 90000, HIRES, GRID, FACTORS)


def test_spots_in_a_corner_are_a_warning() -> None:
    (warning,) = check_spots_in_image(SPOTS, ImageChoice("hires", "", 0.1, 1000, 2000), GRID, FACTORS)
    assert "fill little of the hires image" in warning and "x 10 to 190" in warning


def test_without_an_image_there_is_nothing_to_check() -> None:
    assert check_spots_in_image(SPOTS, ImageChoice("none", "", 0.0, 0, 0), GRID, FACTORS) == []


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_image_sizes_and_truncated_images(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"he.{suffix}"
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    if suffix == "tif":
        tifffile.imwrite(path, pixels, photometric="rgb")
    else:
        Image.fromarray(pixels).save(path)
    assert image_size(path) == (80, 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(EfnstError, match=rf"complete he\.{suffix}, found that it cannot be read"):
        image_size(path)


def test_a_pyramid_has_the_size_of_its_largest_level(tmp_path: Path) -> None:
    pixels = np.zeros((512, 768, 3), np.uint8)
    with tifffile.TiffWriter(tmp_path / "he.ome.tif", ome=True, bigtiff=True) as file:
        file.write(pixels, subifds=1, tile=(256, 256), photometric="rgb")
        file.write(pixels[::2, ::2], subfiletype=1, tile=(256, 256), photometric="rgb")
    assert image_size(tmp_path / "he.ome.tif") == (768, 512)


@pytest.mark.parametrize("content", [b"II*\0\0\0\0\x80", b"II*\0\x08\0\0\0\0\0\0\0\0\0", b"MM\0*", b"II*\0"])
def test_tiff_headers_that_lead_nowhere(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "he.tif").write_bytes(content)
    with pytest.raises(EfnstError, match=r"complete he\.tif, found that it cannot be read"):
        image_size(tmp_path / "he.tif")


def test_files_that_are_no_image(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"Expected an image, found no file"):
        image_size(tmp_path / "absent.png")
    (tmp_path / "he.png").write_bytes(b"no image")
    with pytest.raises(EfnstError, match=r"complete he.png"):
        image_size(tmp_path / "he.png")


BARCODES = pd.Index(["S0", "S1", "S2"])


@pytest.mark.parametrize(
    "content",
    [
        "barcode,label\nS2,a\nS0,b\nS1,\n",
        "\ufeffBarcode;Layer\r\nS1;NA\r\nS2;a\r\nS0; b \r\n",
        "x,label,barcode\n1,a,S2\n2,b,S0\n3,,S1\n",
    ],
)
def test_labels_are_joined_on_the_barcode(tmp_path: Path, content: str) -> None:
    (tmp_path / "l.csv").write_text(content, encoding="utf-8")
    labels, warnings = match_labels(BARCODES, read_labels(tmp_path / "l.csv"))
    assert labels[0] == "b" and pd.isna(labels[1]) and labels[2] == "a" and warnings == []


def test_labels_that_match_in_part_are_a_warning(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("barcode,label\nS0,a\nT9,b\n")
    labels, warnings = match_labels(BARCODES, read_labels(tmp_path / "l.csv"))
    assert labels[0] == "a"
    assert warnings == [
        "1 of 2 labels are for barcodes that are not spots in tissue.",
        "2 of 3 spots do not stand in the file of labels.",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "barcode,label\nT0,a\n",
            r"found 1 labels and none for any of its 3 spots \(first spot S0, first label for T0\)",
        ),
        ("barcode,label\nS0,\n", "found 0 labels"),
        ("barcode,label\n", "found 0 labels and none .* first label for nothing"),
        ("S0,a\nS1,b\n", "columns barcode and label in l.csv, found s0, a"),
        ("barcode,x,y\nS0,a,b\n", "found barcode, x, y"),
        ("barcode,label\nS0,a\nS0,b\n", "every barcode once in l.csv, found S0 more than once"),
        ("", "complete l.csv"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "l.csv").write_text(content)
    with pytest.raises(EfnstError, match=said):
        match_labels(BARCODES, read_labels(tmp_path / "l.csv"))


def test_no_file_of_labels(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"found no file"):
        read_labels(tmp_path / "absent.csv")
