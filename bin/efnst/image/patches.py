"""Square patches of the H&E image around each spot, stored at their own size."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from efnst.errors import EfnstError
from efnst.image.places import Places
from efnst.image.rows import RowReader
from efnst.records.arrays import BARCODES, PATCHES_H5, between

LARGEST_PATCH_PX = 512  # larger windows are averaged down by a whole factor; networks take 224 to 600 px
SMALLEST_WINDOW_PX = 4
LEAST_TISSUE = 0.05  # a patch with less is background
LARGEST_BACKGROUND = 0.25  # fraction of background patches that calls for a warning
WEAK_WINDOW_PX = 32
STAIN_SAMPLE_PX = 100_000  # pixels of tissue kept for the statistics of the stains
BACKGROUND_LUMINANCE = 215  # a pixel at least this bright ...
BACKGROUND_CHROMA = 20  # ... and with channels this close to each other is glass, not tissue
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


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
    path: Path, image: Path, places: Places, scale: float, windows: list[Window], um_per_px: float
) -> dict:
    """Write the patches of `image` at these `places` to an HDF5 file, in one pass.

    `scale` is image px per full-resolution px. The file also gets the figures of each patch, [n_patches]:
    `tissue_fraction` and `laplacian_variance` of the first window's patch as it is stored, `at_border` where any window
    was completed by reflection. Returns these and `tissue_px`, uint8 [n, 3], a sample of the pixels of tissue. An image
    that breaks off leaves no file, because the next step would take it for whole.
    """
    try:
        return _write_patches(path, RowReader(image), places, places.positions * scale, windows, um_per_px)
    except EfnstError:
        path.unlink(missing_ok=True)
        raise


def _write_patches(
    path: Path, reader: RowReader, places: Places, centres_px: np.ndarray, windows: list[Window], um_per_px: float
) -> dict:
    """`write_patches` from an open image, around `centres_px` (x, y in px of the image, [n_patches, 2])."""
    n_spots = len(centres_px)
    kinds = {"tissue_fraction": np.float32, "laplacian_variance": np.float32, "at_border": bool}
    figures = {name: np.zeros(n_spots, kind) for name, kind in kinds.items()}
    sample = TissueSample(n_spots)
    with h5py.File(path, "w") as file:
        file[BARCODES.name] = np.asarray(places.barcodes, dtype=h5py.string_dtype())
        for name, values in between(places.weights).items():
            file[name] = values
        stores = [_create(file, window, n_spots, um_per_px, places) for window in windows]
        largest = max(window.window_px for window in windows)
        for spot in np.argsort(centres_px[:, 1], kind="stable"):
            band_top, band = _band(reader, centres_px[spot, 1], largest)
            for window, store in zip(windows, stores, strict=True):
                patch, at_border = _cut(band, band_top, reader.height, centres_px[spot], window.window_px)
                stored = np.ascontiguousarray(_shrink(patch, window.shrink))
                _store(store, spot, stored)
                figures["at_border"][spot] |= at_border
                if window is windows[0]:
                    _measure(figures, sample, spot, stored)
        for name, values in figures.items():
            file[name] = values
        PATCHES_H5.check(file, path.name)
    return figures | {"tissue_px": sample.pixels()}


def _measure(figures: dict[str, np.ndarray], sample: "TissueSample", spot: int, patch: np.ndarray) -> None:
    """Enter what a stored patch shows into the figures of its spot and the sample of tissue."""
    is_tissue = ~is_glass(patch)
    figures["tissue_fraction"][spot] = is_tissue.mean()
    figures["laplacian_variance"][spot] = laplacian_variance(patch)
    sample.add(patch, is_tissue)


def _create(file: h5py.File, window: Window, n_spots: int, um_per_px: float, places: Places) -> h5py.Dataset:
    """The dataset of one window."""
    store = file.create_dataset(window.dataset, (n_spots, window.stored_px, window.stored_px, 3), np.uint8)
    store.attrs.update(patch_um=window.patch_um, window_px=window.window_px, um_per_px=um_per_px * window.shrink)
    if places.n_each > 1:
        store.attrs.update(n_each=places.n_each, ring_um=places.ring_um)
    return store


def _store(store: h5py.Dataset, spot: int, patch: np.ndarray) -> None:
    """Write one patch; `store[spot] = patch` spends longer on its general selections than on the data."""
    place = store.id.get_space()
    place.select_hyperslab((int(spot), 0, 0, 0), (1, *patch.shape))
    store.id.write(h5py.h5s.create_simple((1, *patch.shape)), place, patch)


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
    """Average blocks of `factor` × `factor` pixels, rounded, halves up."""
    if factor == 1:
        return patch
    # Rows first, which are added where they lie. 16 bits hold the sum of 16 × 16 pixels.
    size = len(patch) // factor
    rows = patch[::factor].astype(np.uint16 if factor <= 16 else np.uint32)
    for row in range(1, factor):
        rows += patch[row::factor]
    blocks = rows.reshape(size, size, factor * 3)
    total = blocks[..., :3] + rows.dtype.type(factor**2 // 2)
    for column in range(1, factor):
        total += blocks[..., 3 * column : 3 * column + 3]
    total //= rows.dtype.type(factor**2)
    return total.astype(np.uint8)


def is_glass(pixels: np.ndarray) -> np.ndarray:
    """Whether uint8 pixels [..., 3] are bright and colourless, bool [...]."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    low = np.minimum(np.minimum(red, green), blue)
    high = np.maximum(np.maximum(red, green), blue)
    return (low >= BACKGROUND_LUMINANCE) & (high - low <= BACKGROUND_CHROMA)


