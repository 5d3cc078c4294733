"""Several sections in one file or folder: each is read as it is by itself, found, and refused where it is not named."""

import gzip
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from PIL import Image
from scipy.sparse import hstack
from tests.support.places import PROJECT
from tests.support.space_ranger import HIRES, MATRIX, SCALE

from efnst.errors import EfnstError
from efnst.inputs.check import check_rows
from efnst.inputs.checksums import input_checksums
from efnst.inputs.deposit import arranged
from efnst.inputs.find import find_sections, rows
from efnst.inputs.h5ad import NO_PICTURES
from efnst.inputs.located import located
from efnst.inputs.samplesheet import read_samplesheet
from efnst.inputs.section import load_section
from efnst.program.parameters import read_schema
from efnst.simulation.feature_matrix import read_matrix, write_matrix
from efnst.simulation.forms import to_anndata, write_spatialdata

NAMES = ("A1", "B1")
SHIFT = np.array([137, 61])  # of the second section, in px


@pytest.fixture
def both(simulated_folder: Callable[[int], Path]) -> dict[str, Path]:
    """Two simulated sections."""
    return {name: simulated_folder(number) / "outs" for number, name in enumerate(NAMES, start=1)}


def read(path: Path, image: str = "", library: str = "") -> tuple[AnnData, list[str]]:
    section, _, warnings = load_section("S1", path, image, "", library=library)
    return section, warnings


def same(section: AnnData, expected: AnnData) -> bool:
    """Whether two sections have the same counts at the same places, with the same scale."""
    places = np.array_equal(section.obsm["spatial"], expected.obsm["spatial"])
    scale = section.uns["section"]["um_per_px"] == pytest.approx(expected.uns["section"]["um_per_px"], rel=1e-3)
    return places and scale and (section.X != expected[:, section.var_names].X).nnz == 0


def concatenated(both: dict[str, Path], **options: object) -> AnnData:
    parts = {name: to_anndata(outs) for name, outs in both.items()}
    for name, data in parts.items():
        data.var_names_make_unique()
        data.uns["spatial"] = {f"V10_{name}": data.uns["spatial"].popitem()[1]}
        data.obs["slide"] = f"V10_{name}"
    return anndata.concat(parts, label="library_id", index_unique="-", **options)


def test_a_concatenation_with_its_images(both: dict[str, Path], tmp_path: Path) -> None:
    """Each section has its own counts, positions and image; the latter by another column that names it."""
    concatenated(both, uns_merge="unique").write_h5ad(tmp_path / "two.h5ad")
    for name, outs in both.items():
        section, warnings = read(tmp_path / "two.h5ad", library=name)
        expected, _ = read(outs)
        assert warnings == [] and same(section, expected)
        image = located(tmp_path / "two.h5ad", section.uns["section"]["image"]["file"])
        assert np.array_equal(np.asarray(Image.open(image)), np.asarray(Image.open(outs / HIRES)))
        assert section.uns["section"]["space_ranger"] == f"two.h5ad, counts in X, {name}"


def test_a_concatenation_without_or_with_others_images(both: dict[str, Path], tmp_path: Path) -> None:
    two = concatenated(both)
    two.uns["spatial"] = to_anndata(both["A1"]).uns["spatial"]
    two.write_h5ad(tmp_path / "two.h5ad")
    section, warnings = read(tmp_path / "two.h5ad", "none", "B1")
    assert same(section, read(both["B1"], "none")[0])
    assert warnings == [NO_PICTURES]
    with pytest.raises(
        EfnstError,
        match=r"Expected uns\['spatial'\]\[library\]\['images'\]\['hires'\] or .* in two\.h5ad, found neither",
    ):
        read(tmp_path / "two.h5ad", library="B1")


