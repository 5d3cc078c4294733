"""Bins of Visium HD, and cells, summed into the units that are analysed."""

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from efnst.geometry.grid import IRREGULAR, SQUARE, believed_array
from efnst.geometry.units import Units, choose_units, reason
from efnst.inputs.positions import ARRAY_COLUMNS
from efnst.names import LABEL, LATTICE, N_BINS, SECTION, SPATIAL, UNIT


def pool(section: AnnData, wanted: str) -> tuple[AnnData, AnnData | None]:
    """`section` by units, and its bins or cells; spots of Visium are units as they are, and have no bins.

    `wanted` is the width of a unit in µm, or `auto` (`geometry.units.choose_units`). Of a unit's bins, counts are
    summed, positions and features averaged, and the label is the commonest; `obs` has their number. The bins get the
    number of their unit in `obs` and, in `obsm`, their place in steps of the units' lattice.
    """
    facts = section.uns[SECTION]
    bin_um = float(facts["bin_um"])
    if not bin_um and facts["grid"] != IRREGULAR:
        return section, None
    units = choose_units(_corners_um(section), np.asarray(section.X.sum(1)).ravel(), bin_um, wanted)
    why = {"unit_um": units.unit_um, "unit_reason": reason(units, wanted), "n_bins": section.n_obs}
    section.uns[SECTION] = facts | why
    if units.unit_um == bin_um:
        return section, None
    pooled = _summed(section, units)
    pitch_px = units.unit_um / float(facts["um_per_px"])
    pooled.uns[SECTION] = facts | why | {"grid": SQUARE, "pitch_px": pitch_px, "spot_diameter_px": pitch_px}
    section.obs[UNIT] = units.of_bin
    section.obsm[LATTICE] = units.bins
    return pooled, section


def _corners_um(section: AnnData) -> np.ndarray:
    """The first corner of each bin, the centre of each cell, float64 [n_bins, 2], row before column.

    Of bins by their array, as far as it puts them where they lie.
    """
    facts, xy = section.uns[SECTION], np.asarray(section.obsm[SPATIAL], float)
    bin_um, array = float(facts["bin_um"]), section.obs[ARRAY_COLUMNS].to_numpy()
    if bin_um and believed_array(xy, array, float(facts["pitch_px"])):
        return array * bin_um
    return xy[:, ::-1] * float(facts["um_per_px"]) - bin_um / 2


def _summed(section: AnnData, units: Units) -> AnnData:
    """The units: counts summed, the rest averaged."""
    n_units, n_bins = len(units.place), section.n_obs
    member = sparse.csr_array((np.ones(n_bins, np.int32), (units.of_bin, np.arange(n_bins))), (n_units, n_bins))
    size = np.bincount(units.of_bin, minlength=n_units)
    names = [f"unit_{units.unit_um:03g}um_{row:05d}_{column:05d}" for row, column in units.place]
    obs = {"array_row": units.place[:, 0], "array_col": units.place[:, 1], UNIT: np.arange(n_units), N_BINS: size}
    counts = sparse.csr_matrix(member @ sparse.csr_array(section.X))
    pooled = AnnData(counts, pd.DataFrame(obs, index=names), section.var.copy())
    for name, values in section.obsm.items():
        pooled.obsm[name] = ((member @ np.asarray(values, np.float64)) / size[:, None]).astype(values.dtype)
    if LABEL in section.obs:
        pooled.obs[LABEL] = commonest(section.obs[LABEL], units.of_bin, n_units)
    return pooled


def commonest(labels: pd.Series, of_bin: np.ndarray, n_units: int) -> pd.Categorical:
    """The commonest label of each unit's labelled bins, the first in order on a tie; missing where none has one."""
    codes, categories = labels.cat.codes.to_numpy(), labels.cat.categories
    known = codes >= 0
    votes = np.zeros((n_units, len(categories)), np.int32)
    np.add.at(votes, (of_bin[known], codes[known]), 1)
    return pd.Categorical.from_codes(np.where(votes.any(1), votes.argmax(1), -1), categories)
