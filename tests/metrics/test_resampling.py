import time
import tracemalloc

import numpy as np
import pytest
from scipy.stats import kstest

from graft.core.errors import DataError
from graft.metrics.measures import Measure
from graft.metrics.pairs import PAIR_MEASURES
from graft.metrics.resampling import (
    bootstrap,
    interval,
    minimal_detectable_effect,
    paired_bootstrap,
    paired_difference,
    permutation,
    resample,
)

BY_NAME = {measure.metric.name: measure for measure in PAIR_MEASURES}


def run(rng, label, skill):
    score = label * skill + rng.normal(size=label.size)
    return {"score": score, "label": label, "threshold": np.full(label.size, skill / 2)}


def two_runs(seed, rows=60, skills=(1.0, 1.0)):
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) > 0.5).astype(float)
    return [run(rng, label, skill) for skill in skills]


def test_the_interval_covers_the_truth_as_often_as_it_says():
    # Margin of scores with skill 1 is 1 on average.
    hits = 0
    for seed in range(200):
        columns = two_runs(seed, rows=80)[0]
        rng = np.random.default_rng(seed)
        found = bootstrap(BY_NAME["margin"], columns, rng=rng, resamples=400)
        hits += found.low <= 1.0 <= found.high
    # 95 % of 200, less four binomial deviations and the known shortfall of the percentile method.
    assert hits >= 0.88 * 200


def test_a_wider_level_gives_a_wider_interval_and_both_hold_the_value():
    columns = two_runs(1)[0]
    value = BY_NAME["roc_auc"].compute(columns)
    narrow, wide = (
        bootstrap(BY_NAME["roc_auc"], columns, rng=np.random.default_rng(0), alpha=alpha)
        for alpha in (0.2, 0.01)
    )
    assert wide.low < narrow.low < value < narrow.high < wide.high


def test_undefined_resamples_are_counted_and_many_of_them_leave_no_interval():
    few = interval(np.r_[np.full(10, np.nan), np.arange(90.0)])
    many = interval(np.r_[np.full(11, np.nan), np.arange(89.0)])
    assert (few.undefined, many.undefined) == (10, 11)
    assert few.low is not None
    assert (many.low, many.high) == (None, None)


def test_rare_classes_make_auc_undefined_on_resamples():
    columns = {"score": np.arange(20.0), "label": np.r_[1.0, np.zeros(19)]}
    found = bootstrap(BY_NAME["roc_auc"], columns, rng=np.random.default_rng(0))
    # A resample misses the one positive row with chance (19/20)^20 = 0.36.
    assert 0.3 * 2000 < found.undefined < 0.42 * 2000
    assert found.low is None


def test_no_rows_give_no_interval():
    empty = {"score": np.array([]), "label": np.array([])}
    found = bootstrap(BY_NAME["spearman"], empty, rng=np.random.default_rng(0), resamples=10)
    assert (found.low, found.undefined) == (None, 10)
    assert permutation(BY_NAME["spearman"], [empty], [empty], rng=np.random.default_rng(0)) is None


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(DataError):
        bootstrap(
            BY_NAME["margin"],
            {"score": np.zeros(3), "label": np.zeros(2)},
            rng=np.random.default_rng(0),
        )


@pytest.mark.parametrize("measure", PAIR_MEASURES, ids=lambda measure: measure.metric.name)
def test_identical_runs_differ_by_exactly_zero_with_p_one(measure):
    columns = two_runs(3)[0]
    copy = {name: column.copy() for name, column in columns.items()}
    found = paired_bootstrap(measure, columns, copy, rng=np.random.default_rng(0), resamples=200)
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert found.standard_error == 0.0
    assert (
        permutation(measure, [columns], [copy], rng=np.random.default_rng(0), resamples=200) == 1.0
    )


def test_runs_are_resampled_on_the_same_rows():
    first = two_runs(3)[0]
    shifted = {**first, "score": first["score"] * 3 + 1}
    values = resample(
        [BY_NAME["margin"], BY_NAME["roc_auc"]],
        {"a": first, "b": shifted},
        300,
        np.random.default_rng(0),
    )
    np.testing.assert_allclose(values["b"]["margin"], 3 * values["a"]["margin"])
    np.testing.assert_array_equal(values["b"]["roc_auc"], values["a"]["roc_auc"])


