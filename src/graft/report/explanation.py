"""One paragraph about an arm that a person who trains no models understands, from measured values.

What was adapted, what it buys, how sure that is, what it costs, where it is weakest, and what the
gain is made of. What was not measured, or is not shown, is said.
"""

from __future__ import annotations

from graft.core.scores import Score
from graft.core.verdicts import PairedDifference, Verdict
from graft.metrics import catalogue
from graft.report import words
from graft.report.adapted import trained_places
from graft.report.charts_reasons import importance_words
from graft.report.evidence import Evidence, RunEvidence
from graft.report.numerals import count, duration, listed, magnitude, plural, share, size
from graft.report.slices import weakest_sentence

DECISIONS = 1000
ACCURACY, EXACT_MATCH, DISTANCE = "accuracy", "exact_match", "mae"
TFIDF = "tfidf"


def explanation(evidence: Evidence, arm: RunEvidence) -> str:
    """Return the paragraph about one arm.

    Args:
        evidence: The files of the experiment.
        arm: An arm, a fusion included.
    """
    main = evidence.pair(
        arm.name, evidence.reference(arm.name), evidence.comparison.primary, _subset(evidence, arm)
    )
    sentences = [
        adapted(evidence, arm),
        *gains(evidence, arm, main),
        certainty(main),
        cost(arm),
        weakest_sentence(arm, evidence.comparison.primary, evidence.index.slices, evidence.facts),
        importance_words(arm.reasons.importance) if arm.reasons and arm.reasons.importance else "",
        made_of(evidence, arm, main),
    ]
    text = " ".join(sentence for sentence in sentences if sentence)
    return text[:1].upper() + text[1:]


def adapted(evidence: Evidence, arm: RunEvidence) -> str:
    """Return how many of how many parameters were trained, and in which layers."""
    if arm.fusion is not None:
        parts = listed([evidence.title(part) for part in arm.fusion.parts])
        return f"{arm.title} merges the probabilities of {parts}; no weight of a model was changed."
    if arm.plan is None:
        return f"What was adapted in {arm.title} is not known: it has no plan."
    plan = arm.plan
    part = plan.trainable_parameters / plan.total_parameters if plan.total_parameters else 0.0
    return (
        f"{arm.title} trained {count(plan.trainable_parameters)} of the "
        f"{magnitude(plan.total_parameters)} parameters of {evidence.index.base} ({share(part)}): "
        f"{trained_places(plan)}."
    )


def gains(evidence: Evidence, arm: RunEvidence, main: PairedDifference | None) -> list[str]:
    """Return what it buys: the primary metric and decisions against reference and TF-IDF."""
    if main is None or main.difference is None or main.verdict == Verdict.not_measured:
        reason = f" {main.reason}" if main else ""
        reference = evidence.reference_words(evidence.reference(arm.name))
        return [f"What that buys against {reference} was not measured.{reason}"]
    title = catalogue.metric(main.metric).title
    reference = evidence.reference_words(main.reference)
    rows = "test rows" if main.subset == "all" else f"{main.subset} test rows"
    rows += words.over_seeds(main.seeds, ", in the ")
    found = [
        f"On {count(main.n)} {rows} its {title} is {words.value(main.metric, main.candidate_value)}"
        f" against {words.value(main.metric, main.reference_value)} for {reference}: "
        f"{_with_interval(main)}.",
        _in_practice(evidence, arm, main.reference, main.subset),
    ]
    other = evidence.pair(arm.name, TFIDF, main.metric, main.subset)
    if main.reference != TFIDF and other and other.difference is not None:
        verdict = {
            Verdict.better: "which is better",
            Verdict.worse: "which is worse",
        }.get(other.verdict, "which is no difference that is shown")
        found.append(
            f"Against {evidence.title(TFIDF)}, which only counts words, the difference is "
            f"{_with_interval(other)}, {verdict}."
        )
    return found


def certainty(main: PairedDifference | None) -> str:
    """Return how sure the difference is, in one plain sentence; empty if there is none."""
    if main is None or main.difference is None or main.verdict == Verdict.not_measured:
        return ""
    known = main.low is not None and main.high is not None
    if main.verdict == Verdict.not_shown:
        small = (
            f": on {plural(main.n, 'row')}, a difference below {words.value(main.metric, least)} "
            "would often be missed"
            if (least := abs(main.detectable) if main.detectable is not None else None)
            else ""
        )
        return f"Neither a gain nor a loss is shown{small}."
    side = "gain" if main.verdict == Verdict.better else "loss"
    p = main.p_holm if main.p_holm is not None else main.p_permutation
    if p is None:
        return f"The {side} is shown." if known else f"A {side} was judged without an interval."
    odds = max(1, round(DECISIONS * p))
    often = (
        f"in fewer than 1 of {DECISIONS:,}" if p < 1 / DECISIONS else f"in {odds} of {DECISIONS:,}"
    )
    return (
        f"The {side} is shown: if there were none, a difference as large would come up {often} "
        "such comparisons."
    )


def cost(arm: RunEvidence) -> str:
    """Return what training and the model folder cost."""
    if arm.cost is None:
        return "What it costs was not measured." if arm.fusion is None else ""
    paid = arm.cost
    once = "One training" if arm.replicates else "Training"
    return (
        f"{once} took {duration(paid.train_seconds)} on {paid.device}; the model takes "
        f"{size(paid.artefact_bytes)} on disk."
    )


