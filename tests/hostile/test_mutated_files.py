"""Files mutated at random: every reader reads them or refuses them with an EfnstError; no other end, no hang, no flood.

All of it happens in worker processes with a limit of memory and of time, so that what breaks is told.
The number of files is 10,000, or FUZZ_FILES.
"""

import gzip
import io
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.hostile.limits import address_space
from tests.support.places import PROJECT

from efnst.encoder.declaration import read_declaration
from efnst.errors import EfnstError
from efnst.inputs import annotations, archive, feature_matrix, h5ad, metrics, positions, unpack
from efnst.inputs.annotations import read_annotations
from efnst.inputs.archive import unpack_section
from efnst.inputs.feature_matrix import read_matrix
from efnst.inputs.gene_sets import read_gene_sets
from efnst.inputs.h5ad import read_h5ad_section
from efnst.inputs.hdf5 import read_own
from efnst.inputs.image_choice import image_size
from efnst.inputs.labels import read_labels
from efnst.inputs.metrics import read_metrics
from efnst.inputs.positions import read_positions, read_scales
from efnst.inputs.samplesheet import read_samplesheet
from efnst.inputs.spatialdata import read_spatialdata
from efnst.program.arrays import read_arrays
from efnst.quality import rules
from efnst.quality.rules import read_rules
from efnst.records.arrays import FEATURES_NPZ
from efnst.simulation.feature_matrix import read_matrix as simulated_matrix
from efnst.simulation.feature_matrix import write_matrix
from efnst.simulation.forms import pack, to_anndata, write_spatialdata
from efnst.simulation.space_ranger import simulate_section, write_section
from efnst.simulation.specimen import Recipe
from efnst.simulation.visium_hd import write_visium_hd

