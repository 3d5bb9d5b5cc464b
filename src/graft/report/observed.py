"""What was seen beside plan and ledger: options in force, supervision, probes, saved folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from graft.core.options import OptionUse, Value
from graft.core.probes import Gap, Probes
from graft.core.saves import Saves
from graft.core.supervision import Supervision
from graft.report.numerals import NONE, count, decimal, listed, plural, rate, setting, share
from graft.report.tables import Table, cell, from_records

MOST_LABELS, MOST_IDS, MOST_NAMES = 8, 5, 3
_AGREE = {False: "no", None: "not known", True: "yes"}
_OF_ROWS = {
    "rows_without_loss": "rows from which nothing is learned",
    "truncated_rows": "rows of which the model reads less than they hold",
    "empty_rows": "rows with a text of which nothing is left",
    "ends_missing": "rows whose loss does not end with the end-of-text token",
    "answers_cut": "rows whose answer lost its end",
    "prompts_supervised": "rows whose prompt carries loss",
    "doubled_starts": "rows with the start token twice",
    "shifted_labels": "rows whose labels are shifted already",
    "template_supervised": "rows with loss on tokens that the generation prompt provides",
}


@dataclass(frozen=True)
class Asked:
    """The options as a table, with what the table adds up to.

    Args:
        table: One line per option: those that differ first, then those that nobody could see.
        sentence: How many are in force as asked for.
        unread: Options that nothing read, in words; empty if there is none.
        differ: True if an option was in force otherwise than asked for.
    """

    table: Table
    sentence: str
    unread: str
    differ: bool


def asked(use: OptionUse) -> Asked:
    """Return the options as asked for beside those in force."""
    ordered = sorted(use.in_force, key=lambda item: list(_AGREE).index(item.same))
    rows = [
        (item.option, _value(item.requested), _value(item.in_force), _AGREE[item.same], item.note)
        for item in ordered
    ]
    columns = ("option", "asked for", "in force", "agree", "seen how")
    same, other = (sum(item.same is answer for item in use.in_force) for answer in (True, False))
    unknown = len(use.in_force) - same - other
    parts = [f"{count(same)} of {plural(len(use.in_force), 'option')} in force as asked for"]
    parts += [f"{count(other)} not as asked for"] if other else []
    parts += [f"{count(unknown)} could not be compared"] if unknown else []
    given = plural(len(use.asked), "option was", "options were")
    unread = list(use.unread or ())
    read = (
        "which of them were read was not recorded"
        if use.unread is None
        else f"{plural(len(use.asked) - len(unread), 'was', 'were')} read"
    )
    sentence = f"{'; '.join(parts)}. {given} given, {read}."
    table = from_records(columns, rows, "options.json")
    return Asked(table, sentence, listed(unread), differ=other > 0)


def _value(value: Value) -> str:
    return setting(value) if isinstance(value, float) else cell(value)


@dataclass(frozen=True)
class Census:
    """What the loss saw: facts in words, counts of rows as a table.

    Args:
        facts: Heading and words.
        table: One line per kind of row that a person should know of.
        none: The kinds of which there is no row, in one sentence.
        not_counted: What this kind of task does not have, in words.
    """

    facts: tuple[tuple[str, str], ...]
    table: Table
    none: str
    not_counted: str


def census(seen: Supervision) -> Census:
    """Return the census of the rows as they reached the model."""
    labels = [f"{label}: {count(rows)}" for label, rows in seen.labels.items()]
    more = len(labels) - MOST_LABELS
    tail = [f"{count(more)} more in supervision.json"] if more > 0 else []
    limit = f"at most {plural(seen.limit, 'token')} of a text" if seen.limit else "no limit"
    facts = [
        ("Counted", f"{plural(seen.rows, 'row')}, {count(seen.units)} {seen.unit} with loss"),
        ("Tokens", f"{count(seen.tokens)} without padding, {limit}; "
                   f"{count(seen.unknown_tokens)} unknown to the tokenizer"),
        ("Labels", ", ".join([*labels[:MOST_LABELS], *tail])),
    ]  # fmt: skip
    numbers = {name: getattr(seen, name) for name in _OF_ROWS}
    rows = [
        (_OF_ROWS[name], number, share(number / seen.rows) if seen.rows else NONE,
         ", ".join(seen.examples.get(name, ())[:MOST_IDS]))
        for name, number in numbers.items()
        if number
    ]  # fmt: skip
    absent = [_OF_ROWS[name] for name, number in numbers.items() if number == 0]
    columns = ("rows", "count", "share", "first of them")
    return Census(
        facts=tuple((name, words) for name, words in facts if words),
        table=from_records(columns, rows, "supervision.json"),
        none=f"None of these: {'; '.join(absent)}." if absent else "",
        not_counted=", ".join(
            name.replace("_", " ") for name, number in numbers.items() if number is None
        ),
    )


def probed(probes: Probes) -> tuple[tuple[str, str], ...]:
    """Return what was probed, a heading and a sentence each; what was not, with its reason."""
    facts = []
    if (gradient := probes.gradient) is not None:
        facts.append(
            ("Gradient", f"Its norm is {_exact(gradient.norm)}; along it the loss (of "
                         f"{_exact(gradient.loss)}) really rises by {_exact(gradient.measured)} "
                         "per unit of length.")
        )  # fmt: skip
    if (summed := probes.accumulation) is not None:
        facts.append(
            ("Accumulation", f"Loss {_exact(summed.loss)} in "
                             f"{plural(summed.micro_batches, 'micro-batch', 'micro-batches')}, "
                             f"{_exact(summed.loss_at_once)} at once; the gradients differ by "
                             f"{rate(summed.gradient_gap)} of their norm.")
        )  # fmt: skip
    for title, gap in (("Each row alone", probes.alone), ("The same batch twice", probes.again)):
        if gap is not None:
            facts.append((title, _gap(gap)))
    if probes.training_modules:
        names = _named(probes.training_modules)
        facts.append(("Modules in training mode while predicting", names))
    return (*facts, *((f"{name.replace('_', ' ').capitalize()}: not measured", reason)
                      for name, reason in probes.not_probed.items()))  # fmt: skip


def _gap(gap: Gap) -> str:
    if gap.largest == 0:
        return f"{plural(gap.rows, 'row')}: the outputs are equal."
    worst = f"; the farthest: {', '.join(gap.worst[:MOST_IDS])}" if gap.worst else ""
    return (
        f"{plural(gap.rows, 'row')}: the largest difference is {rate(gap.largest)}, where outputs "
        f"spread by {_exact(gap.spread)}{worst}."
    )


def _exact(number: float) -> str:
    return decimal(number, 4) if abs(number) >= 0.001 else rate(number)


@dataclass(frozen=True)
class Saved:
    """The folders that a trainer saved.

    Args:
        facts: What was chosen and whether it was restored, in words.
        table: One line per folder.
        evaluations: Value of the choosing metric per step; None if there is none.
    """

    facts: tuple[tuple[str, str], ...]
    table: Table
    evaluations: Table | None


def saved(saves: Saves) -> Saved:
    """Return the saved folders and the choice among them."""
    rows = [
        (PurePath(item.folder).name, item.step, item.tensors, item.changed,
         _named(item.missing) or "none", _named(item.different) or "none",
         _named(item.unknown) or "none")
        for item in saves.items
    ]  # fmt: skip
    columns = (
        "folder", "step", "tensors", "changed", "missing", "different", "unknown",
    )  # fmt: skip
    facts = []
    if saves.best:
        way = {True: ", higher is better", False: ", lower is better", None: ""}
        chosen = f" by {saves.chosen_by}{way[saves.greater_is_better]}" if saves.chosen_by else ""
        facts.append(("Called the best", f"{PurePath(saves.best).name}{chosen}"))
        back = {True: "yes", False: "no", None: "not asked for, or not known"}
        facts.append(("Its weights were in memory at the end", back[saves.restored]))
    logged = list((saves.evaluations or {}).items())
    table = from_records(("step", saves.chosen_by or "value"), logged, "saves.json")
    return Saved(tuple(facts), from_records(columns, rows, "saves.json"), table if logged else None)


def _named(names: tuple[str, ...]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {count(more)} more" if more > 0 else "")
