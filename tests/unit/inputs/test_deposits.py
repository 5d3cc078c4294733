"""Deposits as they are downloaded, unpacked or packed: read as what they came from; errors name what was given."""

import gzip
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from anndata import AnnData
from tests.support.space_ranger import HIRES, MATRIX

from efnst.errors import EfnstError
from efnst.inputs.find import find_sections
from efnst.inputs.located import located
from efnst.inputs.section import load_section
from efnst.program.scratch import scratch_folder
from efnst.simulation.damage import damage
from efnst.simulation.feature_matrix import read_matrix, write_matrix
from efnst.simulation.forms import to_anndata

Form = Callable[[Path, Path], object]
PIECES = "filtered_feature_bc_matrix"


def copied(outs: Path, folder: Path, name: Callable[[str], str], packed: bool = False) -> None:
    """The files of a section side by side, under other names, all by gzip or none."""
    folder.mkdir(parents=True)
    for path in (*outs.glob("*.h5"), *outs.glob(f"{PIECES}/*"), *(outs / "spatial").iterdir()):
        content = path.read_bytes()
        target = folder / (name(path.name) + ".gz" * packed)
        target.write_bytes(gzip.compress(content) if packed else content)


def behind(name: str) -> str:
    """The name of a file with that of the sample behind, after that of the series."""
    stem, dot, ending = name.partition(".")
    return f"GSM1_{stem}_A1{dot}{ending}"


def folders(outs: Path, folder: Path, within: str = ".") -> None:
    """The matrix beside the folder spatial, both with the sample in front."""
    folder.mkdir(parents=True)
    for path in outs.glob("*.h5"):
        shutil.copy(path, folder / f"GSM1_A1_{path.name}")
    if (outs / PIECES).is_dir():
        shutil.copytree(outs / PIECES, folder / f"GSM1_A1_{PIECES}")
    shutil.copytree(outs / "spatial", folder / "GSM1_A1_spatial" / within)


def packed_spatial(outs: Path, folder: Path) -> None:
    """The matrix beside the packed folder spatial, as GEO has them."""
    folders(outs, folder)
    with tarfile.open(folder / "GSM1_A1_spatial.tar.gz", "w:gz") as file:
        file.add(folder / "GSM1_A1_spatial", "spatial")
    shutil.rmtree(folder / "GSM1_A1_spatial")


FORMS: dict[str, Form] = {
    "spatial with a name": folders,
    "spatial within one with a name": lambda outs, folder: folders(outs, folder, "spatial"),
    "flat": lambda outs, folder: copied(outs, folder, "GSM1_A1_{}".format),
    "flat and packed": lambda outs, folder: copied(outs, folder, "GSM1_A1_{}".format, packed=True),
    "names behind": lambda outs, folder: copied(outs, folder, behind),
    "names behind and packed": lambda outs, folder: copied(outs, folder, behind, packed=True),
    "packed spatial": packed_spatial,
}
EVERY = [(form, packed) for form in FORMS for packed in ("", ".tar", ".tar.gz")]
SOME = [("spatial with a name", ""), ("flat and packed", ""), ("packed spatial", ""), ("names behind", ".tar")]
SOME += [("packed spatial", ".tar.gz"), ("outs", ".tar.gz")]


def made(form: str, packed: str, outs: Path, folder: Path) -> Path:
    """A section in one of these forms; as an archive it is at its top, as GEO's are, which holds no folder."""
    if form == "outs":
        shutil.copytree(outs, folder / "outs")
    else:
        FORMS[form](outs, folder)
    if packed:
        with tarfile.open(f"{folder}{packed}", "w:gz" if packed.endswith("gz") else "w") as file:
            for path in sorted(folder.iterdir()):
                file.add(path, path.name)
        shutil.rmtree(folder)
    return Path(f"{folder}{packed}")


@pytest.fixture
def outs(simulated_folder: Callable[[int], Path], tmp_path: Path) -> Path:
    """A copy of a simulated section, to be changed."""
    return shutil.copytree(simulated_folder(1) / "outs", tmp_path / "original")


def read(path: Path, image: str = "", library: str = "") -> tuple[AnnData, list[str]]:
    section, _, warnings = load_section("S1", path, image, "", library=library)
    return section, warnings


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(("form", "packed"), EVERY)
def test_every_form_is_read_as_the_folder_it_came_from(
    form: str, packed: str, in_pieces: bool, outs: Path, tmp_path: Path
) -> None:
    expected, _ = read(outs)
    hires = (outs / HIRES).read_bytes()
    if in_pieces:
        matrix, _ = read_matrix(outs)
        (outs / MATRIX).unlink()
        write_matrix(matrix, outs, "mtx")
        for path in (outs / PIECES).iterdir() if form.endswith("packed") else ():
            path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()
    path = made(form, packed, outs, tmp_path / "lab" / "GSE1")
    section, warnings = read(path)
    assert warnings == [] and (section.X != expected.X).nnz == 0
    assert (section.obsm["spatial"] == expected.obsm["spatial"]).all()
    assert located(path, section.uns["section"]["image"]["file"]).read_bytes() == hires
    found, notes = find_sections(path.parent)
    assert [(one.section, one.image, one.library) for one in found] == [(path, "", "")] and notes == []


