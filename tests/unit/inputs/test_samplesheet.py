"""Samplesheets as people write them, and every problem told with its row and column."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.support.places import PROJECT

from efnst.errors import EfnstError
from efnst.inputs.covariates import covariate_warnings
from efnst.inputs.samplesheet import join, read_samplesheet, sections
from efnst.program.parameters import read_schema, show

SCHEMA = read_schema(PROJECT / "assets" / "samplesheet_schema.json")
HEADER = "sample,section,image,labels,n_domains,group\n"


def check(
    folder: Path, content: str | bytes, name: str = "sheet.csv", base: str = "/data", **parameters: object
) -> tuple[list[dict], list[str]]:
    """Sections and problems of a samplesheet with this content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return sections(read_samplesheet(path), SCHEMA, parameters, base)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_one_section_in_full(tmp_path: Path) -> None:
    found, problems = check(tmp_path, HEADER + "A1,a1/outs,a1/he.tif,../labels/a1.csv,7,donor 1\n", n_domains=5)
    assert problems == []
    assert found == [
        {
            "id": "A1",
            "section": "/data/a1/outs",
            "image": "/data/a1/he.tif",
            "labels": "/labels/a1.csv",
            "n_domains": 7,
            "problem": "",
            "group": "donor 1",
            "bin_um": "",
            "library": "",
            "covariates": {},
        }
    ]


def test_what_a_row_leaves_out(tmp_path: Path) -> None:
    found, problems = check(tmp_path, "sample,section\nA1,a1\n", n_domains=5)
    assert problems == []
    rest = {"image": "", "labels": "", "n_domains": 5, "problem": "", "group": "", "bin_um": "", "library": ""}
    assert found == [{"id": "A1", "section": "/data/a1", "covariates": {}} | rest]


def test_values_that_are_not_known_are_left_out(tmp_path: Path) -> None:
    """As R and pandas write them; whole numbers become 8.0 in pandas where one of them is missing."""
    found, problems = check(
        tmp_path,
        "sample,section,image,labels,n_domains,group,bin_um,library\n"
        "NA,a1,NA,NA,NA,NA,8.0,NA\nB1,b1,None,nan,4.0,donor 1,cells,S1\n",
    )
    assert problems == []
    empty = {"image": "", "labels": "", "n_domains": None, "group": "", "library": ""}
    assert {name: found[0][name] for name in ("id", "bin_um", *empty)} == {"id": "NA", "bin_um": "8"} | empty
    kept = {"image": "none", "labels": "", "n_domains": 4, "group": "donor 1", "bin_um": "cells", "library": "S1"}
    assert {name: found[1][name] for name in kept} == kept


@pytest.mark.parametrize(
    "group", ["Müller", "Donor (A)", "A/B", "IDH1+", "day 0,5", "-80 °C", "'; $(x) `y` \\n #", "患者 1"]
)
def test_groups_are_named_as_covariates_are(tmp_path: Path, group: str) -> None:
    found, problems = check(tmp_path, f'sample,section,group\nA1,a,"{group}"\n')
    assert problems == [] and found[0]["group"] == group


@pytest.mark.parametrize("group", ["a\nb", "a\tb", "a\x00b", "a\x85b", "a\u2028b", "x" * 201])
@pytest.mark.parametrize("column", ["group", "stage"])
def test_a_group_or_a_value_that_no_table_should_hold(tmp_path: Path, column: str, group: str) -> None:
    _, problems = check(tmp_path, f'sample,section,{column}\nA1,a,"{group}"\n')
    assert len(problems) == 1 and f"(A1), column {column}: found" in problems[0]
    assert problems[0].endswith("expected a single line of at most 200 characters; shorten it")


def test_a_letter_is_the_same_however_it_is_encoded(tmp_path: Path) -> None:
    """macOS and Windows write ü in two ways, of which nobody sees that they differ."""
    found, _ = check(tmp_path, "sample,section,group,town\nA1,a,M\u00fcller,K\u00f6ln\nB1,b,Mu\u0308ller,Ko\u0308ln\n")
    assert [row["group"] for row in found] == ["M\u00fcller"] * 2
    assert [row["covariates"]["town"] for row in found] == ["K\u00f6ln"] * 2


