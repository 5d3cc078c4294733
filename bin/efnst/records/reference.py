"""Records of a reference, and of how a section fits one."""

from typing import Annotated, Literal

from pydantic import Field

from efnst.records.base import Record, Versions, about
from efnst.records.encoder import StainNormalisation
from efnst.records.quality import Status

CorrectBy = Literal["group", "sample", "none"]
MANY_MISSING = 0.1  # share of the genes beyond which a section has a warning


class ReferenceRecord(Record):
    """What a reference was made of."""

    format: int = about("version of the layout of the folder")
    versions: Versions = about("of efnst and the libraries that made it")
    samples: list[str] = about("sections that it was learned from", shape="[n_sections]")
    groups: list[str] | None = about(
        "their groups, empty for none; not of a reference that was made before these were kept",
        shape="[n_sections]",
        optional=True,
    )
    correct_by: CorrectBy = about("what differences between sections were taken out by")
    gene_prefix: str = about("letters that most gene identifiers begin with, such as ENSG: the species")
    image: bool = about("whether image features were used")
    stain_normalisation: StainNormalisation = about("what was done to the patches")
    median_counts: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)] = about(
        "median counts of a unit, of each section", "counts", "[n_sections]"
    )
    structure: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)] = about(
        "covariance of neighbouring units along the components, of each section", shape="[n_sections]"
    )
    files: dict[str, str] = about("SHA-256 of every other file of the folder that is read")

    def group_of(self, sample: str) -> str:
        """The group of one of its sections; empty for any other, and where it is not known."""
        return dict(zip(self.samples, self.groups or [], strict=False)).get(sample, "")


class ReferenceFit(Record):
    """How a section fits a reference."""

    sample: str = about("name of the section")
    missing_genes: float = about("share of the reference's genes that the section does not measure")
    depth: float = about("median counts of the section's units, of those of the reference")
    structure: float = about(
        "covariance of the section's neighbouring units along the components, of that of the reference's sections"
    )
    known_batch: bool = about("whether the reference has sections of the same group; true where nothing is taken out")
    novel: float | None = about("share of the units that are unlike all tissue of the reference", optional=True)
    verdict: Status | None = about("pass, warn or fail by all of this", optional=True)
    reasons: list[str] | None = about("why it is not pass", optional=True)
