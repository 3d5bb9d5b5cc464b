from __future__ import annotations

import pytest

from graft.models.patterns import matches


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("layer.1", "encoder.layer.1.output.dense.weight", True),
        ("layer.1", "encoder.layer.10.output.dense.weight", False),
        ("layer.1", "encoder.layer.11.output.dense.weight", False),
        ("encoder", "encoder.layer.0.x", True),
        ("enc", "encoder.layer.0.x", False),
        ("layer.[0-3]", "encoder.layer.2.x", True),
        ("layer.[0-3]", "encoder.layer.4.x", False),
        ("layer.*.attention", "encoder.layer.7.attention.self.query.bias", True),
        ("layer.*.self", "encoder.layer.7.attention.self.query.bias", False),
        ("weight", "encoder.layer.0.weight", True),
        ("a.b.c.d", "a.b.c", False),
    ],
)
def test_patterns_match_whole_components(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected
