"""Records of names that labels taught."""

from typing import Annotated

from pydantic import Field

from efnst.records.base import Record, about


class LeftOutScores(Record):
    """How well a labelled section is named from the others."""

    macro_f1: float = about("F1, the mean over the section's labels")
    ari: float = about("adjusted Rand index with the labels")
    known: float = about("share of the labelled units that have a name")


class NamingRecord(Record):
    """Names that labels taught."""

    names: Annotated[list[str], Field(min_length=2)] = about("the names", shape="[n_names]")
    heads: list[str] = about("labelled sections that have a head of the others' labels", shape="[n_heads]")
    temperature: Annotated[float, Field(gt=0)] = about("divides the scores before they become probabilities")
    calibrated: bool = about("whether the temperature follows from sections left out; else it is 1")
    weigh_by_counts: bool = about(
        "whether spots with few counts followed their neighbours more where names were taught"
    )
    least_probability: float = about("below it a unit is `unknown`")
    left_out: dict[str, LeftOutScores] = about("by labelled section, named from the others")
