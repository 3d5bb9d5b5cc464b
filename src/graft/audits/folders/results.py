"""K8 and K13: is the logged metric that of the saved model, and is its solution a solution?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest, pearsonr, spearmanr
from sklearn.metrics import f1_score

from graft.audits.chance import ROWS_NEEDED
from graft.audits.contract import Answer, Check, named
from graft.audits.degenerate import CHANCE, is_collapsed, spread_words
from graft.audits.folders.answers import Answers
from graft.audits.folders.causes import Faults
from graft.audits.folders.decisions import decisions, positions
from graft.audits.folders.evidence import FolderEvidence
from graft.audits.folders.rows import Rows
from graft.core.errors import ModelError, NotApplicableError
from graft.evaluate.spread import spread_of
from graft.tasks.protocol import Array

TOLERANCE = 0.005
OTHERS_NEEDED = 5  # rows of other labels below which one answer for all is no wonder


def metrics_reloaded(evidence: FolderEvidence) -> Answer:
    """Return whether the reloaded model reaches, on the rows given, the metric that was logged."""
    if evidence.log is None:
        raise NotApplicableError(evidence.no_log)
    rows = _labelled(evidence)
    measured = _measured(_tuned(evidence), rows)
    count = min(len(rows.texts), len(evidence.asked))
    near = max(TOLERANCE, 1 / count)
    logged = {
        name: evidence.log.metric(name)
        for record in evidence.log.records
        for name in record.metrics
        if _plain(name) in measured
    }
    if not logged:
        names = ", ".join(measured)
        raise NotApplicableError(f"the log holds none of the metrics that are computed ({names})")
    faults, told, shown = Faults(), [], {}
    for name, series in logged.items():
        values = measured[_plain(name)]
        last, best = series[-1][1], max(value for _, value in series)
        close = [v for v in values if min(abs(v - last), abs(v - best)) <= near]
        earlier = [s for s, v in series if min(abs(v - value) for value in values) <= near]
        shown[name] = {"logged_last": last, "logged_best": best, "reloaded": list(values)}
        words = (
            f"{name} is {values[0]:.4f} on {count} rows (logged last {last:.4f}, best {best:.4f})"
        )
        if close:
            told.append(words)
        elif earlier:
            what = f"{words}: that of step {earlier[-1]}"
            faults.add("metric_not_reproduced", what, blocks=False)
        else:
            faults.add("metric_not_reproduced", words)
    return faults.answer("; ".join(told), {"rows": count, "metrics": shown})


def _plain(name: str) -> str:
    """Return the name of a logged metric without the prefix of its split."""
    for lead in ("eval_", "val_", "validation_"):
        name = name.removeprefix(lead)
    return name.rpartition("_dev_")[2] if "_dev_" in name else name


def _tuned(evidence: FolderEvidence) -> Answers:
    try:
        return evidence.tuned_answers
    except ModelError as error:
        raise NotApplicableError(f"the tuned model {error.problems[0].what}") from None


def _labelled(evidence: FolderEvidence) -> Rows:
    if evidence.rows is None:
        raise NotApplicableError("no --data was given")
    if evidence.rows.labels is None:
        raise NotApplicableError(f"{evidence.rows.name} has no column of labels")
    return evidence.rows


def _measured(answers: Answers, rows: Rows) -> Mapping[str, tuple[float, ...]]:
    """Return each metric that can be computed, with every usual way of averaging."""
    found = decisions(answers, rows)
    labels = (rows.labels or ())[: len(found.values)]
    if found.names:
        truth = positions(labels, found.names)
        if truth is None:
            raise NotApplicableError(f"the labels are not among {named(found.names, 5)}")
        ways = ("macro", "micro", "weighted", *(["binary"] if len(found.names) == 2 else []))
        scores = tuple(
            float(f1_score(truth, found.values, average=way, zero_division=0.0)) for way in ways
        )
        return {"accuracy": (float((truth == found.values).mean()),), "f1": scores}
    if not all(isinstance(label, int | float) for label in labels):
        raise NotApplicableError("the labels are no numbers")
    truth, scores_ = np.array(labels, np.float64), found.scores[:, 0]
    if np.ptp(truth) == 0 or np.ptp(scores_) == 0:
        raise NotApplicableError("labels or scores are constant: no correlation is defined")
    spearman = float(spearmanr(scores_, truth).statistic)
    pearson = float(pearsonr(scores_, truth).statistic)
    return {
        "spearman": (spearman,),
        "pearson": (pearson,),
        "spearman_cosine": (spearman,),
        "pearson_cosine": (pearson,),
    }


def varied_answers(evidence: FolderEvidence) -> Answer:
    """Return whether a classifier gives more than one answer, and names labels in their order."""
    rows = _labelled(evidence)
    found = decisions(_tuned(evidence), rows)
    if not found.names:
        raise NotApplicableError("the tuned model is no classifier")
    truth = positions((rows.labels or ())[: len(found.values)], found.names)
    if truth is None:
        raise NotApplicableError(f"the labels are not among {named(found.names, 5)}")
    count, classes = len(truth), Counter(found.values.tolist())
    others = count - Counter(truth.tolist()).most_common(1)[0][1]
    if count < ROWS_NEEDED or others < OTHERS_NEEDED:
        raise NotApplicableError(f"fewer than {ROWS_NEEDED} rows, or nearly all of one label")
    faults = Faults()
    if len(classes) == 1:
        only = found.names[int(found.values[0])]
        faults.add("one_class", f"all {count} rows are '{only}', {others} have another label")
    order, before, after, chance = _best_order(found.values, truth, len(found.names))
    mapped = {found.names[i]: found.names[int(j)] for i, j in enumerate(order)}
    if chance < CHANCE and after > before:
        what = f"accuracy is {before:.3f}, with the labels in another order {after:.3f}"
        faults.add("labels_permuted", f"{what} (p = {chance:.1e})")
    shown = {"rows": count, "answers": {found.names[k]: n for k, n in classes.items()}}
    shown |= {"accuracy": before, "accuracy_best_order": after, "p": chance, "best_order": mapped}
    summary = f"{len(classes)} of {len(found.names)} labels are given; accuracy {before:.3f}"
    return faults.answer(f"{summary}, and no other order of the labels is better by far", shown)


def _best_order(values: Array, truth: Array, classes: int) -> tuple[Array, float, float, float]:
    """Return the order of labels that fits best, the accuracy without and with it, and p.

    p is that of McNemar's exact test between the two orders, times the number of orders.
    """
    table = np.zeros((classes, classes))
    np.add.at(table, (values, truth), 1)
    _, order = linear_sum_assignment(-table)
    given, best = values == truth, order[values] == truth
    wins, losses = int((best & ~given).sum()), int((given & ~best).sum())
    p_value = 1.0
    if wins + losses:
        p_value = float(binomtest(wins, wins + losses, alternative="greater").pvalue)
    orders = float(np.prod(np.arange(1, min(classes, 20) + 1, dtype=np.float64)))
    return order, float(given.mean()), float(best.mean()), min(1.0, p_value * orders)


def texts_apart(evidence: FolderEvidence) -> Answer:
    """Return whether embeddings of different texts stay apart, as those of the base do."""
    tuned = _tuned(evidence)
    if tuned.kind != "embedding":
        raise NotApplicableError("the tuned model gives no embeddings")
    try:
        base = evidence.base_answers
    except ModelError as error:
        raise NotApplicableError(f"the base {error.problems[0].what}") from None
    if base.kind != "embedding":
        raise NotApplicableError("the base gives no embeddings")
    if not (np.isfinite(base.outputs).all() and np.isfinite(tuned.outputs).all()):
        raise NotApplicableError("embeddings hold NaN or infinity")
    width = len(evidence.asked[0])
    texts = [row[place] for place in range(width) for row in evidence.asked]
    spreads = []
    for side in (base, tuned):
        vectors = np.concatenate(np.split(side.outputs, width, axis=1))
        first = {text: place for place, text in reversed(list(enumerate(texts)))}
        spread = spread_of(vectors[sorted(first.values())].astype(np.float64))
        if spread.texts < 2:
            raise NotApplicableError("fewer than two different texts were given")
        spreads.append(spread)
    before, after = spreads
    shown = {"base": before, "tuned": after}
    words = spread_words(before, after)
    faults = Faults()
    if is_collapsed(before, after):
        faults.add("collapsed", f"all texts look alike: {words}")
    return faults.answer(words, shown)


CHECKS = (
    Check(
        "K8",
        "metrics_reloaded",
        "Does the saved model reach the metric that was logged?",
        metrics_reloaded,
    ),
    Check("K13", "varied_answers", "Does it give several answers, in order?", varied_answers),
    Check("K13", "texts_apart", "Do embeddings of different texts stay apart?", texts_apart),
)