def test_further_columns_are_covariates(tmp_path: Path) -> None:
    found, problems = check(tmp_path, "sample,Age,section,sex_group,stage\nA1,61,a,f,\nB1,NA,b,m,II b\n")
    assert problems == []
    assert [row["covariates"] for row in found] == [
        {"age": "61", "sex_group": "f", "stage": ""},
        {"age": "NA", "sex_group": "m", "stage": "II b"},
    ]


def test_texts_among_numbers_are_warned() -> None:
    ages = ("61", "NA", "1,5", "7e1", "10%", "3", "4", "inf")
    rows = [{"group": "", "covariates": {"age": value, "sex": "f"}} for value in ages]
    (warning,) = covariate_warnings(rows)
    assert warning.startswith('column age: found "1,5", "10%", "inf" where most values are numbers')
    assert not covariate_warnings(rows[:2]) and not covariate_warnings([])


@pytest.mark.parametrize(
    ("values", "is_warned"),
    [
        (["0,5", "1,5", "2", "-3,25"], True),
        (["10%", "20 %", "30%", "30%"], True),
        (["1 200", "1'300", "900", "1\u202f400"], True),
        (["1,200.5", "1,300", "2", "9,000"], True),
        (["0.5", "1e3", "2", "-3.25"], False),
        (["1.2.2024", "1.2.2024", "3.2.2024", "3.2.2024"], False),
        (["P1", "P1", "P2", "P2"], False),
        (["no", "yes", "no", "1"], False),
    ],
)
def test_numbers_in_another_spelling_are_warned(values: list[str], is_warned: bool) -> None:
    rows = [{"group": "", "covariates": {"dose": value}} for value in values]
    found = covariate_warnings(rows)
    assert [line.startswith("column dose: found ") and "levels; expected numbers" in line for line in found] == (
        [True] * is_warned
    )


def test_levels_and_groups_in_several_spellings_are_warned() -> None:
    groups = ("batch_2", "Batch 2", "batch_1", "batch-1", "control")
    treated = ("yes", "Yes", "no", "", "no")
    rows = [{"group": a, "covariates": {"treated": b}} for a, b in zip(groups, treated, strict=True)]
    told = ", which differ in case, spaces, - and _ only and are levels of their own; spell them alike if they are one"
    assert covariate_warnings(rows) == [
        f'column group: found "Batch 2" and "batch_2"; "batch-1" and "batch_1"{told}',
        f'column treated: found "Yes" and "yes"{told}',
    ]


def test_columns_without_two_sections_alike_are_warned() -> None:
    rows = [
        {"group": f"g{n}", "covariates": {"dose": f"{n} mg", "age": f"6{n}", "sex": "fm"[n % 2], "slide": f"V{n}"}}
        for n in range(4)
    ]
    (warning,) = covariate_warnings(rows)
    assert warning.startswith("columns dose, slide: no two sections have the same value, so that nothing is tested")
    assert not covariate_warnings(rows[:3]), "so few are not tested at all"


def test_decimal_commas_are_numbers_where_semicolons_separate(tmp_path: Path) -> None:
    sheet = "sample;section;group;dose;mixed;code\nA;a;1,5;0,5;1,5;1,5\nB;b;;-2;1.5;x\nC;c;;NA;2,5;\nD;d;;,25;;\n"
    found, problems = check(tmp_path, sheet)
    assert problems == [] and found[0]["group"] == "1,5"
    read = [list(row["covariates"].values()) for row in found]
    assert read == [["0.5", "1,5", "1,5"], ["-2", "1.5", "x"], ["NA", "2,5", ""], [".25", "", ""]]
    assert [line.partition(":")[0] for line in covariate_warnings(found)] == ["column mixed"]
    quoted, _ = check(tmp_path, 'sample,section,dose\nA1,a,"0,5"\n')
    assert quoted[0]["covariates"] == {"dose": "0,5"}, "a comma may stand between thousands here"


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("lables", "did you mean labels?"),
        ("label", "did you mean labels?"),
        ("smaple", "did you mean sample?"),
        ("domains", "did you mean n_domains?"),
        ("groups", "did you mean group?"),
        ("image_path", "did you mean image?"),
        ("bin_size", "not known"),
        ("age (years)", "expected letters, digits and _ in the name of a covariate"),
        ("2nd_stage", "expected letters, digits and _ in the name of a covariate"),
        ("n_spots", "expected letters, digits and _ in the name of a covariate"),
        ("x" * 51, "at most 50 of them"),
    ],
)
def test_a_column_that_is_no_covariate(tmp_path: Path, column: str, said: str) -> None:
    found, problems = check(tmp_path, f"sample,section,{column}\nA1,a,x\n")
    assert found == [] and len(problems) == 1
    assert problems[0].startswith(f"column {column}: ") and said in problems[0]


