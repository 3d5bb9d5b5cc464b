"""The model card of an arm: what it is, how to load it, how good it is, and how that is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from graft.core.errors import Problem, RunFolderError
from graft.core.files import write_text
from graft.core.findings import Status
from graft.core.scores import Score
from graft.metrics import catalogue
from graft.report import words
from graft.report.adapted import adapted_sentence, fusion_sentence
from graft.report.evidence import Evidence, RunEvidence, read_evidence
from graft.report.explanation import explanation
from graft.report.numerals import count, duration, magnitude, plural, share
from graft.report.replicates import span
from graft.report.results import all_metrics, find_pair, leakage_of_test
from graft.report.usage import loading_code

LIBRARIES = dict.fromkeys(("pairs", "classification"), "sentence-transformers")
TASK_TYPES = {
    "series": ("other", "Time series classification"),
    "pairs": ("sentence-similarity", "Sentence similarity"),
    "classification": ("text-classification", "Text classification"),
}


def write_card(root: Path, run: str) -> Path:
    """Return the path of the model card of the arm `run`, written from the files of its run.

    Args:
        root: Folder of the experiment.
        run: Name of an arm.

    Raises:
        RunFolderError: A file is missing or unreadable, or `run` is no arm of the experiment.
    """
    evidence = read_evidence(root)
    arms = {arm.name: arm for arm in evidence.arms}
    if run not in arms:
        problem = Problem(
            str(evidence.paths.index), f"no arm is named '{run}'", f"use one of {sorted(arms)}"
        )
        raise RunFolderError("model card", [problem])
    arm = arms[run]
    write_text(arm.paths.card, card_text(evidence, arm))
    return Path(arm.paths.card)


def card_text(evidence: Evidence, arm: RunEvidence) -> str:
    """Return the whole card: YAML front matter, then Markdown."""
    index = evidence.index
    front = yaml.safe_dump(_front_matter(evidence, arm), sort_keys=False, allow_unicode=True)
    pair = find_pair(evidence, arm.name, evidence.comparison.primary, "all")
    clean = find_pair(evidence, arm.name, evidence.comparison.primary, "clean")
    base = evidence.reference_words(evidence.reference(arm.name))
    verdict = words.verdict_word(pair.verdict, clean.verdict if clean else None) if pair else ""
    parts = [
        f"---\n{front}---",
        f"# {_plain(arm.title)}",
        f"{_plain(index.base)} adapted for the task `{_plain(index.task)}` in the experiment "
        f"{_plain(index.name)}. Adapted: {adapted_sentence(arm)}",
        f"**Verdict: {verdict or 'not measured'}.** "
        + (words.difference_sentence(pair, base) if pair else ""),
        f"On the clean rows: {words.difference_sentence(clean, base)}" if clean else "",
        words.CONTROL_WORDS.get(evidence.wishes.controls.get(arm.name, ""), ""),
        "" if evidence.facts.of_pairs else _plain(explanation(evidence, arm)),
        _replicate(evidence, arm),
        "## Use",
        f"```python\n{loading_code(evidence, arm)}```",
        "## Evaluation",
        _evaluation(evidence, arm),
        words.leakage_sentence(leakage_of_test(evidence)),
        "## Data",
        _data(evidence),
        "## Audits",
        _audits(evidence, arm),
        "## Training",
        _training(arm),
        "## Versions",
        _table(("What", "Version"), sorted(index.versions.items())),
        f"Recipe SHA-256 `{index.recipe_sha256}`, "
        f"seed{'s' if arm.replicates else ''} "
        f"{span(arm.entry.seeds or (index.seed,))}, {_plain(index.hardware)}.",
    ]
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _front_matter(evidence: Evidence, arm: RunEvidence) -> dict[str, Any]:
    task, task_name = TASK_TYPES.get(evidence.index.task, ("other", evidence.index.task))
    scores = arm.on_test()
    measured = [score for score in scores.items if score.value is not None] if scores else []
    # Of this artefact, which is that of the first seed, not of the mean over the seeds.
    results = [
        {"type": score.metric, "value": value, "name": catalogue.metric(score.metric).title}
        for score in measured
        if (value := score.by_seed[0] if score.by_seed else score.value) is not None
    ]
    dataset = {"name": evidence.index.name, "type": evidence.index.name, "split": "test"}
    result = {"task": {"type": task, "name": task_name}, "dataset": dataset, "metrics": results}
    return {
        "library_name": LIBRARIES.get(evidence.index.task, "transformers"),
        "base_model": evidence.index.base,
        "tags": ["graft", evidence.index.task, *([arm.plan.method] if arm.plan else [])],
        "metrics": [score.metric for score in measured],
        "model-index": [{"name": arm.title, "results": [result]}],
    }


def _evaluation(evidence: Evidence, arm: RunEvidence) -> str:
    rows, known = [], evidence.reference(arm.name)
    reference = evidence.run(known)
    for subset, name in (("all", "all"), ("clean", "clean")):
        for metric in all_metrics(evidence):
            ours = arm.score(metric.name, subset)
            if ours is None:
                continue
            base = reference.score(metric.name, subset) if reference else None
            pair = find_pair(evidence, arm.name, metric.name, subset)
            verdict = words.VERDICT_WORDS[pair.verdict] if pair else "not compared"
            own = [words.value(metric.name, ours.by_seed[0])] if ours.by_seed else []
            cells = (metric.title, name, _measured(base), _measured(ours), *own)
            rows.append((*cells, verdict, count(ours.n)))
    if not rows:
        return "Not measured: the run has no scores on the test split."
    compared = evidence.reference_words(known, "Untouched base")
    here = [f"Mean of {len(arm.trainings)} seeds"] if arm.replicates else []
    head = ("Metric", "Rows", compared, *here, "This model", "Verdict", "n")
    note = "Test split; 95 % bootstrap intervals in brackets; verdicts from paired differences."
    return f"{_table(head, rows)}\n\n{note}"


def _replicate(evidence: Evidence, arm: RunEvidence) -> str:
    """Return which of several trainings this model is, and why that one; empty if there is one."""
    if not arm.replicates:
        return ""
    return (
        f"Trained {len(arm.trainings)} times, with the seeds {span(arm.entry.seeds)}. This model "
        f"is that of the first, {evidence.index.seed}, whatever it scores: choosing one by its "
        "test score would make that score too good. Verdicts are on the mean of all."
    )


def _measured(score: Score | None) -> str:
    if score is None or score.value is None:
        return "not measured"
    text = words.value(score.metric, score.value)
    if score.low is None or score.high is None:
        return text
    return f"{text} [{words.ends(score.metric, score.low, score.high)}]"


def _data(evidence: Evidence) -> str:
    if evidence.data is None:
        return "Not known: the experiment has no data report."
    rows = [
        (split.split, count(split.rows), ", ".join(split.sources), f"`{split.fingerprint[:16]}`")
        for split in evidence.data.splits
    ]
    return (
        f"{_plain(evidence.data.split_method)}\n\n"
        f"{_table(('Split', 'Rows', 'Sources', 'Fingerprint'), rows)}"
    )


def _audits(evidence: Evidence, arm: RunEvidence) -> str:
    items = evidence.findings.items if evidence.findings else ()
    own = (arm.name, "data", "")
    # Of the other seeds the card shows what a reader must know; the report holds the rest.
    others = {training.name: f"{training.title}: " for training in arm.replicates}
    quiet = (Status.passed, Status.not_applicable)
    rows = [
        (
            finding.check,
            finding.question,
            words.status_word(finding),
            others.get(finding.where, "")
            + finding.summary
            + (f" Accepted: {finding.accepted}" if finding.accepted else ""),
        )
        for finding in items
        if finding.where in own or (finding.where in others and finding.status not in quiet)
    ]
    if not rows:
        return "Not run: nothing about this model was checked."
    return _table(("Check", "Question", "Status", "What was found"), rows)


def _training(arm: RunEvidence) -> str:
    if arm.fusion is not None:
        return _plain(fusion_sentence(arm.fusion))
    if arm.plan is None:
        return "Not known: the run has no plan."
    plan = arm.plan
    part = plan.trainable_parameters / plan.total_parameters if plan.total_parameters else 0.0
    lines = [
        f"- Method `{plan.method}`: {count(plan.trainable_parameters)} of "
        f"{magnitude(plan.total_parameters)} parameters ({share(part)})",
        f"- {plural(plan.total_steps, 'step')}, {count(plan.steps_per_epoch)} per epoch, "
        f"{count(plan.warmup_steps)} of warm-up, then {_plain(plan.schedule)}",
    ]
    lines += [f"- Group `{group.name}`: peak rate {group.learning_rate:g}" for group in plan.groups]
    if arm.cost:
        lines.append(
            f"- Trained in {duration(arm.cost.train_seconds)} on {_plain(arm.cost.device)}"
        )
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(_plain(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _plain(text: str) -> str:
    """Return text that neither ends a table cell nor starts an HTML element."""
    flat = " ".join(str(text).split())
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|")):
        flat = flat.replace(character, entity)
    return flat
