"""Results of a run as `efnst explain` reads them."""

import json
from pathlib import Path

from tests.support.places import PROJECT

from efnst.inputs.checksums import file_checksum
from efnst.program.parameters import defaults, read_schema

SCHEMA = read_schema(PROJECT / "nextflow_schema.json")
STARTED = "2020-02-20T20:20:20.123456789Z"  # as Nextflow writes it


def write_results(folder: Path) -> Path:
    """The output folder of a run with one section S1 and other than the default values of three parameters."""
    outs, info = folder / "data, raw" / "outs", folder / "results" / "pipeline_info"
    (info / "provenance").mkdir(parents=True)
    outs.mkdir(parents=True)
    (outs / "matrix.h5").write_bytes(b"counts")
    (outs.parent / "labels.csv").write_text("barcode,label\n")
    files = {"counts": outs / "matrix.h5", "labels": outs.parent / "labels.csv"}
    inputs = [{"role": role, "file": path.name} | file_checksum(path) for role, path in files.items()]
    parameters = defaults(SCHEMA) | {"input": "sheet.csv", "epochs": 20, "ignore_labels": "a b,c", "vary_views": False}
    parameters |= {"image": "efnst:0123456789ab", "gpu_image": "efnst-gpu:0123456789ab"}  # of conf/images.config
    ran = {name: parameters[name] for name in ("epochs", "ignore_labels", "vary_views", "n_seeds")} | {"n_domains": 7}
    section = {"sample": "S1", "parameters": ran, "seed": 3, "versions": {"efnst": "0.1.0"}, "inputs": inputs}
    section |= {"domains": {"n_domains_found": 6, "n_domains_asked": 7}, "devices": {"network": "cuda:0"}}
    section["image"] = {"source": "hires", "width": 20, "height": 10}
    row = {"id": "S1", "section": str(outs), "image": "", "labels": str(files["labels"]), "n_domains": 7}
    run = {"nextflow": "24.10.0", "started": STARTED, "launch_dir": "/somewhere", "efnst": "0.1.0"}
    contents = {"parameters": parameters, "run": run, "sections": [row], "provenance/S1": section}
    for name, content in contents.items():
        (info / f"{name}.json").write_text(json.dumps(content))
    (info.parent / "S1" / "figures").mkdir(parents=True)
    for name in ("domains.csv", "figures/domains.svg", "../summary.csv"):
        (info.parent / "S1" / name).write_text("")
    (info.parent / "S1" / "domains_hires.geojson").write_text(json.dumps({"efnst": section}))
    return info.parent


def change(path: Path, **changes: object) -> None:
    """Change members of a JSON object."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
