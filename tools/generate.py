#!/usr/bin/env python3
"""Write the files, and the parts of files, that are made from others: `./efnst generate`.

The parameters come from nextflow_schema.json, the version from manifest.version in nextflow.config, the tables of the
files between the steps from bin/efnst/records/.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bin"))

from efnst.program import parameters
from efnst.program.cli import options_of, parameters_of_all
from efnst.program.parameters import defaults, groups, help_text, markdown_table, read_schema
from efnst.records.markdown import file_tables

PROJECT = Path(__file__).resolve().parents[1]
SCHEMA = Path("nextflow_schema.json")
VERSION = '''"""The library that efnst's programs share."""

import os

# No library reports to its makers, as onnxruntime does unless this stands before it is imported.
os.environ |= {{"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}}

__version__ = "{number}"  # written by `./efnst generate` from manifest.version in nextflow.config
'''
# so that 190 and "190", or false and "false", are the same to -resume
AS_TEXT = ".collectEntries { name, value -> [name, value?.toString()] }"
CONFIG = """// Written by `./efnst generate` from nextflow_schema.json: all defaults, and what each program is given.
params {{
{params}
}}

process {{
{blocks}}}
"""
Made = Callable[[Path], str]  # from the project's folder to the whole text of the file


def version(project: Path) -> str:
    """bin/efnst/__init__.py with the version of the manifest."""
    config = (project / "nextflow.config").read_text(encoding="utf-8")
    number = re.search(r"^ *version = '(.+)'$", config, re.MULTILINE).group(1)
    return VERSION.format(number=number)


def library_schema(project: Path) -> str:
    """The schema of the parameters, verbatim: of the project only bin/ is sure to reach a task."""
    return (project / SCHEMA).read_text(encoding="utf-8")


def parameters_config(project: Path) -> str:
    """conf/parameters.config: the defaults of all parameters, and which of them each process gives its program."""
    schema = read_schema(project / SCHEMA)
    preset = defaults(schema)
    lines = [f"    {name} = {groovy(preset.get(name))}" for group in groups(schema) for name in group["properties"]]
    blocks = [
        f"    withName: {process} {{\n        ext.parameters = {{ params.subMap({groovy(names)}){AS_TEXT} }}\n    }}\n"
        for process, names in process_parameters(project).items()
    ]
    return CONFIG.format(params="\n".join(lines), blocks="\n".join(blocks))


def process_parameters(project: Path) -> dict[str, list[str]]:
    """The parameters that the program of each process takes, but for those that every section has its own of."""
    columns = read_schema(project / "assets" / "samplesheet_schema.json")["items"]["properties"]
    found = {}
    for module in sorted((project / "modules" / "local").glob("*/main.nf")):
        program = project / "bin" / f"{module.parent.name}.py"
        names = parameters_of_all(options_of(import_module(program.stem).main)) if program.exists() else []
        if names:
            found[module.parent.name.upper()] = [name for name in names if name not in columns]
    return found


def groovy(value: object) -> str:
    """A value as Nextflow's configuration writes it."""
    if isinstance(value, list):
        items = ",\n".join(f"            {groovy(item)}" for item in value)
        return f"[\n{items},\n        ]"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return json.dumps(value)


def help_page(project: Path) -> str:
    """What `--help` prints: Nextflow shows it without Python."""
    usage = "Usage: nextflow run main.nf --input samplesheet.csv --outdir results [options]"
    return f"{usage}\n\n{help_text(read_schema(project / SCHEMA))}"


def usage(project: Path) -> str:
    """docs/usage.md with its tables of parameters."""
    return between(project / "docs" / "usage.md", "parameters", markdown_table(read_schema(project / SCHEMA)))


def architecture(project: Path) -> str:
    """docs/architecture.md with its tables of the files between the steps."""
    return between(project / "docs" / "architecture.md", "files", file_tables())


def between(path: Path, name: str, content: str) -> str:
    """The text of a Markdown file with `content` between its lines `<!-- NAME: … -->` and `<!-- end of NAME -->`."""
    text = path.read_text(encoding="utf-8")
    start, end = re.search(rf"^<!-- {name}: .*-->\n", text, re.MULTILINE), f"<!-- end of {name} -->\n"
    return f"{text[: start.end()]}\n{content}\n{text[text.index(end, start.end()) :]}"


GENERATED: dict[str, Made] = {
    "bin/efnst/__init__.py": version,
    "bin/efnst/program/nextflow_schema.json": library_schema,
    "conf/parameters.config": parameters_config,
    "assets/help.txt": help_page,
    "docs/architecture.md": architecture,
    "docs/usage.md": usage,
}


def stale(project: Path) -> dict[str, str]:
    """The files that are not what they should be, and what they should be."""
    made = {name: make(project) for name, make in GENERATED.items()}
    paths = {name: project / name for name in made}
    return {
        name: text
        for name, text in made.items()
        if not paths[name].exists() or paths[name].read_text(encoding="utf-8") != text
    }


def main() -> None:
    """Write what is stale, or with --check only name it and end with status 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where something is stale")
    check = parser.parse_args().check
    parameters.LIBRARY_SCHEMA = PROJECT / SCHEMA  # the library's own copy may be stale
    found = stale(PROJECT)
    for name, text in found.items():
        print(f"{name} {'is stale: run ./efnst generate' if check else 'written'}")
        if not check:
            (PROJECT / name).write_text(text, encoding="utf-8")
    sys.exit(1 if check and found else 0)


if __name__ == "__main__":
    main()
