"""What a cohort has in common as a plain folder: space.json, and space.safetensors with all arrays."""

import json
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import get_args, get_type_hints

import numpy as np

from efnst.embedding.cohort import Learned
from efnst.embedding.consistent import require_learned
from efnst.embedding.correction import Correction
from efnst.embedding.image_fusion import Fusion
from efnst.embedding.options import EmbeddingOptions, NetworkOptions, TrainingOptions
from efnst.embedding.space import Components, ImageComponents, Space
from efnst.embedding.views import View
from efnst.errors import EfnstError, reading
from efnst.genes.shared import SharedGenes
from efnst.program.documents import load_json
from efnst.program.tensors import read_tensors, write_tensors

FORMAT = 2
KINDS = (Components, Correction, Fusion, ImageComponents, SharedGenes, Space, View)
SPACE_JSON, SPACE_ARRAYS = "space.json", "space.safetensors"


def save_space(folder: Path, learned: Learned) -> None:
    """Write space.json (numbers, names, options) and space.safetensors (arrays, named by where they belong)."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {}
    spaces = [_taken_apart(space, f"trainings.{number}", arrays) for number, space in enumerate(learned.spaces)]
    about = {
        "format": FORMAT,
        "genes": {"ids": learned.genes.ids.tolist(), "symbols": learned.genes.symbols.tolist()},
        "components": _taken_apart(learned.components, "components", arrays),
        "trainings": spaces,
        "options": asdict(learned.options),
        "training": {name: value for name, value in asdict(learned.training).items() if name != "network"},
        "network": asdict(learned.training.network),
    }
    arrays["genes.profile"] = learned.genes.profile
    (folder / SPACE_JSON).write_text(json.dumps(about, indent=1, allow_nan=False) + "\n")
    write_tensors(folder / SPACE_ARRAYS, arrays)


def load_space(folder: Path) -> Learned:
    """What `save_space` wrote; nothing of the files is run."""
    with reading(folder / SPACE_JSON):
        about = load_json((folder / SPACE_JSON).read_text())
    found = about.get("format") if isinstance(about, dict) else None
    if found != FORMAT:
        raise EfnstError(f"Expected a space of format {FORMAT}, found {found} in `{folder.name}`.")
    arrays = read_tensors(folder / SPACE_ARRAYS)
    with reading(folder / SPACE_JSON, TypeError, AttributeError):
        genes = SharedGenes(*(np.array(about["genes"][name]) for name in ("ids", "symbols")), arrays["genes.profile"])
        network = NetworkOptions(**about["network"])
        learned = Learned(
            genes,
            _put_together(Components, about["components"], arrays),
            [_put_together(Space, each, arrays) for each in about["trainings"]],
            EmbeddingOptions(**about["options"]),
            TrainingOptions(**about["training"], network=network),
        )
        require_learned(learned)
    return learned


def _taken_apart(value: object, name: str, arrays: dict[str, np.ndarray]) -> object:
    """`value` without its arrays, which go into `arrays` under the name of their place."""
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    if is_dataclass(value) or isinstance(value, View):
        names = value._fields if isinstance(value, View) else [field.name for field in fields(value)]
        return {field: _taken_apart(getattr(value, field), f"{name}.{field}", arrays) for field in names}
    if isinstance(value, dict):
        return {key: _taken_apart(inner, f"{name}.{key}", arrays) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _put_together(kind: object, value: object, arrays: dict[str, np.ndarray]) -> object:
    """The inverse of `_taken_apart`."""
    if isinstance(kind, UnionType):
        kind = next(each for each in get_args(kind) if each is not type(None))
    if isinstance(value, dict) and value.keys() == {"array"}:
        return arrays[value["array"]]
    if kind in KINDS and value is not None:
        hints = get_type_hints(kind)
        return kind(**{key: _put_together(hints[key], inner, arrays) for key, inner in value.items()})
    if isinstance(value, dict):
        return {key: _put_together(None, inner, arrays) for key, inner in value.items()}
    return tuple(value) if isinstance(value, list) else value
