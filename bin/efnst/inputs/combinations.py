"""Parameters that contradict each other or the samplesheet."""

from efnst.program.parameters import show


def combination_problems(parameters: dict, usual: dict, rows: list[dict]) -> list[str]:
    """One line for each parameter that cannot be followed beside the others or with these sections.

    `parameters` are sound by themselves and have their defaults, `usual`; `rows` are those of sections.json, none where
    they are not known.
    """
    given = {name: value for name, value in parameters.items() if value != usual.get(name)}
    problems = _of_links(parameters)
    if "reference" in given:
        return problems
    if parameters["scope"] == "cohort":
        return problems + _of_cohort(given, rows)
    if parameters["learn_labels"]:
        problems.append(
            "parameter --learn_labels: found true with --scope section, expected --scope cohort, in which the labels "
            "of some sections name the others; give it, or leave --learn_labels out"
        )
    return problems


def group_warnings(parameters: dict, rows: list[dict]) -> list[str]:
    """One line where several sections of a cohort are all of one group, so that no differences are taken out."""
    is_cohort = parameters["scope"] == "cohort" and not parameters.get("reference")
    groups = {row["group"] or row["id"] for row in rows}
    if not is_cohort or parameters["correct_by"] != "group" or len(rows) < 2 or len(groups) > 1:
        return []
    return [
        f"parameter --correct_by: found group and one group, {show(*groups)}, for all {len(rows)} sections: no "
        "differences between them are taken out; give sample to take them out, or none where there are none"
    ]


def _of_links(parameters: dict) -> list[str]:
    """Where results would be links to files that are removed."""
    mode = parameters["publish_dir_mode"]
    if not parameters["cleanup"] or mode not in ("symlink", "rellink"):
        return []
    return [
        f"parameter --publish_dir_mode: found {show(mode)} with --cleanup, which removes the files that such links "
        "lead to, expected copy, copyNoFollow or link; give one of these, or leave --cleanup out"
    ]


def _of_cohort(given: dict, rows: list[dict]) -> list[str]:
    """The same, of sections that share their domains."""
    problems = []
    if "clustering" in given:
        problems.append(
            f"parameter --clustering: found {show(given['clustering'])} with --scope cohort, expected mixture, the "
            "only way to domains that sections share; leave it out"
        )
    if "expression_rep" in given:
        problems.append(
            f"parameter --expression_rep: found {show(given['expression_rep'])} with --scope cohort, expected --scope "
            "section, as sections share components of their counts; leave one of the two out"
        )
    if "learn_labels" in given and rows and not any(row["labels"] for row in rows):
        problems.append(
            "parameter --learn_labels: found true and no section with labels, expected a file in the column labels of "
            "at least one; fill it, or leave --learn_labels out"
        )
    return problems
