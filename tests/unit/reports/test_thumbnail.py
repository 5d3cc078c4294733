"""The thumbnail of a section."""

from pathlib import Path

import anndata
import numpy as np
from PIL import Image
from tests.support.described import with_image

from efnst.palette import domain_colour
from efnst.reports.maps import read_picture, section_view
from efnst.reports.thumbnail import THUMBNAIL_BYTES, save_thumbnail


def test_thumbnail_is_small_and_shows_both_halves(data: anndata.AnnData, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    with_image(data, source="hires", file="noise.png", scale=1.0, width=300, height=300)
    picture = read_picture(data, tmp_path, None)
    view = section_view(data, picture)
    codes, colours = data.obs["efnst"].cat.codes.to_numpy(), [domain_colour(1), domain_colour(2)]
    save_thumbnail(view, codes, colours, picture, tmp_path / "t.webp")
    assert (tmp_path / "t.webp").stat().st_size < 2 * THUMBNAIL_BYTES  # noise is the worst case
    with Image.open(tmp_path / "t.webp") as both:
        width = both.width
    save_thumbnail(section_view(data, None), codes, colours, None, tmp_path / "t.webp")
    assert (tmp_path / "t.webp").stat().st_size < THUMBNAIL_BYTES
    with Image.open(tmp_path / "t.webp") as one:
        assert one.width < 0.6 * width
        blue, orange = (
            one.getpixel((one.width // 4, one.height // 2)),
            one.getpixel((3 * one.width // 4, one.height // 2)),
        )
    assert blue[2] > blue[0] + 50
    assert orange[0] > orange[2] + 50
