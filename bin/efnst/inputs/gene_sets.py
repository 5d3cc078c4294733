"""Gene sets as MSigDB, Enrichr and decoupler write them: GMT, one set in each line."""

import io
from pathlib import Path

from efnst.errors import EfnstError
from efnst.program.documents import document_text

MAX_BYTES = 100_000_000  # all of MSigDB has 25 MB
MAX_SETS = 10_000  # each of them becomes a row for every domain; Gene Ontology's processes are 7,700
LONGEST_NAME = 200  # characters


def read_gene_sets(path: Path) -> dict[str, list[str]]:
    """The genes of each set of a GMT file: name, description and genes, separated by tabs; weights are passed over.

    Raises EfnstError where a line holds no set, or two sets have one name.
    """
    sets = {}
    for number, line in enumerate(io.StringIO(document_text(path, MAX_BYTES), newline=None), start=1):
        if not line.strip():
            continue
        name, *rest = (cell.strip() for cell in line.split("\t"))
        genes = [gene for cell in rest[1:] if (gene := cell.partition(",")[0].strip())]
        if not name or len(name) > LONGEST_NAME or not genes or not name.isprintable():
            raise EfnstError(
                f"Expected a name, a description and genes, separated by tabs, in each line of {path.name}, found "
                f"{line.strip()[:60]!r} in line {number}: give gene sets as GMT."
            )
        if name in sets:
            raise EfnstError(
                f"Expected every gene set once in {path.name}, found {name} again in line {number}: rename it."
            )
        sets[name] = list(dict.fromkeys(genes))
    if not 0 < len(sets) <= MAX_SETS:
        raise EfnstError(
            f"Expected 1 to {MAX_SETS} gene sets in {path.name}, found {len(sets)}: give those of interest."
        )
    return sets
