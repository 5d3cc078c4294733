"""AnnData and SpatialData as portals and other tools write them, read right or refused with what proves it."""

import re
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from efnst.errors import EfnstError
from efnst.inputs.h5ad import read_h5ad_section, sections_of
from efnst.inputs.located import located
from efnst.inputs.section import load_section
from efnst.simulation.forms import to_anndata


@pytest.fixture
def data(simulated_folder: Callable[[int], Path]) -> AnnData:
    """A simulated section as AnnData, with unique names."""
    data = to_anndata(simulated_folder(1) / "outs")
    data.var_names_make_unique()
    return data


def read(data: AnnData, folder: Path, image: str = "none", bin_um: str = "") -> tuple[AnnData, list[str]]:
    data.write_h5ad(folder / "s.h5ad")
    section, _, warnings = load_section("S1", folder / "s.h5ad", image, "", bin_um)
    return section, warnings


def test_cellxgene(data: AnnData, tmp_path: Path) -> None:
    """Ids as names, biotypes as feature_type, counts in raw, spots off tissue kept, and a flag beside the library."""
    symbols, expected = data.var_names.copy(), data.X.copy()
    data.var = pd.DataFrame(
        {
            "feature_name": pd.Categorical(symbols),
            "feature_type": pd.Categorical(np.where(np.arange(data.n_vars) % 9, "protein_coding", "lncRNA")),
        },
        index=[f"ENSG{number:011d}" for number in range(data.n_vars)],
    )
    data.raw = data.copy()
    data.X = data.X.log1p()
    data.obs.loc[data.obs_names[:5], "in_tissue"] = 0
    data.uns["spatial"] = {"is_single": np.bool_(True), **data.uns["spatial"]}
    section, warnings = read(data, tmp_path, image="")
    assert warnings == [] and section.shape == (data.n_obs - 5, data.n_vars)
    assert list(section.var_names) == list(symbols) and section.var["gene_ids"].iloc[0] == "ENSG00000000000"
    assert (expected[5:] != section.X).nnz == 0 and section.uns["section"]["image"]["source"] == "hires"


def test_proteins_alone_are_still_refused(data: AnnData, tmp_path: Path) -> None:
    data.var["feature_types"] = "Antibody Capture"
    with pytest.raises(EfnstError, match=r"Expected features of type Gene Expression in s\.h5ad, found Antibody"):
        read(data, tmp_path)


@pytest.mark.parametrize("write", [AnnData.write_h5ad, AnnData.write_zarr])
def test_our_picture_of_no_image_is_none(write: Callable, data: AnnData, tmp_path: Path) -> None:
    """What a section without an image has for who draws it is not read back as its H&E image."""
    path = tmp_path / ("s.h5ad" if write is AnnData.write_h5ad else "s.zarr")
    data.uns["spatial"]["simulated"]["metadata"] = {"source": "fullres"}
    write(data, path)
    assert load_section("S1", path, "", "")[0].uns["section"]["image"]["source"] == "hires"
    data.uns["spatial"]["simulated"]["metadata"]["source"] = "none"
    write(data, tmp_path / f"again{path.suffix}")
    with pytest.raises(EfnstError, match=r"Expected .*\['hires'\].* in again.*, found neither: .*image: none"):
        load_section("S1", tmp_path / f"again{path.suffix}", "", "")


@pytest.mark.parametrize(
    ("source", "is_none"),
    [
        ("none", True),
        (np.bytes_("none"), True),
        (["none", "none"], False),
        (np.zeros(0, "S4"), False),
        (h5py.Empty("S4"), False),
        (b"\xff", False),
        (1, False),
    ],
)
def test_a_source_of_any_form(source: object, is_none: bool, data: AnnData, tmp_path: Path) -> None:
    """Others may keep anything under this name, in forms, too, that anndata does not have."""
    data.write_h5ad(tmp_path / "s.h5ad")
    with h5py.File(tmp_path / "s.h5ad", "a") as file:
        file["uns/spatial/simulated/metadata/source"] = source
        file["uns/spatial/simulated/metadata/source"].attrs["encoding-type"] = "of another day"
    assert sections_of(tmp_path / "s.h5ad") == {"": (not is_none, True)}


