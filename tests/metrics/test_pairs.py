import numpy as np
import pytest

from graft.metrics.pairs import PAIR_MEASURES, best_f1, decided

BY_NAME = {measure.metric.name: measure for measure in PAIR_MEASURES}
# Positive pairs score 0.9, 0.6, 0.2; negative pairs 0.7, 0.1.
COLUMNS = {
    "score": np.array([0.9, 0.7, 0.6, 0.2, 0.1]),
    "label": np.array([1, 0, 1, 1, 0]),
    "threshold": np.full(5, 0.5),
}
BY_HAND = {
    # Ranks 5 4 3 2 1 (from the mean: 2 1 0 −1 −2) and labels ±: 2.5 / sqrt(10 × 7.5).
    "spearman": 2.5 / np.sqrt(10 * 7.5),
    # Scores from 0.5: 0.4 0.2 0.1 −0.3 −0.4; product with labels 0.2; squares 0.46 and 1.2.
    "pearson": 0.2 / np.sqrt(0.46 * 1.2),
    "margin": 1.7 / 3 - 0.4,
    # Squares within: 1.21 − 3 × (1.7/3)² = 0.2467 and 0.18, over 3 degrees of freedom.
    "cohens_d": (1.7 / 3 - 0.4) / np.sqrt((1.21 - 1.7**2 / 3 + 0.18) / 3),
    "roc_auc": 4 / 6,
    "average_precision": (1 / 1 + 2 / 3 + 3 / 4) / 3,
    "f1": 4 / 6,
    "accuracy": 3 / 5,
    "precision": 2 / 3,
    "recall": 2 / 3,
    "false_positives": 1.0,
    "false_negatives": 1.0,
    # The first four rows: 2 × 3 / (4 + 3).
    "best_f1": 6 / 7,
    "best_f1_accuracy": 4 / 5,
    "best_f1_precision": 3 / 4,
    "best_f1_recall": 1.0,
    "best_f1_false_positives": 1.0,
    "best_f1_threshold": 0.15,
}


def test_every_measure_has_a_value_by_hand():
    assert set(BY_NAME) == set(BY_HAND)


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    assert BY_NAME[name].compute(COLUMNS) == pytest.approx(BY_HAND[name])


@pytest.mark.parametrize("measure", PAIR_MEASURES, ids=lambda measure: measure.metric.name)
class TestEveryMeasure:
    def test_says_what_it_means(self, measure):
        metric = measure.metric
        assert metric.title and metric.definition.endswith(".") and metric.source

    def test_lies_in_its_range(self, measure, rng):
        low, high = measure.metric.low, measure.metric.high
        for _ in range(30):
            value = measure.compute(
                {
                    "score": rng.uniform(-1, 1, 12).round(1),
                    "label": rng.random(12).round(1),
                    "threshold": np.full(12, 0.1),
                }
            )
            if value is not None:
                assert (low is None or value >= low) and (high is None or value <= high)

    def test_prepared_columns_give_the_same_value(self, measure):
        if measure.metric.higher_is_better is not None:
            prepared = measure.prepare(COLUMNS)
            assert measure.compute(prepared) == pytest.approx(measure.compute(COLUMNS))

    def test_is_undefined_on_no_rows_and_on_nan(self, measure):
        empty = {name: column[:0] for name, column in COLUMNS.items()}
        broken = {**COLUMNS, "score": np.array([0.9, np.nan, 0.6, 0.2, 0.1])}
        assert measure.compute(empty) is None
        assert measure.compute(broken) is None

    def test_follows_its_direction(self, measure, rng):
        """Perfect scores must not lose against inverted ones."""
        label = np.arange(20) % 2.0
        noise = rng.random(20) / 10
        runs = [
            {"score": score + noise, "label": label, "threshold": np.full(20, 0.5)}
            for score in (label, 1 - label)
        ]
        right, inverted = (measure.compute(run) for run in runs)
        higher = measure.metric.higher_is_better
        if higher is not None:
            assert right >= inverted if higher else right <= inverted


@pytest.mark.parametrize(
    "name", ["spearman", "margin", "cohens_d", "roc_auc", "average_precision", "best_f1"]
)
def test_one_class_only_is_undefined(name):
    assert BY_NAME[name].compute({**COLUMNS, "label": np.ones(5)}) is None


def test_the_optimistic_measures_say_so_and_never_lose_to_the_honest_ones():
    for name, measure in BY_NAME.items():
        assert ("ptimistic" in measure.metric.definition) == name.startswith("best_f1")
    assert BY_NAME["best_f1"].compute(COLUMNS) >= BY_NAME["f1"].compute(COLUMNS)


def test_optimistic_figures_are_those_of_best_f1():
    point = best_f1(COLUMNS["score"], COLUMNS["label"])
    assert BY_NAME["best_f1_threshold"].compute(COLUMNS) == point.threshold
    assert BY_NAME["best_f1_precision"].compute(COLUMNS) == point.precision


def test_decisions_at_the_threshold_itself_are_positive():
    prepared = decided({"score": np.array([0.5, 0.49]), "threshold": np.array([0.5, 0.5])})
    np.testing.assert_array_equal(prepared["score"], [1.0, 0.0])
    np.testing.assert_array_equal(prepared["threshold"], [0.5, 0.5])
