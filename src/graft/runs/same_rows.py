"""A run folder holds runs on one set of rows, told by their fingerprints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from graft.core.errors import Problem, RunFolderError


def require_same_rows(root: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Return if the rows are those that an earlier run of the folder was trained on.

    Args:
        root: The folder.
        before: Split to the fingerprint of its rows then.
        now: Split to the fingerprint of its rows now.

    Raises:
        RunFolderError: Rows were changed; names the splits.

    Example:
        >>> require_same_rows(Path("runs/demo"), {"train": "a"}, {"train": "b"})
        Traceback (most recent call last):
        ...
        graft.core.errors.RunFolderError: ...
    """
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        what = f"holds runs on other rows: the data changed in {', '.join(changed)}"
        fix = "use --restart, or give the recipe another name"
        raise RunFolderError("run folder", [Problem(str(root), what, fix)])
