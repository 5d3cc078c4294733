"""Small files that claim, or unpack to, more than any section: answered in seconds and in memory that follows the file.

Each is read in a process of its own, whose memory is limited by the kernel and whose time by a watchdog.
"""

import gzip
import io
import json
import multiprocessing
import os
import resource
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.hostile.limits import address_space

from efnst.errors import EfnstError
from efnst.inputs.labels import read_labels
from efnst.inputs.open import open_source
from efnst.inputs.samplesheet import read_samplesheet
from efnst.inputs.section import load_section
from efnst.program.memory import bounded_memory
from efnst.quality.rules import apply_rules, read_rules
from efnst.simulation.feature_matrix import read_matrix, write_matrix
from efnst.simulation.forms import to_anndata, write_spatialdata
from efnst.simulation.space_ranger import SMALL, simulate_section, write_section

SECONDS = 30
MEMORY = 2_000_000_000  # bytes beyond what the process has before
THREADS = 2_000_000_000  # address space that libraries reserve for threads, and never touch
Build = Callable[[Path, Path], Path]


@pytest.fixture(scope="module")
def outs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound folder, not to be changed."""
    write_section(simulate_section(1, 0, SMALL), tmp_path_factory.mktemp("sound"))
    return next(tmp_path_factory.getbasetemp().glob("sound*/outs"))


def folder(outs: Path, into: Path) -> Path:
    """A copy of the folder."""
    return shutil.copytree(outs, into / "outs")


def with_matrix_folder(outs: Path, into: Path) -> Path:
    """A copy whose matrix is a folder of three files."""
    copy = folder(outs, into)
    matrix, _ = read_matrix(copy)
    (copy / "filtered_feature_bc_matrix.h5").unlink()
    write_matrix(matrix, copy, "mtx")
    return copy


def packed(path: Path, *parts: tuple[bytes, int]) -> None:
    """A compressed file of parts, each so many times."""
    with gzip.open(path, "wb", 9) as file:
        for part, times in parts:
            for _ in range(times):
                file.write(part)


MARKET = b"%%MatrixMarket matrix coordinate integer general\n"


def barcodes(line: bytes, times: int, claimed: int = 250) -> Build:
    """barcodes.tsv.gz of blocks of lines, with as many barcodes claimed by the matrix."""

    def build(outs: Path, into: Path) -> Path:
        copy = with_matrix_folder(outs, into)
        packed(copy / "filtered_feature_bc_matrix/barcodes.tsv.gz", (line, times))
        packed(copy / "filtered_feature_bc_matrix/matrix.mtx.gz", (MARKET + b"400 %d 3\n1 1 1\n" % claimed, 1))
        return copy

    return build


def entries(*parts: tuple[bytes, int]) -> Build:
    """matrix.mtx.gz of these parts."""

    def build(outs: Path, into: Path) -> Path:
        copy = with_matrix_folder(outs, into)
        packed(copy / "filtered_feature_bc_matrix/matrix.mtx.gz", (MARKET, 1), *parts)
        return copy

    return build


def positions(n_rows: int, length: int) -> Build:
    """Parquet of one repeated barcode."""

    def build(outs: Path, into: Path) -> Path:
        copy = shutil.copytree(outs, into / "square_008um")
        for file in (copy / "spatial").glob("tissue_positions*"):
            file.unlink()
        names = ("in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")
        zeros = pa.array(np.zeros(n_rows, np.int8))
        same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, np.int8)), pa.array(["A" * length]))
        table = pa.table({"barcode": same} | dict.fromkeys(names, zeros))
        pq.write_table(table, copy / "spatial/tissue_positions.parquet", compression="zstd", store_schema=False)
        return copy

    return build


def text_in_one_place(n_names: int, size: int) -> Build:
    """Names of genes of any length that all refer to one text of the file."""

    def build(outs: Path, into: Path) -> Path:
        copy = folder(outs, into)
        path = copy / "filtered_feature_bc_matrix.h5"
        with h5py.File(path, "a") as file:
            matrix, features = file["matrix"], file["matrix/features"]
            n_barcodes = matrix["barcodes"].shape[0]
            for name in ("shape", "features/id", "features/feature_type", "features/name"):
                del matrix[name]
            matrix["shape"] = np.array([n_names, n_barcodes], np.int32)
            features["id"] = np.array([b"E%d" % number for number in range(n_names)])
            features["feature_type"] = np.array([b"Gene Expression"] * n_names)
            names = features.create_dataset("name", shape=(n_names,), dtype=h5py.string_dtype())
            names[0], names[1] = "A" * size, "B"
            start = names.id.get_offset()
        content = bytearray(path.read_bytes())
        content[start : start + 16 * n_names] = content[start : start + 16] * n_names
        path.write_bytes(content)
        return copy

    return build


def h5ad(name: str, shape: Callable[[int], tuple], dtype: str = "f8", filled: bool = False) -> Build:
    """An .h5ad of some MB one dataset of which claims gigabytes of zeros, written or not."""

    def build(outs: Path, into: Path) -> Path:
        path, data = into / "bomb.h5ad", to_anndata(outs)
        data.write_h5ad(path)
        with h5py.File(path, "a") as file:
            file["uns/pad"] = np.random.default_rng(0).integers(0, 255, 8_000_000, np.uint8)
            attributes = dict(file[name].attrs)
            del file[name]
            size, most = shape(data.n_obs), {"chunks": True, "compression": "gzip"} if filled else {"chunks": True}
            made = file.create_dataset(name, shape=size, dtype=dtype, **most)
            made.attrs.update(attributes)
            if filled:
                for row in range(0, size[0]):
                    made[row] = 0
        return path

    return build


def hard_links(outs: Path, into: Path) -> Path:
    """An archive of 90 MB of zeros and 5,000 links to them, each of which becomes a copy."""
    path = into / "bomb.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        first = tarfile.TarInfo("outs/filtered_feature_bc_matrix/a")
        first.size = 90_000_000
        file.addfile(first, io.BytesIO(bytes(first.size)))
        for number in range(5000):
            link = tarfile.TarInfo(f"outs/filtered_feature_bc_matrix/l{number}")
            link.type, link.linkname = tarfile.LNKTYPE, first.name
            file.addfile(link)
    return path


def long_name(outs: Path, into: Path) -> Path:
    """An archive whose first member has a name of 3 GB."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 3_000_000_000
    packed(into / "bomb.tar.gz", (header.tobuf(tarfile.GNU_FORMAT), 1), (b"a" * 10_000_000, 300))
    return into / "bomb.tar.gz"


