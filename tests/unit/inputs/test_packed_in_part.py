"""Folders of Space Ranger some of whose files are packed, as those that 10x offers are left after a download."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from anndata import AnnData
from tests.support.space_ranger import HIRES, MATRIX, SCALE

from efnst.errors import EfnstError
from efnst.inputs.checksums import input_checksums
from efnst.inputs.deposit import is_deposit
from efnst.inputs.find import find_sections
from efnst.inputs.located import located
from efnst.inputs.section import load_section
from efnst.simulation.feature_matrix import read_matrix, write_matrix
from efnst.simulation.forms import pack

LOWRES = HIRES.with_name("tissue_lowres_image.png")
PIECES = "filtered_feature_bc_matrix"


@pytest.fixture
def outs(simulated_folder: Callable[[int], Path], tmp_path: Path) -> Path:
    """A copy of a simulated section, to be changed."""
    return shutil.copytree(simulated_folder(2) / "outs", tmp_path / "outs")


def read(path: Path, image: str = "") -> tuple[AnnData, dict, list[str]]:
    return load_section("S1", path, image, "")


def gzipped(path: Path) -> None:
    """A file as gzip leaves it."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def in_pieces(outs: Path) -> Path:
    """The folder that the matrix is now, in place of one file."""
    matrix, _ = read_matrix(outs)
    (outs / MATRIX).unlink()
    write_matrix(matrix, outs, "mtx")
    return outs / PIECES


def packed_by_tar(folder: Path, name: str) -> None:
    """A folder as tar packs it, beside the place where it was."""
    pack(folder, folder.parent / f"{name}{folder.name}.tar.gz", folder.name)
    shutil.rmtree(folder)


FORMS: dict[str, Callable[[Path], object]] = {
    "counts": lambda outs: gzipped(outs / MATRIX),
    "images and scales": lambda outs: [gzipped(outs / name) for name in (HIRES, LOWRES, SCALE)],
    "images beside a matrix in pieces": lambda outs: [in_pieces(outs), gzipped(outs / HIRES)],
    "matrix": lambda outs: packed_by_tar(in_pieces(outs), ""),
    "matrix with a name": lambda outs: packed_by_tar(in_pieces(outs), "V1_"),
    "spatial beside a matrix in pieces": lambda outs: [in_pieces(outs), packed_by_tar(outs / "spatial", "V1_")],
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_packed_is_read_as_what_is_not(form: str, outs: Path) -> None:
    expected, facts, _ = read(outs)
    hires = (outs / HIRES).read_bytes()
    assert not is_deposit(outs)
    FORMS[form](outs)
    for folder in (outs, outs.parent):
        section, about, warnings = read(folder)
        assert warnings == [] and (section.X != expected.X).nnz == 0
        assert section.uns["section"]["image"] == expected.uns["section"]["image"]
        assert about["metrics_summary"] == facts["metrics_summary"] != {}
    assert located(outs, section.uns["section"]["image"]["file"]).read_bytes() == hires
    assert {"counts", "positions", "scale factors", "hires image"} <= set(input_checksums(outs, "", "")["role"])
    found, notes = find_sections(outs.parent)
    assert [(one.section, one.image, one.library) for one in found] == [(outs, "", "")] and notes == []


def test_what_was_unpacked_goes_before_its_archive(outs: Path, simulated_folder: Callable[[int], Path]) -> None:
    """What 10x offers, of which both archives and then one were unpacked; the other one says something else here."""
    expected, _, _ = read(outs)
    pieces = in_pieces(outs)
    pack(simulated_folder(1) / "outs" / "spatial", outs / "V1_spatial.tar.gz", "spatial")
    pack(pieces, outs / f"V1_{PIECES}.tar.gz", PIECES)
    section, _, warnings = read(outs)
    assert not is_deposit(outs) and warnings == [] and (section.X != expected.X).nnz == 0
    shutil.rmtree(pieces)
    section, _, warnings = read(outs)
    assert is_deposit(outs) and warnings == [] and (section.X != expected.X).nnz == 0
    assert section.uns["section"]["image"] == expected.uns["section"]["image"]


def test_packed_matrices_of_two_sections_beside_one_folder_spatial(outs: Path) -> None:
    gzipped(outs / MATRIX)
    for name in ("V1", "V2"):
        shutil.copy(outs / f"{MATRIX}.gz", outs / f"{name}_{MATRIX}.gz")
    (outs / f"{MATRIX}.gz").unlink()
    with pytest.raises(EfnstError, match=r"one section beside the positions in .*, found those of 2 \(V1, V2\)"):
        read(outs)


def test_a_link_out_of_a_matrix_in_pieces_is_refused(outs: Path, tmp_path: Path) -> None:
    FORMS["images beside a matrix in pieces"](outs)
    (outs / PIECES / "barcodes.tsv.gz").rename(tmp_path / "elsewhere.gz")
    (outs / PIECES / "barcodes.tsv.gz").symlink_to(tmp_path / "elsewhere.gz")
    with pytest.raises(EfnstError, match="is a link out of it"):
        read(outs)
