"""Records of the encoder and of the image features that it made."""

from typing import Annotated, Literal

from pydantic import Field

from efnst.records.base import Asked, Record, Versions, about

LARGEST_INPUT_PX = 2048
FINE_PX = 32  # width of a patch from which on it shows texture; those of a lowres image have about 15
Precision = Literal["fp32", "fp16", "int8"]
Layout = Literal["NCHW", "NHWC"]
StainNormalisation = Literal["none", "macenko", "reinhard"]
Pooling = Literal["class", "mean", "both", "network"]
Name = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]  # also of a file
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$", max_length=200)]
InputPx = Annotated[int, Field(ge=8, le=LARGEST_INPUT_PX, examples=[224])]
Count = Annotated[int, Field(ge=1, le=10**15)]
Three = Field(min_length=3, max_length=3)
Colours = Annotated[list[Annotated[float, Field(ge=-1000, le=1000)]], Three]
Deviations = Annotated[list[Annotated[float, Field(gt=0, le=1000)]], Three]
Scale = Annotated[float, Field(ge=0.01, le=100)]
Scales = Annotated[list[Scale], Field(min_length=2, max_length=2)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$", examples=["0" * 64])]
External = Annotated[dict[Name, Sha256], Field(max_length=1)]


class Weights(Record):
    """Where the weights of an encoder come from."""

    file: str = about("name of the file, or of the package that brings it")
    sha256: str = about("its SHA-256")
    data_sha256: str | None = about("SHA-256 of the file beside it that holds what it lacks", optional=True)


class Parity(Record):
    """How well the exported graph agreed with the network that it was made from."""

    least_cosine: float = about("least cosine between the features of both")
    n_patches: int = about("patches compared", "patches")
    versions: Versions = about("of the libraries that ran both")


class EncoderDeclaration(Record):
    """What an encoder of the user's own takes and gives, and on which terms."""

    name: Name = about("name of the encoder")
    input_px: InputPx = about("width of its images", "px")
    layout: Layout = about("order of the axes of a batch")
    mean: Colours = about("subtracted from colours of 0 to 1", shape="[3]")
    std: Deviations = about("divides what is left", shape="[3]")
    um_per_px: Scale | None = about("scale of the images that it was made for", "µm per px", optional=True)
    um_per_px_range: Scales | None = about("least and largest scale that it takes", "µm per px", optional=True)
    pooling: Pooling | None = about(
        "what its features are: class token, mean of the patch tokens, both side by side, or as the network has them",
        optional=True,
    )
    n_features: Count | None = about("features of a patch", optional=True)
    precision: Literal["fp32", "fp16"] | None = about("number format that it computes in", optional=True)
    licence: Line | None = about("its licence", optional=True)
    commercial: bool | None = about("whether the licence allows commercial use", optional=True)
    source: Line | None = about("where network and weights come from", optional=True)
    weights_sha256: Sha256 | None = about("SHA-256 of the weights that it was exported from", optional=True)
    multiply_adds: Count | None = about("multiplications with an addition, for a patch", optional=True)
    parity: Parity | None = about("to PyTorch, measured when it was exported", optional=True)
    sha256: Sha256 | None = about("SHA-256 of the graph", optional=True)
    external: External | None = about("SHA-256 of each file beside the graph that holds weights", optional=True)


def licence_text(declared: EncoderDeclaration | None) -> str:
    """The licence of an encoder and what it says of commercial use, in words; empty where nothing is declared."""
    uses = {True: "commercial use allowed", False: "no commercial use"}
    parts = [declared.licence, uses.get(declared.commercial)] if declared else []
    return ", ".join(part for part in parts if part)


class EncoderRecord(Record):
    """How an encoder was exported."""

    encoder: str = about("name of the encoder")
    precision: Precision = about("number format that it computes in")
    weights: Weights = about("where its weights come from")
    versions: Versions = about("of the libraries that exported it")
    input_px: int = about("width that patches are brought to", "px")
    coarse_px: int | None = about("width that those narrower than 32 px are brought to", "px", optional=True)
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

    def brought_to(self, patch_px: int) -> int:
        """The width in px that patches of `patch_px` are brought to."""
        return self.coarse_px if self.coarse_px and patch_px < FINE_PX else self.input_px


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
    stain_normalisation: StainNormalisation = about("what was done to the patches")
    stain_sha256: str | None = about("SHA-256 of the stain_reference.json that they were brought to", optional=True)
    batch_size: int = about("patches run at once", "patches")
    asked: Asked = about("what was asked for of what the stains decide: `stain_normalisation`")
    n_spots: int = about("spots embedded, or places of a lattice over units of bins", "spots")
    n_patches: int = about("patches run, of all widths", "patches")
    n_features: int = about("features of a spot, over all widths of patches")
    seconds: float = about("time of the section, without opening the encoder", "s")
    patches_per_second: float = about("speed of reading, preparing and running", "patches per s")
    encoder_share: float = about("of that time in the encoder")
    versions: Versions = about("of the libraries that ran it")
