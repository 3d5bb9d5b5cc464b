"""One self-contained HTML page from the files of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graft.core.errors import Problem, RunFolderError
from graft.core.scores import Metric, Score
from graft.metrics import catalogue
from graft.report import words
from graft.report.card import loading_code
from graft.report.chart import Chart, NotMeasured
from graft.report.charts_distributions import distributions
from graft.report.charts_errors import false_positives
from graft.report.charts_maps import text_maps
from graft.report.charts_metrics import comparison, effect_sizes
from graft.report.charts_roc import roc
from graft.report.charts_slices import heat_map
from graft.report.evidence import Evidence, read_evidence
from graft.report.findings import places, statuses
from graft.report.mistakes import mistakes
from graft.report.palette import run_styles
from graft.report.rendering import write_page
from graft.report.results import (
    all_metrics,
    cards,
    key_metrics,
    leakage_of_test,
    leaked_table,
    score_lines,
    split_pairs,
)
from graft.report.training import summary, training_charts


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
    path = Path(evidence.paths.report)
    return write_page(path, "page.html.j2", context(evidence), charts(evidence))


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


def charts(evidence: Evidence) -> list[Chart | NotMeasured]:
    """Return every chart of the page, in its order."""
    index, slices = evidence.index, evidence.index.slices
    styles = run_styles(index.runs, index.base_run)
    books = {run.name: run.scores for run in evidence.runs if run.scores}
    frames = {run.name: run.predictions for run in evidence.runs if run.predictions is not None}
    maps = {run.name: run.text_map for run in evidence.runs if run.text_map is not None}
    return [
        comparison(books, styles, key_metrics(evidence, most=6)),
        distributions(frames, styles, slices),
        roc(frames, styles),
        effect_sizes(books, styles),
        false_positives(frames, styles, slices),
        heat_map(books, frames, styles, slices),
        text_maps(maps, styles),
        *training_charts(evidence.runs, styles),
    ]


def context(evidence: Evidence) -> dict[str, Any]:
    """Return everything that the templates show beside the charts."""
    findings = evidence.findings.items if evidence.findings else ()
    metrics = key_metrics(evidence)
    leakage = leakage_of_test(evidence)
    base = evidence.base
    primary, others = split_pairs(evidence)
    return {
        "evidence": evidence,
        "index": evidence.index,
        "comparison": evidence.comparison,
        "failures": words.failures(evidence),
        "accepted": [finding for finding in findings if finding.accepted],
        "place": lambda where: evidence.title(where) if where else "experiment",
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
        "foreign": False,
        "key_of": "run",
        "training": [summary(run) for run in evidence.runs if run.entry.trained],
        "primary_pairs": primary,
        "other_pairs": others,
        "clean_score": lambda run, name: _run_score(evidence, run, name),
        "leaked_table": leaked_table,
        "weight_files": _weight_files(evidence),
        "places": places(findings, _titles(evidence)),
        "statuses": statuses(findings),
        "mistakes": [mistakes(run, evidence.index.slices) for run in evidence.arms],
        "codes": [(arm, loading_code(evidence, arm)) for arm in evidence.arms],
        "definitions": _definitions(evidence),
    }


def _titles(evidence: Evidence) -> dict[str, str]:
    """Return what findings can be about, in the order of the page."""
    return {"data": "Data", **{run.name: run.title for run in evidence.runs}, "recipe": "Recipe"}


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
