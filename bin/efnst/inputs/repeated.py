"""Sections that stand in several rows of a samplesheet."""

from collections.abc import Sequence

BIN_UM = "8"  # where a row names none


def repeated_sections(rows: Sequence[dict]) -> list[str]:
    """A warning for each section of several rows of sections.json: the same path, library and size of the bins.

    That it has other images, labels or numbers of domains there is a reason to have it twice, and no other section.
    """
    samples: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        place = row["section"].removesuffix("/outs")  # may be named by the folder around it
        samples.setdefault((place, row["library"], str(row["bin_um"] or BIN_UM)), []).append(row["id"])
    return [
        f"column section: found {place}{f', library {library},' if library else ''} for {' and '.join(names)}, which "
        "count as different samples; expected every section once; leave one out, unless that is meant"
        for (place, library, _), names in samples.items()
        if len(names) > 1
    ]