@pytest.mark.parametrize(("empty", "used"), [("hires", "lowres"), ("lowres", "hires")])
def test_an_image_without_a_px_is_none(empty: str, used: str, data: AnnData, tmp_path: Path) -> None:
    data.uns["spatial"]["simulated"]["images"][empty] = np.zeros((0, 0, 3), np.uint8)
    section, warnings = read(data, tmp_path, image="")
    assert section.uns["section"]["image"]["source"] == used
    assert warnings[0] == f"The {empty} image in uns['spatial'] has no px: it was left out."
    assert [line[:21] for line in warnings[1:]] == ["Only the lowres image"] * (used == "lowres")


def test_factors_that_nothing_reads_may_be_anything(data: AnnData, tmp_path: Path) -> None:
    data.uns["spatial"]["simulated"]["scalefactors"] |= {"fiducial_diameter_fullres": 0.0, "mine": np.nan}
    assert read(data, tmp_path, image="")[1] == []


def test_images_and_factors_without_the_level_of_libraries(data: AnnData, tmp_path: Path) -> None:
    expected, _ = read(data, tmp_path, image="")
    data.uns["spatial"] = dict(data.uns["spatial"]["simulated"])
    section, warnings = read(data, tmp_path, image="")
    image = section.uns["section"]["image"]
    assert warnings == [] and image | {"file": ""} == expected.uns["section"]["image"] | {"file": ""}
    assert image["file"] == "uns/spatial/images/hires" and located(tmp_path / "s.h5ad", image["file"]).is_file()
    data.uns["spatial"] = {"images": {}, "scalefactors": data.uns["spatial"]["scalefactors"]}
    assert read(data, tmp_path)[1] == []


def test_members_without_images_and_factors_are_no_libraries(data: AnnData, tmp_path: Path) -> None:
    data.uns["spatial"]["other"] = {"metadata": {"chemistry": "v1"}}
    section, warnings = read(data, tmp_path, image="")
    assert section.uns["section"]["image"]["source"] == "hires" and warnings == []


def test_what_lacks_is_named_by_its_place_in_the_file(data: AnnData, tmp_path: Path) -> None:
    held = data.uns["spatial"]["simulated"]
    place = re.escape("uns['spatial'][library]")
    hires, factors = held["images"].pop("hires"), held["scalefactors"]
    assert read(data, tmp_path, image="")[1][0].endswith("or add uns['spatial'][library]['images']['hires'].")
    held["scalefactors"] = {"tissue_lowres_scalef": -1.0}
    with pytest.raises(EfnstError, match=rf"tissue_lowres_scalef above 0 in {place}\['scalefactors'\] of s\.h5ad"):
        read(data, tmp_path, image="")
    held["scalefactors"] = {}
    with pytest.raises(EfnstError, match=rf"Expected {place}\['scalefactors'\] with tissue_lowres.*none: add it, or"):
        read(data, tmp_path, image="")
    held["images"], held["scalefactors"] = {}, factors
    with pytest.raises(
        EfnstError, match=rf"Expected {place}\['images'\]\['hires'\] or \['lowres'\] in s\.h5ad, found n"
    ):
        read(data, tmp_path, image="")
    held["images"] = {"hires": hires}
    del factors["tissue_hires_scalef"]
    with pytest.raises(
        EfnstError, match=rf"Expected tissue_hires_scalef in {place}\['scalefactors'\], found .*: add it"
    ):
        read(data, tmp_path, image="")


