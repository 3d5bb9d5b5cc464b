import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from graft.core.facts import UNKNOWN, RowFacts
from graft.metrics.catalogue import CATALOGUE
from graft.metrics.class_counts import of_each_class
from graft.metrics.evidence import collect
from graft.metrics.labelled import measures_of
from graft.metrics.measures import compute_samples, with_derived
from graft.metrics.probabilities import BINS, class_columns
from graft.metrics.replicates import Sampling
from graft.metrics.resampling import resample
from graft.metrics.significance import permutation

TWO = RowFacts(classes=("no", "yes"))


def facts(classes):
    return RowFacts(classes=tuple(f"c{place}" for place in range(classes)))


def columns(rng, rows, classes, skill=1.0):
    label = rng.permutation(np.arange(rows) % classes).astype(float)
    logits = rng.normal(size=(rows, classes))
    logits[np.arange(rows), label.astype(int)] += skill
    found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    given = {**class_columns(found), "label": label}
    return (given | {"threshold": np.full(rows, 0.4)} if classes == 2 else given), found


def values(given, classes):
    return {m.metric.name: m.compute(given) for m in measures_of(facts(classes))}


def ece(score, right):
    """The definition by scikit-learn's bins, weighted by their rows."""
    true, mean = calibration_curve(right, score, n_bins=BINS)
    places = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], score)
    sizes = np.bincount(places, minlength=BINS)
    return float((np.abs(true - mean) * sizes[sizes > 0]).sum() / len(score))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(8, 60), st.floats(-1, 3))
def test_two_classes_agree_with_scikit_learn(seed, rows, skill):
    given, every = columns(np.random.default_rng(seed), rows, 2, skill)
    label, score = given["label"], given["score"]
    decided = score >= 0.4
    scores = {"zero_division": np.nan}
    expected = {
        "roc_auc": sklearn_metrics.roc_auc_score(label, score),
        "average_precision": sklearn_metrics.average_precision_score(label, score),
        "accuracy": sklearn_metrics.accuracy_score(label, decided),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(label, decided),
        "f1": sklearn_metrics.f1_score(label, decided, **scores),
        "precision": sklearn_metrics.precision_score(label, decided, **scores),
        "recall": sklearn_metrics.recall_score(label, decided),
        "false_positives": (decided & (label == 0)).sum(),
        "false_negatives": (~decided & (label == 1)).sum(),
        "log_loss": sklearn_metrics.log_loss(label, every),
        "brier": sklearn_metrics.brier_score_loss(label, score),
        "calibration_error": ece(score, label),
    }
    found = values(given, 2)
    assert set(found) == set(expected)
    plain = {name: np.nan if value is None else value for name, value in found.items()}
    assert plain == pytest.approx(expected, nan_ok=True)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(8, 60), st.integers(3, 7), st.floats(-1, 3))
def test_more_classes_agree_with_scikit_learn(seed, rows, classes, skill):
    given, every = columns(np.random.default_rng(seed), rows, classes, skill)
    label, predicted, names = given["label"], given["predicted"], np.arange(classes)
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(label, predicted),
        "balanced_accuracy": np.mean(
            sklearn_metrics.recall_score(label, predicted, labels=np.unique(label), average=None)
        ),
        "macro_f1": sklearn_metrics.f1_score(label, predicted, average="macro"),
        "weighted_f1": sklearn_metrics.f1_score(label, predicted, average="weighted"),
        "log_loss": sklearn_metrics.log_loss(label, every, labels=names),
        "brier": sklearn_metrics.brier_score_loss(
            label.astype(int), every, labels=names, scale_by_half=True
        ),
        "calibration_error": ece(given["score"], predicted == label),
    }
    if classes > 3:
        expected["top_3_accuracy"] = sklearn_metrics.top_k_accuracy_score(
            label, every, k=3, labels=names
        )
    assert values(given, classes) == pytest.approx(expected)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_each_class_agrees_with_scikit_learn(seed, classes):
    given, _ = columns(np.random.default_rng(seed), 30, classes)
    decided = given["predicted"] if classes > 2 else given["score"] >= given["threshold"]
    shares = sklearn_metrics.precision_recall_fscore_support(
        given["label"], decided, labels=np.arange(classes), zero_division=np.nan
    )
    for item, *expected in zip(of_each_class(given, facts(classes).classes), *shares, strict=True):
        found = [item.precision, item.recall, item.f1, item.support]
        plain = [np.nan if value is None else value for value in found]
        assert plain == pytest.approx(expected, nan_ok=True)


def test_a_class_that_does_not_occur_has_no_precision_recall_or_f1():
    given = {"predicted": np.array([0.0, 0, 1]), "label": np.array([0.0, 1, 1])}
    absent = of_each_class(given, ("a", "b", "c"))[2]
    assert (absent.support, absent.predicted) == (0, 0)
    assert absent.precision is absent.recall is absent.f1 is None


