"""Arrays of the report come back as they went in."""

import base64
import gzip

import numpy as np
import pytest

from efnst.reports.packing import MISSING_LEVEL, packed, packed_indices, packed_levels, packed_text


def content(found: dict) -> np.ndarray:
    return np.frombuffer(gzip.decompress(base64.b64decode(found["data"])), "<" + found["kind"])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32])
def test_arrays(kind: type) -> None:
    values = np.array([0, 1, np.iinfo(kind).max], kind)
    np.testing.assert_array_equal(content(packed(values)), values)
    assert packed(values) == packed(values)


def test_whole_numbers_are_exact_and_others_close() -> None:
    whole = packed_levels(np.array([3.0, np.nan, 65_537]))
    assert (whole["least"], whole["step"], content(whole).tolist()) == (3, 1, [0, MISSING_LEVEL, 65_534])
    values = np.random.default_rng(0).normal(size=1000)
    found = packed_levels(values)
    np.testing.assert_allclose(found["least"] + content(found) * found["step"], values, atol=np.ptp(values) / 130_000)
    assert packed_levels(np.array([np.nan]))["step"] == 1


def test_indices_are_differences_and_text_is_lines() -> None:
    assert np.cumsum(content(packed_indices(np.array([[5, 6], [-1, 9]])))).tolist() == [5, 6, -1, 9]
    lines = ["AAC-1", "ä</script>"]
    assert gzip.decompress(base64.b64decode(packed_text(lines)["data"])).decode().split("\n") == lines