def test_a_section_cut_out_of_several_has_its_own_library(data: AnnData, tmp_path: Path) -> None:
    other = {"images": {}, "scalefactors": {"spot_diameter_fullres": 1.0, "tissue_hires_scalef": 1.0}}
    data.uns["spatial"]["other"] = other
    data.obs["library_id"] = pd.Categorical(["simulated"] * data.n_obs)
    section, warnings = read(data, tmp_path, image="")
    assert section.uns["section"]["image"]["source"] == "hires" and warnings == []


@pytest.mark.parametrize("with_array", [True, False])
@pytest.mark.parametrize("uns_merge", [None, "first"])
def test_concatenated_sections_are_refused_with_the_column_that_tells_them_apart(
    with_array: bool, uns_merge: str | None, data: AnnData, tmp_path: Path
) -> None:
    other = data.copy()
    other.obsm["spatial"] = other.obsm["spatial"] + [137, 61]
    if not with_array:
        data.obs, other.obs = data.obs[["in_tissue"]], other.obs[["in_tissue"]]
    two = anndata.concat({"A1": data, "B1": other}, label="library_id", index_unique="-", uns_merge=uns_merge)
    with pytest.raises(EfnstError, match=rf"found several: {2 * data.n_obs} of .*the column library_id of obs says"):
        read(two, tmp_path)


def test_cells_of_bin2cell(data: AnnData, tmp_path: Path) -> None:
    """Cells have the mean place of their bins on the array, and the scale factors of the bins."""
    rng = np.random.default_rng(0)
    data.obsm["spatial"] = rng.uniform(3000, 4500, (data.n_obs, 2))
    data.obs["array_row"], data.obs["array_col"] = (data.obsm["spatial"].T - 3000) * 0.2737 / 2
    data.obs_names = [str(number) for number in range(1, data.n_obs + 1)]
    scales = {"spot_diameter_fullres": 7.3, "bin_size_um": 2.0, "microns_per_pixel": 0.2737}
    data.uns["spatial"] = {"hd": {"images": {}, "scalefactors": scales}}
    for bin_um in ("", "cells"):
        section, warnings = read(data, tmp_path, bin_um=bin_um)
        facts = section.uns["section"]
        assert (facts["grid"], facts["um_per_px"], facts["bin_um"], warnings) == ("irregular", 0.2737, 0, [])
        assert (section.obs["array_row"] == -1).all()
    del data.uns["spatial"]["hd"]["scalefactors"]["microns_per_pixel"]
    with pytest.raises(EfnstError, match=r"Expected microns_per_pixel in .*, found bin_size_um"):
        read(data, tmp_path, bin_um="cells")


def bins(n: int = 20) -> AnnData:
    """Bins of 8 µm, 29.6 px apart, whose barcodes say nothing."""
    row, column = np.indices((n, n)).reshape(2, -1)
    data = AnnData(np.random.default_rng(0).poisson(2, (n * n, 5)).astype(np.float32))
    data.obs["array_row"], data.obs["array_col"], data.obs["in_tissue"] = row, column, 1
    data.obsm["spatial"] = np.column_stack([column, row]) * 29.6 + 500
    return data


def test_bins_are_told_from_legacy_spots_without_their_size(tmp_path: Path) -> None:
    """By microns_per_pixel, or by their barcodes; without either they may be legacy spots."""
    data = bins()
    data.uns["spatial"] = {"hd": {"scalefactors": {"microns_per_pixel": 8 / 29.6}}}
    section, warnings = read(data, tmp_path)
    assert section.uns["section"]["bin_um"] == 8 and section.uns["section"]["um_per_px"] == pytest.approx(8 / 29.6)
    assert warnings == ["No bin_um was given: by microns_per_pixel these are bins of 8 µm."]
    data.uns = {}
    data.obs_names = [f"s_008um_{number:05d}_00000-1" for number in range(data.n_obs)]
    section, warnings = read(data, tmp_path)
    assert section.uns["section"]["bin_um"] == 8 and warnings == []


