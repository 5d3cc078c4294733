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

    A set may be empty; lines that begin with # and hold no genes are comments. Raises EfnstError where another line
    holds no set, none has genes, or two sets of one name differ.
    """
    sets, first = {}, (0, "")
    for number, line in enumerate(io.StringIO(document_text(path, MAX_BYTES), newline=None), start=1):
        name, *rest = (cell.strip() for cell in line.split("\t"))
        genes = list(dict.fromkeys(gene for cell in rest[1:] if (gene := cell.partition(",")[0].strip())))
        if not line.strip() or (name.startswith("#") and not genes):
            continue
        if not name or len(name) > LONGEST_NAME or not rest or not name.isprintable():
            raise _no_set(path, number, line)
        if set(sets.setdefault(name, genes)) != set(genes):
            raise EfnstError(
                f"Expected every gene set once in {path.name}, found {name} with other genes in line {number}: "
                "rename it."
            )
        first = first if first[0] else (number, line)
    if not 0 < len(sets) <= MAX_SETS:
        raise EfnstError(
            f"Expected 1 to {MAX_SETS} gene sets in {path.name}, found {len(sets)}: give those of interest."
        )
    if not any(sets.values()):
        raise _no_set(path, *first)
    return sets


def _no_set(path: Path, number: int, line: str) -> EfnstError:
    """The error for a line that holds no set."""
    return EfnstError(
        f"Expected a name, a description and genes, separated by tabs, in each line of {path.name}, found "
        f"{line.strip()[:60]!r} in line {number}: give gene sets as GMT."
    )
