"""SpatialData stores that would run code or show what lies elsewhere: refused, and in any case not run."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest

from efnst.errors import EfnstError
from efnst.inputs.spatialdata import read_spatialdata
from efnst.simulation.forms import write_spatialdata
from efnst.simulation.space_ranger import SMALL, simulate_section, write_section

REFUSED = (
    r"Expected arrays that are safe to read in s.zarr, found one of another kind \(.*pickle.*\): do not use this file"
)


class Explosive:
    """What an attacker would pickle."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.file,)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The same section in a store of each zarr format, not to be changed."""
    from spatialdata._io.format import SpatialDataContainerFormats

    folder = tmp_path_factory.mktemp("stores")
    write_section(simulate_section(1, 0, SMALL), folder / "section")
    for zarr_format, container in {2: "0.1", 3: "0.2"}.items():
        formats = SpatialDataContainerFormats[container]
        write_spatialdata(folder / "section" / "outs", folder / f"{zarr_format}.zarr", sdata_formats=formats)
    return {zarr_format: folder / f"{zarr_format}.zarr" for zarr_format in (2, 3)}


def copied(store: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of a store without its consolidated metadata, and the array with the numbers of its spots."""
    copy = shutil.copytree(store, tmp_path / "s.zarr")
    for file in (*copy.rglob(".zmetadata"), *copy.rglob("zmetadata")):
        file.unlink()
    for file in copy.rglob("zarr.json"):
        about = json.loads(file.read_text())
        about.pop("consolidated_metadata", None)
        file.write_text(json.dumps(about))
    return copy, copy / "tables" / "table" / "obs" / "spot_id"


def pickled(array: Path, explosion: Path) -> dict[str, object]:
    """Make an array of format 2 one whose only chunk is a pickle; its metadata."""
    (array / "0").write_bytes(pickle.dumps(Explosive(explosion)))
    about = json.loads((array / ".zarray").read_text())
    about |= {"chunks": about["shape"], "dtype": "|O", "compressor": None, "fill_value": None}
    return about | {"filters": [{"id": "pickle", "protocol": 5}]}


def read(store: Path) -> None:
    read_spatialdata(store, "", "", with_counts=True)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_copies_are_whole(zarr_format: int, stores: dict[int, Path], tmp_path: Path) -> None:
    read(copied(stores[zarr_format], tmp_path)[0])


@pytest.mark.parametrize("spelling", ["plain", "escaped", "utf-16"])
def test_objects_pickled_in_format_2_are_never_opened(spelling: str, stores: dict[int, Path], tmp_path: Path) -> None:
    store, array = copied(stores[2], tmp_path)
    text = json.dumps(pickled(array, tmp_path / "exploded"))
    text = text.replace('"pickle"', '"pick\\u006ce"') if spelling == "escaped" else text
    (array / ".zarray").write_bytes(text.encode("utf-16" if spelling == "utf-16" else "utf-8"))
    with pytest.raises(EfnstError, match=r"s.zarr, found that .*pickle"):
        read(store)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("codec", ["pickle", "msgpack2"])
def test_a_codec_under_another_is_refused(codec: str, stores: dict[int, Path], tmp_path: Path) -> None:
    """zarr looks at the first codec of objects only, and would run the second."""
    store, array = copied(stores[2], tmp_path)
    about = pickled(array, tmp_path / "exploded") | {"filters": [{"id": "vlen-utf8"}], "compressor": {"id": codec}}
    (array / ".zarray").write_text(json.dumps(about))
    with pytest.raises(EfnstError, match=REFUSED.replace("pickle", codec)):
        read(store)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("codec", ["pickle", "numcodecs.pickle"])
def test_a_pickle_of_format_3_is_never_opened(codec: str, stores: dict[int, Path], tmp_path: Path) -> None:
    store, array = copied(stores[3], tmp_path)
    about = json.loads((array / "zarr.json").read_text())
    about["codecs"] = [{"name": codec, "configuration": {"protocol": 5}}]
    (array / "zarr.json").write_text(json.dumps(about).replace("pickle", "pick\\u006ce"))
    for chunk in (path for path in (array / "c").rglob("*") if path.is_file()):
        chunk.write_bytes(pickle.dumps(Explosive(tmp_path / "exploded")))
    with pytest.raises(EfnstError, match=REFUSED):
        read(store)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_elsewhere_is_refused(zarr_format: int, stores: dict[int, Path], tmp_path: Path) -> None:
    store, array = copied(stores[zarr_format], tmp_path)
    shutil.move(array, tmp_path / "hidden")
    array.symlink_to(tmp_path / "hidden")
    with pytest.raises(
        EfnstError, match=f"Expected s.zarr to hold its data itself, found that .*{array.name} is a link"
    ):
        read(store)


def test_a_store_behind_a_link_and_links_within_it_are_read(stores: dict[int, Path], tmp_path: Path) -> None:
    store, array = copied(stores[3], tmp_path)
    array.rename(array.with_name("moved"))
    array.symlink_to("moved")
    (tmp_path / "staged.zarr").symlink_to(store)
    read(tmp_path / "staged.zarr")