@pytest.mark.parametrize("bin_um", ["8", "cells"])
def test_spots_are_no_bins_or_cells(data: AnnData, bin_um: str, tmp_path: Path) -> None:
    assert re.fullmatch("[ACGT]+-1", data.obs_names[0])
    with pytest.raises(EfnstError, match=rf"found the barcodes of spots \({data.obs_names[0]}\) in s\.h5ad"):
        read(data, tmp_path, bin_um=bin_um)


def test_barcodes_of_cells_say_that_they_are(tmp_path: Path) -> None:
    """Also where the places on the array would make bins of them; without a scale they are refused."""
    data = bins()
    data.obs_names = [f"cellid_{number:09d}-1" for number in range(data.n_obs)]
    with pytest.raises(EfnstError, match=r"Expected .*microns_per_pixel"):
        read(data, tmp_path)
    data.uns["spatial"] = {"hd": {"scalefactors": {"microns_per_pixel": 0.25}}}
    facts = read(data, tmp_path)[0].uns["section"]
    assert (facts["grid"], facts["bin_um"], facts["um_per_px"]) == ("irregular", 0, 0.25)
    with pytest.raises(EfnstError, match=r"Expected bins of 8 µm, found the barcodes of cells \(cellid_000000000-1\)"):
        read(data, tmp_path, bin_um="8")


@pytest.mark.parametrize("name", ["s_008um_{:05d}_{:05d}-1", "unit_008um_{:05d}_{:05d}", "S1_s_008um_{:05d}_{:05d}-1"])
def test_barcodes_of_bins_say_their_size_and_place(name: str, tmp_path: Path) -> None:
    """Of every fifth bin, too, whose neighbours lie five places away, and in a table that is called anything."""
    data = bins(60)
    data.obs_names = [name.format(*at) for at in data.obs[["array_row", "array_col"]].to_numpy()]
    data = data[(data.obs["array_row"] % 5 == 0) & (data.obs["array_col"] % 5 == 0)].copy()
    expected = data.obs.pop("array_row"), data.obs.pop("array_col")
    section, warnings = read(data, tmp_path)
    assert section.uns["section"]["um_per_px"] == pytest.approx(8 / 29.6) and warnings == []
    assert all((section.obs[column.name] == column).all() for column in expected)
    for bin_um, wanted in (("16", "bins of 16 µm"), ("cells", "cells")):
        with pytest.raises(EfnstError, match=rf"Expected {wanted}, found bins of 8 µm \(.*\) in s\.h5ad"):
            read(data, tmp_path, bin_um=bin_um)
    write_table(data, tmp_path / "s.zarr", "table")
    facts = load_section("S1", tmp_path / "s.zarr", "none", "")[0].uns["section"]
    assert facts["bin_um"] == 8 and facts["um_per_px"] == pytest.approx(8 / 29.6)


def write_table(data: AnnData, path: Path, name: str, **image: object) -> None:
    """Write bins as SpatialData, with an image whose transformation is `image`."""
    from spatialdata import SpatialData
    from spatialdata.models import Image2DModel, ShapesModel, TableModel

    data.obs["region"], data.obs["id"] = pd.Categorical(["bins"] * data.n_obs), np.arange(data.n_obs)
    shapes = ShapesModel.parse(data.obsm["spatial"], geometry=0, radius=14.8, index=np.arange(data.n_obs))
    picture = Image2DModel.parse(np.full((3, 40, 40), 200, np.uint8), dims=("c", "y", "x"), transformations=image)
    table = TableModel.parse(data, region="bins", region_key="region", instance_key="id")
    SpatialData(images={"he": picture}, shapes={"bins": shapes}, tables={name: table}).write(path)


