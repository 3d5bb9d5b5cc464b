"""Templates to one self-contained HTML page: what every page of the report has."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import plotly.offline

from graft.core.files import write_text
from graft.metrics import catalogue
from graft.report import numerals, words
from graft.report.chart import Chart, NotMeasured, embedded_json
from graft.report.tables import from_frame


def write_page(
    path: Path,
    template: str,
    context: Mapping[str, Any],
    charts: Sequence[Chart | NotMeasured],
) -> Path:
    """Return `path`, written whole: the template with its charts and Plotly's script inside.

    Args:
        path: The HTML file.
        template: Name of a template that extends `frame.html.j2`.
        context: Everything else that it shows.
        charts: The charts, in their order.
    """
    page = environment().get_template(template)
    script = plotly.offline.get_plotlyjs()
    html = page.render(context, charts=charts, figures=_figures(charts), plotly=script)
    write_text(path, html)
    return path


@functools.cache
def environment() -> jinja2.Environment:
    """Return the templates, with every inserted text escaped and every unknown name an error."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("graft.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        numerals.decimal, numerals.signed, numerals.count, numerals.magnitude, numerals.share,
        numerals.p_value, numerals.interval, numerals.rate, numerals.duration, numerals.size,
        numerals.energy, numerals.plural,
    ):  # fmt: skip
        env.filters[function.__name__] = function
    env.filters["evidence_json"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    env.filters["title_of"] = lambda name: catalogue.metric(name).title
    env.globals.update(words=words, metric=catalogue.metric, from_frame=from_frame)
    return env


def _figures(charts: Sequence[Chart | NotMeasured]) -> str:
    figures = {
        f"{chart.id}-{number}": panel.figure
        for chart in charts
        if isinstance(chart, Chart)
        for number, panel in enumerate(chart.panels)
    }
    return embedded_json(figures)
