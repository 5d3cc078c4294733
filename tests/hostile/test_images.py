"""Images that are programs, or that name other files: neither is started or opened."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile

from efnst.errors import EfnstError
from efnst.image.open import open_image
from efnst.image.picture import small_image
from efnst.inputs.image_choice import image_size

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n(%s) (w) file closefile showpage\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>'
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\n"
PPM = b"P6 4 4 255\n" + bytes(48)
FACTS = {"image": {"width": 100, "height": 100}}


@pytest.mark.parametrize(
    "content", [EPS, SVG, PDF, PPM, b"GIF89a" + bytes(20)], ids=["eps", "svg", "pdf", "ppm", "gif"]
)
@pytest.mark.parametrize("name", ["he.png", "he.jpg", "he.tif", "he"])
def test_other_formats_under_these_names(
    name: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*arguments: object, **_: object) -> None:
        raise AssertionError(f"started {arguments}")

    monkeypatch.setattr(subprocess, "Popen", started)
    path = tmp_path / name
    path.write_bytes(content)
    for read in (image_size, open_image, lambda path: small_image(path, FACTS)):
        with pytest.raises(EfnstError, match=name):
            read(path)


@pytest.mark.parametrize("scheme", ["ome", "series of names"])
def test_a_tiff_that_names_another_file(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planes of an OME-TIFF may lie in other files; the first page is the image, and the others stay closed."""
    planes = '<TiffData IFD="0" FirstZ="{0}" PlaneCount="1"><UUID FileName="{1}">urn:uuid:{0}</UUID></TiffData>'
    named = planes.format(0, "he.ome.tif") + planes.format(1, "../theirs.ome.tif")
    about = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:0">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="40" SizeY="30" SizeC="3" '
        f'SizeZ="2" SizeT="1"><Channel ID="Channel:0" SamplesPerPixel="3"/>{named}</Pixels></Image></OME>'
    )
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine" / "he.ome.tif"
    pixels = np.full((30, 40, 3), 200, np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", description=about if scheme == "ome" else "", metadata=None)
    tifffile.imwrite(tmp_path / "theirs.ome.tif", pixels, photometric="rgb", metadata=None)
    if scheme != "ome":
        (tmp_path / "mine" / "NDTiff.index").write_bytes(b"")
    opened, opens = [], tifffile.FileHandle.open
    monkeypatch.setattr(tifffile.FileHandle, "open", lambda handle: (opened.append(handle._name), opens(handle))[1])
    assert image_size(path) == (40, 30)
    image = open_image(path)
    assert (image.width, image.height) == (40, 30)
    assert "theirs.ome.tif" not in {Path(str(name)).name for name in opened}
