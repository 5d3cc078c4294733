"""Files of a Space Ranger folder, and its table of positions, for tests."""

from pathlib import Path

import pandas as pd

from efnst.simulation.space_ranger import LIST_FILE, POSITION_COLUMNS

MATRIX = "filtered_feature_bc_matrix.h5"
HIRES = Path("spatial") / "tissue_hires_image.png"
SCALE = Path("spatial") / "scalefactors_json.json"


def positions_of(outs: Path) -> pd.DataFrame:
    """The positions table by barcode, whichever version wrote it."""
    path = next((outs / "spatial").glob("tissue_positions*.csv"))
    header = None if path.name == LIST_FILE else 0
    return pd.read_csv(path, header=header, names=POSITION_COLUMNS, index_col="barcode")
