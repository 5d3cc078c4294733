"""Archives that are hostile or broken: nothing outside the target folder, no links, bounded size."""

import io
import tarfile
from pathlib import Path

import pytest

from efnst.errors import EfnstError
from efnst.inputs.archive import unpack_section
from efnst.inputs.located import located
from efnst.inputs.unpack import unpack

MATRIX = "outs/filtered_feature_bc_matrix.h5"


def archive(path: Path, *members: tuple[str, bytes | tuple[bytes, str] | int]) -> Path:
    """A .tar.gz with files (bytes), links (their type and target) and files that only claim a size (a number)."""
    with tarfile.open(path / "a.tar.gz", "w:gz") as file:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, tuple):
                member.type, member.linkname = content
                file.addfile(member)
            elif isinstance(content, bytes):
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))
            else:
                member.size = content
                file.fileobj.write(member.tobuf())  # the header alone
    return path / "a.tar.gz"


def everything(_name: str) -> bool:
    return True


def names_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("name", ["../out.h5", "/tmp/out.h5", "a/../../out.h5", "..\\out.h5", "./../out.h5"])
def test_a_path_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    target = tmp_path / "in" / "target"
    target.mkdir(parents=True)
    with pytest.raises(EfnstError, match="paths below its own folder"):
        unpack(archive(tmp_path, (name, b"x")), target, everything)
    assert names_below(tmp_path) == ["a.tar.gz"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd", "../../secret"])
def test_a_link_out_of_the_archive_is_refused(kind: bytes, target: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(EfnstError, match="to lead to a file of the archive, found"):
        unpack(archive(tmp_path, (MATRIX, (kind, target))), tmp_path / "in", everything)
    assert names_below(tmp_path / "in") == []


def test_a_link_to_a_folder_outside_gives_no_way_out(tmp_path: Path) -> None:
    """The classic: a link named as a folder, and then a file below that name."""
    (tmp_path / "in").mkdir()
    made = archive(tmp_path, ("outs", (tarfile.SYMTYPE, str(tmp_path))), ("outs/owned", b"x"))
    with pytest.raises(EfnstError, match="to lead to a file of the archive"):
        unpack(made, tmp_path / "in", everything)
    assert not (tmp_path / "owned").exists()
    assert unpack(made, tmp_path / "in", lambda name: name == "outs/owned") == ["outs/owned"]
    assert not (tmp_path / "owned").exists() and (tmp_path / "in/outs/owned").read_bytes() == b"x"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_within_become_files(kind: bytes, tmp_path: Path) -> None:
    target = "../real/a.png" if kind == tarfile.SYMTYPE else "outs/real/a.png"
    made = archive(tmp_path, ("outs/linked/a.png", (kind, target)), ("outs/real/a.png", b"picture"))
    (tmp_path / "in").mkdir()
    assert unpack(made, tmp_path / "in", lambda name: name.startswith("outs/linked")) == ["outs/linked/a.png"]
    copied = tmp_path / "in/outs/linked/a.png"
    assert copied.read_bytes() == b"picture" and not copied.is_symlink()


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    made = archive(tmp_path, ("a", (tarfile.SYMTYPE, "b")), ("b", (tarfile.SYMTYPE, "a")))
    (tmp_path / "in").mkdir()
    assert unpack(made, tmp_path / "in", everything) == []


def test_devices_and_pipes_are_passed_over(tmp_path: Path) -> None:
    made = archive(tmp_path, ("p", (tarfile.FIFOTYPE, "")), ("d", (tarfile.CHRTYPE, "")), ("f", b"x"))
    (tmp_path / "in").mkdir()
    assert unpack(made, tmp_path / "in", everything) == ["f"]


def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused_before_it_does(tmp_path: Path) -> None:
    zeros = archive(tmp_path, (MATRIX, bytes(101_000_000)))
    assert zeros.stat().st_size < 200_000
    (tmp_path / "in").mkdir()
    with pytest.raises(EfnstError, match="unpack to at most 100000000 bytes"):
        unpack(zeros, tmp_path / "in", everything)
    assert names_below(tmp_path / "in") == []


def test_a_size_that_is_only_claimed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(EfnstError, match="unpack to at most"):
        unpack(archive(tmp_path, (MATRIX, 2**60)), tmp_path / "in", everything)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_archive_is_refused(share: float, tmp_path: Path) -> None:
    import numpy as np

    noise = np.random.default_rng(0).bytes(100_000)
    made = archive(tmp_path, ("outs/spatial/scalefactors_json.json", b"{}"), (MATRIX, noise))
    content = made.read_bytes()
    made.write_bytes(content[: int(share * len(content))])
    with pytest.raises(EfnstError, match=r"a.tar.gz, found that it cannot be read"):
        unpack_section(made, "")


def test_an_archive_of_something_else_or_of_two_sections(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"Expected one Space Ranger outs folder in a.tar.gz, found none"):
        unpack_section(archive(tmp_path, ("notes.txt", b"x")), "")
    two = [(f"{name}/outs/spatial/scalefactors_json.json", b"{}") for name in "AB"]
    with pytest.raises(EfnstError, match="found A/outs, B/outs: pack the folder"):
        unpack_section(archive(tmp_path, *two), "")


def test_an_archive_packed_by_its_whole_path(tmp_path: Path) -> None:
    """However deep, and where the user's own folders are called spatial."""
    above = "data/spatial/.cache/2024/run A/x/y"
    files = [f"{above}/{name}" for name in ("V1_filtered_feature_bc_matrix.h5", "spatial/tissue_positions.csv")]
    root, outs = unpack_section(archive(tmp_path, *((name, b"x") for name in files)), "")
    assert outs == root / above and names_below(root) == files


def test_what_macos_adds_is_left(tmp_path: Path) -> None:
    wanted = ["outs/V1_raw_feature_bc_matrix.h5", "outs/spatial/tissue_positions.csv"]
    added = ["outs/._V1_filtered_feature_bc_matrix.h5", "outs/spatial/._tissue_positions.csv"]
    added += [f"__MACOSX/{name}" for name in wanted]
    root, outs = unpack_section(archive(tmp_path, *((name, b"x") for name in added + wanted)), "")
    assert names_below(root) == wanted and outs == root / "outs"


def test_only_what_a_section_needs_is_unpacked(tmp_path: Path) -> None:
    wanted = [MATRIX, "outs/metrics_summary.csv", "outs/spatial/tissue_positions.csv"]
    others = ["outs/possorted_genome_bam.bam", "outs/raw_feature_bc_matrix.h5", "outs/analysis/pca/projection.csv"]
    made = archive(tmp_path, *((name, b"x") for name in wanted + others))
    root, outs = unpack_section(made, "")
    assert names_below(root) == sorted(wanted) and outs == root / "outs"


def test_an_image_that_the_archive_has_not(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match=r"Expected the image `outs/x.png` in a.tar.gz, found none"):
        located(archive(tmp_path, ("notes.txt", b"x")), "outs/x.png")