@pytest.mark.parametrize("value", ["x" * 201, "a\x07b"])
def test_values_that_are_no_covariate(tmp_path: Path, value: str) -> None:
    _, problems = check(tmp_path, f"sample,section,age\nA1,a,{value}\n")
    assert len(problems) == 1 and problems[0].startswith("row 2 (A1), column age: found ")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.csv", "sample,section,image,n_domains\nA1,a1,none,3\nB1,b 1,he.tif,4\n"),
        ("s.csv", b"\xef\xbb\xbfsample,section,image,n_domains\r\n\r\nA1,a1,none,3\r\n,,,\r\nB1,b 1,he.tif,4\r\n\r\n"),
        ("s.csv", ' Sample , "section" ,IMAGE,n_domains\n A1 , a1 , None ,3\n"B1","b 1",he.tif, 4 \n'),
        ("s.csv", "sample;section;image;n_domains\nA1;a1;none;3\nB1;b 1;he.tif;4\n"),
        ("s.csv", "section,n_domains,sample,image,\na1,3,A1,none,\nb 1,4.0,B1,he.tif,\n"),
        ("s.tsv", "sample\tsection\timage\tn_domains\nA1\ta1\tnone\t3\nB1\tb 1\the.tif\t4"),
        ("s.yaml", "- sample: A1\n  section: a1\n  image: none\n  n_domains: 3\n"
                   "- {sample: B1, section: b 1, image: he.tif, n_domains: 4, labels: null, group: ~}\n"),
        ("s.yml", "- {sample: A1, section: a1, image: NONE, n_domains: 3}\n"
                  "- {n_domains: '4', sample: B1, section: b 1, image: he.tif}"),
    ],
    ids=["plain", "bom-crlf-blank", "spaces-quotes-case", "semicolon", "order-trailing", "tsv", "yaml", "yml"],
)  # fmt: skip
def test_every_way_to_write_the_same_two_sections(tmp_path: Path, name: str, content: str | bytes) -> None:
    found, problems = check(tmp_path, content, name)
    assert problems == []
    assert [(row["id"], row["section"], row["image"], row["n_domains"]) for row in found] == [
        ("A1", "/data/a1", "none", 3),
        ("B1", "/data/b 1", "/data/he.tif", 4),
    ]


def test_a_quoted_path_may_hold_the_separator(tmp_path: Path) -> None:
    found, problems = check(tmp_path, 'sample,section\nA1,"a, b/outs"\n', n_domains=2)
    assert problems == [] and found[0]["section"] == "/data/a, b/outs"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_quoted_line_break_is_the_same_from_any_system(tmp_path: Path, end: str) -> None:
    lines = ["sample,section,site", 'A1,a1,"two', 'lines"', ""]
    (tmp_path / "sheet.csv").write_bytes(end.join(lines).encode())
    assert read_samplesheet(tmp_path / "sheet.csv").rows[0].cells["site"] == "two\nlines"


def test_names_that_yaml_would_change_stay_text(tmp_path: Path) -> None:
    found, problems = check(
        tmp_path, "- {sample: 007, section: no}\n- {sample: no, section: 1e3}", "s.yaml", n_domains=2
    )
    assert problems == [] and [row["id"] for row in found] == ["007", "no"]


