from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.report import numerals

numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(numbers)
def test_a_sign_is_shown_exactly_when_the_shown_number_is_not_zero(value):
    text = numerals.signed(value)
    shown = float(text.replace(",", "").replace(numerals.MINUS, "-"))
    assert (text[0] in f"+{numerals.MINUS}") == (shown != 0)
    assert math.isclose(shown, value, abs_tol=0.00051)


@given(numbers)
def test_no_number_carries_a_hyphen_for_a_minus(value):
    assert "-" not in numerals.decimal(value) + numerals.rate(value)


@pytest.mark.parametrize("show", [numerals.decimal, numerals.share, numerals.rate])
def test_what_is_not_a_number_is_a_dash(show):
    assert show(None) == show(math.nan) == numerals.NONE


@given(st.floats(0, 1))
def test_p_below_a_thousandth_is_never_zero(p):
    assert numerals.p_value(p) != "0.000"
