"""Parameters as nextflow_schema.json describes them: types, defaults, problems and help; none is known by name here."""

import difflib
import json
import math
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from efnst.errors import EfnstError
from efnst.program.documents import load_json
from efnst.program.terminal import printable

if TYPE_CHECKING:
    from jsonschema import ValidationError

HELP_COLUMNS = 100
MAX_DIGITS = 100  # of a number; Python itself does not read more than 4300
A_TYPE = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
# Options of `nextflow run`, which have a single dash.
OF_NEXTFLOW = re.compile(
    "ansi-log|bg|bucket-dir|c|cache|config|dump-hashes|latest|name|offline|params-file|preview|profile|queue-size|"
    "resume|stub|stub-run|w|with-[a-z]+|without-[a-z]+|work-dir"
)
LIBRARY_SCHEMA = Path(__file__).with_name("nextflow_schema.json")  # a copy: a task may see no other file than bin/
A_FORMAT = {"file-path": "a file", "directory-path": "a folder"}


def read_schema(path: Path) -> dict:
    """Read a JSON schema of the project."""
    return json.loads(path.read_text(encoding="utf-8"))


@cache
def known_parameters() -> dict[str, dict]:
    """Every parameter of the pipeline and its description."""
    return properties(read_schema(LIBRARY_SCHEMA))


def read_parameters(path: Path) -> dict:
    """Read the parameters of a run, a JSON object; those without a value (null) are left out."""
    try:
        given = load_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise EfnstError(f"Expected the parameters as JSON in {path}, found {error}: check that file.") from error
    if not isinstance(given, dict):
        raise EfnstError(f"Expected a JSON object of parameters in {path}, found {show(given)}: check that file.")
    return {name: value for name, value in given.items() if value is not None}


def groups(schema: dict) -> Iterator[dict]:
    """The groups of parameters, in the order of the schema's `allOf`."""
    for reference in schema["allOf"]:
        yield schema["$defs"][reference["$ref"].rsplit("/", 1)[-1]]


def properties(schema: dict) -> dict[str, dict]:
    """Every parameter of the schema and its description."""
    return {name: about for group in groups(schema) for name, about in group["properties"].items()}


def defaults(schema: dict) -> dict:
    """The default of every parameter that has one."""
    return {name: about["default"] for name, about in properties(schema).items() if "default" in about}


def coerce(given: dict, about: dict[str, dict]) -> dict:
    """`given` with every value turned into the type that `about` asks for, where that is possible without a guess.

    Values come as text from a samplesheet, and from a command line under Nextflow's strict parser (`--flag false`).
    What cannot be turned stays as it is, for the validation to report.
    """
    return {name: _coerced(value, about.get(name, {}).get("type")) for name, value in given.items()}


def check_parameters(given: dict, schema: dict) -> tuple[dict, list[str]]:
    """The parameters with their types and defaults, and one line for every problem of those that were given."""
    typed = coerce(given, properties(schema))
    return defaults(schema) | typed, parameter_problems(typed, schema)


def parameter_problems(given: dict, schema: dict) -> list[str]:
    """One line for every wrong, missing, retired or unknown parameter of `given` (coerced); empty if there is none."""
    known, retired = properties(schema), schema.get("retired", {})
    problems = []
    for name in _unknown(given, known):
        heir = retired.get(snake_case(name))
        hint = f"no longer an option: {heir}" if heir else _not_known(name, known)
        problems.append(f"parameter --{name}: {hint}")
    required = {name for group in groups(schema) for name in group.get("required", [])}
    problems += [
        f"parameter --{name}: missing, {expectation(known[name])}" for name in known if name in required - set(given)
    ]
    return problems + value_problems({name: value for name, value in given.items() if name in known}, known)


def value_problems(values: dict, about: dict[str, dict]) -> list[str]:
    """One line for every parameter of `values` (coerced) that has a value which `about` does not allow."""
    errors = errors_by_name(values, {"properties": about})
    return [
        f"parameter --{name}: {found_and_expected(values[name], about[name], wrong)}" for name, wrong in errors.items()
    ]


def problem_list(problems: list[str], where: str) -> str:
    """All problems as one message that can be shown by itself; empty if there are none."""
    if not problems:
        return ""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"Found {count} in {where}; nothing was run:", *(f"  - {problem}" for problem in problems)])


def errors_by_name(values: dict, schema: dict) -> "dict[str, list[ValidationError]]":
    """What the schema finds wrong with the members of `values`, by member."""
    from jsonschema import Draft202012Validator  # not for --help, which is to be instant

    errors = {}
    for error in Draft202012Validator(schema).iter_errors(values):
        if error.absolute_path:
            errors.setdefault(str(error.absolute_path[0]), []).append(error)
    return errors