N_FILES = int(os.environ.get("FUZZ_FILES", "10000"))
SECONDS = 10  # for one file; most take a millisecond
IN_FOLDER = ("matrix.mtx", "barcodes.tsv", "features.tsv")
MEMORY = 1_500_000_000  # bytes of address space beyond what the process has
TOKENS = (
    b"\0",
    b"\xff",
    b"-1",
    b"nan",
    b"1e999",
    b"\n",
    b",",
    b'"',
    b"99999999999999999999",
    b"{",
    b"[",
    b"\xff\xff\xff\x7f",
)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A file with a few bytes changed, inserted, doubled or left out, or cut short."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at, n = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 8, 64, 512))
        kind = rng.randrange(7)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + n] = rng.randbytes(len(data[at : at + n]))
        elif kind == 2:
            data[at:at] = rng.choice(TOKENS)
        elif kind == 3:
            del data[at : at + n]
        elif kind == 4:
            data[at:at] = data[at : at + n]
        elif kind == 5:
            token = rng.choice(TOKENS)
            data[at : at + len(token)] = token
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One small sound file, or folder, for each reader."""
    root = tmp_path_factory.mktemp("seeds")
    tiny = Recipe(n_spots=80, n_genes=100, n_regions=3, median_counts=50.0)
    write_section(simulate_section(1, 0, tiny), root / "s")
    outs = root / "s" / "outs"
    matrix, _ = simulated_matrix(outs)
    write_matrix(matrix, outs, "mtx")
    write_section(simulate_section(2, 0, tiny), root / "v3")
    write_visium_hd(simulate_section(0, 0, tiny), root / "hd", n_bins=80)
    data = to_anndata(outs)
    data.uns["spatial"]["simulated"]["images"] = {"hires": np.zeros((8, 8, 3), np.float32)}
    data.write_h5ad(root / "s.h5ad")
    for image in (outs / "spatial").glob("*.png"):
        image.write_bytes(small_png())
    pack(outs, root / "s.tar.gz")
    pack(outs, root / "s.tar", compressed=False)
    np.savez(root / "a.npz", barcodes=np.array(["a", "b"]), features=np.ones((2, 3), np.float32), patch_um=np.ones(1))
    sheet = "sample,section,image,labels,n_domains\nA1,a,,b.csv,3\nB1,b,none,,4\n"
    (root / "s.csv").write_text(sheet)
    (root / "s.yaml").write_text("- sample: A1\n  section: a\n- {sample: B1, section: b}\n")
    (root / "own.json").write_text('{"name": "own", "input_px": 224, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}')
    ring = {"type": "Polygon", "coordinates": [[[0, 0], [9.5, 0], [9, 9], [0, 0]], [[1, 1], [2, 1], [2, 2], [1, 1]]]}
    about = {"objectType": "annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}}
    drawn = [{"type": "Feature", "geometry": ring, "properties": about}] * 3
    (root / "drawn.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": drawn}))
    (root / "sets.gmt").write_text("LAYER\thttp://a.b\tMBP\tPLP1\tMOBP\nOTHER\t\tGFAP\tAQP4\n")
    write_spatialdata(root / "v3" / "outs", root / "s.zarr")
    rules = PROJECT / "assets" / "qc_rules.yml"
    hd = root / "hd/outs"
    return {
        "h5": outs / "filtered_feature_bc_matrix.h5",
        **{
            name: outs / "filtered_feature_bc_matrix" / f"{name}.gz"
            for name in ("matrix.mtx", "barcodes.tsv", "features.tsv")
        },
        "positions": outs / "spatial/tissue_positions.csv",
        "parquet": hd / "binned_outputs/square_008um/spatial/tissue_positions.parquet",
        "geojson": hd / "segmented_outputs/cell_segmentations.geojson",
        "scales": outs / "spatial/scalefactors_json.json",
        "metrics": root / "v3/outs/metrics_summary.csv",
        "png": outs / "spatial/tissue_hires_image.png",
        "labels": root / "s/labels.csv",
        "annotations": root / "drawn.geojson",
        "gene sets": root / "sets.gmt",
        "h5ad": root / "s.h5ad",
        "tar.gz": root / "s.tar.gz",
        "tar": root / "s.tar",
        "npz": root / "a.npz",
        "sheet": root / "s.csv",
        "yaml": root / "s.yaml",
        "rules": rules,
        "declaration": root / "own.json",
        "zarr": root / "s.zarr",
        "section.h5ad": root / "s.h5ad",
    }


def small_png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def read_folder_with(path: Path) -> object:
    """Read the folder of a matrix of which `path` is one file."""
    return read_matrix(path.parent)


READERS: dict[str, Callable[[Path], object]] = {
    "h5": read_matrix,
    "matrix.mtx": read_folder_with,
    "barcodes.tsv": read_folder_with,
    "features.tsv": read_folder_with,
    "positions": read_positions,
    "parquet": read_positions,
    "geojson": read_positions,
    "scales": read_scales,
    "metrics": read_metrics,
    "png": image_size,
    "labels": read_labels,
    "annotations": read_annotations,
    "gene sets": read_gene_sets,
    "h5ad": lambda path: read_h5ad_section(path, "", "", True),
    "tar.gz": lambda path: unpack_section(path, ""),
    "tar": lambda path: unpack_section(path, ""),
    "npz": lambda path: read_arrays(path, FEATURES_NPZ, np.array(["a", "b"])),
    "sheet": read_samplesheet,
    "yaml": read_samplesheet,
    "rules": lambda path: read_rules(path, "section_qc"),
    "declaration": lambda path: read_declaration(path, path.with_suffix(".onnx")),
    "zarr": lambda path: read_spatialdata(path, "", "", True),
    "section.h5ad": read_own,
}
# More of what has more ways to break; a store takes a second to read.
WEIGHTS = {"h5": 3, "h5ad": 1, "parquet": 2, "tar.gz": 1, "tar": 2, "zarr": 0.5, "section.h5ad": 0.5}


def attack(kind: str, seed: Path, folder: Path, first: int, n_files: int) -> None:
    """In a worker: mutate and read; write what went wrong to `folder`/problems.json, and the last file as it was."""
    limit = address_space() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError("hang")))
    target, outcomes, problems = folder / seed.name, {"read": 0, "refused": 0}, []
    if kind in IN_FOLDER:
        for other in seed.parent.iterdir():
            (folder / other.name).write_bytes(other.read_bytes())
    sources = [seed] if seed.is_file() else sorted(path for path in seed.rglob("*") if path.is_file())
    for number in range(first, first + n_files):
        rng = random.Random(f"{kind} {number}")
        source = rng.choice(sources)
        if seed.is_dir():
            shutil.copytree(seed, target, dirs_exist_ok=True)
        (target / source.relative_to(seed)).write_bytes(spoiled(source, kind, rng))
        signal.alarm(SECONDS)
        try:
            READERS[kind](target)
            outcomes["read"] += 1
        except EfnstError as error:
            outcomes["refused"] += 1
            if isinstance(error.__cause__, TimeoutError | MemoryError):
                problems.append([number, f"{error.__cause__!r}: {error}"])
        except BaseException:
            problems.append([number, traceback.format_exc()[-1500:]])
        finally:
            signal.alarm(0)
    (folder / "problems.json").write_text(json.dumps({"outcomes": outcomes, "problems": problems[:5]}))


def spoiled(source: Path, kind: str, rng: random.Random) -> bytes:
    """The content of a file, mutated; of a compressed one as often what is in it."""
    content = source.read_bytes()
    if source.suffix == ".gz" and kind != "tar.gz" and rng.random() < 0.5:
        return gzip.compress(mutated(gzip.decompress(content), rng), 1)
    return mutated(content, rng)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits are those of Linux")
@pytest.mark.parametrize("kind", READERS)
def test_mutated_files_are_read_or_refused(kind: str, seeds: dict[str, Path], tmp_path: Path) -> None:
    total = sum(WEIGHTS.get(name, 1) for name in READERS)
    n_files = int(-(-N_FILES * WEIGHTS.get(kind, 1) // total))
    READERS[kind](seeds[kind])  # sound as it is; and what is imported late is imported before the fork
    started = time.monotonic()
    worker = multiprocessing.get_context("fork").Process(target=attack, args=(kind, seeds[kind], tmp_path, 0, n_files))
    worker.start()
    worker.join(60 + n_files * 0.05)
    hung = worker.is_alive()
    if hung:
        worker.kill()
        worker.join()
    kept = tmp_path / seeds[kind].name
    assert not hung and worker.exitcode == 0, f"the reader died ({worker.exitcode}) or hung on {kept}"
    found = json.loads((tmp_path / "problems.json").read_text())
    assert found["problems"] == [], "\n".join(f"{number}: {what}" for number, what in found["problems"])
    assert kind == "zarr" or found["outcomes"]["refused"] > 0.05 * n_files, (
        "mutations that hardly ever hurt test nothing"
    )
    print(f"{kind}: {found['outcomes']} in {time.monotonic() - started:.1f} s")


OURS = {  # for each reader that does more than read: a step of ours on the way from the file to the result
    "h5": (feature_matrix, "_require_sizes"),
    "matrix.mtx": (feature_matrix, "_market_entries"),
    "barcodes.tsv": (feature_matrix, "_require_sizes"),
    "positions": (positions, "_checked"),
    "parquet": (positions, "_checked"),
    "geojson": (positions, "_mass"),
    "scales": (positions, "checked_scales"),
    "metrics": (metrics, "_figure"),
    "annotations": (annotations, "_class"),
    "h5ad": (h5ad, "positions_of"),
    "tar.gz": (unpack, "_inside"),
    "tar": (archive, "_is_needed"),
    "rules": (rules, "_rule"),
}


@pytest.mark.parametrize("error", [AttributeError, KeyError, TypeError, ValueError])
@pytest.mark.parametrize("kind", OURS)
def test_a_mistake_of_ours_is_no_damaged_file(
    kind: str, error: type[Exception], seeds: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object, **__: object) -> None:
        raise error("a typo")

    monkeypatch.setattr(*OURS[kind], mistaken)
    with pytest.raises(error, match="a typo"):
        READERS[kind](seeds[kind])