def zarr(claimed: int) -> Build:
    """SpatialData whose positions claim so many rows, none of which are there."""

    def build(outs: Path, into: Path) -> Path:
        path = into / "bomb.zarr"
        write_spatialdata(outs, path)
        for file in path.rglob("zarr.json"):
            about = json.loads(file.read_text())
            about.pop("consolidated_metadata", None)
            if about.get("shape") and "spot_id" in str(file):
                about["shape"] = [claimed]
            file.write_text(json.dumps(about))
        return path

    return build


BOMBS = {
    "barcodes of tabs": barcodes(b"\t" * 999_999 + b"\n", 300),
    "too many barcodes": barcodes(b"a\n" * 500_000, 100),
    "barcodes of one endless line": barcodes(b"a" * 1_000_000, 1000),
    "comments": entries((b"%\n" * 5_000_000, 200)),
    "a number without end": entries((b"400 250 3\n1 1 ", 1), (b"1" * 10_000_000, 300)),
    "empty lines": entries((b"400 250 3\n1 1 1\n", 1), (b"\n" * 10_000_000, 100)),
    "more entries than bytes": entries((b"400 250 99999999999\n", 1)),
    "more rows than places": positions(20_000_000, 10),
    "one barcode again and again": positions(11_000_000, 2000),
    "one text for all names": text_in_one_place(2000, 1_000_000),
    "one text for 30,000 names": text_in_one_place(30_000, 1_000_000),
    "columns of nothing": h5ad("obsm/spatial", lambda n: (n, 4_000_000)),
    "columns of zeros": h5ad("obsm/spatial", lambda n: (n, 1_500_000), filled=True),
    "a dense matrix of nothing": h5ad("obs/in_tissue", lambda n: (900_000_000,), "i8"),
    "hard links": hard_links,
    "a long name": long_name,
    "rows of nothing": zarr(4_000_000_000),
}


def read_with_limits(path: Path, results: multiprocessing.Queue) -> None:
    """In a process: read, with the kernel's limit of memory; tells how it ended."""
    most = address_space() + MEMORY + THREADS
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        load_section("s", path, "none", "")
        outcome = "read"
    except EfnstError as error:
        outcome = f"refused: {error}"
    except BaseException as error:
        outcome = f"broke: {error!r}"[:500]
    results.put((outcome, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024))


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_small_files_that_claim_much(bomb: str, outs: Path, tmp_path: Path) -> None:
    path = BOMBS[bomb](outs, tmp_path)
    size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
    assert size < 25_000_000, "a small file"
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=read_with_limits, args=(path, results), daemon=True)
    started = time.monotonic()
    process.start()
    try:
        outcome, grown = results.get(timeout=SECONDS)
    finally:
        process.kill()
    assert outcome.startswith("refused: Expected"), outcome
    assert grown < MEMORY, f"{grown / 1e9:.1f} GB"
    print(f"{bomb}: {size} bytes, {time.monotonic() - started:.1f} s, {grown / 1e9:.2f} GB")


