"""A picture of many points in the plane: small however many there are, where plots of MultiQC grow with each point."""

import base64
import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INCHES, DPI = 5.2, 150
POINT = 3.0  # area, in points


def points_uri(places: np.ndarray, colours: np.ndarray) -> str:
    """The points as a WebP picture in a data URI.

    places: float [n_points, 2]; colours: text [n_points]. They are drawn in random order, so that no kind hides
    another.
    """
    order = np.random.default_rng(0).permutation(len(places))
    figure = Figure(figsize=(INCHES, INCHES), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.scatter(*places[order].T, s=POINT, c=colours[order], linewidths=0)
    axes.axis("off")
    content = io.BytesIO()
    figure.savefig(content, format="webp", pil_kwargs={"quality": 80, "method": 6})
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
