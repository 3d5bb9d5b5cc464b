"""The error tree: every error that a user can meet says what, where and what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input, in the words of the person who must mend it.

    Args:
        where: File and row, recipe key and line, or tensor name.
        what: What is wrong, with the value received.
        fix: What to do about it.

    Example:
        >>> print(Problem("train.jsonl row 3", "label is 'yes', not a number", "write 0 or 1"))
        train.jsonl row 3: label is 'yes', not a number. Fix: write 0 or 1.
    """

    where: str
    what: str
    fix: str

    def __str__(self) -> str:
        end = "" if self.fix.endswith("?") else "."
        return f"{self.where}: {self.what}. Fix: {self.fix}{end}"


class GraftError(Exception):
    """Anything that Graft refuses or cannot do; the command line turns it into `exit_code`."""

    exit_code = 1


class InputError(GraftError):
    """A recipe, data file or base model that cannot be used; carries every problem at once."""

    exit_code = 3

    def __init__(self, subject: str, problems: list[Problem]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        count = len(problems)
        lines = [f"{subject}: {count} problem{'s' if count != 1 else ''}"]
        super().__init__("\n".join(lines + [f"  - {problem}" for problem in problems]))


class RecipeError(InputError):
    """The recipe is wrong: unknown key, wrong type, impossible combination."""


class DataError(InputError):
    """A data file is wrong: unreadable, missing column, bad value."""


class ModelError(InputError):
    """A base model or an artefact is wrong: missing, truncated or mismatched tensors."""


class RunFolderError(InputError):
    """A run folder is missing, unfinished, damaged or belongs to another recipe."""


class MissingExtraError(GraftError):
    """An optional dependency is needed and not installed."""

    exit_code = 3

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Fix: pip install 'graft-ml[{extra}]'."
        )


class NonFiniteError(GraftError):
    """The loss or a gradient became NaN or infinite; raised before the weights are updated."""


class OutOfMemoryError(GraftError):
    """The smallest micro-batch that there can be does not fit into memory."""


class NotApplicableError(GraftError):
    """A check has nothing to look at here; the message is the named reason."""
