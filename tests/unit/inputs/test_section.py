"""Matrix, positions and tissue of a section put together."""

import numpy as np
import pandas as pd
import pytest

from efnst.errors import EfnstError
from efnst.inputs.section import rows_in_tissue


def positions(in_tissue: list[int], prefix: str = "S") -> pd.DataFrame:
    """Positions of spots named S0, S1, …"""
    return pd.DataFrame({"in_tissue": in_tissue}, index=[f"{prefix}{i}" for i in range(len(in_tissue))])


def test_rows_keep_the_order_of_the_matrix_and_are_joined_on_the_barcode() -> None:
    rows, warnings = rows_in_tissue(np.array(["S3", "S0", "S2", "S1"]), positions([1, 0, 1, 1]), is_filtered=False)
    assert rows.tolist() == [0, 1, 2] and warnings == []


def test_matrix_and_positions_without_a_common_barcode() -> None:
    with pytest.raises(EfnstError, match=r"found 0 of 2 \(matrix T0, positions S0\): the two files are of different"):
        rows_in_tissue(np.array(["T0", "T1"]), positions([1, 1]), is_filtered=True)


def test_matrix_and_positions_with_less_than_half_in_common() -> None:
    with pytest.raises(EfnstError, match=r"found 2 of 5"):
        rows_in_tissue(np.array(["S0", "S1", "T2", "T3", "T4"]), positions([1, 1, 1]), is_filtered=True)


def test_the_tissue_of_another_section_on_the_same_barcodes() -> None:
    with pytest.raises(EfnstError, match=r"filtered matrix to be in tissue, found 1 of 3"):
        rows_in_tissue(np.array(["S0", "S1", "S2"]), positions([1, 0, 0, 1, 1]), is_filtered=True)


def test_small_losses_are_warnings() -> None:
    _, warnings = rows_in_tissue(np.array(["S0", "S1", "S2", "T0"]), positions([1, 1, 0, 1]), is_filtered=True)
    assert warnings == [
        "1 of 4 barcodes of the matrix have no position.",
        "1 of 4 barcodes of the filtered matrix are not in tissue.",
        "1 of 3 spots in tissue are not in the matrix.",
    ]


def test_no_spot_in_tissue() -> None:
    with pytest.raises(EfnstError, match=r"Expected spots in tissue, found none: 0 of 2 positions"):
        rows_in_tissue(np.array(["S0", "S1"]), positions([0, 0]), is_filtered=True)
