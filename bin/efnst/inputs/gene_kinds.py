"""Mitochondrial, ribosomal and haemoglobin genes, recognised by symbol or by Ensembl id."""

import re
from collections.abc import Callable

import numpy as np

from efnst.inputs.gene_ids import GENE_IDS
from efnst.inputs.gene_names import ENSEMBL, plain_name

# Symbols in capitals, of human and mouse; R writes dots for hyphens. Not RPS6KA1 (a kinase), nor HBEGF and HBS1L.
SYMBOLS = {
    "mt": re.compile(r"MT[-.].+"),
    "ribo": re.compile(r"RP[SL](?!6K).+"),
    "hb": re.compile(r"HB[ABDEGMQZ](\d+[A-Z]?|[-.][A-Z0-9]+)?"),
}
KINDS = {"mt": "mitochondrial", "ribo": "ribosomal", "hb": "haemoglobin"}


def genes_of_kinds(names: np.ndarray, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Which genes, bool [n_genes], are of each of the `KINDS`, by their symbols, or by their ids where no symbol is."""
    by_symbol = _those({kind: pattern.fullmatch for kind, pattern in SYMBOLS.items()}, names)
    if any(found.any() for found in by_symbol.values()):
        return by_symbol
    return _those({kind: known.__contains__ for kind, known in GENE_IDS.items()}, ids)


def _those(tests: dict[str, Callable[[str], object]], names: np.ndarray) -> dict[str, np.ndarray]:
    """For each test the names, in capitals and as they are compared, for which it is true, bool [n]."""
    plain = [plain_name(str(name)).upper() for name in names]
    return {kind: np.fromiter((bool(test(name)) for name in plain), bool, len(plain)) for kind, test in tests.items()}


def unrecognised(names: np.ndarray, ids: np.ndarray) -> list[str]:
    """A warning where genes are named by Ensembl ids and none of any kind is known."""
    is_id = _those({"id": ENSEMBL.fullmatch}, names)["id"]
    if not len(names) or is_id.mean() < 0.5 or any(found.any() for found in genes_of_kinds(names, ids).values()):
        return []
    return [
        f"The genes are named by Ensembl ids such as {names[int(is_id.argmax())]}, and none of them is a "
        "mitochondrial, ribosomal or haemoglobin gene of man or mouse: their percentages are not known. Give gene "
        "symbols."
    ]