def made_of(evidence: Evidence, arm: RunEvidence, main: PairedDifference | None) -> str:
    """Return what the gain is made of.

    Of an arm what pretraining has to do with it, by the same without pretraining; of a fusion what
    merging adds to its arm.
    """
    metric, subset = evidence.comparison.primary, main.subset if main else "all"
    if arm.fusion is not None:
        return _merging(evidence, arm.fusion.arm, evidence.pair(
            arm.name, arm.fusion.arm, metric, subset))  # fmt: skip
    controls = {kind: name for name, kind in evidence.wishes.controls.items()}
    found = []
    if "random_init" not in controls:
        found.append(
            "Whether that comes from pretraining was not measured: no arm is the control "
            "random_init."
        )
    else:
        pair = evidence.pair(arm.name, controls["random_init"], metric, subset)
        found.append(_pretraining(pair))
    shuffled = evidence.run(controls.get("shuffled_labels", ""))
    score = shuffled.score(evidence.comparison.primary) if shuffled else None
    if score and score.value is not None:
        found.append(_noise(score))
    return " ".join(found)


def _pretraining(pair: PairedDifference | None) -> str:
    if pair is None or pair.difference is None or pair.verdict == Verdict.not_measured:
        return "What pretraining adds was not measured: the control was not compared."
    title = catalogue.metric(pair.metric).title
    start = (
        f"The same network without pretraining reaches {title} "
        f"{words.value(pair.metric, pair.reference_value)}"
    )
    if pair.verdict == Verdict.better:
        return f"{start}: {_with_interval(pair)} come from pretraining."
    if pair.verdict == Verdict.worse:
        return f"{start}: pretraining did harm here, {_with_interval(pair)}."
    return f"{start}: that pretraining adds anything is not shown, {_with_interval(pair)}."


def _noise(score: Score) -> str:
    """Return what the control reaches that was trained on labels dealt out at random."""
    title = catalogue.metric(score.metric).title
    reached = (
        f"Trained on labels dealt out at random it reaches {title} "
        f"{words.value(score.metric, score.value)}"
    )
    if not score.by_seed:
        return (
            f"{reached}, in one training: such a number differs from training to training by more "
            "than the rows tell."
        )
    seeds = f"in the mean of {len(score.by_seed)} trainings"
    if score.low is None or score.high is None:
        return f"{reached} {seeds}."
    ends = words.ends(score.metric, score.low, score.high)
    return f"{reached} {seeds} (95 % interval {ends})."


def _merging(evidence: Evidence, arm: str, pair: PairedDifference | None) -> str:
    title = evidence.title(arm)
    if pair is None or pair.difference is None or pair.verdict == Verdict.not_measured:
        return f"What merging adds to {title} was not measured."
    if pair.verdict == Verdict.not_shown:
        return f"That merging adds anything to {title} is not shown: {_with_interval(pair)}."
    verb = "adds" if pair.verdict == Verdict.better else "costs"
    return f"Merging {verb} something against {title} alone: {_with_interval(pair)}."


def _subset(evidence: Evidence, arm: RunEvidence) -> str:
    for item in evidence.comparison.headline:
        if item.candidate == arm.name:
            return item.subset
    return "all"


def _with_interval(pair: PairedDifference) -> str:
    difference = words.difference(pair.metric, pair.difference)
    if pair.low is None or pair.high is None:
        return f"{difference} (no interval)"
    ends = words.ends(pair.metric, pair.low, pair.high, sign=True)
    return f"{difference} (95 % interval {ends})"


def _in_practice(evidence: Evidence, arm: RunEvidence, reference: str, subset: str) -> str:
    """Return what the difference means for those who use the predictions."""
    if evidence.facts.regression:
        return _distance(evidence, arm, reference, subset)
    return _decisions(evidence, arm, reference, subset)


def _distance(evidence: Evidence, arm: RunEvidence, reference: str, subset: str) -> str:
    """Return how far predictions lie from the true numbers, as a mean."""
    pair = evidence.pair(arm.name, reference, DISTANCE, subset)
    if pair is None or pair.difference is None:
        return "How far predictions lie from the true numbers was not measured."
    doubt = "" if _shown(pair) else ", a difference that is not shown"
    return (
        f"On average its predictions lie {words.value(DISTANCE, pair.candidate_value)} from the "
        f"true numbers, those of {evidence.reference_words(reference)} "
        f"{words.value(DISTANCE, pair.reference_value)}{doubt}."
    )


def _decisions(evidence: Evidence, arm: RunEvidence, reference: str, subset: str) -> str:
    """Return how many more of 1,000 decisions are right, or rows with all of their labels."""
    labels = evidence.facts.multi_label
    pair = evidence.pair(arm.name, reference, EXACT_MATCH if labels else ACCURACY, subset)
    if pair is None or pair.difference is None or pair.candidate_value is None:
        return "How many decisions that makes right was not measured."
    change = round(DECISIONS * pair.difference)
    right = round(DECISIONS * pair.candidate_value)
    of = f"Of {DECISIONS:,} decisions {count(right)} are right, "
    if labels:
        of = f"Of {DECISIONS:,} rows {count(right)} get every label right, "
    if not change:
        return f"{of}as many as for {evidence.reference_words(reference)}."
    sure = ""
    if pair.low is not None and pair.high is not None:
        low, high = (round(DECISIONS * end) for end in (pair.low, pair.high))
        sure = f" (95 % interval {low:+,} to {high:+,})".replace("-", "−")
    doubt = "" if _shown(pair) else ", a difference that is not shown"
    return f"{of}{count(abs(change))} {'more' if change > 0 else 'fewer'}{sure}{doubt}."


def _shown(pair: PairedDifference) -> bool:
    return pair.verdict in (Verdict.better, Verdict.worse)
