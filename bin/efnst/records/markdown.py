"""The tables of docs/architecture.md: every file between the steps and its fields."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from efnst.records.arrays import Arrays
from efnst.records.base import Record
from efnst.records.files import FILES, WITHIN, File

HEAD = ["| field | type | shape | unit | what it holds |", "|---|---|---|---|---|"]


def file_tables() -> str:
    """An overview of the files, then one table of fields for each."""
    lines = ["| file | written by | what it holds |", "|---|---|---|"]
    lines += [f"| `{file.name}` | {file.step} | {_about(file)} |" for file in FILES]
    seen: dict[type, str] = {}  # where the fields of a record are listed already
    for file in FILES:
        if not isinstance(file.kind, str) and file.kind not in seen:
            seen[file.kind] = f"`{file.name}`"
            lines += ["", f"### {file.name.replace('<', '&lt;')}", "", *HEAD]
            lines += [_row(cells) for cells in _fields(file, seen)]
    return "\n".join(lines)


def _about(file: File) -> str:
    """What a file holds, in words."""
    if isinstance(file.kind, str):
        return file.kind
    text = file.kind.about if isinstance(file.kind, Arrays) else _first_sentence(file.kind)
    return f"a list, one for each section: {text}" if file.is_list else text


def _first_sentence(kind: type[Record]) -> str:
    """What a record is, from its docstring."""
    text = kind.__doc__.split("\n")[0].rstrip(".")
    return text[0].lower() + text[1:]


def _fields(file: File, seen: dict[type, str]) -> Iterator[tuple[str, ...]]:
    """Cells of the rows of one file: field, type, shape, unit, what it holds."""
    if not isinstance(file.kind, Arrays):
        yield from _record_fields(file.kind, "[]." if file.is_list else "", file.name, seen)
        return
    for member in file.kind.members:
        yield member.name, member.dtype, member.shape, member.unit, _where(member.about, member.optional)
        if member.name in WITHIN:
            yield from _record_fields(WITHIN[member.name], f"{member.name}/", file.name, seen)


def _record_fields(kind: type[Record], start: str, file: str, seen: dict[type, str]) -> Iterator[tuple[str, ...]]:
    """Rows of the fields of a record, those of nested records after the field that holds them."""
    for name, field in kind.model_fields.items():
        inner, suffix = _nested(field.annotation)
        facts = field.json_schema_extra
        text = _where(field.description, not field.is_required())
        place = f"{start}{name}"
        text += f"; its fields: see {seen[inner]}" if inner in seen else ""
        yield place, _named(field.annotation, not field.is_required()), facts["shape"], facts["unit"], text
        if inner and inner not in seen:
            seen[inner] = f"`{place}` of `{file}`"
            yield from _record_fields(inner, f"{place}{suffix}.", file, seen)


def _where(text: str, is_optional: bool) -> str:
    """What a field holds, and that it may be absent."""
    return f"{text} (may be absent)" if is_optional else text


def _nested(annotation: Any) -> tuple[type[Record] | None, str]:
    """The record within a type, and how a place in it is written: `[]` for one of a list, `.*` for one of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return annotation, ""
    written = {list: "[]", dict: ".*"}.get(get_origin(annotation), "")
    for part in get_args(annotation):
        inner, further = _nested(part)
        if inner:
            return inner, written + further
    return None, ""


def _named(annotation: Any, is_optional: bool = False) -> str:
    """A type as it is written in JSON terms; an optional field is absent, never null."""
    origin, parts = get_origin(annotation), get_args(annotation)
    parts = tuple(part for part in parts if not (is_optional and part is NoneType))
    if origin is Annotated:
        return _named(parts[0])
    if origin in (Union, UnionType):
        return " or ".join(_named(part) for part in parts)
    if origin is list:
        return f"list of {_named(parts[0])}"
    if origin is dict:
        return f"{{text: {_named(parts[1])}}}"
    if origin is not None:  # Literal
        return " or ".join(f"`{value}`" for value in parts)
    if issubclass(annotation, Record):
        return "record"
    return {str: "text", int: "int", float: "float", bool: "bool", NoneType: "null"}[annotation]


def _row(cells: tuple[str, ...]) -> str:
    """One line of a table."""
    name, *others = (cell.replace("|", "\\|") for cell in cells)
    return "| " + " | ".join([f"`{name}`", *others]) + " |"