def test_the_barcodes_may_tell_and_two_columns_may_disagree(both: dict[str, Path], tmp_path: Path) -> None:
    two = concatenated(both)
    is_first = two.obs.pop("library_id") == "A1"
    two.obs = two.obs[["array_row", "array_col", "in_tissue"]]
    two.write_h5ad(tmp_path / "two.h5ad")
    assert same(read(tmp_path / "two.h5ad", "none", "1-B1")[0], read(both["B1"], "none")[0])
    two.obs["donor"], two.obs["run"] = np.where(is_first, "x", "y"), np.where(is_first, "y", "x")
    two.write_h5ad(tmp_path / "two.h5ad")
    with pytest.raises(EfnstError, match=r"the column donor and the column run mean different spots .* donor=x"):
        read(tmp_path / "two.h5ad", "none", "x")
    assert same(read(tmp_path / "two.h5ad", "none", "run=y")[0], read(both["A1"], "none")[0])


def test_the_name_of_the_only_section_of_a_file(both: dict[str, Path], tmp_path: Path) -> None:
    """By a value that all its spots have; its image is that of the file."""
    data = to_anndata(both["A1"])
    data.obs["library_id"] = "A1"
    data.write_h5ad(tmp_path / "one.h5ad")
    section, warnings = read(tmp_path / "one.h5ad", library="A1")
    assert warnings == [] and same(section, read(both["A1"])[0])
    assert section.uns["section"]["image"]["source"] == "hires"
    with pytest.raises(EfnstError, match=r"the section B1 in one\.h5ad, found A1 by the column library_id: correct"):
        read(tmp_path / "one.h5ad", library="B1")
    write_spatialdata(both["A1"], tmp_path / "one.zarr")
    section, warnings = read(tmp_path / "one.zarr", library="spots")
    assert warnings == [] and same(section, read(both["A1"])[0])


def test_without_a_name_or_with_a_wrong_one_the_names_are_told(both: dict[str, Path], tmp_path: Path) -> None:
    concatenated(both).write_h5ad(tmp_path / "two.h5ad")
    with pytest.raises(EfnstError, match=r"column library_id of obs says which: .* column library \(A1, B1\)"):
        read(tmp_path / "two.h5ad", "none")
    with pytest.raises(
        EfnstError, match=r"Expected the section C1 in two\.h5ad, found A1, B1 by the column library_id"
    ):
        read(tmp_path / "two.h5ad", "none", "C1")
    with pytest.raises(EfnstError, match=r"Expected several sections in .*, found one: leave the column library empty"):
        read(both["A1"], library="A1")


def aggregate(both: dict[str, Path], outs: Path, positions: str) -> None:
    """Write what `spaceranger aggr` makes of the sections, with all positions in the file `positions`."""
    matrices, tables = [], []
    for number, (name, one) in enumerate(both.items(), start=1):
        matrix, _ = read_matrix(one)
        table = pd.read_csv(next((one / "spatial").glob("tissue_positions*")))
        matrices.append(replace(matrix, barcodes=np.array([f"{code[:-2]}-{number}" for code in matrix.barcodes])))
        tables.append(table.assign(barcode=[f"{code[:-2]}-{number}" for code in table["barcode"]]))
        (outs / "spatial" / name).mkdir(parents=True)
        for path in (one / "spatial").glob("[st]*[!v]"):
            shutil.copy(path, outs / "spatial" / name)
    counts = hstack([matrix.counts for matrix in matrices]).tocsc()
    barcodes = np.concatenate([matrix.barcodes for matrix in matrices])
    write_matrix(replace(matrices[0], counts=counts, barcodes=barcodes), outs, "h5")
    (outs / "aggregation.csv").write_text("library_id,molecule_h5\nA1,a\nB1,b\n")
    pd.concat(tables).to_csv(outs / positions, index=False)


