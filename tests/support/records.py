"""Records made from their own types, for tests that care about a few fields only."""

from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import MinLen
from pydantic.fields import FieldInfo

from efnst.records.base import Record

Kind = TypeVar("Kind", bound=Record)
PLAIN = {str: "text", int: 3, float: 0.5, bool: True}


def example(kind: type[Kind], with_optional: bool = False, **given: object) -> Kind:
    """A record of this `kind` with the fields `given` and any values for the others."""
    return kind.model_validate(example_fields(kind, with_optional) | given)


def example_fields(kind: type[Record], with_optional: bool = False) -> dict:
    """A value for each field of `kind`, for those that may be absent where `with_optional`."""
    fields = {name: field for name, field in kind.model_fields.items() if with_optional or field.is_required()}
    return {name: _of_field(field, with_optional) for name, field in fields.items()}


def _of_field(field: FieldInfo, with_optional: bool) -> object:
    """A value of a field, or of a type with constraints: the example it gives, where it has one."""
    return field.examples[0] if field.examples else _value(field.annotation, with_optional, field.metadata)


def _value(annotation: Any, with_optional: bool, facts: Sequence = ()) -> object:
    """A value of a type: of several the first, of a list one member or as many as its `facts` ask for."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _of_field(FieldInfo.from_annotation(annotation), with_optional)
    if origin is Literal:
        return parts[0]
    if origin is list:
        n_members = max((fact.min_length for fact in facts if isinstance(fact, MinLen)), default=1)
        return [_value(parts[0], with_optional)] * n_members
    if origin is dict:
        return {"text": _value(parts[1], with_optional)}
    if origin in (Union, UnionType):
        return _value(parts[0], with_optional)
    return example_fields(annotation, with_optional) if issubclass(annotation, Record) else PLAIN[annotation]
