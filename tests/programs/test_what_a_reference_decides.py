"""assign_domains.py: what is the reference's and not that of the run that brings a section to it."""

import json
from pathlib import Path

from tests.support.shared import apply


def test_options_of_domains_are_those_of_the_reference(
    sections: dict[str, Path], reference: Path, tmp_path: Path
) -> None:
    """Also in the baselines and the evidence; and what had no part is not in the provenance."""
    other = {"clustering": "leiden", "spatial_prior": 2.0, "diffusion": 3.0, "weigh_by_counts": False}
    other |= {"untrained_views": False, "max_domains": 4}
    _, usual = apply("new", sections["b"], reference, tmp_path / "usual")
    _, found = apply("new", sections["b"], reference, tmp_path / "other", other)
    assert found == usual and found["clustering"] == "mixture" and found["spatial_prior"] == 0.3
    tables = [(tmp_path / way / "domains" / "domains.csv").read_text() for way in ("usual", "other")]
    assert tables[0] == tables[1]
    ran = json.loads((tmp_path / "other" / "domains" / "provenance.json").read_text())["parameters"]
    assert not set(other) & set(ran) and ran["refinement_rounds"] == 2
