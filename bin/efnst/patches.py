"""Square patches of the H&E image around each spot, stored at their own size."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from efnst.errors import EfnstError
from efnst.image import RowReader

LARGEST_PATCH_PX = 512  # larger windows are averaged down by a whole factor; networks take 224 to 600 px
SMALLEST_WINDOW_PX = 4
LEAST_TISSUE = 0.05  # a patch with less is background
LARGEST_BACKGROUND = 0.25  # fraction of background patches that calls for a warning
WEAK_WINDOW_PX = 32
BACKGROUND_LUMINANCE = 215  # a pixel at least this bright ...
BACKGROUND_CHROMA = 20  # ... and with channels this close to each other is glass, not tissue


@dataclass(frozen=True)
class Window:
    """A square window: `patch_um` wide on the tissue, `window_px` in the image, `stored_px` after averaging."""

    patch_um: float
    window_px: int
    shrink: int

    @property
    def stored_px(self) -> int:
        return self.window_px // self.shrink

    @property
    def dataset(self) -> str:
        """Name of the dataset in the patch file."""
        return f"patches_{self.patch_um:g}"


def window_of(patch_um: float, um_per_px: float) -> Window:
    """The window of `patch_um` in an image of `um_per_px`; its size is a multiple of the factor it is averaged by."""
    exact_px = patch_um / um_per_px
    if exact_px < SMALLEST_WINDOW_PX:
        raise EfnstError(
            f"A patch of {patch_um:g} µm is {exact_px:.1f} px in this image ({um_per_px:.3g} µm per px), expected at "
            f"least {SMALLEST_WINDOW_PX} px. Give a larger image or a larger patch_um."
        )
    shrink = int(np.ceil(exact_px / LARGEST_PATCH_PX))
    return Window(patch_um, max(1, round(exact_px / shrink)) * shrink, shrink)


def write_patches(
    path: Path, image: Path, barcodes: np.ndarray, centres_px: np.ndarray, windows: list[Window], um_per_px: float
) -> dict:
    """Write the patches around `centres_px` (x, y in px of `image`, [n_spots, 2]) to an HDF5 file, in one pass.

    Returns per-spot figures: `tissue_fraction` [n_spots] of the first window, `at_border` [n_spots] where a window was
    completed by reflection. An image that breaks off leaves no file, because the next step would take it for whole.
    """
    try:
        return _write_patches(path, RowReader(image), barcodes, centres_px, windows, um_per_px)
    except EfnstError:
        path.unlink(missing_ok=True)
        raise


def _write_patches(
    path: Path, reader: RowReader, barcodes: np.ndarray, centres_px: np.ndarray, windows: list[Window], um_per_px: float
) -> dict:
    """`write_patches` from an open image."""
    n_spots = len(centres_px)
    figures = {"tissue_fraction": np.zeros(n_spots), "at_border": np.zeros(n_spots, bool)}
    with h5py.File(path, "w") as file:
        file["barcodes"] = np.asarray(barcodes, dtype=h5py.string_dtype())
        stores = [_create(file, window, n_spots, um_per_px) for window in windows]
        largest = max(window.window_px for window in windows)
        for spot in np.argsort(centres_px[:, 1], kind="stable"):
            band_top, band = _band(reader, centres_px[spot, 1], largest)
            for window, store in zip(windows, stores, strict=True):
                patch, at_border = _cut(band, band_top, reader.height, centres_px[spot], window.window_px)
                store[spot] = _shrink(patch, window.shrink)
                figures["at_border"][spot] |= at_border
                if window is windows[0]:
                    figures["tissue_fraction"][spot] = tissue_fraction(patch)
    return figures


def _create(file: h5py.File, window: Window, n_spots: int, um_per_px: float) -> h5py.Dataset:
    """The dataset of one window."""
    store = file.create_dataset(window.dataset, (n_spots, window.stored_px, window.stored_px, 3), np.uint8)
    store.attrs.update(patch_um=window.patch_um, window_px=window.window_px, um_per_px=um_per_px * window.shrink)
    return store


def _band(reader: RowReader, centre_y: float, height_px: int) -> tuple[int, np.ndarray]:
    """First row and rows of the band of the image that a window of `height_px` around `centre_y` covers.

    At the upper and lower border the band holds half a window and one row, so that reflection finds all its rows.
    """
    top = round(centre_y - height_px / 2)
    at_least = (height_px + 1) // 2 + 1
    first = max(min(top, reader.height - at_least), 0)
    return first, reader.rows(first, min(max(top + height_px, at_least), reader.height))


def _cut(
    band: np.ndarray, band_top: int, image_height: int, centre_px: np.ndarray, window_px: int
) -> tuple[np.ndarray, bool]:
    """The window [window_px, window_px, 3] around `centre_px` (x, y) and whether reflection completed it."""
    left, top = (round(centre - window_px / 2) for centre in centre_px)
    at_border = top < 0 or left < 0 or top + window_px > image_height or left + window_px > band.shape[1]
    if not at_border:
        return band[top - band_top :, left:][:window_px, :window_px], False
    rows = _inside(top, window_px, image_height) - band_top
    columns = _inside(left, window_px, band.shape[1])
    return band[rows.clip(0, len(band) - 1)][:, columns], True


def _inside(first: int, length: int, size: int) -> np.ndarray:
    """Indices first … first + length - 1, those outside [0, size) mirrored at the border (border pixel once)."""
    if size == 1:
        return np.zeros(length, int)
    period = 2 * (size - 1)
    indices = np.abs(np.arange(first, first + length)) % period
    return np.minimum(indices, period - indices)


def _shrink(patch: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of `factor` × `factor` pixels."""
    if factor == 1:
        return patch
    total = np.zeros((len(patch) // factor, len(patch) // factor, 3), np.uint32)
    for row in range(factor):
        for column in range(factor):
            total += patch[row::factor, column::factor]
    return ((total + factor**2 // 2) // factor**2).astype(np.uint8)


def tissue_fraction(patch: np.ndarray) -> float:
    """Fraction of the pixels of a uint8 patch [height, width, 3] that are not bright and colourless."""
    red, green, blue = patch[..., 0], patch[..., 1], patch[..., 2]
    low = np.minimum(np.minimum(red, green), blue)
    high = np.maximum(np.maximum(red, green), blue)
    glass = (low >= BACKGROUND_LUMINANCE) & (high - low <= BACKGROUND_CHROMA)
    return float(1 - glass.mean())


def patch_sizes(text: str) -> list[float]:
    """Patch widths in µm from a list separated by commas, rising."""
    try:
        sizes = sorted({float(part) for part in text.split(",")})
    except ValueError:
        sizes = []
    if not sizes or not all(0 < size < float("inf") for size in sizes):
        raise EfnstError(
            f"Expected patch_um to be one or more widths in µm, such as `190` or `100,190`, found `{text}`."
        )
    return sizes


def summarise_patches(figures: dict, windows: list[Window]) -> dict:
    """What image_qc.json says of the patches; `figures` are those of `write_patches`."""
    fraction = figures["tissue_fraction"]
    n_background = int((fraction < LEAST_TISSUE).sum())
    warnings = []
    if n_background > LARGEST_BACKGROUND * len(fraction):
        warnings.append(
            f"{n_background} of {len(fraction)} patches show less than {LEAST_TISSUE:.0%} tissue: "
            "is this the right image?"
        )
    smallest = min(window.window_px for window in windows)
    if smallest < WEAK_WINDOW_PX:
        warnings.append(
            f"A patch is only {smallest} px wide in this image: image features will be weak. "
            "Give the full-resolution image in the samplesheet's column `image`."
        )
    return {
        "patches": [{"patch_um": w.patch_um, "window_px": w.window_px, "stored_px": w.stored_px} for w in windows],
        "tissue_fraction": np.quantile(fraction, [0, 0.25, 0.5, 0.75, 1]).round(4).tolist(),
        "n_spots_at_border": int(figures["at_border"].sum()),
        "n_background_patches": n_background,
        "warnings": warnings,
    }
