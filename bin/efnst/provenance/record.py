"""How a result was made: the parameters that really ran, seed, versions, inputs and devices."""

import pandas as pd
from anndata import AnnData

from efnst.image.picture import plain
from efnst.names import NO_IMAGE, PROVENANCE, QC, SECTION
from efnst.records.encoder import EncoderRecord, FeaturesRecord
from efnst.records.quality import ImageQc

BULKY = ("number_of_domains",)  # curves, of no use to who repeats a run


def add_origin(
    section: AnnData,
    options: dict,
    asked: dict,
    image_qc: ImageQc | None = None,
    features: FeaturesRecord | None = None,
    encoder: EncoderRecord | None = None,
) -> None:
    """Complete uns["efnst"] of `section` by what the steps before and beside the training used.

    `options` are those of the step that assigns domains, `asked` what it was asked for where it decides; the records
    are None for a section without an image. Adds to `parameters` and `versions`, and makes `asked`, `inputs` (a table:
    role, file, bytes, checksum, method), `image`, `devices` and `encoder`.
    """
    qc, facts = plain(section.uns[QC]), plain(section.uns[SECTION])
    image = facts["image"]
    record = section.uns[PROVENANCE]
    devices = {"network": str(record["training"]["device"])}
    ran = qc.get("thresholds", {}) | {"use_image": image["source"] != NO_IMAGE}
    ran |= {"qc_mads": qc["qc_mads"]} if "qc_mads" in qc else {}
    if "unit_um" in facts:
        ran["unit_um"] = f"{facts['unit_um']:g}"
        record["units"] = {name: facts[name] for name in ("unit_um", "unit_reason", "n_bins")}
    if image_qc:
        ran["patch_um"] = ",".join(f"{patch.patch_um:g}" for patch in image_qc.patches)
        ran["patches_per_spot"] = image_qc.patches_per_spot
    if encoder:
        record["encoder"] = _encoder(encoder)
        ran |= {"encoder": encoder.encoder, "precision": encoder.precision}
        ran |= {"encoder_output": encoder.output} if encoder.output else {}
        record["versions"] = encoder.versions | record["versions"]
    if features:
        ran |= {"stain_normalisation": features.stain_normalisation, "batch_size": features.batch_size}
        devices["encoder"] = f"{features.device} ({features.provider})"
    record["parameters"] |= ran | {key: value for key, value in options.items() if value is not None}
    for given in (qc.get("asked", {}), *(each.asked for each in (image_qc, features) if each)):
        asked = asked | given
    record["asked"] = {name: value for name, value in asked.items() if name in record["parameters"]}
    record["devices"], record["image"] = devices, image
    if "inputs" in qc:
        record["inputs"] = pd.DataFrame(qc["inputs"])


def _encoder(record: EncoderRecord) -> dict:
    """What makes an encoder that one and no other."""
    kept = record.model_dump(include={"encoder", "input_px", "coarse_px", "n_features"}, exclude_none=True)
    if record.declaration:
        terms = {"licence", "commercial", "source"}
        kept |= record.declaration.model_dump(include=terms, exclude_none=True)
    return kept | {f"weights_{key}": value for key, value in record.weights.plain().items()}


def compact(record: dict) -> dict:
    """uns["efnst"] as plain values that JSON holds, without the curves."""
    kept = {key: value for key, value in record.items() if key not in BULKY}
    kept["training"] = {key: value for key, value in kept["training"].items() if key != "loss"}
    tables = {key: value.to_dict("records") for key, value in kept.items() if isinstance(value, pd.DataFrame)}
    return plain(kept | tables)
