"""Print the software of this image as CycloneDX JSON: Debian's packages, Python's from a report of `pip inspect`."""

import json
import subprocess
import sys


def component(kind: str, name: str, version: str, **more: object) -> dict:
    """One package; its purl is what scanners look vulnerabilities up by."""
    return {"type": "library", "name": name, "version": version, "purl": f"pkg:{kind}/{name}@{version}", **more}


def main() -> None:
    with open(sys.argv[1]) as report:
        python = [package["metadata"] for package in json.load(report)["installed"]]
    listing = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}\n"], check=True, capture_output=True, text=True
    ).stdout
    debian = [line.split() for line in listing.splitlines()]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "components": [component("deb/debian", name, version) for name, version in debian]
        + [component("pypi", package["name"].lower(), package["version"]) for package in python],
    }
    json.dump(document, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
