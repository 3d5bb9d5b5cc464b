"""One self-contained HTML page from the files of an experiment."""

from __future__ import annotations

import functools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2
import plotly.offline

from graft.core.errors import Problem, RunFolderError
from graft.core.files import write_text
from graft.core.findings import Finding, Findings, Status
from graft.core.scores import Metric, Score
from graft.metrics import catalogue
from graft.report import numerals, words
from graft.report.card import loading_code
from graft.report.chart import Chart, NotMeasured, embedded_json
from graft.report.charts_distributions import distributions
from graft.report.charts_errors import false_positives
from graft.report.charts_maps import text_maps
from graft.report.charts_metrics import comparison, effect_sizes
from graft.report.charts_rates import rates
from graft.report.charts_roc import roc
from graft.report.charts_slices import heat_map
from graft.report.charts_training import loss, validation
from graft.report.evidence import Evidence, read_evidence
from graft.report.mistakes import mistakes
from graft.report.palette import run_styles
from graft.report.results import (
    all_metrics,
    cards,
    key_metrics,
    leakage_of_test,
    leaked_table,
    score_lines,
    split_pairs,
)
from graft.report.tables import from_frame
from graft.report.training import summary

# What a reader must see first stands first; "passed" comes before what was never looked at.
STATUS_ORDER = (
    Status.error, Status.failed, Status.warned, Status.passed, Status.not_run,
    Status.not_applicable,
)  # fmt: skip


def write_report(root: Path) -> Path:
    """Return the path of `report.html`, written whole from the files below `root`.

    The same files give the same bytes. A file that is missing and not required makes its section
    say "not measured"; it is never left out in silence.

    Args:
        root: Folder of the experiment.

    Raises:
        RunFolderError: A required file is missing, a file cannot be read, or a metric is unknown.
    """
    evidence = read_evidence(root)
    _check_metrics(evidence)
    template = environment().get_template("page.html.j2")
    write_text(evidence.paths.report, template.render(context(evidence)))
    return Path(evidence.paths.report)


def _check_metrics(evidence: Evidence) -> None:
    used = {evidence.comparison.primary: "comparison.json"}
    for item in (*evidence.comparison.headline, *evidence.comparison.pairs):
        used.setdefault(item.metric, "comparison.json")
    for gate in evidence.comparison.gates:
        used.setdefault(gate.metric, "comparison.json")
    for figure in evidence.comparison.published:
        used.setdefault(figure.metric, "comparison.json")
    for run in evidence.runs:
        for scores in run.scores.items if run.scores else ():
            for name in scores.names:
                used.setdefault(name, f"{run.name}/scores.json")
    problems = [
        Problem(where, f"no metric is named '{name}'", "write the file with this version of Graft")
        for name, where in used.items()
        if name not in catalogue.CATALOGUE
    ]
    if problems:
        raise RunFolderError("run folder", problems)


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


def charts(evidence: Evidence) -> list[Chart | NotMeasured]:
    """Return every chart of the page, in its order."""
    styles, slices = run_styles(evidence.index), evidence.index.slices
    books = {run.name: run.scores for run in evidence.runs if run.scores}
    frames = {run.name: run.predictions for run in evidence.runs if run.predictions is not None}
    maps = {run.name: run.text_map for run in evidence.runs if run.text_map is not None}
    plans = {run.name: run.plan for run in evidence.runs if run.plan}
    ledgers = {run.name: run.ledger for run in evidence.runs if run.ledger}
    return [
        comparison(books, styles, key_metrics(evidence, most=6)),
        distributions(frames, styles, slices),
        roc(frames, styles),
        effect_sizes(books, styles),
        false_positives(frames, styles, slices),
        heat_map(books, frames, styles, slices),
        text_maps(maps, styles),
        loss({run.name: run.steps for run in evidence.runs}, styles),
        validation({run.name: run.evaluations for run in evidence.runs}, styles),
        rates(plans, ledgers, styles),
    ]


def context(evidence: Evidence) -> dict[str, Any]:
    """Return everything that the templates show."""
    drawn = charts(evidence)
    metrics = key_metrics(evidence)
    leakage = leakage_of_test(evidence)
    base = evidence.base
    primary, others = split_pairs(evidence)
    return {
        "evidence": evidence,
        "index": evidence.index,
        "comparison": evidence.comparison,
        "failures": words.failures(evidence),
        "accepted": [f for f in _items(evidence.findings) if f.accepted],
        "headline": words.headline(evidence),
        "leakage_sentence": words.leakage_sentence(leakage),
        "clean_figures": words.clean_figures(evidence),
        "leakage_known": leakage is not None,
        "inverted": words.inverted_sentence(
            "The untouched base", base.score("roc_auc") if base else None
        ),
        "cards": cards(evidence),
        "metrics": metrics,
        "all_metrics": all_metrics(evidence),
        "lines": score_lines(evidence, metrics),
        "charts": drawn,
        "figures": _figures(drawn),
        "plotly": plotly.offline.get_plotlyjs(),
        "training": [summary(run) for run in evidence.runs if run.entry.trained],
        "primary_pairs": primary,
        "other_pairs": others,
        "clean_score": lambda run, name: _run_score(evidence, run, name),
        "leaked_table": leaked_table,
        "weight_files": _weight_files(evidence),
        "findings": _grouped(evidence),
        "statuses": Counter(words.status_word(f) for f in _items(evidence.findings)),
        "mistakes": [mistakes(run, evidence.index.slices) for run in evidence.arms],
        "codes": [(arm, loading_code(evidence, arm)) for arm in evidence.arms],
        "definitions": _definitions(evidence),
    }


def _items(findings: Findings | None) -> tuple[Finding, ...]:
    return findings.items if findings else ()


def _figures(drawn: list[Chart | NotMeasured]) -> str:
    figures = {
        f"{chart.id}-{number}": panel.figure
        for chart in drawn
        if isinstance(chart, Chart)
        for number, panel in enumerate(chart.panels)
    }
    return embedded_json(figures)


def _grouped(evidence: Evidence) -> list[tuple[str, list[Finding]]]:
    """Return the findings by place: data, then runs in their order, the worst of each first."""
    items = _items(evidence.findings)
    places = ["data", *(run.name for run in evidence.runs), *(f.where for f in items)]
    groups = []
    for place in dict.fromkeys(places):
        here = [finding for finding in items if finding.where == place]
        here.sort(key=lambda f: (not f.blocks, STATUS_ORDER.index(f.status)))
        if here:
            title = "Data" if place == "data" else evidence.title(place) or "Experiment"
            groups.append((title, here))
    return groups


def _run_score(evidence: Evidence, name: str, metric: str) -> Score | None:
    run = next((run for run in evidence.runs if run.name == name), None)
    return run.score(metric, "clean") if run else None


def _weight_files(evidence: Evidence) -> list[tuple[str, str]]:
    """Return the hashes of the base's weight files, each once."""
    files = {
        (f"{run.load.base}: {name}", digest)
        for run in evidence.runs
        if run.load
        for name, digest in run.load.files.items()
    }
    return sorted(files)


def _definitions(evidence: Evidence) -> list[Metric]:
    names = [metric.name for metric in all_metrics(evidence)]
    return [catalogue.metric(name) for name in dict.fromkeys([evidence.comparison.primary, *names])]
