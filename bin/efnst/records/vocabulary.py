"""Records of what a cohort shares: the domains of its reference."""

from typing import Annotated

from pydantic import Field

from efnst.records.base import Record, about
from efnst.records.domains import Choice


class ViewsRecord(Record):
    """How views without a network are made of the components of a section."""

    scale: Annotated[float, Field(gt=0)] = about("what the components of the expression are divided by")
    diffusion: Annotated[float, Field(ge=0)] = about("the least strength of the diffusion")
    weigh_by_counts: bool = about("whether spots with few counts follow their neighbours more")


class VocabularyRecord(Record):
    """The domains of a cohort."""

    format: int = about("version of this layout")
    n_domains: Annotated[int, Field(ge=1)] = about("domains of the cohort")
    n_trainings: Annotated[int, Field(ge=1)] = about("trainings, each with a mixture")
    shown: Annotated[int, Field(ge=0)] = about("the training, from 0, whose embedding is shown of all sections")
    n_views: int = about("views without a network, each with a mixture")
    views: ViewsRecord | None = about("where there are any", optional=True)
    spatial_prior: Annotated[float, Field(ge=0)] = about("how much the mixtures prefer the domains of neighbours")
    how: str = about("how the domains were found, in words")
    choice: Choice | None = about("where the number of domains was chosen", optional=True)