@pytest.mark.parametrize(
    ("base", "value", "expected"),
    [
        ("/data", "a/outs", "/data/a/outs"),
        ("/data/", "./a/../b", "/data/b"),
        ("/data", "/other/a/", "/other/a"),
        ("/data", "s3://bucket/a/", "s3://bucket/a/"),
        ("s3://bucket/run", "a/outs", "s3://bucket/run/a/outs"),
        ("s3://bucket/run/", "../a", "s3://bucket/a"),
        ("gs://bucket", "a b/outs", "gs://bucket/a b/outs"),
        ("s3://bucket", "/data/a", "/data/a"),
    ],
)
def test_paths_are_joined_as_text(base: str, value: str, expected: str) -> None:
    assert join(base, value) == expected


def test_without_images_every_section_runs_without(tmp_path: Path) -> None:
    found, _ = check(tmp_path, "sample,section,image\nA1,a1,\nB1,b1,he.tif\n", n_domains=2, use_image=False)
    assert [row["image"] for row in found] == ["none", "none"]


HOSTILE_NAMES = ("..", "$(x)", "`x`", "a\tb", "a" * 101, "Pipeline_info", "multiqc_report_data", "Space")


@pytest.mark.parametrize("sample", ["a b", ".hidden", "-option", "a/b", "a'b", "ä", "a;b", *HOSTILE_NAMES])
def test_sample_names_that_cannot_be_file_names_are_refused(tmp_path: Path, sample: str) -> None:
    found, problems = check(tmp_path, f'sample,section\n"{sample}",a1\n', n_domains=2)
    assert found == [] and len(problems) == 1
    assert problems[0].startswith(f"row 2 ({sample}), column sample: found {show(sample)}, expected letters")


def test_a_repeated_sample_names_both_rows(tmp_path: Path) -> None:
    _, problems = check(tmp_path, "sample,section\nA1,a\nB1,b\n\na1,c\n", n_domains=2)
    assert len(problems) == 1
    assert problems[0].startswith('row 2 and row 5, column sample: found "A1" and "a1" in 2 rows')


@pytest.mark.parametrize(("correct_by", "refused"), [("group", True), ("sample", False)])
def test_a_group_that_is_the_name_of_a_sample_without_one(tmp_path: Path, correct_by: str, refused: bool) -> None:
    """Both would be corrected as one; sample C1 has a group."""
    content = "sample,section,group\nA1,a,\nB1,b,A1\nC1,c,x\nD1,d,C1\n"
    _, problems = check(tmp_path, content, scope="cohort", correct_by=correct_by)
    assert len(problems) == refused
    if refused:
        assert problems[0].startswith('row 3 (B1), column group: found "A1", which is the sample without one in row 2')


def test_every_problem_of_every_row_at_once(tmp_path: Path) -> None:
    content = "sample,section,n_domain,n_domains,bin_um\nA 1,a.h5,,1,\nB1,,,,8.5\n"
    content += "C1,c.zip,,x,\nD1,~/d,,3,\nE1,e,,3,,extra\n"
    found, problems = check(tmp_path, content)
    assert found == []
    assert sorted(line.split(":")[0] for line in problems) == sorted(
        [
            "column n_domain",
            "row 2 (A 1), column sample",
            "row 2 (A 1), column section",
            "row 2 (A 1), column n_domains",
            "row 3 (B1), column section",
            "row 3 (B1), column bin_um",
            "row 4 (C1), column section",
            "row 4 (C1), column n_domains",
            "row 6",
        ]
    )
    text = "\n".join(problems)
    assert "column n_domain: not known; did you mean n_domains?" in text
    assert 'found "8.5", expected a bin size in whole µm such as 2, 8 or 16, or cells' in text
    assert text.count("expected a Space Ranger outs folder, a .tar.gz of it, an .h5ad file or a SpatialData .zarr") == 3
    assert "row 6: found 6 values, expected 5" in text


@pytest.mark.parametrize("value", ["1", "101", "2.5", "seven", "-3"])
def test_numbers_of_domains_out_of_range(tmp_path: Path, value: str) -> None:
    _, problems = check(tmp_path, f"sample,section,n_domains\nA1,a,{value}\n", n_domains=5)
    assert len(problems) == 1 and "column n_domains" in problems[0] and "from 2 to 100" in problems[0]


