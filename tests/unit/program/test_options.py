"""Dataclasses of options: default, range and help come from nextflow_schema.json, and nothing is written twice."""

import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest
from tests.support.places import BIN, PROJECT

from efnst.embedding.options import EmbeddingOptions, NetworkOptions, TrainingOptions
from efnst.errors import EfnstError
from efnst.program.cli import options_of, parameters_of_all
from efnst.program.options import given_values, is_options, options, options_from_text, parameters_of
from efnst.program.parameters import defaults, properties, read_schema

SCHEMA = read_schema(PROJECT / "nextflow_schema.json")
PROGRAMS = sorted(path.stem for path in BIN.glob("*.py"))


@options
class Some:
    """Options of a test."""

    epochs: int
    spatial_prior: float
    expression_rep: str | None
    width: int = 3  # no parameter


def test_defaults_are_those_of_the_schema() -> None:
    known = defaults(SCHEMA)
    assert Some() == Some(epochs=known["epochs"], spatial_prior=known["spatial_prior"], expression_rep=None, width=3)
    assert parameters_of(Some) == ["epochs", "spatial_prior", "expression_rep"]
    with pytest.raises(FrozenInstanceError):
        Some().epochs = 3
    with pytest.raises(TypeError):
        Some(3)


def test_a_field_of_floats_is_a_float() -> None:
    assert repr(Some(spatial_prior=1).spatial_prior) == "1.0"


def test_all_values_are_checked_at_once() -> None:
    with pytest.raises(EfnstError) as caught:
        Some(epochs=0, spatial_prior=9, expression_rep="a b")
    text = str(caught.value)
    assert text.startswith("Found 3 problems in the options; nothing was run:")
    assert "parameter --epochs: found 0, expected a whole number, 1 or more" in text
    assert "parameter --spatial_prior: found 9.0, expected a number from 0 to 5" in text
    assert 'parameter --expression_rep: found "a b", expected a name in obsm' in text


def test_options_of_two_kinds_are_checked_together() -> None:
    kinds = {"training": TrainingOptions, "network": NetworkOptions}
    found = options_from_text(kinds, {"epochs": "7", "batch_norm_momentum": "1e-2", "decoder": "sigmoid"})
    assert found["training"].epochs == 7
    assert found["network"] == NetworkOptions(batch_norm_momentum=0.01, decoder="sigmoid")
    with pytest.raises(EfnstError, match=r"Found 2 problems"):
        options_from_text(kinds, {"epochs": "many", "decoder": "round"})


def test_what_was_given_is_recorded_without_what_has_no_value() -> None:
    assert given_values(Some(epochs=3)) == {"epochs": 3, "spatial_prior": 0.3, "width": 3}


def test_a_default_in_two_places_or_in_none_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"Expected no default, since nextflow_schema\.json has it for Twice\.epochs"):

        @options
        class Twice:
            epochs: int = 3

    with pytest.raises(TypeError, match=r"Expected a default for Never\.nothing_of_ours"):

        @options
        class Never:
            nothing_of_ours: int


def test_what_options_do_not_go_together_is_looked_at_after_their_values() -> None:
    with pytest.raises(EfnstError, match="Expected save_model or expression_rep, found both"):
        EmbeddingOptions(save_model=True, expression_rep="X_other")


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_says_what_the_schema_says(program: str) -> None:
    main = import_module(program).main
    names = parameters_of_all(options_of(main))
    done = subprocess.run([sys.executable, BIN / f"{program}.py", "--help"], capture_output=True, text=True)
    shown = re.sub(r"\s+", " ", done.stdout)
    for name in names:
        assert f"--{name} VALUE" in shown
        assert properties(SCHEMA)[name]["description"][:40] in shown


@pytest.mark.parametrize("path", [BIN / f"{name}.py" for name in PROGRAMS if name != "simulate_cohort"], ids=str)
def test_no_program_writes_a_parameter_of_its_own(path: Path) -> None:
    """Files are arguments of the programs; read_section.py's image is one or `none`."""
    hints = get_type_hints(import_module(path.stem).main)
    values = {name for name, hint in hints.items() if "Path" not in str(hint) and not is_options(hint)}
    assert values & set(properties(SCHEMA)) <= {"image"}


def test_every_parameter_of_the_method_reaches_a_program() -> None:
    taken = {name for program in PROGRAMS for name in parameters_of_all(options_of(import_module(program).main))}
    groups = ("domains", "image", "quality", "expression", "model")
    method = {name for group in groups for name in SCHEMA["$defs"][group]["properties"]}
    assert method - taken == {"use_image", "encoder_weights", "encoder_onnx", "gene_sets", "qc_rules"}, (
        "files, and what main.nf asks"
    )
