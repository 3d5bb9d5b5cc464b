"""YAML with line numbers: every key knows where it stands, and no key stands twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from graft.core.errors import Problem

KeyPath = tuple[str | int, ...]


@dataclass
class LocatedYaml:
    """Plain data and the line of every key path in it (counted from 1)."""

    plain: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: KeyPath) -> int | None:
        """Return the line of `path`, or of its nearest parent that has one."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def parse(text: str, source: str) -> LocatedYaml:
    r"""Return the mapping in `text` with the line of each key; syntax errors become problems.

    Example:
        >>> parse("a:\n  b: 1\n", "x.yaml").line(("a", "b"))
        2
    """
    located = LocatedYaml({})
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source} line {mark.line + 1}" if mark else source
        what = f"is not YAML: {getattr(error, 'problem', None) or error}"
        located.problems.append(Problem(where, what, "mend the indentation or the quotes there"))
        return located
    if not isinstance(node, yaml.MappingNode):
        located.problems.append(
            Problem(source, "holds no keys", "start from `graft init pairs recipe.yaml`")
        )
        return located
    _walk(node, (), located, source)
    if not located.problems:
        located.plain = yaml.safe_load(text)
    return located


def _walk(node: yaml.Node, path: KeyPath, located: LocatedYaml, source: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key_path = (*path, key_node.value)
            line = key_node.start_mark.line + 1
            if key_path in located.lines:
                first = located.lines[key_path]
                what = f"'{key_node.value}' stands twice (first in line {first})"
                located.problems.append(Problem(f"{source} line {line}", what, "keep one of them"))
            located.lines[key_path] = line
            _walk(value_node, key_path, located, source)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            located.lines[(*path, index)] = item.start_mark.line + 1
            _walk(item, (*path, index), located, source)