def laplacian_variance(patch: np.ndarray) -> float:
    """Variance of the Laplacian of the luminance of a uint8 patch [height, width, 3]; small where it is blurred.

    Pech-Pacheco 2000; 4-neighbour Laplacian of the inner pixels, luminance by ITU-R BT.601.
    """
    luminance = np.dot(patch.reshape(-1, 3).astype(np.float32), LUMINANCE).reshape(patch.shape[:2])
    laplacian = luminance[:-2, 1:-1] + luminance[2:, 1:-1] + luminance[1:-1, :-2] + luminance[1:-1, 2:]
    laplacian -= 4 * luminance[1:-1, 1:-1]
    return float(laplacian.var()) if laplacian.size else 0.0


class TissueSample:
    """A seeded sample of the pixels of tissue of all patches, the same number of places tried in each."""

    def __init__(self, n_spots: int) -> None:
        self._n_tries = -(-STAIN_SAMPLE_PX // max(n_spots, 1))
        self._random = np.random.default_rng(0)
        # One array: a small one kept from each patch would hold the memory around it, a gigabyte in all.
        self._pixels = np.empty((n_spots * self._n_tries, 3), np.uint8)
        self._n = 0

    def add(self, patch: np.ndarray, is_tissue: np.ndarray) -> None:
        """Take part of the tissue of a uint8 patch [height, width, 3]; `is_tissue`: bool [height, width]."""
        places = self._random.integers(0, is_tissue.size, self._n_tries)
        found = patch.reshape(-1, 3)[places[is_tissue.ravel()[places]]]
        self._pixels[self._n : self._n + len(found)] = found
        self._n += len(found)

    def pixels(self) -> np.ndarray:
        """uint8 [n, 3]."""
        return self._pixels[: self._n]


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


def summarise_patches(figures: dict, windows: list[Window], n_each: int = 1) -> dict:
    """The entries of image_qc.json about the patches, `n_each` a spot; `figures` are those of `write_patches`."""
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
        "tissue_fraction": _quartiles(fraction),
        "laplacian_variance": _quartiles(figures["laplacian_variance"]),
        "patches_per_spot": n_each,
        "n_spots_at_border": int(figures["at_border"].reshape(-1, n_each).any(1).sum()),
        "n_background_patches": n_background,
        "warnings": warnings,
    }


def _quartiles(values: np.ndarray) -> list[float]:
    """Minimum, quartiles and maximum."""
    return np.quantile(values.astype(float), [0, 0.25, 0.5, 0.75, 1]).round(4).tolist()
