"""Options of the programs: dataclasses whose fields have type, range, default and help in nextflow_schema.json."""

from dataclasses import dataclass, fields
from inspect import get_annotations
from typing import TypeVar, dataclass_transform, get_args

from efnst.errors import EfnstError
from efnst.program.parameters import coerce, known_parameters, problem_list, value_problems

Options = TypeVar("Options")
MARK = "__efnst_options__"


@dataclass_transform(kw_only_default=True, frozen_default=True)
def options(kind: type[Options]) -> type[Options]:
    """Make `kind` a frozen dataclass of options, checked against nextflow_schema.json when an object is made.

    A field that is a parameter has no default of its own: it is that of the schema, or None. Any other field needs one,
    and no program has an option for it. A value that the schema does not allow is an `EfnstError` that lists all such
    values; a field with two defaults, or none, is a `TypeError` when the module is imported.
    """
    known = known_parameters()
    for name in get_annotations(kind):
        if (name in known) == hasattr(kind, name):
            expected = "no default, since nextflow_schema.json has it" if name in known else "a default"
            raise TypeError(f"Expected {expected} for {kind.__name__}.{name}.")
        if name in known:
            setattr(kind, name, known[name].get("default"))
    further = getattr(kind, "__post_init__", lambda _self: None)

    def __post_init__(self: Options) -> None:
        _check(self)
        further(self)

    kind.__post_init__ = __post_init__
    setattr(kind, MARK, True)
    return dataclass(frozen=True, kw_only=True)(kind)


def is_options(kind: object) -> bool:
    """Whether `kind` is a dataclass of options."""
    return isinstance(kind, type) and hasattr(kind, MARK)


def parameters_of(kind: type) -> list[str]:
    """The fields of a dataclass of options that are parameters of the pipeline."""
    return [field.name for field in fields(kind) if field.name in known_parameters()]


def options_from_text(kinds: dict[str, type], given: dict[str, str]) -> dict[str, object]:
    """One object of each of `kinds`, from values as text; all that the schema does not allow are listed at once."""
    values = coerce(given, known_parameters())
    _refuse(values)
    return {
        name: kind(**{field: values[field] for field in parameters_of(kind) if field in values})
        for name, kind in kinds.items()
    }


def given_values(*objects: object) -> dict[str, object]:
    """The fields of several objects of options, for the record, without those that have no value."""
    pairs = {field.name: getattr(each, field.name) for each in objects for field in fields(each)}
    return {name: value for name, value in pairs.items() if value is not None}


def _check(instance: object) -> None:
    """Refuse values that the schema does not allow; whole numbers become floats where the field is one."""
    for field in fields(instance):
        value = getattr(instance, field.name)
        if value is None and type(None) not in get_args(field.type):
            raise EfnstError(f"Expected a value of {field.name}, found none.")
        if field.type is float and type(value) is int:
            object.__setattr__(instance, field.name, float(value))
    values = {name: getattr(instance, name) for name in parameters_of(type(instance))}
    _refuse({name: value for name, value in values.items() if value is not None and not _is_default(name, value)})


def _is_default(name: str, value: object) -> bool:
    """Whether `value` is the schema's own, which need not be checked: that keeps `--help` instant."""
    default = known_parameters()[name].get("default")
    return value == default and isinstance(value, bool) == isinstance(default, bool)


def _refuse(values: dict[str, object]) -> None:
    """Raise an `EfnstError` that lists the values which the schema does not allow."""
    problems = value_problems(values, known_parameters()) if values else []
    if problems:
        raise EfnstError(problem_list(problems, "the options"))