def test_swapping_the_runs_mirrors_the_difference_and_keeps_p():
    first, second = two_runs(4, skills=(1.5, 0.5))
    for name in ("spearman", "f1", "cohens_d"):
        there, back = (
            paired_bootstrap(BY_NAME[name], *pair, rng=np.random.default_rng(0))
            for pair in ((first, second), (second, first))
        )
        assert there.difference == pytest.approx(-back.difference)
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
        assert there.p == back.p
        one, other = (
            permutation(BY_NAME[name], *([run] for run in pair), rng=np.random.default_rng(0))
            for pair in ((first, second), (second, first))
        )
        assert one == other


def test_scale_alone_is_no_difference_to_a_rank_metric():
    first = two_runs(5)[0]
    stretched = {**first, "score": np.exp(first["score"]) * 1000}
    p = permutation(BY_NAME["spearman"], [first], [stretched], rng=np.random.default_rng(0))
    assert p == 1.0


def test_a_clear_difference_has_the_smallest_p_there_is():
    first, second = two_runs(6, rows=200, skills=(4.0, 0.0))
    p = permutation(
        BY_NAME["roc_auc"], [first], [second], rng=np.random.default_rng(0), resamples=99
    )
    assert p == 1 / 100
    found = paired_bootstrap(BY_NAME["roc_auc"], first, second, rng=np.random.default_rng(0))
    assert found.low > 0
    assert found.p == pytest.approx(2 / 2001)


@pytest.mark.parametrize("name", ["spearman", "accuracy"])
def test_p_of_equally_good_runs_is_uniform_or_larger(name):
    p_values = []
    for seed in range(150):
        first, second = two_runs(seed)
        rng = np.random.default_rng(seed + 1000)
        p_values.append(permutation(BY_NAME[name], [first], [second], rng=rng, resamples=199))
    # "greater": the distribution lies above uniform, that is, small p are too common.
    assert kstest(p_values, "uniform", alternative="greater").pvalue > 0.001
    if name == "spearman":
        assert kstest(p_values, "uniform").pvalue > 0.001


def test_a_permutation_without_a_value_counts_as_extreme():
    # Precision is undefined as soon as no row is decided positive.
    label, threshold = np.array([1.0, 0.0]), np.full(2, 0.5)
    first = {"score": np.array([1.0, 0.0]), "label": label, "threshold": threshold}
    second = {"score": np.array([0.0, 1.0]), "label": label, "threshold": threshold}
    p = permutation(BY_NAME["precision"], [first], [second], rng=np.random.default_rng(0))
    assert p == 1.0


def test_an_undefined_difference_has_no_p():
    first = two_runs(7)[0]
    constant = {**first, "score": np.zeros(60)}
    assert (
        permutation(BY_NAME["pearson"], [first], [constant], rng=np.random.default_rng(0)) is None
    )
    found = paired_bootstrap(BY_NAME["pearson"], first, constant, rng=np.random.default_rng(0))
    assert (found.difference, found.low, found.p, found.undefined) == (None, None, None, 2000)


def test_p_of_the_bootstrap_counts_the_smaller_side_twice():
    samples = np.r_[np.full(9, -1.0), np.full(90, 1.0)]
    assert paired_difference(0.8, samples, 0.05).p == pytest.approx(2 * 10 / 100)


def test_the_detectable_difference_is_detected_four_times_in_five():
    """At the detectable effect, a z test on simulated differences rejects 80 % of the time."""
    rng, error = np.random.default_rng(0), 0.3
    effect = minimal_detectable_effect(error)
    found = np.abs(rng.normal(effect, error, 20_000)) > 1.959964 * error
    assert found.mean() == pytest.approx(0.8, abs=0.015)


def test_a_measure_without_a_batched_path_gives_the_same_interval():
    fast = BY_NAME["spearman"]
    slow = Measure(fast.metric, fast.compute, fast.exchange, fast.prepare)
    columns = {**two_runs(8)[0], "text": np.array(["a"] * 60, dtype=object)}
    one, other = (
        bootstrap(measure, columns, rng=np.random.default_rng(0), resamples=50)
        for measure in (fast, slow)
    )
    assert one == other


def test_three_hundred_rows_take_well_under_a_second_and_a_half():
    first, second = two_runs(9, rows=300)
    began = time.process_time()
    paired_bootstrap(BY_NAME["spearman"], first, second, rng=np.random.default_rng(0))
    assert time.process_time() - began < 1.5


def test_memory_stays_bounded_with_many_rows():
    columns = two_runs(10, rows=50_000)[0]
    tracemalloc.start()
    bootstrap(BY_NAME["roc_auc"], columns, rng=np.random.default_rng(0), resamples=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All 100 draws at once would take 40 MB for the row numbers alone.
    assert peak < 35e6
