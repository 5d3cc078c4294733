"""Types, defaults, problems and help of parameters."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.support.places import PROJECT

from efnst.errors import EfnstError
from efnst.program.parameters import (
    HELP_COLUMNS,
    check_parameters,
    coerce,
    help_text,
    markdown_table,
    properties,
    read_parameters,
    read_schema,
    snake_case,
)

SCHEMA = read_schema(PROJECT / "nextflow_schema.json")
GIVEN = {"input": "sheet.csv", "outdir": "results"}


def problems(**given: object) -> list[str]:
    return check_parameters(GIVEN | given, SCHEMA)[1]


def test_the_schema_is_a_schema_and_every_parameter_is_explained() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    for name, about in properties(SCHEMA).items():
        assert about["description"].endswith("."), name
        assert about["help_text"].endswith("."), name


def test_the_defaults_keep_to_the_schema() -> None:
    parameters, found = check_parameters(GIVEN, SCHEMA)
    assert found == []
    assert not list(Draft202012Validator(SCHEMA).iter_errors(parameters))
    assert parameters["epochs"] == properties(SCHEMA)["epochs"]["default"] and "n_domains" not in parameters


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("boolean", "false", False),
        ("boolean", "TRUE", True),
        ("boolean", "yes", "yes"),
        ("integer", " 7 ", 7),
        ("integer", "7.0", 7),
        ("integer", 7.0, 7),
        ("integer", "7.5", 7.5),
        ("integer", True, True),
        ("integer", "seven", "seven"),
        ("number", "1e-3", 0.001),
        ("number", "nan", "nan"),
        ("number", "1e999", "1e999"),
        ("string", 190, "190"),
        ("string", 2024.5, "2024.5"),
        ("string", False, False),
    ],
)
def test_values_get_their_type_where_no_guess_is_needed(kind: str, given: object, expected: object) -> None:
    value = coerce({"x": given}, {"x": {"type": kind}})["x"]
    assert value == expected and type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("n_domains", 1, "found 1, expected a whole number from 2 to 100"),
        ("n_domains", 101, "found 101, expected a whole number from 2 to 100"),
        ("n_domains", True, "found true (an option without a value arrives as true), expected a whole number"),
        ("n_domains", "true", 'found "true" (an option without a value arrives as true), expected a whole number'),
        ("epochs", "many", 'found "many", expected a whole number, 1 or more'),
        ("epochs", 0, "found 0, expected a whole number, 1 or more"),
        ("learning_rate", 0, "found 0, expected a number above 0"),
        ("max_pct_mt", "100.5", "found 100.5, expected a number from 0 to 100"),
        ("use_image", "yes", 'found "yes", expected true or false'),
        ("clustering", "leidn", "expected one of mixture, leiden, kmeans; did you mean leiden?"),
        ("patch_um", "190;380", "separated by commas"),
        ("patch_um", "0", "at least 1 µm"),
        ("patch_um", "", "at least 1 µm"),
        ("input", "", "expected the path of a samplesheet"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(name: str, value: object, said: str) -> None:
    found = problems(**{name: value})
    assert len(found) == 1
    assert found[0].startswith(f"parameter --{name}: found ") and said in found[0]


@pytest.mark.parametrize("value", ["190", 190, "100, 190,380", "55.5"])
def test_patch_widths(value: object) -> None:
    assert problems(patch_um=value) == []


def test_all_problems_are_found_at_once() -> None:
    found = check_parameters({"outdir": "r", "epochs": 0, "n_domians": 7, "device": "gpu"}, SCHEMA)[1]
    assert [line.split(":")[0] for line in found] == [
        "parameter --n_domians",
        "parameter --input",
        "parameter --epochs",
        "parameter --device",
    ]
    assert "missing, expected the path of a samplesheet" in found[1]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("n_domians", "n_domains"), ("nDomains", "n_domains"), ("n-genes", "n_genes"), ("learning-rat", "learning_rate")],
)
def test_an_unknown_name_suggests_the_nearest(name: str, nearest: str) -> None:
    assert problems(**{name: 3}) == [f"parameter --{name}: not known to efnst; did you mean --{nearest}?"]


@pytest.mark.parametrize("name", ["profile", "resume", "work-dir", "with-report", "params-file"])
def test_an_option_of_nextflow_with_a_dash_too_many_is_named(name: str) -> None:
    found = f"parameter --{name}: not known to efnst; did you mean -{name}, Nextflow's own?"
    assert problems(**{name: "x"}) == [found]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dec_epochs": 100}, "parameter --dec_epochs: no longer an option: deep embedded clustering agreed less"),
        ({"graph-radius": 2}, "parameter --graph-radius: no longer an option: the network's graph joins the nearest"),
        ({"image_fusion": "concatenate"}, 'found "concatenate", no longer an option: all components beside'),
        ({"embedding": "latent_skip"}, 'found "latent_skip", no longer an option: what the network decodes'),
    ],
)
def test_a_retired_option_names_its_heir(given: dict, said: str) -> None:
    (found,) = problems(**given)
    assert said in found and found.endswith(("leave it out", "says how many", "choose late", "choose decoded"))


def test_no_retired_option_is_still_one() -> None:
    assert not SCHEMA["retired"].keys() & properties(SCHEMA).keys()
    for about in properties(SCHEMA).values():
        assert not about.get("retired", {}).keys() & set(about.get("enum", []))


def test_the_two_names_nextflow_makes_of_one_option_are_one_problem() -> None:
    assert len(problems(**{"min-countz": 3, "minCountz": 3})) == 1
    assert snake_case("minCountsPerSpot") == "min_counts_per_spot"


def test_parameters_without_value_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "params.json"
    file.write_text(json.dumps(GIVEN | {"n_domains": None}))
    assert read_parameters(file) == GIVEN


@pytest.mark.parametrize("content", ["{", "[1]", ""])
def test_a_file_without_parameters_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "params.json"
    file.write_text(content)
    with pytest.raises(EfnstError, match=r"params\.json"):
        read_parameters(file)


def test_the_help_names_every_parameter_within_its_width() -> None:
    text = help_text(SCHEMA)
    shown = re.findall(r"^  --(\w+)", text, re.MULTILINE)
    assert shown == [name for name, about in properties(SCHEMA).items() if not about.get("hidden")]
    assert max(map(len, text.splitlines())) <= HELP_COLUMNS
    assert "--publish_dir_mode" in help_text(SCHEMA, hidden=True)


def test_the_table_in_the_usage_is_that_of_the_schema() -> None:
    assert markdown_table(SCHEMA) in (PROJECT / "docs" / "usage.md").read_text(encoding="utf-8")
