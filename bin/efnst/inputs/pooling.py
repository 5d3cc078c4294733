"""Bins of Visium HD, and cells, summed into the units that are analysed."""

from dataclasses import dataclass

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
    summed, features averaged, and the label is the commonest; `obs` has their number. A unit lies in the middle of its
    square, wherever in it its bins or cells are. These get the number of their unit in `obs` and, in `obsm`, their
    place in steps of the units' lattice.
    """
    facts = section.uns[SECTION]
    bin_um = float(facts["bin_um"])
    if not bin_um and facts["grid"] != IRREGULAR:
        return section, None
    plane = _plane(section)
    units = choose_units(plane.middles_um - bin_um / 2, np.asarray(section.X.sum(1)).ravel(), bin_um, wanted)
    why = {"unit_um": units.unit_um, "unit_reason": reason(units, wanted), "n_bins": section.n_obs}
    section.uns[SECTION] = facts | why
    if units.unit_um == bin_um:
        return section, None
    pooled = _summed(section, units)
    pooled.obsm[SPATIAL] = (units.place + 0.5) * units.unit_um @ plane.px_per_um + plane.origin_px
    pitch_px = units.unit_um / float(facts["um_per_px"])
    pooled.uns[SECTION] = facts | why | {"grid": SQUARE, "pitch_px": pitch_px, "spot_diameter_px": pitch_px}
    section.obs[UNIT] = units.of_bin
    section.obsm[LATTICE] = units.bins
    return pooled, section


@dataclass(frozen=True)
class _Plane:
    """The plane that units are squares of, and where that lies in px.

    `middles_um` float64 [n_bins, 2] are row and column of the middle of each bin or cell; x and y in full-resolution px
    are row and column in µm @ `px_per_um` + `origin_px`.
    """

    middles_um: np.ndarray
    px_per_um: np.ndarray
    origin_px: np.ndarray


def _plane(section: AnnData) -> _Plane:
    """That of the bins' array, as far as it puts them where they lie, else that of the pixels."""
    facts, xy = section.uns[SECTION], np.asarray(section.obsm[SPATIAL], float)
    bin_um, array = float(facts["bin_um"]), section.obs[ARRAY_COLUMNS].to_numpy()
    fit = believed_array(xy, array, float(facts["pitch_px"])) if bin_um else None
    if fit:
        return _Plane((array + 0.5) * bin_um, fit.steps / bin_um, fit.origin - fit.steps.sum(0) / 2)
    um_per_px = float(facts["um_per_px"])
    return _Plane(xy[:, ::-1] * um_per_px, np.eye(2)[::-1] / um_per_px, np.zeros(2))


def _summed(section: AnnData, units: Units) -> AnnData:
    """The units, but for where they lie: counts summed, the rest averaged."""
    n_units, n_bins = len(units.place), section.n_obs
    member = sparse.csr_array((np.ones(n_bins, np.int32), (units.of_bin, np.arange(n_bins))), (n_units, n_bins))
    size = np.bincount(units.of_bin, minlength=n_units)
    names = [f"unit_{units.unit_um:03g}um_{row:05d}_{column:05d}" for row, column in units.place]
    obs = {"array_row": units.place[:, 0], "array_col": units.place[:, 1], UNIT: np.arange(n_units), N_BINS: size}
    counts = sparse.csr_matrix(member @ sparse.csr_array(section.X))
    pooled = AnnData(counts, pd.DataFrame(obs, index=names), section.var.copy())
    for name, values in section.obsm.items():
        if name == SPATIAL:
            continue
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