@pytest.mark.parametrize(
    "matrix", [np.diag([0, 0, 1]), [[0, -9, 0], [9, 0, 0], [0, 0, 1]], [[9, 3, 0], [0, 9, 0], [0, 0, 1]]]
)
def test_a_table_of_bins_of_another_size_and_an_image_of_no_size_or_turned_or_sheared(
    matrix: np.ndarray, tmp_path: Path
) -> None:
    from spatialdata.transformations import Affine

    axes = ("x", "y")
    write_table(bins(), tmp_path / "s.zarr", "square_008um", **{"global": Affine(matrix, axes, axes)})
    with pytest.raises(EfnstError, match=r"Expected bins of 2 µm, found bins of 8 µm \(square_008um\) in s\.zarr"):
        load_section("S1", tmp_path / "s.zarr", "none", "", "2")
    with pytest.raises(EfnstError, match=r"only has to be scaled .*, found that he is turned, mirrored, sheared"):
        load_section("S1", tmp_path / "s.zarr", "", "")


@pytest.mark.parametrize("value", [2, 0.6])
def test_a_spot_is_in_tissue_or_not(value: float, data: AnnData, tmp_path: Path) -> None:
    data.obs["in_tissue"] = data.obs["in_tissue"].astype(float)
    data.obs.loc[data.obs_names[3], "in_tissue"] = value
    with pytest.raises(EfnstError, match=r"Expected (0 or 1|whole numbers) in the column in_tissue of obs"):
        read(data, tmp_path)


@pytest.mark.parametrize(
    "columns", [["imagerow", "imagecol"], ["pxl_row_in_fullres", "pxl_col_in_fullres"], ["y", "x"]]
)
def test_positions_in_a_table_go_by_its_names(columns: list[str], data: AnnData, tmp_path: Path) -> None:
    expected = data.obsm["spatial"]
    data.obsm["spatial"] = pd.DataFrame(expected[:, ::-1], index=data.obs_names, columns=columns)
    assert np.array_equal(read(data, tmp_path)[0].obsm["spatial"], expected)


def test_one_wrong_place_on_the_array(data: AnnData, tmp_path: Path) -> None:
    data.obs.loc[data.obs_names[3], ["array_row", "array_col"]] = 1_000_000
    with pytest.raises(EfnstError, match=rf"found 1000000 and 1000000 at the barcode {data.obs_names[3]}"):
        read(data, tmp_path)


@pytest.mark.parametrize("missing", [np.nan, "", "NA"])
def test_genes_without_a_symbol_or_an_identifier(missing: object, data: AnnData, tmp_path: Path) -> None:
    names, ids = data.var_names.to_numpy(object), np.array([f"ENSG{n:011d}" for n in range(data.n_vars)], object)
    data.var_names = [f"probe {n}" for n in range(data.n_vars)]
    data.var["gene_name"], data.var["gene_ids"] = names, ids
    data.var.loc[data.var_names[2:5], "gene_name"] = missing
    data.var.loc[data.var_names[4:7], "gene_ids"] = missing
    section, _ = read(data, tmp_path)
    assert list(section.var_names[1:5]) == [names[1], ids[2], ids[3], "probe 4"]
    assert list(section.var["gene_ids"].iloc[3:8]) == [ids[3], "probe 4", names[5], names[6], ids[7]]


def test_dense_counts_in_a_layer_whose_first_spots_are_empty(data: AnnData, tmp_path: Path) -> None:
    """Of normalised values in X the first ones are all zero, which are whole numbers too."""
    counts = np.asarray(data.X.todense(), np.float32)
    counts[:100] = 0
    data.layers["counts"], data.X = counts, np.log1p(counts)
    section, _ = read(data, tmp_path)
    assert section.uns["section"]["space_ranger"].endswith("counts in layers.counts")
    assert np.array_equal(section.X.toarray(), counts)


def test_dense_counts_in_half_precision_in_zarr(data: AnnData, tmp_path: Path) -> None:
    data = bins()
    expected = data.X.copy()
    data.X = data.X.astype(np.float16)
    write_table(data, tmp_path / "s.zarr", "square_008um")
    section, _, _ = load_section("S1", tmp_path / "s.zarr", "none", "")
    assert np.array_equal(section.X.toarray(), expected)


