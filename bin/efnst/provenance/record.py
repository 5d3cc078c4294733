"""How a result was made: the parameters that really ran, seed, versions, inputs and devices."""

import pandas as pd
from anndata import AnnData

from efnst.image.picture import plain
from efnst.names import NO_IMAGE, PROVENANCE, QC, SECTION

BULKY = ("number_of_domains",)  # curves, of no use to who repeats a run


def add_origin(section: AnnData, options: dict, records: dict[str, dict | None]) -> None:
    """Complete uns["efnst"] of `section` by what the steps before and beside the training used.

    `options` are those of the step that assigns domains; `records` has the JSON of `image_qc`, `features` and
    `encoder`, None for a section without an image. Adds to `parameters` and `versions`, and makes `inputs` (a table:
    role, file, bytes, checksum, method), `image`, `devices` and `encoder`.
    """
    qc, image = plain(section.uns[QC]), plain(section.uns[SECTION])["image"]
    record = section.uns[PROVENANCE]
    devices = {"network": str(record["training"]["device"])}
    ran = qc.get("thresholds", {}) | {"use_image": image["source"] != NO_IMAGE}
    if records.get("image_qc"):
        ran["patch_um"] = ",".join(f"{patch['patch_um']:g}" for patch in records["image_qc"]["patches"])
    if records.get("encoder"):
        record["encoder"] = _encoder(records["encoder"])
        ran |= {"encoder": record["encoder"]["encoder"], "precision": records["encoder"]["precision"]}
        ran |= {"encoder_output": records["encoder"]["output"]} if "output" in records["encoder"] else {}
        record["versions"] |= {k: v for k, v in records["encoder"]["versions"].items() if k not in record["versions"]}
    if records.get("features"):
        used = records["features"]
        ran |= {key: used[key] for key in ("stain_normalisation", "batch_size") if used.get(key) is not None}
        devices["encoder"] = f"{used['device']} ({used['provider']})"
    record["parameters"] |= ran | {key: value for key, value in options.items() if value is not None}
    record["devices"], record["image"] = devices, image
    if "inputs" in qc:
        record["inputs"] = pd.DataFrame(qc["inputs"])


def _encoder(record: dict) -> dict:
    """What makes an encoder that one and no other."""
    kept = {key: record[key] for key in ("encoder", "input_px", "n_features") if record.get(key) is not None}
    return kept | {f"weights_{key}": value for key, value in record["weights"].items() if value is not None}


def compact(record: dict) -> dict:
    """uns["efnst"] as plain values that JSON holds, without the curves."""
    kept = {key: value for key, value in record.items() if key not in BULKY}
    kept["training"] = {key: value for key, value in kept["training"].items() if key != "loss"}
    tables = {key: value.to_dict("records") for key, value in kept.items() if isinstance(value, pd.DataFrame)}
    return plain(kept | tables)
