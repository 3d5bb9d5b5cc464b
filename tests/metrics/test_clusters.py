import sys

import numpy as np
import pytest

from graft.core.errors import DataError
from graft.metrics.clusters import cluster_purity, in_majority, purity


def groups(rng, spread, per_group=25, count=3):
    centres = np.eye(count, 8)
    labels = np.repeat(np.arange(count), per_group)
    return centres[labels] + rng.normal(0, spread, (labels.size, 8)), [f"c{i}" for i in labels]


def test_purity_by_hand():
    clusters = np.array([0, 0, 0, 1, 1, -1, -1])
    assert purity(clusters, ["a", "a", "b", "b", "c", "a", "z"]) == 3 / 5
    assert purity(np.array([-1, -1]), ["a", "b"]) is None


def test_few_points_are_refused_with_a_note(rng):
    report = cluster_purity(rng.random((14, 4)), ["a"] * 14, seed=1)
    assert (report.purity, report.clusters, report.coordinates) == (None, None, None)
    assert "14 points" in report.note


def test_without_the_extra_the_note_says_how_to_install_it(rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    report = cluster_purity(rng.random((20, 4)), ["a"] * 20, seed=1)
    assert report.purity is None
    assert "graft-ml[umap]" in report.note


def test_bad_embeddings_are_named():
    points = np.ones((20, 4))
    points[3], points[7, 0] = 0.0, np.nan
    with pytest.raises(DataError, match=r"2 are zero or not finite, first at rows \[3, 7\]"):
        cluster_purity(points, ["a"] * 20, seed=1)
    with pytest.raises(DataError, match=r"\(20, 4\) with 3 categories"):
        cluster_purity(points, ["a"] * 3, seed=1)


@pytest.mark.slow
def test_separate_groups_are_found_the_same_way_each_time(rng):
    points, categories = groups(rng, spread=0.03)
    first, again = (cluster_purity(points, categories, seed=3) for _ in range(2))
    assert first.note == ""
    assert first.purity == 1.0
    assert first.clusters >= 3
    np.testing.assert_array_equal(first.coordinates, again.coordinates)
    assert first.coordinates.shape == (75, 2)
    assert purity(first.assignment, categories) == first.purity


@pytest.mark.slow
def test_equal_texts_are_noise_and_the_note_says_so():
    report = cluster_purity(np.ones((40, 8)), ["a", "b"] * 20, seed=1)
    assert (report.purity, report.clusters, report.noise_share) == (None, 0, 1.0)
    assert "noise" in report.note
    assert (report.assignment == -1).all()


@pytest.mark.slow
def test_shuffled_categories_lose_the_purity(rng):
    points, categories = groups(rng, spread=0.03)
    shuffled = list(rng.permutation(categories))
    assert cluster_purity(points, shuffled, seed=3).purity < 0.75
    other_seed = cluster_purity(points, categories, seed=4)
    assert other_seed.purity == 1.0


@pytest.mark.slow
def test_the_fewest_points_that_are_taken_can_be_mapped(rng):
    report = cluster_purity(rng.normal(size=(15, 4)), ["a", "b", "c"] * 5, seed=1)
    assert report.coordinates.shape == (15, 2)
    assert 0 <= report.noise_share <= 1


def test_resampling_the_members_of_majorities_is_centred_on_the_purity():
    rng = np.random.default_rng(3)
    clusters, categories = rng.integers(-1, 40, 200), list(rng.choice(["a", "b", "c", "d"], 200))
    agrees = in_majority(clusters, categories)[clusters >= 0]
    drawn = agrees[rng.integers(len(agrees), size=(500, len(agrees)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert low < purity(clusters, categories) < high
