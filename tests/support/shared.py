"""Steps of a small cohort and of a reference, quickly: learned, fitted, assigned, applied."""

import json
from pathlib import Path

import anndata
import numpy as np
from anndata import AnnData
from tests.support.options import chosen

import apply_reference
import assign_domains
import learn_embedding
from efnst.program.arrays import read_arrays
from efnst.records.arrays import EMBEDDING_NPZ

SIZES = {"a": 300, "b": 300, "few": 8}
QUICK = {"n_seeds": 2, "epochs": 30, "device": "cpu", "n_genes": 80}


def learn(sections: dict[str, Path], outdir: Path, **options: object) -> None:
    samples = list(sections)
    given = {"sample": samples, "group": [""] * len(samples), "section": list(sections.values())}
    given |= {"space": outdir / "space", "outdir": outdir}
    learn_embedding.main(**given, **chosen(learn_embedding.main, **QUICK | options))


def embedding(sections: dict[str, Path], outdir: Path, sample: str) -> dict[str, np.ndarray]:
    barcodes = anndata.read_h5ad(sections[sample]).obs_names.to_numpy()
    return read_arrays(outdir / sample / "embedding.npz", EMBEDDING_NPZ, barcodes)


def assign(
    sample: str, section: Path, learned: Path, outdir: Path, options: dict | None = None, **files: Path
) -> tuple[AnnData, dict]:
    """The section with its domains, and domains.json; `options` are parameters that differ from their defaults."""
    outdir.mkdir(exist_ok=True)
    files |= {"section": section, "embedding": learned / "embedding.npz", "training": learned / "training.json"}
    assign_domains.main(sample=sample, **files, outdir=outdir, **chosen(assign_domains.main, **options or {}))
    return anndata.read_h5ad(outdir / f"{sample}.h5ad"), json.loads((outdir / "domains.json").read_text())


def apply(
    sample: str, section: Path, reference: Path, outdir: Path, options: dict | None = None
) -> tuple[AnnData, dict]:
    """The same, with the domains of a reference."""
    outdir.mkdir(exist_ok=True)
    apply_reference.main(sample=sample, section=section, reference=reference, outdir=outdir)
    files = {"reference": reference, "reference_fit": outdir / "reference_fit.json"}
    return assign(sample, section, outdir, outdir / "domains", options, **files)
