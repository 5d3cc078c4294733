"""Arrays in files that others read."""

import os
from pathlib import Path

import numpy as np
import pytest

from efnst.program.tensors import read_tensors, write_tensors


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o007, 0o660)])
def test_the_umask_says_who_may_read_arrays(umask: int, mode: int, tmp_path: Path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3).T, "b": np.array([1, 2])}
    before = os.umask(umask)
    try:
        write_tensors(tmp_path / "some.safetensors", arrays)
    finally:
        os.umask(before)
    assert (tmp_path / "some.safetensors").stat().st_mode & 0o777 == mode
    found = read_tensors(tmp_path / "some.safetensors")
    assert found.keys() == arrays.keys() and all((found[name] == arrays[name]).all() for name in arrays)
