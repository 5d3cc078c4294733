"""The thumbnail of a section for the cohort's report: H&E beside the domains."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

from efnst.geometry.raster import rasterise
from efnst.palette import MISSING
from efnst.reports.maps import View

THUMBNAIL_PX = 200  # height of the thumbnail; the gallery shows it 150 px high
GAP_PX = 6
THUMBNAIL_BYTES = 8_000


def draw_thumbnail(view: View, codes: np.ndarray, colours: list[str], image: Image.Image | None) -> Image.Image:
    """H&E (where there is one) beside the domain map, cut to the spots; codes int [n_spots], -1 for none."""
    x0, y0, x1, y1 = view.window
    size = round(THUMBNAIL_PX * (x1 - x0) / (y1 - y0)), THUMBNAIL_PX
    raster = rasterise(view.xy, view.pitch, view.grid, view.window, 2 * max(size))  # twice as fine, for smooth edges
    palette = np.array([ImageColor.getrgb(colour) for colour in (*colours, MISSING, "white")], dtype=np.uint8)
    shown = np.append(np.where(codes < 0, len(colours), codes), len(colours) + 1)  # the last is for pixels of no spot
    panels = [Image.fromarray(palette[shown[raster.spot]])]
    if image:
        box = round(x0), round(y0), round(x1), round(y1)
        tissue = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), "white")
        tissue.paste(image, (-box[0], -box[1]))
        panels.insert(0, tissue)
    sheet = Image.new("RGB", (len(panels) * (size[0] + GAP_PX) - GAP_PX, size[1]), "white")
    for position, panel in enumerate(panels):
        sheet.paste(panel.resize(size, Image.Resampling.LANCZOS), (position * (size[0] + GAP_PX), 0))
    return sheet


def save_thumbnail(view: View, codes: np.ndarray, colours: list[str], image: Image.Image | None, path: Path) -> None:
    """Write the thumbnail as WebP of at most about `THUMBNAIL_BYTES`: MultiQC stores each one three times."""
    thumbnail = draw_thumbnail(view, codes, colours, image)
    for quality in (80, 65, 50, 35, 20):
        buffer = io.BytesIO()
        thumbnail.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= THUMBNAIL_BYTES:
            break
    path.write_bytes(buffer.getvalue())
