from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.core.findings import Finding, Findings, Status
from graft.core.jsonable import dumps, from_plain, to_plain


@dataclass(frozen=True)
class Inner:
    name: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Outer:
    count: int
    inner: dict[str, Inner]
    maybe: float | None = None


@given(st.integers(), st.lists(st.floats(allow_nan=False, allow_infinity=False)), st.text())
def test_what_is_written_is_read_back(count: int, values: list[float], name: str) -> None:
    value = Outer(count, {"a": Inner(name, tuple(values))}, maybe=None)
    assert from_plain(Outer, json.loads(dumps(value))) == value


def test_result_types_survive() -> None:
    finding = Finding("K1", "x", "why?", Status.warned, "so", evidence={"rows": [1, 2]})
    findings = Findings((finding,))
    assert from_plain(Findings, json.loads(dumps(findings))) == findings


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_a_number_that_is_none_is_refused_with_its_place(value: float) -> None:
    with pytest.raises(TypeError, match=r"value\.maybe is (nan|inf)"):
        to_plain(Outer(1, {}, maybe=value))


def test_unknown_and_missing_keys_are_named() -> None:
    with pytest.raises(ValueError, match=r"unknown keys \['cuont'\], missing \['count', 'inner'\]"):
        from_plain(Outer, {"cuont": 1})


def test_a_value_of_the_wrong_type_is_named_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"value\.inner\.a\.name: expected str, received 3"):
        from_plain(Outer, {"count": 1, "inner": {"a": {"name": 3, "values": []}}})


def test_true_is_no_integer() -> None:
    with pytest.raises(ValueError, match="expected int, received True"):
        from_plain(Outer, {"count": True, "inner": {}})
