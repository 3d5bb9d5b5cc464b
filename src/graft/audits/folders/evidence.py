"""What the checks of two folders look at, each part read once and only when a check asks for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from graft.audits.folders.adapters import AdapterParts, modules_in, moved_by, take_apart
from graft.audits.folders.algebra import (
    holds_any,
    holds_none,
    merged_matrices,
    moved_without_adapter,
)
from graft.audits.folders.answers import Answers, answers
from graft.audits.folders.comparison import ComparedTensor
from graft.audits.folders.logs import Log, find_log, read_log
from graft.audits.folders.opened import tokenizer_of
from graft.audits.folders.places import ADAPTER_CONFIG, Kind, Place, open_place
from graft.audits.folders.rows import PROBES, Rows, read_rows, texts_of
from graft.audits.folders.skeleton import Expected, expected_tensors
from graft.audits.frozen import FrozenReport, compare_places
from graft.core.errors import DataError, ModelError, NotApplicableError, Problem
from graft.core.layout import RunPaths

ROWS_ASKED = 2000


@dataclass(frozen=True, eq=False)
class KnownAdapter:
    """An adapter that a merged model may hold.

    Args:
        place: Its folder.
        how: How it was found: `by --adapter`, `in the tuned folder`, `beside it`.
    """

    place: Place
    how: str

    @property
    def guessed(self) -> bool:
        """True if it merely lies near the model."""
        return self.how == "beside it"


@dataclass(frozen=True, eq=False)
class FolderEvidence:
    """A base and what was made of it.

    Args:
        base: The model before.
        tuned: The model after, or an adapter.
        known: Adapters that a merged model may hold, the likeliest first.
        rows: Rows that a person gave; None without `--data`.
        log: What the trainer logged; None if no log was given or found.
        no_log: Why there is no log.
        runs: The folders of two trainings that wrote down plan and ledger; None for anything else.
        name: What findings call the tuned model.
    """

    base: Place
    tuned: Place
    known: tuple[KnownAdapter, ...]
    rows: Rows | None
    log: Log | None
    no_log: str = "no --log was given, and none lies with the tuned folder"
    runs: tuple[Path, Path] | None = None
    name: str = "tuned"

    @property
    def is_adapter(self) -> bool:
        """True if an adapter was tuned on a whole base."""
        return self.tuned.kind == Kind.adapter and self.base.kind != Kind.adapter

    @cached_property
    def parts(self) -> AdapterParts:
        """The adapter taken apart.

        Raises:
            NotApplicableError: There is none.
        """
        if self.tuned.kind == Kind.adapter:
            return take_apart(self.tuned)
        if self.beside is None:
            raise NotApplicableError("no adapter is known: none was given, none lies with it")
        return take_apart(self.beside.place)

    @cached_property
    def beside(self) -> KnownAdapter | None:
        """The adapter of a merged model; one that merely lies near it must have made it."""
        return next((one for one in self.known if not one.guessed or self._made_by(one)), None)

    def _made_by(self, known: KnownAdapter) -> bool:
        parts = take_apart(known.place)
        modules = modules_in(self.base.tensors, parts)
        if not (parts.plain and parts.halves) or moved_without_adapter(self.moved, parts, modules):
            return False
        partners = {tensor.name: tensor.tuned_name for tensor in self.report.tensors}
        found = merged_matrices(self.base, self.tuned, partners, parts, modules)
        untouched = not (self.report.updated or self.report.new)
        return holds_any(found) or (untouched and holds_none(found))

    @cached_property
    def modules(self) -> dict[str, str]:
        """Adapted module to the base's matrix."""
        return modules_in(self.base.tensors, self.parts)

    @cached_property
    def expected(self) -> Expected:
        """What PEFT would load of the adapter's file on this base."""
        return expected_tensors(self.base, self.parts.place)

    @cached_property
    def report(self) -> FrozenReport:
        """The comparison of two whole models, or of two adapters."""
        if self.is_adapter:
            raise NotApplicableError("the tuned folder holds an adapter, not a whole model")
        return compare_places(self.base, self.tuned)

    @cached_property
    def moved(self) -> tuple[ComparedTensor, ...]:
        """Every floating-point tensor that both hold; for an adapter, moved by B·A.

        Raises:
            NotApplicableError: The adapter is none whose change is computed.
        """
        if not self.is_adapter:
            floats = {name for name, stored in self.tuned.tensors.items() if stored.is_float}
            return tuple(t for t in self.report.tensors if t.tuned_name in floats)
        if not self.parts.plain:
            raise NotApplicableError(f"B·A is not the change of a {self.parts.kind} adapter")
        return moved_by(self.base, self.parts)

    @cached_property
    def asked(self) -> tuple[tuple[str, ...], ...]:
        """The rows that both models are asked: those given, else texts of our own."""
        if self.rows:
            return self.rows.texts[:ROWS_ASKED]
        words: tuple[str, ...] = ()
        with contextlib.suppress(NotApplicableError):
            words = texts_of(tokenizer_of(self.base if self.base.has_tokenizer else self.tuned))
        return tuple((text,) for text in (*PROBES, *words))

    @cached_property
    def base_answers(self) -> Answers:
        """What the base says of the rows."""
        return answers(self.base, self.base, self.asked)

    @cached_property
    def tuned_answers(self) -> Answers:
        """What the tuned model says of the rows."""
        return answers(self.tuned, self.base, self.asked)


