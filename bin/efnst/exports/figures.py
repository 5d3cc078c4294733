"""Figures of a section's domains for papers: vector outlines and text, the tissue as a small picture."""

import warnings
from pathlib import Path

import numpy as np
import shapely
from anndata import AnnData
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline
from PIL import Image

from efnst.exports.fonts import further_fonts
from efnst.exports.tables import TITLES, colours_of
from efnst.image.picture import stored_picture
from efnst.names import DOMAIN, LABEL, SECTION
from efnst.palette import MISSING
from efnst.program.terminal import printable

FORMATS = ("png", "svg", "pdf")
PANEL_INCHES, SMALL_PANEL_INCHES, LEGEND_INCHES = 3.0, 1.7, 1.0  # two large or four small ones fill a page
DPI = 300
TISSUE_PX = 640  # longest side of the tissue's picture: sharp enough at the width of a column, and small
LINE_INSET = 0.003  # of the width: lines of neighbours lie side by side
BAR_UM = (50, 100, 200, 500, 1000, 2000, 5000)
STYLE = {
    "font.size": 8,
    "text.parse_math": False,  # a label with $ is text
    "svg.fonttype": "none",  # text stays text that Illustrator and Inkscape edit
    "svg.hashsalt": "efnst",
    "pdf.fonttype": 42,
    "savefig.dpi": DPI,
}
UNDATED = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def draw_figures(section: AnnData, sample: str, outlines: dict[str, np.ndarray], folder: Path) -> list[Path]:
    """Write domains.* (tissue with outlines, and the domains) and comparison.* (all divisions); the files written.

    `outlines` are those of `section_outlines`. The same input gives the same bytes, as long as its text takes no more
    fonts than the usual one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    families = ["sans-serif", *further_fonts(texts_of(section, sample))[0]]
    with rc_context(STYLE | {"font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # `further_fonts` tells of them
        figures = {"domains": _domains_figure(section, sample, outlines[DOMAIN])}
        figures["comparison"] = _comparison_figure(section, sample, outlines)
        paths = [folder / f"{name}.{kind}" for name in figures for kind in FORMATS]
        for path in paths:
            kind = path.suffix[1:]
            figures[path.stem].savefig(path, metadata=UNDATED[kind], bbox_inches="tight", pad_inches=0.03)
    return paths


def texts_of(section: AnnData, sample: str) -> list[str]:
    """The texts of the figures that are not ours: the sample's name and the labels."""
    labels = section.obs[LABEL].astype("category").cat.categories if LABEL in section.obs else []
    return [sample, *(printable(str(label)) for label in labels)]


def _domains_figure(section: AnnData, sample: str, outlines: np.ndarray) -> Figure:
    """The tissue with the domains' outlines, where there is a picture of it, beside the domains."""
    picture = _tissue(section, sample, outlines)
    figure, panels = _panels(1 + (picture is not None), outlines, PANEL_INCHES)
    colours = colours_of(section.obs, DOMAIN)
    if picture is not None:
        panels[0].imshow(picture[0], extent=picture[1], interpolation="antialiased")
        inset = LINE_INSET * np.diff(shapely.total_bounds(outlines)[[0, 2]])[0]
        _draw(panels[0], shapely.buffer(outlines, -inset, join_style="mitre"), colours, filled=False)
        panels[0].set_title("H&E")
    _draw(panels[-1], outlines, colours)
    panels[-1].set_title("EfNST domains")
    _scale_bar(panels[-1], outlines, float(section.uns[SECTION]["um_per_px"]))
    _legend(panels[-1], section, DOMAIN)
    figure.suptitle(sample, fontsize=9)
    return figure


