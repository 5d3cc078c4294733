"""Which spots are kept; nextflow_schema.json says what each parameter means."""

from efnst.program.options import options


@options
class QualityOptions:
    """Limits that a spot has to keep to, and how much tighter the section itself makes them."""

    min_counts_per_spot: int
    min_genes_per_spot: int
    max_pct_mt: float
    max_pct_ribo: float
    max_pct_hb: float
    qc_mads: float
