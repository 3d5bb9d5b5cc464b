import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from graft.metrics.significance import holm, mcnemar, minimal_detectable_effect, minus

P_VALUES = st.lists(st.floats(0, 1), max_size=12)


def test_mcnemar_by_hand():
    # 6 gained, 1 lost: twice the chance of at most 1 of 7 heads.
    candidate = [True] * 6 + [False] + [True] * 10
    reference = [False] * 6 + [True] + [True] * 10
    assert mcnemar(candidate, reference) == pytest.approx(2 * binom.cdf(1, 7, 0.5))
    assert mcnemar(reference, candidate) == mcnemar(candidate, reference)


def test_mcnemar_of_equal_decisions_is_one():
    assert mcnemar([True, False], [True, False]) == 1.0
    assert mcnemar([], []) == 1.0


def test_holm_by_hand():
    assert holm([0.01, 0.02, 0.6]) == pytest.approx((0.03, 0.04, 0.6))
    assert holm([]) == ()


@given(P_VALUES)
def test_holm_never_lowers_keeps_the_order_and_stays_at_most_one(p_values):
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    ordered = [adjusted[index] for index in np.argsort(p_values, kind="stable")]
    assert ordered == sorted(ordered)


@given(st.permutations([0.001, 0.02, 0.02, 0.5]))
def test_holm_does_not_depend_on_the_order(p_values):
    assert sorted(holm(p_values)) == sorted(holm([0.001, 0.02, 0.02, 0.5]))


@given(st.floats(0.001, 10))
def test_the_detectable_difference_grows_with_error_and_power(error):
    assert minimal_detectable_effect(2 * error) == pytest.approx(
        2 * minimal_detectable_effect(error)
    )
    assert minimal_detectable_effect(error, power=0.9) > minimal_detectable_effect(error)
    assert minimal_detectable_effect(error, alpha=0.01) > minimal_detectable_effect(error)


def test_a_difference_needs_both_sides():
    assert minus(0.8, 0.5) == pytest.approx(0.3)
    assert minus(None, 0.5) is None
    assert minus(0.5, None) is None