def test_counts_above_two_to_the_31_are_refused(data: AnnData, tmp_path: Path) -> None:
    data.X = data.X.astype(np.float64)
    data.X.data[0] = 2.0**31
    with pytest.raises(EfnstError, match="Expected counts below 2\\^31"):
        read(data, tmp_path)


def as_anndata_06(data: AnnData, path: Path) -> None:
    """Write a section as anndata 0.6 did: tables as datasets of records."""
    with h5py.File(path, "w") as file:
        values = file.create_group("X")
        values.attrs["h5sparse_format"], values.attrs["h5sparse_shape"] = "csr", data.shape
        for part in ("data", "indices", "indptr"):
            values[part] = getattr(data.X.tocsr(), part)
        for name, names in (("obs", data.obs_names), ("var", data.var_names)):
            columns = data.obs[["array_row", "array_col", "in_tissue"]] if name == "obs" else data.var[[]]
            text = names.to_numpy("S")
            table = np.zeros(len(names), [("index", text.dtype), *((column, "i8") for column in columns)])
            table["index"] = text
            for column in columns:
                table[column] = columns[column]
            file[name] = table
        places = np.zeros(data.n_obs, [("spatial", "f8", (2,))])
        places["spatial"] = data.obsm["spatial"]
        file["obsm"] = places


def test_a_file_of_anndata_06(data: AnnData, tmp_path: Path) -> None:
    as_anndata_06(data, tmp_path / "old.h5ad")
    old = read_h5ad_section(tmp_path / "old.h5ad", "", "", with_counts=True)
    data.write_h5ad(tmp_path / "new.h5ad")
    new = read_h5ad_section(tmp_path / "new.h5ad", "", "", with_counts=True)
    assert (old.matrix.counts != new.matrix.counts).nnz == 0 and list(old.matrix.barcodes) == list(new.matrix.barcodes)
    assert np.array_equal(old.positions.to_numpy(), new.positions.to_numpy()) and old.is_on_array


def test_nullable_strings_of_new_anndata(data: AnnData, tmp_path: Path) -> None:
    data.var["gene_ids"] = data.var["gene_ids"].astype("string")
    data.obs["patient"] = pd.array(["P1"] * data.n_obs, dtype="string")
    with anndata.settings.override(allow_write_nullable_strings=True):
        section, warnings = read(data, tmp_path)
    assert list(section.var["gene_ids"]) == list(data.var["gene_ids"]) and warnings == []


def test_spatialdata_about_labels(tmp_path: Path) -> None:
    from geopandas import GeoDataFrame
    from shapely.geometry import Point
    from spatialdata import SpatialData
    from spatialdata.models import Labels2DModel, ShapesModel, TableModel

    table, n = bins(15), 15
    table.obs["region"] = pd.Categorical(["hd_square_008um_labels"] * table.n_obs)
    table.obs["labels_id"] = np.arange(1, table.n_obs + 1)
    expected = table.obsm["spatial"].copy()
    labels = Labels2DModel.parse(np.arange(1, n * n + 1).reshape(n, n), dims=("y", "x"))
    circles = GeoDataFrame({"radius": 14.8}, geometry=[Point(place) for place in expected], index=range(n * n))
    SpatialData(
        labels={"hd_square_008um_labels": labels},
        shapes={"hd_square_008um": ShapesModel.parse(circles)},
        tables={
            "square_008um": TableModel.parse(
                table, region="hd_square_008um_labels", region_key="region", instance_key="labels_id"
            )
        },
    ).write(tmp_path / "s.zarr")
    section, _, warnings = load_section("S1", tmp_path / "s.zarr", "none", "")
    facts = section.uns["section"]
    assert np.allclose(section.obsm["spatial"], expected) and warnings == []
    assert facts["bin_um"] == 8 and facts["um_per_px"] == pytest.approx(8 / 29.6)