def laughs(depth: int) -> str:
    """YAML whose last value stands for 10^depth letters."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, depth)]
    return "\n".join(lines) + "\n"


SHEETS = {
    "aliases": "- sample: A\n  section: b\n- " + laughs(9).replace("\n", "\n  ").rstrip() + "\n",
    "itself": "- sample: A\n  section: b\n- &x [*x]\n",
    "deep": "- " + "[" * 100_000 + "\n",
    "long": "- sample: A\n" * 200_000,
}


@pytest.mark.parametrize("sheet", SHEETS)
def test_samplesheets_that_mean_more_than_they_say(sheet: str, tmp_path: Path) -> None:
    (tmp_path / "sheet.yaml").write_text(SHEETS[sheet])
    started = time.monotonic()
    with pytest.raises(EfnstError, match="Expected YAML in the samplesheet"):
        read_samplesheet(tmp_path / "sheet.yaml")
    assert time.monotonic() - started < 10


def test_an_alias_that_somebody_wrote_is_read(tmp_path: Path) -> None:
    rows = "- {sample: A, section: a, group: &g donor}\n- {sample: B, section: b, group: *g}\n"
    (tmp_path / "sheet.yaml").write_text(rows)
    assert [row.cells["group"] for row in read_samplesheet(tmp_path / "sheet.yaml").rows] == ["donor", "donor"]


RULES = {
    "aliases": laughs(9),
    "a call": "section_qc: !!python/object/apply:os.system ['touch hacked']\n",
    "digits": "section_qc:\n  - {metric: median_counts, side: below, warn: " + "9" * 400 + "}\n",
    "more digits": "section_qc:\n  - {metric: median_counts, side: below, warn: " + "9" * 5000 + "}\n",
    "no number": "section_qc:\n  - {metric: median_counts, side: below, warn: .nan}\n",
    "deep": "section_qc: " + "[" * 100_000,
}


@pytest.mark.parametrize("rules", RULES)
def test_rules_that_would_break_a_reader(rules: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yml").write_text(RULES[rules])
    with pytest.raises(EfnstError, match=r"rules\.yml"):
        read_rules(tmp_path / "rules.yml", "section_qc")
    assert os.listdir(tmp_path) == ["rules.yml"]


def test_a_place_in_a_figure_that_is_no_number(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("section_qc:\n  - {metric: quantiles/total_counts/², side: above, fail: 0}\n")
    rules = read_rules(tmp_path / "rules.yml", "section_qc")
    assert apply_rules(rules, {"quantiles": {"total_counts": [1]}}) == ("pass", [])


@pytest.mark.parametrize(
    "factors", ["[" * 3_000_000, '{"spot_diameter_fullres": ' + "9" * 400 + "}", '{"a": ' + "9" * 5000 + "}"]
)
def test_scale_factors_that_would_break_a_reader(factors: str, outs: Path, tmp_path: Path) -> None:
    copy = folder(outs, tmp_path)
    (copy / "spatial" / "scalefactors_json.json").write_text(factors)
    with pytest.raises(EfnstError, match=r"scalefactors_json\.json"):
        open_source(copy)


def test_labels_of_a_million_columns(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("barcode,label" + ",x" * 1_000_000 + "\nA,b" + ",1" * 1_000_000 + "\n")
    with pytest.raises(EfnstError, match="a first line of more than"):
        read_labels(tmp_path / "labels.csv")


def test_memory_follows_the_file_and_is_free_again(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(bytes(1000))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with (
        pytest.raises(EfnstError, match="Expected small to take memory in proportion"),
        bounded_memory(tmp_path / "small", 10_000_000),
    ):
        bytearray(10**10)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.parametrize("kind", ["section.h5ad", "labels.csv", "sheet.csv", "rules.yml"])
def test_pipes_and_devices_are_not_opened(kind: str, tmp_path: Path) -> None:
    readers = {
        "section.h5ad": open_source,
        "labels.csv": read_labels,
        "sheet.csv": read_samplesheet,
        "rules.yml": lambda path: read_rules(path, "section_qc"),
    }
    os.mkfifo(tmp_path / kind)
    (tmp_path / f"link {kind}").symlink_to("/dev/zero")
    for path in (tmp_path / kind, tmp_path / f"link {kind}"):
        with pytest.raises(EfnstError):
            readers[kind](path)