def read_folders(
    base: Path,
    tuned: Path,
    data: Path | None = None,
    log: Path | None = None,
    adapter: Path | None = None,
) -> FolderEvidence:
    """Return what lies in two places, and what belongs to them.

    Args:
        base: The model before.
        tuned: The model after.
        data: Rows with texts and perhaps labels.
        log: What the trainer logged; looked for with the tuned folder if None.
        adapter: The adapter that was merged; looked for with the tuned folder if None.

    Raises:
        ModelError: A place holds no model, an adapter is compared the wrong way round, or the two
            have nothing in common.
        DataError: The rows or the log cannot be read.
    """
    before, after = open_place(base), open_place(tuned)
    if before.kind == Kind.adapter and after.kind != Kind.adapter:
        fix = "give the base first, then the adapter; or the model that it was merged into"
        raise ModelError("diagnose", [Problem(str(base), "is an adapter, not a base", fix)])
    whole = after.kind != Kind.adapter
    return FolderEvidence(
        base=before,
        tuned=after,
        known=tuple(_adapters_of(after, adapter)) if whole else (),
        rows=read_rows(data) if data else None,
        runs=(base, tuned) if _is_run(base) and _is_run(tuned) else None,
        **_log(log, tuned, after),
    )


def _is_run(place: Path) -> bool:
    """Return True for the folder of an arm that was trained to the end."""
    return RunPaths(place).plan.is_file() and RunPaths(place).ledger.is_file()


def _log(given: Path | None, tuned: Path, place: Place) -> dict[str, Any]:
    """Return the log; one that was merely found may be unreadable, and then says so."""
    if given is not None:
        return {"log": read_log(given)}
    found = find_log(tuned, place.folder)
    if found is None:
        return {"log": None}
    try:
        return {"log": read_log(found)}
    except DataError as error:
        return {"log": None, "no_log": f"{found.name} {error.problems[0].what}"}


def _adapters_of(tuned: Place, given: Path | None) -> Iterator[KnownAdapter]:
    if given is not None:
        place = open_place(given)
        if place.kind != Kind.adapter:
            problem = Problem(str(given), f"has no {ADAPTER_CONFIG}", "give an adapter folder")
            raise ModelError("diagnose", [problem])
        yield KnownAdapter(place, "by --adapter")
        return
    if tuned.path.is_file():
        return
    for folder in (tuned.folder, tuned.folder / "adapter"):
        if (folder / ADAPTER_CONFIG).is_file():
            yield KnownAdapter(_adapter_place(folder), "in the tuned folder")
    # `model/` and `adapter/` side by side are how Graft saves; others call it lora, adapters, …
    around = [path for path in sorted(tuned.folder.parent.iterdir()) if path != tuned.folder]
    for folder in sorted(around, key=lambda path: path.name != "adapter"):
        if (folder / ADAPTER_CONFIG).is_file():
            with contextlib.suppress(ModelError):  # a damaged neighbour is not what was asked about
                yield KnownAdapter(_adapter_place(folder), "beside it")


def _adapter_place(folder: Path) -> Place:
    """Return the adapter of a folder that may hold a whole model as well."""
    place = open_place(folder)
    if place.kind == Kind.adapter:
        return place
    from_files = next(iter(sorted(folder.glob("adapter_model.*"))), None)
    tensors = open_place(from_files).tensors if from_files else {}
    return Place(folder, folder, Kind.adapter, tensors)
