"""Records of the encoder and of the image features that it made."""

from typing import Literal

from efnst.records.base import Record, Versions, about

Precision = Literal["fp32", "fp16", "int8"]


class Weights(Record):
    """Where the weights of an encoder come from."""

    file: str = about("name of the file, or of the package that brings it")
    sha256: str = about("its SHA-256")


class EncoderDeclaration(Record):
    """What an encoder of the user's own takes."""

    name: str = about("name of the encoder")
    input_px: int = about("width of its images", "px")
    layout: Literal["NCHW", "NHWC"] = about("order of the axes of a batch")
    mean: list[float] = about("subtracted from colours of 0 to 1", shape="[3]")
    std: list[float] = about("divides what is left", shape="[3]")


class EncoderRecord(Record):
    """How an encoder was exported."""

    encoder: str = about("name of the encoder")
    precision: Precision = about("number format that it computes in")
    weights: Weights = about("where its weights come from")
    versions: Versions = about("of the libraries that exported it")
    input_px: int = about("width that patches are brought to", "px")
    n_features: int = about("features of a patch")
    output: Literal["pooled", "logits"] | None = about(
        "what of the network it gives; not of a user's own", optional=True
    )
    declaration: EncoderDeclaration | None = about("of an encoder of the user's own", optional=True)
    max_relative_difference: float | None = about("of its features to PyTorch's; not of a user's own", optional=True)
    least_cosine: float | None = about("to the features in fp32; with fp16 and int8", optional=True)
    median_cosine: float | None = about("to the features in fp32; with int8", optional=True)
    n_calibration: int | None = about("patches that int8 was calibrated with", "patches", optional=True)
    n_held_out: int | None = about("patches that int8 was compared on", "patches", optional=True)


class FeaturesRecord(Record):
    """How the patches of a section became features."""

    sample: str = about("name of the section")
    device: str = about("where the encoder ran")
    device_reason: str = about("why there")
    provider: str = about("execution provider of onnxruntime")
    precision: Precision = about("number format of the encoder")
    operators: dict[str, int] = about("operators of the graph by the provider that ran them")
    operators_on_cpu: dict[str, int] = about("those that another device left to the CPU, by kind")
    threads: int = about("CPU threads")
    stain_normalisation: Literal["none", "macenko", "reinhard"] = about("what was done to the patches")
    batch_size: int = about("patches run at once", "patches")
    n_spots: int = about("spots embedded", "spots")
    n_features: int = about("features of a spot, over all widths of patches")
    seconds: float = about("time of the step", "s")
    spots_per_second: float = about("speed of reading, preparing and running", "spots per s")
    encoder_share: float = about("of that time in the encoder")
    versions: Versions = about("of the libraries that ran it")
