"""What of a section is read; nextflow_schema.json says what each parameter means."""

from efnst.program.options import options


@options
class SourceOptions:
    """What is read beside counts and positions, and into which units bins and cells are summed."""

    unit_um: str
    expression_rep: str | None
