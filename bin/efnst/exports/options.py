"""In which forms the domains are exported; nextflow_schema.json says what each parameter means."""

from efnst.program.options import options


@options
class ExportOptions:
    """The forms asked for, separated by commas."""

    exports: str

    @property
    def forms(self) -> list[str]:
        """`loupe`, `geojson`, `figures`, `spatialdata`, or `all` or `none` alone."""
        return [name.strip() for name in self.exports.split(",")]