def _comparison_figure(section: AnnData, sample: str, outlines: dict[str, np.ndarray]) -> Figure:
    """EfNST, the baselines and the labels side by side."""
    figure, panels = _panels(len(outlines), outlines[DOMAIN], SMALL_PANEL_INCHES)
    for panel, (key, shapes) in zip(panels, outlines.items(), strict=True):
        _draw(panel, outlines[DOMAIN], [MISSING] * len(outlines[DOMAIN]))
        _draw(panel, shapes, colours_of(section.obs, key))
        panel.set_title(TITLES[key])
        if key == list(outlines)[-1]:
            _legend(panel, section, key)
    _scale_bar(panels[0], outlines[DOMAIN], float(section.uns[SECTION]["um_per_px"]))
    figure.suptitle(sample, fontsize=9)
    return figure


def _panels(count: int, outlines: np.ndarray, inches: float) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, each `inches` wide, that all show the spots, y downwards as in the image."""
    left, top, right, bottom = shapely.total_bounds(outlines)
    margin = 0.02 * (right - left)
    height = inches * min((bottom - top) / (right - left), 2)
    figure = Figure(figsize=(count * inches + LEGEND_INCHES, height + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(1, count, squeeze=False)[0])
    for panel in panels:
        panel.set(xlim=(left - margin, right + margin), ylim=(bottom + margin, top - margin), aspect="equal")
        panel.set_axis_off()
    return figure, panels


def _draw(panel: Axes, outlines: np.ndarray, colours: list[str], filled: bool = True) -> None:
    """Draw each outline in its colour, filled or as a line."""
    for shape, colour in zip(outlines, colours, strict=True):
        if shape.is_empty:
            continue
        style = {"facecolor": colour, "linewidth": 0} if filled else {"facecolor": "none", "linewidth": 0.9}
        panel.add_patch(PathPatch(_path(shape), edgecolor="none" if filled else colour, **style))


def _path(shape: shapely.Geometry) -> Outline:
    """All rings of a polygon or multipolygon as one path; holes turn the other way round and stay empty."""
    oriented = [shapely.geometry.polygon.orient(part) for part in shapely.get_parts(shape)]
    rings = [ring for part in oriented for ring in (part.exterior, *part.interiors)]
    return Outline.make_compound_path(*(Outline(np.asarray(ring.coords), closed=True) for ring in rings))


def _tissue(section: AnnData, sample: str, outlines: np.ndarray) -> tuple[np.ndarray, tuple] | None:
    """The picture of the tissue around the spots, and its extent in full-resolution px; None without an image."""
    pictures, scales = stored_picture(section, sample)
    if "hires" not in pictures:
        return None
    picture, scale = pictures["hires"], scales["hires"]
    left, top, right, bottom = np.round(shapely.total_bounds(outlines) * scale).astype(int)
    left, top = max(left, 0), max(top, 0)
    cut = Image.fromarray(picture[top:bottom, left:right])
    extent = (left / scale, (left + cut.width) / scale, (top + cut.height) / scale, top / scale)
    cut.thumbnail((TISSUE_PX, TISSUE_PX))
    return np.asarray(cut), extent


def _legend(panel: Axes, section: AnnData, key: str) -> None:
    """The colours of a division, beside its panel."""
    names, colours = section.obs[key].astype("category").cat.categories, colours_of(section.obs, key)
    entries = [Patch(facecolor=colour, label=printable(str(name))) for name, colour in zip(names, colours, strict=True)]
    columns = -(-len(entries) // 16)
    panel.legend(
        handles=entries, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, ncols=columns, handlelength=1
    )


def _scale_bar(panel: Axes, outlines: np.ndarray, um_per_px: float) -> None:
    """A bar of a round length, about a fifth of the panel's width, below the section."""
    left, top, right, bottom = shapely.total_bounds(outlines)
    wanted = (right - left) * um_per_px / 5
    length = min(BAR_UM, key=lambda bar: abs(np.log(bar / wanted)))
    y = bottom + 0.03 * (bottom - top)
    panel.plot([left, left + length / um_per_px], [y, y], color="black", linewidth=1.5, clip_on=False)
    text = f"{length / 1000:g} mm" if length >= 1000 else f"{length} µm"
    panel.text(left, y + 0.015 * (bottom - top), text, va="top")
