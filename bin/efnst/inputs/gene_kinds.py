"""Mitochondrial, ribosomal and haemoglobin genes, recognised by symbol or by Ensembl id."""

import re
from collections.abc import Callable

import numpy as np

from efnst.inputs.gene_ids import GENE_IDS

REFERENCE = r"^(?:GRCH\d+|GRCM\d+|HG\d+|MM\d+|HUMAN|MOUSE)[_-]+"  # in front where two genomes were mixed
# Symbols in capitals, of human and mouse; R writes dots for hyphens. Not RPS6KA1 (a kinase), nor HBEGF and HBS1L.
SYMBOLS = {
    "mt": re.compile(r"MT[-.].+"),
    "ribo": re.compile(r"RP[SL](?!6K).+"),
    "hb": re.compile(r"HB[ABDEGMQZ](\d+[A-Z]?|[-.][A-Z0-9]+)?"),
}
KINDS = {"mt": "mitochondrial", "ribo": "ribosomal", "hb": "haemoglobin"}
ENSEMBL = r"(ENS[A-Z]*G\d{11})(\.\d+)?"


def genes_of_kinds(names: np.ndarray, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Which genes, bool [n_genes], are of each of the `KINDS`, by their symbols, or by their ids where no symbol is."""
    by_symbol = _those({kind: pattern.fullmatch for kind, pattern in SYMBOLS.items()}, names)
    if any(found.any() for found in by_symbol.values()):
        return by_symbol
    return _those({kind: known.__contains__ for kind, known in GENE_IDS.items()}, ids)


def _those(tests: dict[str, Callable[[str], object]], names: np.ndarray) -> dict[str, np.ndarray]:
    """For each test the names, in capitals and without reference and version, for which it is true, bool [n]."""
    plain = [plain_name(name) for name in names]
    return {kind: np.fromiter((bool(test(name)) for name in plain), bool, len(plain)) for kind, test in tests.items()}


def plain_name(name: object) -> str:
    """A symbol or id in capitals, without the reference in front and the version behind."""
    return re.sub(f"^{ENSEMBL}$", r"\1", re.sub(REFERENCE, "", str(name).upper()))


def unrecognised(names: np.ndarray, ids: np.ndarray) -> list[str]:
    """A warning where genes are named by Ensembl ids and none of any kind is known."""
    is_id = _those({"id": re.compile(ENSEMBL).fullmatch}, names)["id"]
    if not len(names) or is_id.mean() < 0.5 or any(found.any() for found in genes_of_kinds(names, ids).values()):
        return []
    return [
        f"The genes are named by Ensembl ids such as {names[int(is_id.argmax())]}, and none of them is a "
        "mitochondrial, ribosomal or haemoglobin gene of man or mouse: their percentages are 0 in any tissue. Give "
        "gene symbols."
    ]
