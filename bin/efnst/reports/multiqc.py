"""The content of the MultiQC report. What comes from data is HTML-escaped."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from types import MappingProxyType

from efnst.reports.cohort import Outcome
from efnst.reports.cohort_statistics import Statistics
from efnst.reports.multiqc_elements import finished_sections, html_section, url
from efnst.reports.multiqc_plots import (
    adjacency_map,
    composition_bars,
    marker_map,
    profile_scatter,
    quantile_boxes,
    spots_lost,
    stability_bars,
    training_lines,
)
from efnst.reports.multiqc_statistics import domain_key, statistics_contents
from efnst.reports.multiqc_tables import (
    device_table,
    marker_table,
    name_table,
    score_table,
    statistics_table,
    status_table,
)
from efnst.reports.profiles import Profiles


def contents(
    ended: list[Outcome],
    thumbnails: dict[str, Path],
    profiles: Profiles | None = None,
    groups: Mapping[str, str] = MappingProxyType({}),
    statistics: Statistics | None = None,
    told: Sequence[str] = (),
) -> dict[str, dict]:
    """MultiQC custom content by file stem, in the order of the report; what no section has data for is left out.

    `profiles`: of the domains of all sections; `groups`: of the samplesheet, by sample; `told`: what the user should
    know of the cohort as a whole, beside what `statistics` tell.
    """
    common = statistics is not None and statistics.common
    made = {
        "status": status_table(ended, [*told, *(statistics.told if statistics else ())]),
        "statistics": statistics_table(ended),
        "scores": score_table(ended),
        "spots_lost": spots_lost(ended),
        "quantiles": quantile_boxes(ended),
        "composition": composition_bars(ended, common),
        "gallery": gallery(ended, thumbnails, domain_key(statistics)),
        **statistics_contents(statistics),
        "marker_map": marker_map(ended, profiles),
        "markers": marker_table(ended),
        "names": name_table(ended),
        "adjacency": adjacency_map(ended, common),
        "profiles": profile_scatter(profiles, groups),
        "training": training_lines(ended),
        "stability": stability_bars(ended),
        "devices": device_table(ended),
        "methods": methods_section(ended),
    }
    return {f"efnst_{name}": {"id": f"efnst_{name}"} | content for name, content in made.items() if content["data"]}


def gallery(ended: list[Outcome], thumbnails: dict[str, Path], key: str = "") -> dict:
    """H&E beside the domain map of every section, each a link to its report; `key`: colours that all have in common."""
    figures = []
    for outcome in ended:
        path = thumbnails.get(outcome.sample)
        if path is None or not outcome.report:
            continue
        name, image = escape(outcome.sample), base64.b64encode(path.read_bytes()).decode()
        picture = f'<img loading="lazy" alt="{name}" src="data:image/webp;base64,{image}" style="height:150px">'
        figures.append(
            f'<a href="{url(outcome.report)}" style="display:block;text-decoration:none">'
            f'{picture}<br><span style="font-size:12px">{name}</span></a>'
        )
    html = f'{key}<div style="display:flex;flex-wrap:wrap;gap:18px">{"".join(figures)}</div>' if figures else ""
    text = "H&E image, if any, beside the domains. Click to open the section's report."
    return html_section("Gallery", text + (" A colour is the same domain everywhere." if key else ""), html)


def methods_section(ended: list[Outcome]) -> dict:
    """The methods as text; where a sentence applies to some sections only, with their number."""
    finished = finished_sections(ended)
    texts = [summary.methods_text for _, summary in finished]
    lines = []
    for topic in dict.fromkeys(topic for text in sorted(texts, key=len, reverse=True) for topic in text):
        times = Counter(text[topic] for text in texts if topic in text)
        for sentence, count in times.most_common():
            note = "" if count == len(texts) else f" <i>({count} of {len(texts)} sections)</i>"
            lines.append(f"{escape(sentence)}{note}")
    html = f"<p>{' '.join(lines)}</p>" if lines else ""
    return html_section("Methods", "With the parameters as used.", html)
