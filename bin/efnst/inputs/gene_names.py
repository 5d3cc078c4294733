"""Symbols and identifiers of genes as they are compared: a genome in front and a version behind tell no two apart."""

import re
from functools import lru_cache

import numpy as np
import pandas as pd

GENOME = re.compile(r"^(?:(?:GRC[a-z]|hg|mm|rn)\d+[a-z]?(?:\.p\d+)?|human|mouse)[_-]+", re.IGNORECASE)  # of mixed ones
ENSEMBL = re.compile(r"(?:[\w.-]+[_-])?(ENS[A-Z]*G\d{6,})(?:\.\d+)?(_PAR_Y)?", re.IGNORECASE)


@lru_cache(maxsize=2**18)
def plain_name(name: str) -> str:
    """`ENSG00000075624` of `GRCh38_ENSG00000075624.17`, `Actb` of `mm10___Actb`; other names as they are."""
    found = ENSEMBL.fullmatch(name)
    return "".join(filter(None, found.groups())) if found else GENOME.sub("", name)


def plain_names(names: np.ndarray | pd.Index | pd.Series, otherwise: np.ndarray | None = None) -> np.ndarray:
    """Names as they are compared, text [n_genes]; those that become one are `otherwise` [n_genes], or as they are."""
    plain = pd.Series([plain_name(str(name)) for name in names], dtype=object)
    return np.where(plain.duplicated(keep=False), names if otherwise is None else otherwise, plain)
