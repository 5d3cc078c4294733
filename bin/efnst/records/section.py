"""What all steps wrote about one section."""

from dataclasses import dataclass
from pathlib import Path

from efnst.records.base import read_record
from efnst.records.domains import Description, DomainsRecord, TrainingRecord
from efnst.records.encoder import EncoderRecord, FeaturesRecord
from efnst.records.quality import ImageQc, SectionQc


@dataclass(frozen=True)
class Records:
    """The records of the steps before the report; None where a step did not run."""

    qc: SectionQc
    domains: DomainsRecord
    training: TrainingRecord
    description: Description
    image_qc: ImageQc | None = None
    features: FeaturesRecord | None = None
    encoder: EncoderRecord | None = None


KINDS = {
    **{"qc": SectionQc, "domains": DomainsRecord, "training": TrainingRecord, "description": Description},
    **{"image_qc": ImageQc, "features": FeaturesRecord, "encoder": EncoderRecord},
}


def read_records(**paths: Path | None) -> Records:
    """Read the JSON files of the earlier steps, named as the members of `Records`."""
    return Records(**{name: read_record(path, KINDS[name]) if path else None for name, path in paths.items()})
