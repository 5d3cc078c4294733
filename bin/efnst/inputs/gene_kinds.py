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
    by_symbol = {kind: _those(pattern.fullmatch, names) for kind, pattern in SYMBOLS.items()}
    if any(found.any() for found in by_symbol.values()):
        return by_symbol
    return {kind: _those(known.__contains__, ids) for kind, known in GENE_IDS.items()}


def _those(is_one: Callable[[str], object], names: np.ndarray) -> np.ndarray:
    """The names, in capitals and without reference and version, for which `is_one` is true, bool [n]."""
    return np.fromiter((bool(is_one(plain_name(name))) for name in names), bool, len(names))


def plain_name(name: object) -> str:
    """A symbol or id in capitals, without the reference in front and the version behind."""
    return re.sub(f"^{ENSEMBL}$", r"\1", re.sub(REFERENCE, "", str(name).upper()))


def unrecognised(names: np.ndarray, ids: np.ndarray) -> list[str]:
    """A warning where genes are named by Ensembl ids and none of any kind is known."""
    is_id = _those(re.compile(ENSEMBL).fullmatch, names)
    if not len(names) or is_id.mean() < 0.5 or any(found.any() for found in genes_of_kinds(names, ids).values()):
        return []
    return [
        f"The genes are named by Ensembl ids such as {names[int(is_id.argmax())]}, and none of them is a "
        "mitochondrial, ribosomal or haemoglobin gene of man or mouse: their percentages are 0 in any tissue. Give "
        "gene symbols."
    ]