DAMAGES = (
    *("missing_matrix", "missing_positions", "missing_scalefactors", "missing_images", "truncated_h5", "empty_matrix"),
    *("no_spots_in_tissue", "corrupt_image", "wrong_scale", "negative_counts", "foreign_barcodes"),
    *("duplicate_barcodes", "truncated_mtx_gz", "invalid_scalefactors_json"),
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAMAGES)
def test_errors_name_what_was_given(kind: str, outs: Path, tmp_path: Path) -> None:
    """The folder, archive or file of the user, never what was made of it in the scratch folder."""
    damage(outs, kind)
    for number, (form, packed) in enumerate(SOME):
        if kind == "truncated_mtx_gz" and form.endswith("packed"):
            continue  # the pieces are packed already
        path = made(form, packed, outs, tmp_path / f"lab{number}" / "GSE1")
        with pytest.raises(EfnstError) as raised:
            read(path)
        said = str(raised.value)
        assert str(scratch_folder()) not in said and not re.search(r"\btmp[a-z0-9_]{8}\b", said), f"{form}: {said}"
        paths = [found for found in re.findall(r"/\S+", said) if found.startswith(str(tmp_path))]
        assert all(Path(found.rstrip(",:.")).is_relative_to(path) for found in paths), f"{form}: {said}"
        for note in find_sections(path.parent)[1]:
            assert str(scratch_folder()) not in note and not re.search(r"\btmp[a-z0-9_]{8}\b", note), f"{form}: {note}"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("invalid_scalefactors_json", r"Expected a complete GSM1_A1_scalefactors_json\.json, found"),
        ("truncated_h5", r"Expected a complete GSM1_A1_filtered_feature_bc_matrix\.h5, found"),
        (
            "missing_matrix",
            r"Expected counts .* beside GSM1_A1_tissue_pos.* in .*/GSE1, found none \(it holds GSM1_A1_sca",
        ),
    ],
)
def test_errors_name_the_users_file(kind: str, said: str, outs: Path, tmp_path: Path) -> None:
    damage(outs, kind)
    with pytest.raises(EfnstError, match=said):
        read(made("flat", "", outs, tmp_path / "GSE1"))


def test_errors_name_the_users_zarr(outs: Path, tmp_path: Path) -> None:
    data = to_anndata(outs)
    data.var_names_make_unique()
    del data.obsm["spatial"]
    data.write_zarr(tmp_path / "s.zarr")
    with pytest.raises(EfnstError, match=r"Expected positions in obsm\['spatial'\] of s\.zarr, found nothing"):
        read(tmp_path / "s.zarr")


@pytest.mark.parametrize("packed", ["", ".tar"])
def test_two_samples_whose_folders_spatial_have_their_names(
    packed: str, outs: Path, tmp_path: Path, simulated_folder: Callable[[int], Path]
) -> None:
    both = {"A1": outs, "B1": simulated_folder(2) / "outs"}
    folder = tmp_path / "lab" / "GSE2"
    folder.mkdir(parents=True)
    for name, section in both.items():
        shutil.copy(section / MATRIX, folder / f"GSM_{name}_{MATRIX}")
        shutil.copytree(section / "spatial", folder / f"GSM_{name}_spatial")
    shutil.copytree(outs / "spatial", folder / "GSM_lone_spatial")
    if packed:
        with tarfile.open(f"{folder}{packed}", "w") as file:
            file.add(folder, "GSE2")
        shutil.rmtree(folder)
    path = Path(f"{folder}{packed}")
    for name, section in both.items():
        found, warnings = read(path, library=f"GSM_{name}")
        assert warnings == [] and (found.X != read(section)[0].X).nnz == 0
        assert located(path, found.uns["section"]["image"]["file"]).read_bytes() == (section / HIRES).read_bytes()
    with pytest.raises(EfnstError, match=rf"of one section in {path}(/GSE2)?, found those of 2 \(GSM_A1, GSM_B1\)"):
        read(path)
    sections, notes = find_sections(path.parent)
    assert [(one.sample, one.library) for one in sections] == [(f"GSE2_GSM_{name}", f"GSM_{name}") for name in both]
    if not packed:
        (note,) = notes
        assert note.startswith(f"{path}/GSM_lone_spatial: left out. Expected counts")


def test_a_folder_with_two_lists_of_positions(outs: Path, tmp_path: Path) -> None:
    path = made("spatial with a name", "", outs, tmp_path / "GSE1")
    shutil.copytree(outs / "spatial", path / "GSM1_A1_spatial" / "more")
    with pytest.raises(EfnstError, match=r"files of one section in GSM1_A1_spatial, found .* and more/"):
        read(path)


def test_what_is_passed_over_is_told(outs: Path, tmp_path: Path) -> None:
    """Counts of which no positions are known, and a run without a folder spatial, as of single cells."""
    for name in ("GSE1", "cells/outs"):
        (tmp_path / "lab" / name).mkdir(parents=True)
    shutil.copy(outs / MATRIX, tmp_path / "lab" / "GSE1" / f"GSM1_{MATRIX}")
    (tmp_path / "lab" / "GSE1" / "GSM1_spatial.zip").touch()
    matrix, _ = read_matrix(outs)
    write_matrix(matrix, tmp_path / "lab" / "cells" / "outs", "mtx")
    found, notes = find_sections(tmp_path / "lab")
    assert found == [] and [note.partition(" without")[0] for note in notes] == [
        f"{tmp_path}/lab/GSE1: left out. It holds GSM1_{MATRIX}",
        f"{tmp_path}/lab/cells/outs: left out. It holds {PIECES}",
    ]


def test_a_name_behind_is_none_where_positions_have_their_own_name(outs: Path) -> None:
    """Of a copy somebody kept, or an image that was edited, no sample is made."""
    expected, _ = read(outs)
    for path in list((outs / "spatial").iterdir()):
        shutil.copy(path, path.with_stem(f"{path.stem}_old"))
    section, warnings = read(outs)
    assert warnings == [] and section.uns["section"] == expected.uns["section"]
    assert [one.section for one in find_sections(outs)[0]] == [outs]
