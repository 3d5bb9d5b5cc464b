"""Patterns over dotted tensor names; they match whole components, never parts of one."""

from __future__ import annotations

from fnmatch import fnmatchcase


def matches(pattern: str, name: str) -> bool:
    """Return True if the pattern's components stand in a row somewhere in the name's.

    A component may hold `*`, `?` and `[..]`, which never reach over a dot.

    Example:
        >>> matches("layer.1", "encoder.layer.1.output.dense.weight")
        True
        >>> matches("layer.1", "encoder.layer.10.output.dense.weight")
        False
        >>> matches("layer.[0-3].*.self", "encoder.layer.2.attention.self.query.weight")
        True
    """
    wanted, parts = pattern.split("."), name.split(".")
    return any(
        all(fnmatchcase(part, want) for want, part in zip(wanted, parts[start:], strict=False))
        for start in range(len(parts) - len(wanted) + 1)
    )


def matching(patterns: tuple[str, ...], name: str) -> bool:
    """Return True if any of the patterns matches the name."""
    return any(matches(pattern, name) for pattern in patterns)