@pytest.mark.parametrize(
    "positions", ["aggr_tissue_positions.csv", "spatial/aggr_tissue_positions.csv", "spatial/tissue_positions.csv"]
)
def test_spaceranger_aggr(positions: str, both: dict[str, Path], tmp_path: Path) -> None:
    outs = tmp_path / "outs"
    aggregate(both, outs, positions)
    for name, one in both.items():
        section, warnings = read(outs, library=name)
        assert warnings == [] and same(section, read(one)[0])
        assert section.uns["section"]["image"]["file"] == f"spatial/{name}/tissue_hires_image.png"
    with pytest.raises(EfnstError, match=r"found several, which spaceranger aggr wrote \(A1, B1 in aggregation"):
        read(outs)
    with pytest.raises(EfnstError, match=r"found A1, B1 in aggregation\.csv: give each a row"):
        read(outs, library="C1")
    (outs / "aggregation.csv").rename(tmp_path / "elsewhere.csv")
    if positions.endswith("aggr_tissue_positions.csv"):
        assert same(read(outs, "none", "2")[0], read(both["B1"], "none")[0])


@pytest.mark.slow
@pytest.mark.parametrize("shared_space", [False, True])
def test_spatialdata(shared_space: bool, both: dict[str, Path], tmp_path: Path) -> None:
    """A table about the shapes of both; an image in a space of coordinates that both have may be that of the other."""
    from spatialdata import SpatialData, read_zarr
    from spatialdata.models import TableModel

    images, shapes, tables = {}, {}, {}
    for name, outs in both.items():
        write_spatialdata(outs, tmp_path / f"{name}.zarr")
        one = read_zarr(tmp_path / f"{name}.zarr")
        if not shared_space:
            one.rename_coordinate_systems({"downscaled_hires": f"{name}_hires", "downscaled_lowres": f"{name}_lowres"})
        images |= {f"{name}_{kind}": image for kind, image in one.images.items()}
        shapes[name] = one.shapes["spots"]
        tables[name] = one.tables["table"]
        tables[name].var_names_make_unique()
        tables[name].obs["region"] = name
    table = anndata.concat(tables, index_unique="-")
    table.obs["region"] = table.obs["region"].astype("category")
    table = TableModel.parse(table, region=list(both), region_key="region", instance_key="spot_id")
    SpatialData(images=images, shapes=shapes, tables={"table": table}).write(tmp_path / "two.zarr")
    for name, outs in both.items():
        section, warnings = read(tmp_path / "two.zarr", "none" if shared_space else "", name)
        assert warnings == [] and same(section, read(outs)[0])
        assert section.uns["section"]["image"]["file"] == ("" if shared_space else f"{name}_hires_image")
    with pytest.raises(EfnstError, match=r"found A1, B1: give each a row|found neither"):
        read(tmp_path / "two.zarr", library="A1" if shared_space else "")


def test_names_of_sections_lead_nowhere_and_are_no_formulas(both: dict[str, Path], tmp_path: Path) -> None:
    outs = tmp_path / "outs"
    aggregate(both, outs, "aggr_tissue_positions.csv")
    shutil.copytree(outs / "spatial" / "A1", tmp_path / "elsewhere")
    for name, said in (("../../elsewhere", "is a link out of it"), ("=1+1", "Expected sections with plain names")):
        (outs / "aggregation.csv").write_text(f"library_id\n{name}\nB1\n")
        if name.startswith("="):
            found, (note,) = find_sections(outs)
            assert found == [] and said in note
        else:
            with pytest.raises(EfnstError, match=said):
                read(outs, library=name)


