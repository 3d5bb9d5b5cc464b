import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.metrics.consistency import consistency


def test_agreement_everywhere_is_the_product_of_the_rows():
    right = np.arange(100) < 60
    found = consistency(right, right)
    assert found.expected == pytest.approx(0.52)
    assert found.log10_probability == pytest.approx(100 * math.log10(0.52))
    assert found.words == "10^−28"


def test_two_models_without_an_error_must_agree():
    found = consistency([True] * 50, [True] * 50)
    assert (found.expected, found.log10_probability) == (1.0, 0.0)
    assert found.words == "1"


def test_independent_models_agree_as_often_as_expected_and_are_no_wonder():
    rng, small = np.random.default_rng(0), 0
    for _ in range(300):
        one, other = rng.random(200) < 0.7, rng.random(200) < 0.6
        found = consistency(one, other)
        assert found.agreeing == pytest.approx(200 * found.expected, abs=40)
        small += found.log10_probability < -2
    assert small <= 6  # 1 % of 300, and luck


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_it_does_not_matter_which_comes_first_and_a_probability_is_one(pairs):
    one, other = zip(*pairs, strict=True)
    found, back = consistency(one, other), consistency(other, one)
    assert found.log10_probability == pytest.approx(back.log10_probability)
    assert found.log10_probability <= 1e-9
    assert 0 <= found.expected <= 1


def test_a_probability_too_small_for_a_number_is_still_told():
    right = np.arange(5000) % 2 == 0
    found = consistency(right, right)
    assert found.log10_probability == pytest.approx(5000 * math.log10(0.5))
    assert found.words == "10^−1505"


def test_without_a_row_there_is_nothing_to_say():
    assert consistency([], []) is None
