"""Records of what a cohort shares: the domains of its reference."""

from efnst.records.base import Record, about
from efnst.records.domains import Choice


class VocabularyRecord(Record):
    """The domains of a cohort."""

    format: int = about("version of this layout")
    n_domains: int = about("domains of the cohort")
    n_trainings: int = about("trainings, each with a mixture")
    spatial_prior: float = about("how much the mixtures prefer the domains of neighbours")
    how: str = about("how the domains were found, in words")
    choice: Choice | None = about("where the number of domains was chosen", optional=True)
