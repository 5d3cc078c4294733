"""Which image components join the inputs."""

import numpy as np

from efnst.embedding.image_fusion import structured_components


def test_structured_components_leave_out_noise_and_what_only_overlap_makes_alike() -> None:
    side = 40
    positions = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2).astype(float)
    random = np.random.default_rng(0)
    smooth = np.sin(positions[:, 0] / 6)
    noise = random.standard_normal(side * side)
    white = random.standard_normal((side, side))
    overlap = sum(np.roll(white, shift, (0, 1)) for shift in np.ndindex(5, 5))  # patches 5 wide share this
    image = np.column_stack([noise, smooth, overlap.ravel()]).astype(np.float32)
    found = structured_components(image, positions, 1.0, 4.9).of(image)
    assert found.shape == (side * side, 1)
    assert abs(np.corrcoef(found[:, 0], smooth)[0, 1]) > 0.999
    assert 0.5 < found.std() < 1, "standard deviation is Moran's I"
    assert len(structured_components(image, positions, 1.0, 0.0).columns) == 2, "patches that do not overlap"
