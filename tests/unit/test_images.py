"""The tags of the container images belong to what the images are made from."""

import hashlib
import re

import pytest
from tests.support.places import PROJECT

CONTAINERS = PROJECT / "containers"
SHARED = ("debian.sh", "debian.txt", "install.sh", "sbom.py", "compile.py")
TAGS = dict(re.findall(r"= '([\w-]+):(\w+)'", (CONTAINERS.parent / "conf" / "images.config").read_text()))


@pytest.mark.parametrize("image", ["efnst", "efnst-gpu", "efnst-multiqc"])
def test_a_tag_is_the_digest_of_the_files_behind_it(image: str) -> None:
    files = [CONTAINERS / name for name in (f"{image}.Containerfile", f"{image}.txt", *SHARED)]
    content = b"".join(file.read_bytes() for file in files)
    assert TAGS[image] == hashlib.sha256(content).hexdigest()[:12], "run containers/lock.sh"


@pytest.mark.parametrize("image", ["efnst", "efnst-gpu", "efnst-multiqc"])
def test_a_lock_has_hashes_and_no_addresses(image: str) -> None:
    lock = (CONTAINERS / f"{image}.txt").read_text()
    packages = re.findall(r"^[a-z0-9-]+==\S+.*\n(    --hash=sha256:[0-9a-f]{64})?", lock, re.MULTILINE)
    assert len(packages) > 20 and all(packages)
    assert "://" not in lock and "--index" not in lock


def test_no_image_sets_a_user() -> None:
    for file in CONTAINERS.glob("*.Containerfile"):
        assert not re.search(r"^USER", file.read_text(), re.MULTILINE), file


def test_base_and_debian_packages_are_pinned() -> None:
    locked = dict(line.split("=") for line in (CONTAINERS / "debian.txt").read_text().splitlines())
    for file in CONTAINERS.glob("*.Containerfile"):
        text = file.read_text()
        assert re.search(r"^ARG BASE=debian:trixie-slim@sha256:[0-9a-f]{64}$", text, re.MULTILINE), file
        assert "apt-get" not in text
        assert {
            name for line in re.findall(r"bash /build/debian\.sh ([^\\\n]+)", text) for name in line.split()
        } <= set(locked)
