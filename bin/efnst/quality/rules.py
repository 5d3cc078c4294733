"""Rules of a laboratory that turn the figures of a quality record into pass, warn or fail."""

import operator
from dataclasses import dataclass
from pathlib import Path

import yaml

from efnst.errors import EfnstError, damaged
from efnst.program.documents import document_text, load_yaml
from efnst.program.numbers import beyond, plain
from efnst.program.parameters import show

LEVELS = ("warn", "fail")  # by rising weight
STATUSES = ("pass", *LEVELS)
SIDES = {"below": operator.lt, "above": operator.gt}
MAX_LIMIT = 1e300  # whole numbers of hundreds of digits are no figures
KEYS = {"metric", "side", "text", *LEVELS}


@dataclass(frozen=True)
class Rule:
    """A figure, by its path in the record such as `quantiles/total_counts/2`, and the limits it may not pass."""

    metric: str
    side: str  # below or above
    limits: dict[str, float]  # by level
    text: str  # what the figure is, in words


def read_rules(path: Path, record: str) -> list[Rule]:
    """The rules of a YAML file for one record, `section_qc` or `image_qc`."""
    try:
        content = load_yaml(document_text(path), yaml.SafeLoader) or {}
    except yaml.YAMLError as error:
        raise damaged(path, f"no YAML: {error}") from error
    known = ("section_qc", "image_qc")
    if not isinstance(content, dict) or not set(content) <= set(known):
        raise EfnstError(f"Expected the rules of {' and '.join(known)} in {path.name}, found {show(content)}.")
    rules = content.get(record) or []
    if not isinstance(rules, list):
        raise EfnstError(f"Expected a list of rules under {record} in {path.name}, found {show(rules)}.")
    return [_rule(entry, f"rule {number} of {record} in {path.name}") for number, entry in enumerate(rules, start=1)]


def apply_rules(rules: list[Rule], record: dict) -> tuple[str, list[dict]]:
    """The status pass, warn or fail, and one finding for every rule that is not kept, with figure and limit.

    A figure that the record lacks, as most sections lack metrics_summary.csv, breaks no rule.
    """
    findings = []
    for rule in rules:
        value = _figure(record, rule.metric)
        broken = [name for name in LEVELS if name in rule.limits and value is not None]
        broken = [name for name in broken if SIDES[rule.side](value, rule.limits[name])]
        if broken:
            level, limit = broken[-1], rule.limits[broken[-1]]
            said = f"{rule.text} {beyond(value, limit)} is {rule.side} {plain(limit)}"
            finding = {"level": level, "metric": rule.metric, "value": value, "limit": limit}
            findings.append(finding | {"text": f"Quality control ({level}): {said}."})
    worst = max((STATUSES.index(finding["level"]) for finding in findings), default=0)
    return STATUSES[worst], findings


def _rule(entry: object, where: str) -> Rule:
    """One rule, checked."""
    if not isinstance(entry, dict) or not set(entry) <= KEYS or not {"metric", "side"} <= set(entry):
        raise EfnstError(
            f"Expected metric, side, warn and fail, and perhaps text in {where}, found {show(entry)}: correct it."
        )
    limits = {level: entry[level] for level in LEVELS if level in entry}
    if entry["side"] not in SIDES or not limits or not all(map(_is_limit, limits.values())):
        raise EfnstError(
            f"Expected side below or above and numbers for warn or fail in {where}, found {show(entry)}: correct it."
        )
    return Rule(str(entry["metric"]), entry["side"], limits, str(entry.get("text", entry["metric"])))


def _is_limit(value: object) -> bool:
    """Whether a value of a rule is a number that a figure may have."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -MAX_LIMIT < value < MAX_LIMIT


def _figure(record: dict, path: str) -> float | None:
    """The number at a path of keys and positions, None where there is none."""
    value = record
    for key in path.split("/"):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
