"""What a record is: a JSON file with typed fields, each described once, refused where it does not fit."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from efnst.errors import EfnstError

Value = bool | int | float | str | None  # of a parameter, or of a figure of Space Ranger
Asked = dict[str, bool | int | float | str]  # parameters as they were given, "" where nothing was
Number = int | float  # keeps a whole number whole
Versions = dict[str, str]
Quantiles = Annotated[list[float], Field(min_length=5, max_length=5)]  # smallest, quartiles, largest
Kind = TypeVar("Kind")
SHOWN_PROBLEMS = 3


def about(text: str, unit: str = "", shape: str = "", optional: bool = False) -> Any:
    """A field of a record: what it holds, its unit, its shape where it is an array; `optional`: it may be absent.

    A field whose value may be missing in a file that has the field is `… | None`, which JSON writes as null.
    """
    return Field(None if optional else ..., description=text, json_schema_extra={"unit": unit, "shape": shape})


class Record(BaseModel):
    """A JSON object that one step writes for others.

    The types are exact (no text for a number, no number for text, no NaN, no infinity), and nothing may be missing or
    more than the fields: pydantic raises ValidationError where a program builds a record that does not fit.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)

    def plain(self) -> dict:
        """The record as dictionaries and lists, without the optional fields that it lacks."""
        return self.model_dump(exclude_unset=True)

    def changed(self, **values: object) -> "Record":
        """The record with other values, checked like a new one."""
        return type(self).model_validate(self.plain() | values)


def write_record(path: Path, record: Record | list[Record]) -> None:
    """Write a record, or a list of them, as indented JSON."""
    text = TypeAdapter(object).dump_json(record, indent=1, exclude_unset=True, ensure_ascii=True)
    path.write_bytes(text + b"\n")


def read_record(path: Path, kind: type[Kind]) -> Kind:
    """Read a record of this `kind` that an earlier step wrote, or a list of them (`list[…]`).

    Raises EfnstError with file and field where the file does not fit.
    """
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except ValidationError as error:
        raise _misfit(path, error) from error
    except FileNotFoundError as error:
        raise EfnstError(f"Expected `{path}`, which an earlier step writes, found no such file.") from error


def _misfit(path: Path, error: ValidationError) -> EfnstError:
    """The error for a file that is no record of its kind: the first fields that do not fit, and why."""
    problems: dict[str, list[str]] = {}
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"] if part not in ("bool", "int", "float", "str"))
        problems.setdefault(field or "the file", []).append(
            problem["msg"]
        )  # several where a field may be of several types
    shown = "; ".join(f"{field}: {' or '.join(texts)}" for field, texts in list(problems.items())[:SHOWN_PROBLEMS])
    more = f" (and {len(problems) - SHOWN_PROBLEMS} more)" if len(problems) > SHOWN_PROBLEMS else ""
    return EfnstError(
        f"Expected `{path.name}` as this version of efnst writes it, found {shown}{more}. Run the step again that "
        "writes it."
    )