@pytest.fixture
def deposit(both: dict[str, Path], tmp_path: Path) -> Path:
    """Two samples in one flat folder, packed, as GEO has them."""
    folder = tmp_path / "GSE1"
    folder.mkdir()
    for name, outs in both.items():
        for path in (outs / "spatial").iterdir():
            (folder / f"GSM_{name}_{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        shutil.copy(outs / MATRIX, folder / f"GSM_{name}_{MATRIX}")
    return folder


def test_samples_of_a_deposit_side_by_side(both: dict[str, Path], deposit: Path) -> None:
    for name, outs in both.items():
        for library in (f"GSM_{name}", f"GSM_{name}_"):
            section, warnings = read(deposit, library=library)
            assert warnings == [] and same(section, read(outs)[0])
        image = located(deposit, section.uns["section"]["image"]["file"])
        assert image.read_bytes() == (outs / HIRES).read_bytes()
        checksums = input_checksums(deposit, "", "", library=f"GSM_{name}")
        assert checksums["checksum"][1:] == input_checksums(outs, "", "")["checksum"][1:]


def packed(folder: Path, archive: Path) -> None:
    """A folder as a tar archive, with what a Mac puts beside each file."""
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, folder.name)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            file.addfile(tarfile.TarInfo(str(path.relative_to(folder.parent).with_name(f"._{path.name}"))))


@pytest.mark.parametrize("in_pieces", [False, True])
def test_samples_whose_folders_are_packed(both: dict[str, Path], in_pieces: bool, tmp_path: Path) -> None:
    """As GEO has them: GSM_A1_spatial.tar.gz beside the matrix, or that packed, too."""
    folder = tmp_path / "GSE2"
    folder.mkdir()
    for name, outs in both.items():
        packed(outs / "spatial", folder / f"GSM_{name}_spatial.tar.gz")
        shutil.copy(outs / MATRIX, folder / f"GSM_{name}_{MATRIX}")
        if in_pieces:
            (folder / f"GSM_{name}_{MATRIX}").unlink()
            (tmp_path / name).mkdir()
            write_matrix(read_matrix(outs)[0], tmp_path / name, "mtx")
            pieces = tmp_path / name / "filtered_feature_bc_matrix"
            packed(pieces, folder / f"GSM_{name}_{pieces.name}.tar.gz")
    for name, outs in both.items():
        section, warnings = read(folder, library=f"GSM_{name}")
        assert warnings == [] and same(section, read(outs)[0])
        image = located(folder, section.uns["section"]["image"]["file"])
        assert image.read_bytes() == (outs / HIRES).read_bytes()
    found, notes = find_sections(folder)
    assert [(section.library, notes) for section in found] == [("GSM_A1", []), ("GSM_B1", [])]


def test_samples_whose_files_are_named_after_their_folders_too(both: dict[str, Path], tmp_path: Path) -> None:
    for name, outs in both.items():
        for path in (outs / "spatial").iterdir():
            shutil.copy(path, tmp_path / f"GSM_{name}_spatial_{path.name}")
        pieces = tmp_path / name / "filtered_feature_bc_matrix"
        pieces.parent.mkdir()
        write_matrix(read_matrix(outs)[0], pieces.parent, "mtx")
        for path in pieces.iterdir():
            shutil.copy(path, tmp_path / f"GSM_{name}_{pieces.name}_{path.name}")
    for name, outs in both.items():
        section, warnings = read(tmp_path, library=f"GSM_{name}")
        assert warnings == [] and same(section, read(outs)[0])


