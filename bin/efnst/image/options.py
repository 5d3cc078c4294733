"""How the image is cut into patches; nextflow_schema.json says what each parameter means."""

from efnst.program.options import options


@options
class PatchOptions:
    """How wide the patches are."""

    patch_um: str | None
    patches_per_spot: int