@pytest.mark.parametrize("classes", [2, 5])
def test_resampling_gives_what_compute_gives_on_the_drawn_rows(rng, classes):
    given, _ = columns(rng, 40, classes)
    kinds = measures_of(facts(classes))
    drawn = np.random.default_rng(5).integers(0, 40, size=(6, 40))
    found = resample(kinds, {"run": given}, 6, np.random.default_rng(5))["run"]
    for index, rows in enumerate(drawn):
        sample = {name: column[rows] for name, column in given.items()}
        for kind in kinds:
            value = kind.compute(sample)
            expected = np.nan if value is None else value
            name = kind.metric.name
            assert found[name][index] == pytest.approx(expected, nan_ok=True), name


@pytest.mark.parametrize("classes", [2, 5])
def test_swapping_every_row_swaps_the_runs(rng, classes):
    """What a permutation test exchanges must be all that the value depends on."""
    one, _ = columns(rng, 40, classes)
    other = {**columns(rng, 40, classes)[0], "label": one["label"]}
    for kind in measures_of(facts(classes)):
        first, second = (kind.prepare(with_derived([kind], run)) for run in (one, other))
        mixed = {**first, **{name: second[name] for name in kind.swapped}}
        value = compute_samples(kind, {name: mixed[name][None] for name in mixed}, 1)[0]
        assert value == pytest.approx(kind.compute(other)), kind.metric.name
        p = permutation(kind, [one], [one], rng=rng, resamples=50)
        assert p == 1.0


@pytest.mark.parametrize("classes", [2, 5])
def test_a_better_run_is_found_and_labels_without_meaning_are_not(classes):
    rng = np.random.default_rng(3)
    good, _ = columns(rng, 200, classes, skill=3.0)
    poor, _ = columns(rng, 200, classes, skill=0.0)
    poor = {**poor, "label": good["label"]}
    settings = Sampling(resamples=200, alpha=0.05, seed=1)
    kinds = measures_of(facts(classes))
    found = collect(
        {"good": [good], "poor": [poor]},
        [("good", "poor")],
        kinds,
        subset="all",
        of_decisions={"accuracy"},
        sampling=settings,
    )
    for item in found:
        higher = item.metric.higher_is_better
        if item.metric.name not in ("calibration_error", "recall", "false_negatives"):
            assert item.p_permutation < 0.02
            assert (item.bootstrap.low > 0) if higher else (item.bootstrap.high < 0)
        assert (item.p_mcnemar is not None) == (item.metric.name == "accuracy")
    shuffled = rng.permutation(good["label"])
    share = np.mean(shuffled == good.get("predicted", good["score"] >= 0.4))
    assert share < 0.75
    assert values({**good, "label": shuffled}, classes)["accuracy"] == pytest.approx(share)


@pytest.mark.parametrize("classes", [2, 5])
class TestEveryMeasure:
    def test_lies_in_its_range_and_says_what_it_means(self, rng, classes):
        for _ in range(20):
            found = values(columns(rng, 12, classes, rng.normal())[0], classes)
            for name, value in found.items():
                entry = CATALOGUE[name]
                assert entry.definition.endswith(".") and entry.source
                assert value is None or entry.low <= value <= (entry.high or np.inf)

    def test_is_undefined_on_no_rows_and_on_nan(self, rng, classes):
        given, _ = columns(rng, 20, classes)
        empty = {name: column[:0] for name, column in given.items()}
        broken = {
            name: np.where(np.arange(20) == 3, np.nan, column) if name != "label" else column
            for name, column in given.items()
        }
        for kind in measures_of(facts(classes)):
            assert kind.compute(empty) is None
            assert kind.compute(broken) is None, kind.metric.name

    def test_perfect_probabilities_are_the_best_value(self, rng, classes):
        label = (np.arange(30) % classes).astype(float)
        given = class_columns(np.eye(classes)[label.astype(int)])
        given |= (
            {"label": label, "threshold": np.full(30, 0.5)} if classes == 2 else {"label": label}
        )
        for name, value in values(given, classes).items():
            entry = CATALOGUE[name]
            assert value == (entry.high if entry.higher_is_better else 0.0), name


def test_the_log_loss_of_an_impossible_answer_is_finite():
    given = {**class_columns(np.array([[1.0, 0.0]])), "label": np.array([1.0])}
    given["threshold"] = np.array([0.5])
    assert values(given, 2)["log_loss"] == pytest.approx(-np.log(np.finfo(float).eps))


def test_ties_among_probabilities_are_broken_by_place():
    """A run that gives every class the same probability must not be right for all of them."""
    label = np.arange(8).astype(float)
    given = {**class_columns(np.full((8, 8), 1 / 8)), "label": label}
    assert values(given, 8)["top_3_accuracy"] == 3 / 8
    assert values(given, 8)["accuracy"] == 1 / 8


def test_three_classes_have_no_top_three_and_unknown_facts_have_all():
    assert "top_3_accuracy" not in values_of(facts(3))
    names = values_of(UNKNOWN)
    assert len(set(names)) == len(names)
    assert set(names) == {*values_of(TWO), *values_of(facts(9))}
    assert set(names) <= set(CATALOGUE)


def values_of(known):
    return [item.metric.name for item in measures_of(known)]
