"""Texts that people write, JSON and YAML above all: of bounded size and depth, with numbers that are numbers.

A few bytes of YAML aliases can stand for 10^9 values, and brackets a million deep or numbers of thousands of digits
break what reads them: each of these becomes the one error that such a text ends in anyway.
"""

import json
import math
import re
from pathlib import Path

import yaml

from efnst.errors import EfnstError, damaged, reading

MAX_BYTES = 10_000_000  # of a file
MAX_YAML_CHARACTERS = 1_000_000  # 8,000 sections; reading them takes 10 s
MAX_MEANT = 10_000_000  # characters of YAML with every alias written out
PACKED = re.compile(rb"\x1f\x8b|PK\x03\x04|BZh[1-9](1AY&SY|\x17rE8P)|\xfd7zXZ")  # gzip, zip, bzip2 and xz


def document_text(path: Path, most: int = MAX_BYTES) -> str:
    """The text of a file, which must be UTF-8 and have at most `most` bytes."""
    with reading(path), path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise damaged(path, f"more than {most} bytes")
    return text_of(content, path.name)


def text_of(content: bytes, name: str, kind: str = "UTF-8 text") -> str:
    """What a file of UTF-8 holds, which a message calls `name`.

    Raises EfnstError for a compressed file or another encoding: to be unpacked, or saved as `kind`.
    """
    if PACKED.match(content):
        raise EfnstError(
            f"Expected text in {name}, found a compressed file, or one of Excel: unpack it, or save it as {kind}."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EfnstError(
            f"Expected UTF-8 text in {name}, found {error}: save it as {kind}, not as Windows or Unicode text."
        ) from error


def load_json(text: str) -> object:
    """What a JSON text holds; ValueError where it is none, NaN and infinity, which JSON does not have, included."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("brackets within brackets without end") from error


def load_yaml(text: str, kind: type[yaml.BaseLoader] | type[yaml.SafeLoader]) -> object:
    """What a YAML text holds, by a loader that makes no objects; YAMLError where it is none or means too much."""
    if len(text) > MAX_YAML_CHARACTERS:
        raise yaml.YAMLError(f"more than {MAX_YAML_CHARACTERS} characters")
    loader = kind(text)
    try:
        node = loader.get_single_node()
        if node is not None and _meant(node, {}) > MAX_MEANT:
            raise yaml.YAMLError("aliases that stand for more than anybody wrote")
        return None if node is None else loader.construct_document(node)
    except (RecursionError, ValueError) as error:  # ValueError: for numbers of more digits than Python reads
        raise yaml.YAMLError(str(error)) from error
    finally:
        loader.dispose()


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} instead of a number")


def _meant(node: yaml.Node, known: dict[int, float]) -> float:
    """Characters that a node stands for, with every alias written out: without end where it holds itself.

    YAMLError where a key stands twice in one mapping, of which the loaders silently keep the second.
    """
    if isinstance(node, yaml.ScalarNode):
        return len(node.value) + 1
    if id(node) not in known:
        known[id(node)] = math.inf
        if isinstance(node, yaml.MappingNode):
            _require_keys_once([key for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
        parts = [part for entry in node.value for part in (entry if isinstance(entry, tuple) else (entry,))]
        known[id(node)] = 1 + sum(_meant(part, known) for part in parts)
    return known[id(node)]


def _require_keys_once(keys: list[yaml.ScalarNode]) -> None:
    """Refuse a mapping in which a key stands twice, such as two entries of a list with a dash forgotten."""
    seen: set[str] = set()
    for key in keys:
        if key.value in seen:
            raise yaml.YAMLError(f"the key {key.value[:40]} for the second time in line {key.start_mark.line + 1}")
        seen.add(key.value)
