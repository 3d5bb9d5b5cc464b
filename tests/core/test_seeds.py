from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graft.core.seeds import derive, generator


@given(st.integers(0, 2**40), st.lists(st.text(), max_size=3))
def test_seeds_fit_every_library(seed: int, names: list[str]) -> None:
    assert 0 <= derive(seed, *names) < 2**63


def test_streams_are_independent_of_the_global_state() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the point is that it stays
    first = generator(1, "order", 0).permutation(50)
    second = generator(1, "order", 1).permutation(50)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, generator(1, "order", 0).permutation(50))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
