"""Files that are whole, in forms that a reader of ours fails on: read, or named for what they are, not for damage."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from anndata import AnnData
from tests.support.space_ranger import MATRIX

from efnst.errors import EfnstError
from efnst.inputs.section import load_section
from efnst.simulation.forms import to_anndata


@pytest.fixture
def data(simulated_folder: Callable[[int], Path]) -> AnnData:
    """A simulated section as AnnData, with unique names."""
    data = to_anndata(simulated_folder(1) / "outs")
    data.var_names_make_unique()
    return data


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u2", "f2", ">f2", ">i4"])
@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
def test_whole_counts_of_any_type(form: str, dtype: str, data: AnnData, tmp_path: Path) -> None:
    """In sparse form, too, of types that SciPy has not and other tools write."""
    data.X = data.X.minimum(2000)  # half precision has whole numbers up to 2048
    expected = data.X.copy()
    data.X = data.X.toarray() if form == "dense" else data.X.asformat(form)
    data.write_h5ad(tmp_path / "s.h5ad")
    place = "X" if form == "dense" else "X/data"
    with h5py.File(tmp_path / "s.h5ad", "a") as file:
        values, about = file[place][:], dict(file[place].attrs)
        del file[place]
        file.create_dataset(place, data=values.astype(dtype)).attrs.update(about)
    section, _, _ = load_section("S1", tmp_path / "s.h5ad", "none", "")
    assert section.X.dtype == np.int32 and (expected != section.X).nnz == 0


@pytest.mark.parametrize("place", ["X/indices", "obsm/spatial", "obs/in_tissue"])
def test_a_filter_that_is_not_installed_is_named(place: str, data: AnnData, tmp_path: Path) -> None:
    """Of what is read; a layer that nothing reads may have any."""
    data.layers["more"] = np.ones(data.shape, np.float32)
    data.write_h5ad(tmp_path / "s.h5ad")
    compress_by(tmp_path / "s.h5ad", "layers/more", 32001)
    load_section("S1", tmp_path / "s.h5ad", "none", "")
    compress_by(tmp_path / "s.h5ad", place, 32015)
    with pytest.raises(EfnstError, match=rf"s\.h5ad to be compressed by gzip or lzf, found that /{place} is by zstd"):
        load_section("S1", tmp_path / "s.h5ad", "none", "")


def compress_by(path: Path, place: str, code: int) -> None:
    """Say of a dataset that a filter of HDF5 compressed it."""
    with h5py.File(path, "a") as file:
        values, about = file[place][:], dict(file[place].attrs)
        del file[place]
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk(values.shape)
        made.set_filter(code, h5py.h5z.FLAG_OPTIONAL, ())
        space, kind = h5py.h5s.create_simple(values.shape), h5py.h5t.py_create(values.dtype)
        dataset = h5py.Dataset(h5py.h5d.create(file.id, place.encode(), kind, space, made))
        dataset.id.write_direct_chunk((0,) * values.ndim, values.tobytes())
        dataset.attrs.update(about)


def test_forms_of_another_anndata_are_no_damage(data: AnnData, tmp_path: Path) -> None:
    data.write_h5ad(tmp_path / "s.h5ad")
    with h5py.File(tmp_path / "s.h5ad", "a") as file:
        file["obs/in_tissue"].attrs["encoding-type"] = "of the future"
    with pytest.raises(EfnstError, match=r"Expected /obs of s\.h5ad in a form that anndata .* or an older one"):
        load_section("S1", tmp_path / "s.h5ad", "none", "")
    data.write_h5ad(tmp_path / "s.h5ad")
    with h5py.File(tmp_path / "s.h5ad", "a") as file:
        del file["X"].attrs["encoding-type"]
    with pytest.raises(EfnstError, match=r"Expected csr_matrix or csc_matrix as encoding-type of /X .*found none"):
        load_section("S1", tmp_path / "s.h5ad", "none", "")


def test_positions_as_text_and_a_spot_that_has_none(data: AnnData, tmp_path: Path) -> None:
    """As squidpy read tissue_positions.csv for years: its first spot lost, the others as text."""
    expected = data.obsm["spatial"].copy()
    data.obsm["spatial"] = expected.astype(str).astype(object)
    data.obsm["spatial"][0] = "nan"
    data.obs[["in_tissue", "array_row", "array_col"]] = data.obs[["in_tissue", "array_row", "array_col"]].astype(float)
    data.obs.loc[data.obs_names[0], ["in_tissue", "array_row", "array_col"]] = np.nan
    data.write_h5ad(tmp_path / "s.h5ad")
    section, _, warnings = load_section("S1", tmp_path / "s.h5ad", "", "")
    assert warnings == [f"1 of {data.n_obs} barcodes of the matrix have no position."]
    assert np.array_equal(section.obsm["spatial"], expected[1:])
    data.obsm["spatial"] = np.full((data.n_obs, 2), "here", object)
    data.write_h5ad(tmp_path / "s.h5ad")
    with pytest.raises(EfnstError, match=rf"Expected numbers in s\.h5ad, .*, found {data.n_obs} spots without"):
        load_section("S1", tmp_path / "s.h5ad", "", "")


def test_a_matrix_by_genome(simulated_folder: Callable[[int], Path], tmp_path: Path) -> None:
    """As Cell Ranger 2 wrote it, and DropletUtils::write10xCounts does."""
    expected, _, _ = load_section("S1", simulated_folder(1) / "outs", "none", "")
    outs = shutil.copytree(simulated_folder(1) / "outs", tmp_path / "outs")
    with h5py.File(outs / MATRIX, "a") as file:
        file.move("matrix", "unknown")
        file.move("unknown/features/id", "unknown/genes")
        file.move("unknown/features/name", "unknown/gene_names")
        del file["unknown/features"]
    section, _, warnings = load_section("S1", outs, "none", "")
    assert warnings == [] and (section.X != expected.X).nnz == 0 and section.var.equals(expected.var)
    assert list(section.obs_names) == list(expected.obs_names)
