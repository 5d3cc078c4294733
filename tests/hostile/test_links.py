"""Links in a section's folder that lead out of it: what they lead to is not read."""

import os
import shutil
from pathlib import Path

import pytest

from efnst.errors import EfnstError
from efnst.inputs.checksums import input_checksums
from efnst.inputs.located import located
from efnst.inputs.open import open_source
from efnst.simulation.feature_matrix import read_matrix, write_matrix
from efnst.simulation.space_ranger import SMALL, simulate_section, write_section
from efnst.simulation.visium_hd import write_visium_hd

OUT = "to hold its data itself, found that .* is a link out of it"
READ = (
    *("filtered_feature_bc_matrix/matrix.mtx.gz", "filtered_feature_bc_matrix/barcodes.tsv.gz"),
    *("spatial/tissue_positions.csv", "spatial/scalefactors_json.json", "spatial/tissue_hires_image.png"),
    *("metrics_summary.csv", "spatial", "filtered_feature_bc_matrix"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose matrix is a folder, too; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    write_section(simulate_section(1, 0, SMALL), folder)
    outs = folder / "outs"
    matrix, _ = read_matrix(outs)
    (outs / "filtered_feature_bc_matrix.h5").unlink()
    write_matrix(matrix, outs, "mtx")
    (outs / "metrics_summary.csv").write_text("Number of Spots\n250\n")
    return folder


@pytest.fixture
def outs(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(made, tmp_path / "mine") / "outs"


@pytest.mark.parametrize("name", READ)
def test_a_link_out_of_the_folder(name: str, outs: Path, tmp_path: Path) -> None:
    assert len(open_source(outs).matrix.barcodes)
    (tmp_path / "theirs").mkdir()
    shutil.move(outs / name, tmp_path / "theirs" / "file")
    (outs / name).symlink_to(tmp_path / "theirs" / "file")
    for read in (open_source, lambda folder: input_checksums(folder, "", "")):
        with pytest.raises(EfnstError, match=OUT):
            read(outs)


def test_an_image_that_became_a_link(outs: Path, tmp_path: Path) -> None:
    """Later steps look for the image by the name that the first one found."""
    image = outs / "spatial" / "tissue_hires_image.png"
    shutil.move(image, tmp_path / "theirs.png")
    image.symlink_to(tmp_path / "theirs.png")
    with pytest.raises(EfnstError, match=OUT):
        located(outs, "spatial/tissue_hires_image.png")


def test_links_within_the_folder_and_to_it(outs: Path, tmp_path: Path) -> None:
    (outs / "spatial" / "tissue_hires_image.png").rename(outs / "hires.png")
    (outs / "spatial" / "tissue_hires_image.png").symlink_to("../hires.png")
    (tmp_path / "staged").symlink_to(outs)
    assert open_source(tmp_path / "staged").images["hires"] == "spatial/tissue_hires_image.png"
    assert located(tmp_path / "staged", "spatial/tissue_hires_image.png").is_file()


@pytest.mark.parametrize("part", ["", "binned_outputs/square_016um"])
def test_bins_whose_images_are_links_to_those_of_all(part: str, tmp_path: Path) -> None:
    write_visium_hd(simulate_section(0, 0, SMALL), tmp_path / "hd", n_bins=80)
    folder = tmp_path / "hd" / "outs" / part
    assert open_source(folder, "16" if not part else "").images


@pytest.mark.parametrize("name", ["filtered_feature_bc_matrix.h5", "filtered_feature_bc_matrix/matrix.mtx.gz"])
def test_a_pipe_is_not_waited_for(name: str, outs: Path) -> None:
    if "/" in name:
        (outs / name).unlink()
    os.mkfifo(outs / name)
    with pytest.raises(EfnstError):
        open_source(outs)