def test_packed_folders_of_two_sections_or_of_none(both: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "GSE3"
    (tmp_path / "two" / "spatial").mkdir(parents=True)
    folder.mkdir()
    shutil.copy(both["A1"] / MATRIX, folder / f"GSM_{MATRIX}")
    packed(tmp_path / "two" / "spatial", folder / "GSM_spatial.tar.gz")
    with pytest.raises(EfnstError, match=r"files of a folder of Space Ranger in GSM_spatial\.tar\.gz, found none"):
        read(folder)
    for name, outs in both.items():
        shutil.copytree(outs / "spatial", tmp_path / "two" / name / "spatial")
    packed(tmp_path / "two", folder / "GSM_spatial.tar.gz")
    arranged.cache_clear()
    with pytest.raises(EfnstError, match=r"files of one section in GSM_spatial\.tar\.gz, found two/A1/spatial/"):
        read(folder)


def test_archives_of_whole_sections_side_by_side_are_no_deposit(both: dict[str, Path], tmp_path: Path) -> None:
    for name, outs in both.items():
        packed(outs, tmp_path / f"{name}_spatial.tar.gz")
    found, notes = find_sections(tmp_path)
    assert [section.section.name for section in found] == ["A1_spatial.tar.gz", "B1_spatial.tar.gz"] and notes == []


def test_files_without_a_name_in_front_are_those_of_no_other_sample(
    both: dict[str, Path], deposit: Path, simulated_folder: Callable[[int], Path]
) -> None:
    """A stray matrix is left, what all samples share is taken, and a section without a name is one by itself."""
    other = simulated_folder(3) / "outs"
    shutil.copy(other / MATRIX, deposit / MATRIX)
    for path in deposit.glob("GSM_B1_*"):
        path.rename(deposit / path.name.replace("GSM_B1", "tumor"))  # behind those without in the order of names
    for path in deposit.glob(f"*{SCALE.name}.gz"):
        path.unlink()
    shutil.copy(both["B1"] / SCALE, deposit / SCALE.name)
    assert same(read(deposit, library="tumor")[0], read(both["B1"])[0])
    for path in (other / "spatial").iterdir():
        shutil.copy(path, deposit)
    assert same(read(deposit)[0], read(other)[0])
    assert same(read(deposit, "none", "tumor")[0], read(both["B1"])[0])


def test_an_image_is_that_of_the_section_with_the_longest_name(both: dict[str, Path], tmp_path: Path) -> None:
    for name, outs in {"P1": both["A1"], "P10": both["B1"], "P1_A": both["B1"]}.items():
        for path in (outs / MATRIX, *(outs / "spatial").iterdir()):
            shutil.copy(path, tmp_path / f"{name}_{path.name}")
    for name in ("P1.tif", "P10_HE.jpg", "P1_A.tif"):
        (tmp_path / name).touch()
    images = {each.library: each.image and each.image.name for each in find_sections(tmp_path)[0]}
    assert images == {"P1": "P1.tif", "P10": "P10_HE.jpg", "P1_A": "P1_A.tif"}


def test_sections_that_links_lead_to_are_found_once(both: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(both["A1"], tmp_path / "runs" / "run3" / "outs")
    for name, target in (("runs/latest", "run3"), ("runs/run3/up", ".."), ("elsewhere", both["B1"].parent)):
        (tmp_path / name).symlink_to(target)
    found, notes = find_sections(tmp_path)
    sections = [row[:2] for row in rows(found, tmp_path)[1:]]
    assert sections == [["run3", "runs/run3/outs"], ["elsewhere", "elsewhere/outs"]] and notes == []


@pytest.mark.slow
def test_every_section_is_found_and_its_row_is_sound(both: dict[str, Path], deposit: Path, tmp_path: Path) -> None:
    concatenated(both, uns_merge="unique").write_h5ad(tmp_path / "two.h5ad")
    aggregate(both, tmp_path / "both" / "outs", "aggr_tissue_positions.csv")
    found, notes = find_sections(tmp_path)
    sheet = tmp_path / "samplesheet.csv"
    sheet.write_text("\n".join(",".join(row) for row in rows(found, tmp_path)))
    assert notes == [] and sheet.read_text().splitlines() == [
        "sample,section,library",
        "GSE1_GSM_A1,GSE1,GSM_A1",
        "GSE1_GSM_B1,GSE1,GSM_B1",
        "both_A1,both/outs,A1",
        "both_B1,both/outs,B1",
        "two_A1,two.h5ad,A1",
        "two_B1,two.h5ad,B1",
    ]
    schema = read_schema(PROJECT / "assets" / "samplesheet_schema.json")
    checked = check_rows(read_samplesheet(sheet), schema, str(tmp_path))
    assert (len(checked.sound), checked.problems, checked.warnings) == (6, [], [])
