import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.metrics import roc_auc_score

from graft.metrics.agreement import cohens_d, is_inverted, margin, pearson, roc_auc, spearman

# Few different values, so that ties are common.
TIED = arrays(np.float64, 12, elements=st.integers(0, 4).map(float))
GRADED = arrays(np.float64, 12, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))


def test_by_hand():
    scores, labels = np.array([1.0, 2.0, 3.0, 5.0]), np.array([0.0, 1.0, 0.0, 1.0])
    # Ranks 1 2 3 4 against 1.5 3.5 1.5 3.5: covariance sum 2, variances 5 and 4.
    assert spearman(scores, labels) == pytest.approx(2 / np.sqrt(20))
    # Means 2.75 and 0.5: covariance sum 1.5, variances 8.75 and 1.
    assert pearson(scores, labels) == pytest.approx(1.5 / np.sqrt(8.75))
    # Means 3.5 and 2.
    assert margin(scores, labels) == 1.5
    # Squares within: 4.5 and 2, over 4 - 2 degrees of freedom.
    assert cohens_d(scores, labels) == pytest.approx(1.5 / np.sqrt(6.5 / 2))
    # 2 > 1, 5 > 1, 5 > 3; 2 < 3.
    assert roc_auc(scores, labels) == 0.75


@given(TIED, GRADED)
def test_correlations_equal_scipy_where_both_sides_vary(scores, labels):
    if np.ptp(scores) and np.ptp(labels):
        assert spearman(scores, labels) == pytest.approx(stats.spearmanr(scores, labels).statistic)
        assert pearson(scores, labels) == pytest.approx(stats.pearsonr(scores, labels).statistic)
    else:
        assert np.isnan(spearman(scores, labels))
        assert np.isnan(pearson(scores, labels))


@given(TIED, GRADED)
def test_auc_equals_scikit_learn_and_is_undefined_with_one_class(scores, labels):
    positive = labels >= 0.5
    if positive.any() and not positive.all():
        assert roc_auc(scores, labels) == pytest.approx(roc_auc_score(positive, scores))
        assert roc_auc(-scores, labels) == pytest.approx(1 - roc_auc(scores, labels))
    else:
        assert np.isnan(roc_auc(scores, labels))


@pytest.mark.parametrize("statistic", [spearman, pearson, margin, cohens_d, roc_auc])
def test_samples_side_by_side_equal_samples_one_by_one(statistic, rng):
    scores, labels = rng.random((2, 3, 20)), (rng.random((2, 3, 20)) > 0.4).astype(float)
    together = statistic(scores, labels)
    one_by_one = [[statistic(scores[i, j], labels[i, j]) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(together, one_by_one)


@pytest.mark.parametrize("statistic", [pearson, cohens_d])
def test_a_constant_score_is_undefined_although_rounding_moves_its_mean(statistic):
    scores, labels = np.full(10, 0.1), np.arange(10) % 2.0
    assert np.isnan(statistic(scores, labels))
    assert np.isnan(statistic(np.where(labels > 0, 0.1, 0.7), np.zeros(10)))


def test_cohens_d_is_undefined_if_no_class_varies_or_two_rows_are_all():
    assert np.isnan(cohens_d(np.array([0.1, 0.1, 0.7]), np.array([0.0, 0.0, 1.0])))
    assert np.isnan(cohens_d(np.array([0.1, 0.7]), np.array([0.0, 1.0])))


def test_the_sign_of_d_follows_the_margin_and_scale_cancels(rng):
    scores, labels = rng.random(30), np.arange(30) % 2.0
    assert cohens_d(-3 * scores + 1, labels) == pytest.approx(-cohens_d(scores, labels))
    assert margin(-3 * scores + 1, labels) == pytest.approx(-3 * margin(scores, labels))


def test_inverted_means_below_one_half():
    assert [is_inverted(value) for value in (0.373, 0.5, 0.9, None)] == [True, False, False, False]
