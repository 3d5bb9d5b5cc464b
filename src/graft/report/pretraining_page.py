"""One self-contained HTML page about the pretraining of a base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from graft.core.files import read_json
from graft.core.layout import PretrainingPaths
from graft.core.pretraining import Pretraining
from graft.core.verdicts import Comparison, PairedDifference, Verdict
from graft.metrics import catalogue
from graft.report import words
from graft.report.adapted import adapted_sentence
from graft.report.chart import Chart, NotMeasured
from graft.report.charts_pretraining import guess_words, learned, pictures
from graft.report.evidence import RunEvidence, read_training
from graft.report.numerals import count, decimal, duration, listed, plural
from graft.report.palette import run_styles
from graft.report.rendering import write_page
from graft.report.sections import sections
from graft.report.training import training_charts


@dataclass(frozen=True)
class PretrainingEvidence:
    """The files of a pretraining: those of any training, and its own.

    Args:
        run: The training.
        record: What was pretrained on what.
        comparison: The model against guesses.
        shown: What it makes of a few held-out rows; None if there is nothing to show.
    """

    run: RunEvidence
    record: Pretraining
    comparison: Comparison
    shown: pd.DataFrame | None


def write_pretraining_report(folder: Path) -> Path:
    """Return the path of `report.html`, written whole from the files in `folder`.

    The same files give the same bytes.

    Args:
        folder: Where the stage of pretraining wrote.

    Raises:
        RunFolderError: There is no such folder, or a file is missing or cannot be read.
    """
    paths = PretrainingPaths(folder)
    evidence = PretrainingEvidence(
        run=read_training(folder),
        record=read_json(paths.record, Pretraining),
        comparison=read_json(paths.comparison, Comparison),
        shown=pd.read_parquet(paths.shown) if paths.shown.is_file() else None,
    )
    return write_page(
        Path(paths.report), "pretraining_page.html.j2", context(evidence), charts(evidence)
    )


def charts(evidence: PretrainingEvidence) -> list[Chart | NotMeasured]:
    """Return every chart of the page: pictures first, then errors, then the training."""
    run = evidence.run
    return [
        *pictures(evidence.shown),
        learned(evidence.comparison),
        *training_charts([run], run_styles([run.entry])),
    ]


def context(evidence: PretrainingEvidence) -> dict[str, Any]:
    """Return everything that the templates show beside the charts."""
    run, record = evidence.run, evidence.record
    findings = run.audits.items if run.audits else ()
    metrics = [item.metric for item in evidence.comparison.headline]
    return {
        **sections(findings, {run.name: "Pretraining"}, [run]),
        "name": f"Pretraining of {record.experiment}",
        "about": about(record),
        "headline": headline(evidence.comparison),
        "judged": [
            (item, words.difference_sentence(item, f"the guess “{guess_words(item.reference)}”"))
            for item in evidence.comparison.headline
        ],
        "certainty": words.certainty_sentence,
        "facts": facts(evidence),
        "record": record,
        "definitions": [catalogue.metric(name) for name in ("pretraining_loss", *metrics)],
    }


def headline(comparison: Comparison) -> str:
    """Return whether it learned anything, in one sentence.

    The measure is the guess that is best on the held-out rows; of several objectives each counts.
    """
    found = comparison.headline
    better = [item for item in found if item.verdict == Verdict.better]
    if all(item.verdict == Verdict.not_measured for item in found):
        return "Whether it learned anything was not measured."
    if len(better) == len(found):
        return f"It learned: {_less(found)}."
    if better:
        rest = [item for item in found if item.verdict != Verdict.better]
        return f"It learned a part: {_less(better)}, but not {_named(rest)}."
    if any(item.verdict == Verdict.better for item in comparison.pairs):
        return f"It learned something, but no more than the best guess knows: {_named(found)}."
    return f"It did not learn: no better than guesses without a model in {_named(found)}."


def pretraining_sentence(paths: PretrainingPaths) -> str:
    """Return that the base of an experiment was pretrained, and what it learned; empty if not."""
    if not paths.comparison.is_file():
        return ""
    found = headline(read_json(paths.comparison, Comparison))
    return f"The base was pretrained first, on rows without labels. {found}"


def _less(items: Sequence[PairedDifference]) -> str:
    parts = [
        f"{_named([item])} {decimal(item.candidate_value)} against {decimal(item.reference_value)}"
        for item in items
    ]
    return f"{listed(parts)} of the best guess"


def _named(items: Sequence[PairedDifference]) -> str:
    return listed([catalogue.metric(item.metric).title.lower() for item in items])


def about(record: Pretraining) -> str:
    """Return what was pretrained on what, in one line."""
    return f"{record.kind}, {count(record.rows)} rows without labels, seed {record.seed}"


def facts(evidence: PretrainingEvidence) -> list[tuple[str, str]]:
    """Return the facts of the verdict section: name and words."""
    record, run = evidence.record, evidence.run
    settings = ", ".join(f"{name} {value}" for name, value in record.settings.items())
    rows = (
        f"{plural(record.rows, 'row')} to learn from and {count(record.held_out)} held out, of "
        f"{listed(list(record.sources))}"
    )
    weights = listed([f"{name} (weight {weight:g})" for name, weight in record.objectives.items()])
    taken = duration(run.cost.train_seconds) if run.cost else "not measured"
    return [
        ("What was trained", adapted_sentence(run)),
        ("On what", f"{rows}. No label was read."),
        ("Objectives", weights),
        ("Settings", settings),
        ("Time", taken),
        *[("Note", note) for note in record.notes],
    ]
