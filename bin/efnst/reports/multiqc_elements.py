"""Elements of the MultiQC report: tables, plots and pieces of HTML, as MultiQC takes them."""

from collections.abc import Mapping
from html import escape
from urllib.parse import quote

from efnst.records.cohort import SectionSummary
from efnst.reports.cohort import Outcome

WHOLE, ONE_DIGIT, THREE_DIGITS = "{:,.0f}", "{:,.1f}", "{:,.3f}"


def finished_sections(ended: list[Outcome]) -> list[tuple[str, SectionSummary]]:
    """Escaped name and summary of the sections that have one."""
    return [(escape(outcome.sample), outcome.summary) for outcome in ended if outcome.summary]


def known(summary: SectionSummary, keys: dict) -> dict:
    """The fields of `summary` among `keys` that have a value."""
    known = {key: value for key in keys if (value := getattr(summary, key, None)) is not None}
    return {key: escape(value) if isinstance(value, str) else value for key, value in known.items()}


def words(key: str) -> str:
    """A key as words."""
    return escape(key.replace("_", " "))


def plot_text(text: str) -> str:
    """Text of a plot, which is read as HTML but shows the entity of a quotation mark as it is written."""
    return escape(text, quote=False)


def url(path: str) -> str:
    """A relative path as an attribute of a link."""
    return escape(quote(path))


def _key(name: str) -> str:
    """The name of a part of the report as an identifier."""
    return f"efnst_{name.lower().replace(' ', '_')}"


def colour_key(colours: Mapping[str, str]) -> str:
    """Names beside their colours, as HTML."""
    square = '<span><i style="display:inline-block;width:12px;height:12px;background:{}"></i> {}</span>'
    keys = "".join(square.format(colour, escape(name)) for name, colour in colours.items())
    return f'<p style="display:flex;flex-wrap:wrap;gap:6px 14px">{keys}</p>'


def header(title: str, description: str, number_format: str | None, scale: str | bool = False) -> dict:
    """One column of a table."""
    header = {"title": title, "description": description, "scale": scale}
    return header | ({"format": number_format} if number_format else {})


def table(name: str, description: str, rows: dict, headers: dict) -> dict:
    """A table that keeps the order of the samplesheet and never becomes a violin plot."""
    settings = {"id": f"{_key(name)}table", "title": f"EfNST: {name}", "col1_header": "Sample"}
    settings |= {"sort_rows": False, "no_violin": True, "namespace": "EfNST"}
    content = {"section_name": name, "description": description, "plot_type": "table", "pconfig": settings}
    return content | {"headers": headers, "data": rows}


def plot(kind: str, name: str, description: str, data: dict | list, settings: dict) -> dict:
    """A plot of MultiQC."""
    settings = {"id": f"{_key(name)}plot", "title": f"EfNST: {name}"} | settings
    return {"section_name": name, "description": description, "plot_type": kind, "pconfig": settings, "data": data}


def html_section(name: str, description: str, html: str) -> dict:
    """A piece of HTML."""
    return {"section_name": name, "description": description, "plot_type": "html", "data": html}