def test_a_section_without_number_of_domains(tmp_path: Path) -> None:
    """The number is chosen later."""
    found, problems = check(tmp_path, "sample,section,n_domains\nA1,a,3\nB1,b,\n")
    assert problems == [] and [row["n_domains"] for row in found] == [3, None]


@pytest.mark.parametrize(("scope", "numbers"), [("cohort", [3, 5, 5]), ("section", [3, 6, 5])])
def test_in_a_cohort_the_column_goes_before_the_parameter(tmp_path: Path, scope: str, numbers: list[int]) -> None:
    """The cohort gets the largest number of its sections: 5, not 6."""
    content = "sample,section,n_domains\nA1,a,3\nB1,b,\nC1,c,5\n"
    found, problems = check(tmp_path, content, scope=scope, n_domains=6)
    assert problems == [] and [row["n_domains"] for row in found] == numbers
    found, _ = check(tmp_path, "sample,section\nA1,a\n", scope=scope, n_domains=6)
    assert found[0]["n_domains"] == 6


@pytest.mark.parametrize("name", ["$HOME", "{a,b}", "st*r", "a?", "a[1]", "a$$b", "a$1"])
def test_a_path_that_cannot_be_brought_to_a_task(tmp_path: Path, name: str) -> None:
    """It is a problem of this section alone."""
    found, problems = check(tmp_path, f'sample,section\nA1,"{name}"\nB1,it\'s (1) & `b`; $(c) #2\n')
    assert problems == [] and found[1]["problem"] == ""
    assert found[0]["problem"].startswith("column section: found ") and name in found[0]["problem"]
    assert found[0]["problem"].endswith("expected a path without *?[]{}, $NAME and line breaks; rename it")


def test_a_missing_column_is_one_problem(tmp_path: Path) -> None:
    _, problems = check(tmp_path, "sample,sections\nA1,a\nB1,b\n", n_domains=2)
    assert problems == [
        "column sections: not known; did you mean section?",
        "column section: missing, expected in every samplesheet; add it",
    ]


@pytest.mark.parametrize(("name", "content"), [("s.csv", ""), ("s.csv", "sample,section\n\n"), ("s.yaml", "")])
def test_a_samplesheet_without_rows(tmp_path: Path, name: str, content: str) -> None:
    assert "found no rows" in check(tmp_path, content, name)[1][0]


def test_a_column_named_twice(tmp_path: Path) -> None:
    _, problems = check(tmp_path, "sample,section,image,image\nA1,a,x,y\n", n_domains=2)
    assert problems == ["column image: named 2 times, expected once; remove one"]


def test_a_value_below_no_column_name(tmp_path: Path) -> None:
    _, problems = check(tmp_path, "sample,section,\nA1,a,x\n", n_domains=2)
    assert len(problems) == 1 and problems[0].startswith('row 2: found "x" in a column without a name')


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("s.csv", "sample,section\n".encode("utf-16"), "save it as CSV UTF-8"),
        (
            "s.csv.gz",
            b"\x1f\x8b\x08\x00",
            "found a compressed file, or one of Excel: unpack it, or save it as CSV UTF-8",
        ),
        ("s.yaml", b"- sample: [A1", "YAML"),
        ("s.yaml", b"sample: A1\nsection: a", "YAML list"),
        ("s.yaml", b"- sample: A1\n  section: a\n  sample: B1", "found the key sample for the second time in line 3"),
    ],
)
def test_files_that_are_no_samplesheet(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(EfnstError, match=said):
        check(tmp_path, content, name)


def test_a_yaml_entry_that_is_no_mapping(tmp_path: Path) -> None:
    _, problems = check(tmp_path, "- A1\n- {sample: B1, section: b}", "s.yaml", n_domains=2)
    assert len(problems) == 1 and problems[0].startswith('entry 1: found "A1"')


def test_a_yaml_entry_with_a_column_written_in_two_ways(tmp_path: Path) -> None:
    _, problems = check(tmp_path, "- {sample: A1, section: a, Section: b}", "s.yaml", n_domains=2)
    assert problems == ["entry 1: found a column twice among sample, section, Section; name each once"]


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match="no readable file"):
        read_samplesheet(tmp_path / "absent.csv")
