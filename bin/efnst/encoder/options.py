"""What of the encoder and its runs can be chosen; nextflow_schema.json says what each parameter means."""

from efnst.program.options import options


@options
class EncoderOptions:
    """Which encoder is exported, and in which form."""

    encoder: str
    encoder_output: str
    precision: str
    encoder_cache: str | None


@options
class WindowOptions:
    """How wide a window the encoder is to see."""

    patch_um: str | None


@options
class QuantisationOptions:
    """How an encoder is quantised with patches of the cohort."""

    device: str
    stain_normalisation: str
    seed: int


@options
class StainOptions:
    """Whether patches are brought to a common stain before the encoder."""

    stain_normalisation: str


@options
class FeatureOptions:
    """How patches are turned into features."""

    device: str
    stain_normalisation: str
    batch_size: int | None
