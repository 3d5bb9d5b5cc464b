"""Fine-tune a pretrained model on a small domain data set, and prove that it took.

Example:
    >>> import graft
    >>> sorted(graft.__all__)
    ['GraftError', 'Result', 'Verdict', 'load', 'read_result', 'run']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from graft.core.errors import GraftError
from graft.core.verdicts import Verdict

if TYPE_CHECKING:
    from graft.runs.loading import load
    from graft.runs.pipeline import run
    from graft.runs.result import Result, read_result

__all__ = ["GraftError", "Result", "Verdict", "load", "read_result", "run"]
__version__ = "0.1.0"

# Loaded on first use: `import graft` answers at once, torch comes with the first run.
_HOMES = {
    "Result": "graft.runs.result",
    "load": "graft.runs.loading",
    "read_result": "graft.runs.result",
    "run": "graft.runs.pipeline",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'graft' has no attribute {name!r}; it has {__all__}")
    return getattr(importlib.import_module(_HOMES[name]), name)
