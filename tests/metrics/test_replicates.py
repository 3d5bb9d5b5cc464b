"""Several trainings of one arm: what their mean is worth, over rows and seeds together."""

import numpy as np
import pytest
from scipy.stats import norm, t

from graft.core.seeds import generator
from graft.metrics.evidence import collect
from graft.metrics.measures import measure
from graft.metrics.pairs import PAIR_MEASURES
from graft.metrics.replicates import Sampling, resample_means, seed_weights
from graft.metrics.resampling import interval, resample
from graft.metrics.significance import permutation

SAMPLING = Sampling(resamples=400, alpha=0.05, seed=3)
BY_NAME = {m.metric.name: m for m in PAIR_MEASURES}
RANKED = [BY_NAME[name] for name in ("spearman", "roc_auc")]
MEAN = measure(BY_NAME["margin"].metric, lambda score: score.mean(-1), reads=("score",))


def trained(rng, seeds, skill, rows=80, wobble=0.0):
    """One column of scores for each seed: rows are as hard for all, seeds wobble."""
    label = np.arange(rows) % 2.0
    hard = rng.normal(size=rows)
    return [
        {
            "score": label * (skill + wobble * rng.normal()) + hard + 0.3 * rng.normal(size=rows),
            "label": label,
        }
        for _ in range(seeds)
    ]


def test_one_seed_is_the_bootstrap_of_rows_alone(rng):
    run = trained(rng, 1, 1.0)
    ours = resample_means(RANKED, {"a": run}, SAMPLING, "x")["a"]
    alone = resample(RANKED, {"a": run[0]}, SAMPLING.resamples, generator(SAMPLING.seed, "x"))["a"]
    for name, values in alone.items():
        np.testing.assert_array_equal(ours[name], values)


def test_equal_seeds_say_what_one_of_them_says(rng):
    run = trained(rng, 1, 1.0) * 4
    ours = resample_means(RANKED, {"a": run, "b": run[:1]}, SAMPLING, "x")
    for name, values in ours["b"].items():
        np.testing.assert_allclose(ours["a"][name], values, atol=1e-12)


def test_seeds_that_differ_widen_the_interval(rng):
    calm, wild = trained(rng, 5, 1.0), trained(rng, 5, 1.0, wobble=1.0)
    drawn = resample_means(RANKED, {"calm": calm, "wild": wild}, SAMPLING, "x")
    widths = [
        found.high - found.low
        for found in (interval(drawn[name]["spearman"]) for name in ("calm", "wild"))
    ]
    assert widths[1] > 1.5 * widths[0]


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_a_draw_of_seeds_is_a_mean_that_varies_as_students_t_says(seeds):
    weights = seed_weights(seeds, Sampling(20_000, 0.05, 0), np.random.default_rng(1))
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    values = np.random.default_rng(2).normal(size=seeds)
    drawn = weights @ values
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.1)
    wider = t.ppf(0.975, seeds - 1) / norm.ppf(0.975)
    error = wider * values.std(ddof=1) / np.sqrt(seeds)
    assert drawn.std() == pytest.approx(error, rel=0.03)


def test_the_interval_covers_about_what_it_says_where_only_seeds_vary():
    """Without widening, five seeds would give 83 %."""
    rng, hits = np.random.default_rng(7), 0
    for _ in range(400):
        run = [{"score": np.full(5, value)} for value in rng.normal(size=5)]
        found = interval(resample_means([MEAN], {"a": run}, SAMPLING, "x")["a"]["margin"])
        hits += found.low <= 0 <= found.high
    assert 0.90 <= hits / 400 <= 0.98


def test_the_test_of_rows_swaps_every_seed_alike(rng):
    run = trained(rng, 3, 1.5)
    other = trained(rng, 3, 1.5)
    p = [
        permutation(BY_NAME["roc_auc"], a, b, rng=np.random.default_rng(0), resamples=199)
        for a, b in ((run, other), (other, run), (run, run))
    ]
    assert p[0] == p[1]
    assert p[2] == 1.0
    bad = trained(rng, 1, -1.0)
    clear = permutation(BY_NAME["roc_auc"], run, bad, rng=np.random.default_rng(0), resamples=199)
    assert clear == 1 / 200


def test_evidence_is_the_mean_over_the_seeds_and_says_over_how_many(rng):
    runs = {"arm": trained(rng, 4, 2.0), "base": trained(rng, 1, 0.0)}
    found = list(
        collect(runs, [("arm", "base")], RANKED, subset="all", of_decisions=(), sampling=SAMPLING)
    )
    for item in found:
        values = [BY_NAME[item.metric.name].compute(columns) for columns in runs["arm"]]
        assert item.candidate_value == pytest.approx(np.mean(values))
        assert item.seeds == 4
        assert item.bootstrap.low < item.bootstrap.difference < item.bootstrap.high
        assert item.mirrored().seeds == 4


def test_a_seed_without_a_value_leaves_the_arm_without_one(rng):
    run = trained(rng, 3, 1.0)
    run[1] = {**run[1], "score": np.zeros(80)}
    runs = {"arm": run, "base": trained(rng, 1, 0.0)}
    found = list(
        collect(runs, [("arm", "base")], RANKED, subset="all", of_decisions=(), sampling=SAMPLING)
    )
    spearman = next(item for item in found if item.metric.name == "spearman")
    assert spearman.candidate_value is None
    assert not spearman.measured