def found_and_expected(value: object, about: dict, errors: "list[ValidationError]") -> str:
    """`found …, expected …` for one value, with what to do."""
    heir = about.get("retired", {}).get(str(value))
    if heir:
        return f"found {show(value)}, no longer an option: {heir}"
    hint = ""
    if (value is True or value == "true") and any(error.validator == "type" for error in errors):
        hint = " (an option without a value arrives as true)"
    close = difflib.get_close_matches(str(value).lower(), about["enum"], 1, 0.5) if "enum" in about else []
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"found {show(value)}{hint}, {expectation(about)}{meant}"


def expectation(about: dict) -> str:
    """`expected …` in words, from the schema's own message or from its type and range."""
    return about.get("errorMessage") or f"expected {allowed(about)}"


def allowed(about: dict) -> str:
    """The values that a schema allows, in words."""
    if "enum" in about:
        return "one of " + ", ".join(map(str, about["enum"]))
    lowest, highest = about.get("minimum"), about.get("maximum")
    words = A_FORMAT.get(about.get("format"), A_TYPE[about["type"]])
    if lowest is not None and highest is not None:
        return f"{words} from {lowest} to {highest}"
    if lowest is not None:
        return f"{words}, {lowest} or more"
    if "exclusiveMinimum" in about:
        return f"{words} above {about['exclusiveMinimum']}"
    return words


def suggestion(name: str, known: list[str], prefix: str = "") -> str:
    """`; did you mean …?` with the nearest known name, or the hint that there is none."""
    close = difflib.get_close_matches(name.lower(), known, 1, 0.6)
    return f"; did you mean {prefix}{close[0]}?" if close else "; remove it or look up its name in docs/usage.md"


def snake_case(name: str) -> str:
    """`minCountsPerSpot` and `min-counts-per-spot` as `min_counts_per_spot`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def show(value: object) -> str:
    """A value as it is shown in a message: JSON, shortened."""
    text = printable(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 80 else f"{text[:77]}…"


def help_text(schema: dict, hidden: bool = False) -> str:
    """All parameters as help for the terminal, by group, at most `HELP_COLUMNS` columns wide."""
    width = max(len(name) for name in properties(schema)) + 6
    lines = [_hanging("", f"{schema['title']}: {schema['description']}")]
    for group in groups(schema):
        shown = {name: about for name, about in group["properties"].items() if hidden or not about.get("hidden")}
        if not shown:
            continue
        lines += ["", _hanging("", f"{group['title']}: {group['description']}")]
        for name, about in shown.items():
            text = help_of(about, name in group.get("required", []))
            lines.append(_hanging(f"  --{name}".ljust(width), text))
    return "\n".join(lines) + "\n"


def help_of(about: dict, is_required: bool = False) -> str:
    """What one parameter does, with its allowed values and its default in brackets."""
    facts = [allowed(about)]
    if is_required:
        facts.append("required")
    elif about.get("default", "") != "":
        facts.append(f"default {about['default'] if about['type'] != 'boolean' else show(about['default'])}")
    return f"{about['description']} [{'; '.join(facts)}]"


def markdown_table(schema: dict) -> str:
    """All parameters as Markdown tables, one per group, for docs/usage.md."""
    lines = []
    for group in groups(schema):
        lines += [
            f"### {group['title']}",
            "",
            group["description"],
            "",
            "| parameter | default | allowed | what it does |",
        ]
        lines.append("|---|---|---|---|")
        for name, about in group["properties"].items():
            default = f"`{show(about['default'])}`" if "default" in about else ""
            default = "required" if name in group.get("required", []) else default
            cells = (f"`--{name}`", default, allowed(about), f"{about['description']} {about['help_text']}")
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _coerced(value: object, kind: str | None) -> object:
    """One value as the JSON type `kind`, or unchanged."""
    if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        value = value.strip()
        if kind == "boolean":
            return {"true": True, "false": False}.get(value.lower(), value)
        if kind in ("integer", "number"):
            value = _number(value)
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _number(text: str) -> int | float | str:
    """A finite number from text, or the text."""
    if len(text) > MAX_DIGITS or not re.fullmatch(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?|[+-]?[0-9]+\.", text):
        return text
    number = float(text)
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return int(text)
    return number if math.isfinite(number) else text


def _unknown(given: dict, known: dict) -> list[str]:
    """Names not in the schema. Nextflow passes `--min-counts` as `min-counts` and as `minCounts`: that counts once."""
    first = {}
    for name in sorted(set(given) - set(known)):
        first.setdefault(snake_case(name), name)
    return sorted(first.values())


def _not_known(name: str, known: dict) -> str:
    """What is said of a name that no parameter has or had."""
    option = snake_case(name).replace("_", "-")
    meant = f"; did you mean -{option}, Nextflow's own?" if OF_NEXTFLOW.fullmatch(option) else ""
    return f"not known to efnst{meant or suggestion(snake_case(name), list(known), '--')}"


def _hanging(start: str, text: str) -> str:
    """`start` followed by `text`, wrapped and indented below itself."""
    return textwrap.fill(
        text, HELP_COLUMNS, initial_indent=start, subsequent_indent=" " * len(start), break_long_words=False
    )
