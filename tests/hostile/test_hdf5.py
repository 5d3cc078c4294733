"""HDF5 files that take data from other files: none is read, wherever in the file it says so."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from efnst.encoder.sample import sample_patches
from efnst.errors import EfnstError
from efnst.inputs.feature_matrix import read_matrix
from efnst.inputs.h5ad import read_h5ad_section
from efnst.inputs.hdf5 import _require_sound, opened, read_own
from efnst.provenance.origin import find_origin
from efnst.simulation.forms import to_anndata
from efnst.simulation.space_ranger import SMALL, simulate_section, write_section

SECRETS = np.array([b"SECRET_%04d_password_hunter2" % number for number in range(1000)])  # 28 bytes each
OTHER = r"to hold all its data itself, found that .* is (a link to|taken from) another file"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A matrix of 10x and an .h5ad, not to be changed."""
    folder = tmp_path_factory.mktemp("sound")
    write_section(simulate_section(1, 0, SMALL), folder)
    outs = folder / "outs"
    data = to_anndata(outs)
    data.uns["spatial"]["simulated"]["images"] = {"hires": np.zeros((8, 8, 3), np.float32)}
    data.write_h5ad(folder / "s.h5ad")
    return {"matrix.h5": outs / "filtered_feature_bc_matrix.h5", "s.h5ad": folder / "s.h5ad"}


def linked(file: h5py.File, name: str, shape: tuple, folder: Path) -> None:
    """A link to a dataset of another file."""
    file[name] = h5py.ExternalLink(folder / "other.h5", "/data")


def outside(file: h5py.File, name: str, shape: tuple, folder: Path) -> None:
    """A dataset whose bytes are those of another file."""
    size = 28 * int(np.prod(shape))
    file.create_dataset(name, shape=shape, dtype="S28", external=[(folder / "secret.txt", 0, size)])


def virtual(file: h5py.File, name: str, shape: tuple, folder: Path) -> None:
    """A dataset made of those of another file."""
    layout = h5py.VirtualLayout(shape, "S28")
    layout[:] = h5py.VirtualSource(folder / "other.h5", "data", shape=shape, dtype="S28")
    file.create_virtual_dataset(name, layout)


def behind_a_group(file: h5py.File, name: str, shape: tuple, folder: Path) -> None:
    """A soft link that leads through a link to another file."""
    file["away"] = h5py.ExternalLink(folder / "other.h5", "/")
    file[name] = h5py.SoftLink("/away/data")


FOREIGN = (linked, outside, virtual, behind_a_group)


def spoiled(sound: Path, name: str, foreign: Callable, folder: Path) -> Path:
    """A copy of a file in which the dataset `name` lies elsewhere, with the files that it lies in."""
    path = shutil.copyfile(sound, folder / sound.name)
    (folder / "secret.txt").write_bytes(SECRETS.tobytes())
    with h5py.File(path, "a") as file:
        shape = file[name].shape
        del file[name]
        foreign(file, name, shape, folder)
        with h5py.File(folder / "other.h5", "w") as other:
            other["data"] = np.resize(SECRETS, shape)
        assert b"SECRET" in file[name][:].tobytes(), "a file that shows nothing tests nothing"
    return path


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("name", ["matrix/features/name", "matrix/barcodes", "matrix/data"])
def test_a_matrix_of_10x(name: str, foreign: Callable, sound: dict[str, Path], tmp_path: Path) -> None:
    path = spoiled(sound["matrix.h5"], name, foreign, tmp_path)
    with pytest.raises(EfnstError, match=rf"Expected {path.name} {OTHER}"):
        read_matrix(path)


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("name", ["obsm/spatial", "X/data", "obs/in_tissue", "uns/spatial/simulated/images/hires"])
def test_an_h5ad(name: str, foreign: Callable, sound: dict[str, Path], tmp_path: Path) -> None:
    path = spoiled(sound["s.h5ad"], name, foreign, tmp_path)
    with pytest.raises(EfnstError, match=rf"Expected {path.name} {OTHER}"):
        read_h5ad_section(path, "", "", with_counts=True)
    with pytest.raises(EfnstError, match=OTHER):
        read_own(path)
    with pytest.raises(EfnstError, match=OTHER):
        find_origin(path)


def test_what_is_only_referred_to(sound: dict[str, Path], tmp_path: Path) -> None:
    """anndata of old keeps the names of categories under a reference, which needs no link."""
    path = shutil.copyfile(sound["s.h5ad"], tmp_path / "s.h5ad")
    (tmp_path / "secret.txt").write_bytes(SECRETS.tobytes())
    with h5py.File(path, "a") as file:
        outside(file, "hidden", (4,), tmp_path)
        file["obs/in_tissue"].attrs["categories"] = file["hidden"].ref
        with pytest.raises(EfnstError, match=OTHER):
            _require_sound(file["obs/in_tissue"], path)


def test_patches(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["data"] = np.zeros((4, 8, 8, 3), np.uint8)
    with h5py.File(tmp_path / "patches.h5", "w") as file:
        file["patches_100"] = h5py.ExternalLink("other.h5", "/data")
    with pytest.raises(EfnstError, match=OTHER):
        sample_patches([(tmp_path / "patches.h5", None)], 2, 0)


def test_links_within_the_file_are_followed(sound: dict[str, Path], tmp_path: Path) -> None:
    path = shutil.copyfile(sound["s.h5ad"], tmp_path / "s.h5ad")
    with h5py.File(path, "a") as file:
        file["kept"] = file["obsm/spatial"]
        del file["obsm/spatial"]
        file["obsm/spatial"] = h5py.SoftLink("/kept")
        file["obs/in_tissue"].attrs["categories"] = file["kept"].ref
        file["round"] = file["/"]
    assert len(read_h5ad_section(path, "", "", with_counts=True).matrix.barcodes)


@pytest.mark.parametrize("loop", ["/obsm/spatial", "/obsm"])
def test_links_in_a_circle(loop: str, sound: dict[str, Path], tmp_path: Path) -> None:
    path = shutil.copyfile(sound["s.h5ad"], tmp_path / "s.h5ad")
    with h5py.File(path, "a") as file:
        del file["obsm/spatial"]
        file["obsm/spatial"] = h5py.SoftLink(loop)
    with pytest.raises(EfnstError, match=r"s\.h5ad"):
        read_h5ad_section(path, "", "", with_counts=True)


@pytest.mark.slow
def test_more_groups_than_anybody_writes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "many.h5", "w", libver="latest") as file:
        group = file.create_group("group")
        for number in range(100_001):
            file[f"{number}"] = group
    with pytest.raises(EfnstError, match="more than 100000 groups"), opened(tmp_path / "many.h5"):
        pass
