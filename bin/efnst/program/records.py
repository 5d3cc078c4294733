"""What the steps before the report wrote about one section."""

from dataclasses import dataclass
from pathlib import Path

from efnst.program.cli import read_json


@dataclass(frozen=True)
class Records:
    """What the earlier steps wrote about one section; None where a step did not run."""

    qc: dict
    domains: dict
    training: dict
    description: dict
    image_qc: dict | None = None
    features: dict | None = None
    encoder: dict | None = None


def read_records(**paths: Path | None) -> Records:
    """Read the JSON files of the earlier steps, named as the members of `Records`."""
    return Records(**{name: read_json(path) if path else None for name, path in paths.items()})
