"""One self-contained HTML page from the files of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graft.core.errors import Problem, RunFolderError
from graft.core.facts import MULTI_LABEL, REGRESSION
from graft.core.pretraining import NAME
from graft.core.scores import Metric, Score
from graft.metrics import catalogue
from graft.report import words
from graft.report.cards import cards
from graft.report.chart import Chart, NotMeasured
from graft.report.charts_classes import class_scores
from graft.report.charts_confusion import confusion
from graft.report.charts_decision import decision
from graft.report.charts_distributions import distributions
from graft.report.charts_errors import false_positives
from graft.report.charts_maps import text_maps
from graft.report.charts_metrics import comparison, effect_sizes
from graft.report.charts_numbers import predicted_numbers, residuals
from graft.report.charts_reasons import importances
from graft.report.charts_reliability import reliability
from graft.report.charts_roc import roc
from graft.report.charts_seeds import seeds
from graft.report.charts_slices import heat_map
from graft.report.evidence import Evidence, read_evidence
from graft.report.explanation import explanation
from graft.report.mistakes import mistakes
from graft.report.palette import run_styles
from graft.report.predictions import Frames, Styles, readable
from graft.report.pretraining_page import pretraining_sentence
from graft.report.reasons import read_runs
from graft.report.rendering import write_page
from graft.report.replicates import (
    first_seed,
    seed_table,
    seeds_words,
    trained_words,
    training_styles,
)
from graft.report.results import (
    all_metrics,
    key_metrics,
    leakage_of_test,
    leaked_table,
    score_lines,
    split_pairs,
)
from graft.report.sections import sections
from graft.report.training import training_charts
from graft.report.usage import loading_code


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
    """Return every chart of the page, in its order; which there are depends on what is predicted.

    Probabilities of classes have charts of their own; a ranking of rows of two classes, or a
    graded score, has others.
    """
    index, slices, facts = evidence.index, evidence.index.slices, evidence.facts
    styles = run_styles(index.runs, index.base_run)
    books = {run.name: run.scores for run in evidence.runs if run.scores}
    frames = {
        run.name: readable(run.predictions, facts, slices)
        for run in evidence.runs
        if run.predictions is not None
    }
    maps = {run.name: run.text_map for run in evidence.runs if run.text_map is not None}
    ranks = facts.binary or facts.of_pairs
    found: list[Chart | NotMeasured] = [comparison(books, styles, key_metrics(evidence, most=6))]
    if evidence.seeds > 1:
        found.append(seeds(books, styles, index.runs, key_metrics(evidence, most=6)))
    if ranks:
        found += [
            distributions(frames, styles, slices, facts.classes if facts.binary else ()),
            roc(frames, styles),
        ]
    if facts.of_pairs:
        found.append(effect_sizes(books, styles))
    else:
        found += _label_charts(evidence, frames, styles) + _importance_charts(evidence, styles)
    if ranks:
        found.append(false_positives(frames, styles, slices))
    told = _slice_metric(evidence)
    found += [heat_map(books, frames, styles, slices, told), text_maps(maps, styles)]
    return [*found, *training_charts(evidence.runs, training_styles(evidence.runs, styles))]


def _slice_metric(evidence: Evidence) -> str:
    """Return the metric of the slices: between 0 and 1, of which 1 is best."""
    facts, primary = evidence.facts, evidence.comparison.primary
    if facts.binary or facts.of_pairs:
        return "roc_auc"
    known = catalogue.metric(primary)
    if known.higher_is_better and known.high == 1.0:
        return primary
    of_kind = {MULTI_LABEL: "micro_f1", REGRESSION: "r2"}
    return of_kind.get(facts.problem_type, "balanced_accuracy")


def _label_charts(evidence: Evidence, frames: Frames, styles: Styles) -> list[Chart | NotMeasured]:
    """Return the charts of classes or numbers: of reference and arms that are meant to win."""
    meant = {evidence.index.base_run, *(run.name for run in evidence.compared)}
    meant |= {evidence.reference(run.name) for run in evidence.compared}
    shown = {name: style for name, style in styles.items() if name in meant}
    classes, slices = evidence.facts.classes, evidence.index.slices
    if evidence.facts.regression:
        return [predicted_numbers(frames, shown, slices), residuals(frames, shown, slices)]
    if evidence.facts.multi_label:
        return [class_scores(frames, shown, classes, "label"), reliability(frames, shown)]
    found = [confusion(frames, shown, classes), class_scores(frames, shown, classes)]
    found.append(reliability(frames, shown))
    return [*found, decision(frames, shown, evidence.wishes.costs)] if len(classes) == 2 else found


def _importance_charts(evidence: Evidence, styles: Styles) -> list[Chart | NotMeasured]:
    """Return what each column counts, nothing where rows have neither texts nor a table."""
    if evidence.facts.of_pairs or not (evidence.facts.texts or evidence.facts.table):
        return []
    asked = {run.name: run.reasons.importance for run in evidence.runs if run.reasons}
    return [importances({name: found for name, found in asked.items() if found}, styles)]


def context(evidence: Evidence) -> dict[str, Any]:
    """Return everything that the templates show beside the charts."""
    findings = evidence.findings.items if evidence.findings else ()
    metrics = key_metrics(evidence)
    leakage = leakage_of_test(evidence)
    primary, others = split_pairs(evidence)
    shared = sections(
        findings,
        _titles(evidence),
        [run for run in evidence.runs if run.entry.trained],
        place=evidence.place,
        first_seed=first_seed(evidence),
        key_of="run",
    )
    return {
        **shared,
        "failures": words.failures(evidence),
        "evidence": evidence,
        "index": evidence.index,
        "comparison": evidence.comparison,
        "headline": words.headline(evidence),
        "leakage_sentence": words.leakage_sentence(leakage),
        "clean_figures": words.clean_figures(evidence),
        "leakage_known": leakage is not None,
        "pretraining": pretraining_sentence(evidence.paths.pretraining),
        "inverted": words.inverted_reference(evidence),
        "reference": _reference(evidence),
        "explanations": [
            (arm.title, explanation(evidence, arm))
            for arm in (() if evidence.facts.of_pairs else evidence.candidates)
        ],
        "cards": cards(evidence),
        "metrics": metrics,
        "all_metrics": all_metrics(evidence),
        "lines": score_lines(evidence, metrics),
        "seeds": seeds_words(evidence),
        "seed_table": seed_table(evidence, metrics) if evidence.seeds > 1 else None,
        "trained_words": trained_words(evidence),
        "primary_pairs": primary,
        "other_pairs": others,
        "clean_score": lambda run, name: _run_score(evidence, run, name),
        "leaked_table": leaked_table,
        "weight_files": _weight_files(evidence),
        "mistakes": [
            mistakes(run, evidence.index.slices, evidence.facts) for run in evidence.candidates
        ],
        "reasons": read_runs(evidence),
        "errors_sentence": _errors_sentence(evidence),
        "use_sentence": "The model folder is a standard one: Graft is not needed to use it."
        if evidence.facts.of_pairs or evidence.facts.channels or len(evidence.facts.texts) == 1
        else "Graft puts the columns of a row together as in training.",
        "codes": [(arm, loading_code(evidence, arm)) for arm in evidence.arms],
        "definitions": _definitions(evidence),
    }


def _errors_sentence(evidence: Evidence) -> str:
    if evidence.facts.regression:
        return "Test rows by the distance of the prediction from the true number, furthest first."
    order = "most wrong labels" if evidence.facts.multi_label else "most confident"
    return f"Wrong decisions on the test split at the decision threshold, the {order} first."


def _reference(evidence: Evidence) -> str:
    """Return what arms are compared with, in words."""
    names = {evidence.reference(arm.name) for arm in evidence.arms}
    if len(names) > 1:
        return "its reference"
    return evidence.reference_words(*names or {evidence.index.base_run})


def _titles(evidence: Evidence) -> dict[str, str]:
    """Return what findings can be about, in the order of the page."""
    trainings = [training for run in evidence.runs for training in run.trainings]
    return {
        "data": "Data",
        NAME: "Pretraining",
        **{own.name: own.title for own in trainings},
        "recipe": "Recipe",
    }


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
