"""The recipe: data, arms, baselines, evaluation and what counts as success."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

from pydantic import Field, model_validator

from graft.config.data import DataSection, TaskName
from graft.config.evaluation import (
    EvaluationSection,
    FusionSection,
    Gate,
    PublishedSection,
    TrackingSection,
)
from graft.config.pretraining import PretrainSection
from graft.config.problem_types import LOSSES, PRIMARY, misfits
from graft.config.section import Section
from graft.config.sections import ArmSection, BaseSection, PairLoss
from graft.config.series import OWN_BASE, EncoderSection
from graft.core.facts import SINGLE_LABEL

BASELINES: Mapping[str, tuple[str, ...]] = {
    "pairs": ("majority", "tfidf", "base", "frozen_probe"),
    "classification": ("majority", "tfidf", "table", "tfidf_table", "base"),
    "series": ("majority", "euclidean", "dtw", "features", "rocket", "base"),
}
_PRIMARY = {
    "pairs": "spearman",
    "classification": "balanced_accuracy",
    "series": "balanced_accuracy",
}
_LOSS = {"pairs": "cosine_similarity", "classification": "cross_entropy", "series": "cross_entropy"}
_POOLING = {
    "classification": ("base", "mean", "cls"),
    "series": ("base", "mean", "last", "attention"),
}
RESERVED = {"data", "pretraining", "untrained"}  # folders beside those of the runs
# Baselines that read table columns, and those that can be trained on a few rows of each class.
OF_TABLE = ("table", "tfidf_table")
OF_TEXTS = ("tfidf", "tfidf_table", "base")
# What gives a series away, and how alike two must be: days of a year correlate by 0.95.
_SERIES_LEAKAGE = {
    "policy": ("exact", "normalised", "group", "overlap", "time"),
    "near_threshold": 0.99,
}


def with_task_defaults(plain: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Return the plain recipe with the values that a task has where nobody gave one.

    Example:
        >>> with_task_defaults({"arms": {"head": {}}}, "classification")["arms"]
        {'head': {'loss': 'cross_entropy'}}
    """
    filled, data = dict(plain), plain.get("data")
    filled.setdefault("baselines", _baselines(data, task))
    kind = ""
    if task != "pairs" and isinstance(data, Mapping):
        kind = str(data.get("problem_type", SINGLE_LABEL))
    if task == "series" and isinstance(data, Mapping):
        leakage = data.get("leakage", {})
        if isinstance(leakage, Mapping):
            filled["data"] = {**data, "leakage": {**_SERIES_LEAKAGE, **leakage}}
    evaluation = filled.get("evaluation", {})
    if isinstance(evaluation, Mapping):
        chosen = {"primary": PRIMARY.get(kind, _PRIMARY[task])}
        # A base reads texts: without any, what a table adds to nothing is the question.
        chosen |= (
            {"reference": "majority"}
            if task == "classification" and not _named(data, "texts")
            else {}
        )
        filled["evaluation"] = {**chosen, **evaluation}
    arms = filled.get("arms")
    if isinstance(arms, Mapping):
        loss = LOSSES.get(kind, (_LOSS[task],))[0]
        filled["arms"] = {
            name: _with_own_base({"loss": loss, **arm}, task) if isinstance(arm, Mapping) else arm
            for name, arm in arms.items()
        }
    return _with_own_base(filled, task)


def _with_own_base(plain: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Return the recipe or arm with the encoder of the recipe as its base where it names none."""
    base = plain.get("base", {})
    if task != "series" or not isinstance(base, Mapping):
        return dict(plain)
    return {**plain, "base": {"model": OWN_BASE, **base}}


def _baselines(data: object, task: str) -> tuple[str, ...]:
    no_table, no_texts = (
        not _named(data, "table"),
        task == "classification" and not _named(data, "texts"),
    )
    absent = {*(OF_TABLE if no_table else ()), *(OF_TEXTS if no_texts else ())}
    return tuple(name for name in BASELINES[task] if name not in absent)


def _named(data: object, key: str) -> bool:
    """Return True if the plain data section names columns under the key."""
    return isinstance(data, Mapping) and bool(data.get(key))


class Recipe(Section):
    """A whole experiment as data; immutable once loaded."""

    version: Literal[1] = Field(1, description="Version of the recipe's keys.")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Also the run folder.")
    task: TaskName = Field("pairs", description="Kind of task.")
    seed: int = Field(42, ge=0, description="The one seed; every use of chance derives from it.")
    base: BaseSection = BaseSection()
    encoder: EncoderSection = EncoderSection()
    pretrain: PretrainSection | None = None
    data: DataSection
    arms: dict[str, ArmSection] = Field(
        description="Ways to adapt the base, by name; `{}` where there is a table and no text."
    )
    baselines: tuple[str, ...] = Field(
        BASELINES["pairs"],
        description="Yardsticks; `base`, the untouched model, must be among them if there are "
        "texts. In a classification `base@10` is the same with 10 rows of each class. All of the "
        "task if left out.",
    )
    fusion: dict[str, FusionSection] = Field(
        {}, description="Runs that merge an arm with baselines, by name."
    )
    evaluation: EvaluationSection = EvaluationSection()
    gates: tuple[Gate, ...] = ()
    published: PublishedSection | None = None
    accept: dict[str, str] = Field({}, description="Finding to the reason for living with it.")
    tracking: TrackingSection = TrackingSection()

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_task(cls, plain: object) -> object:
        if not isinstance(plain, Mapping) or plain.get("task", "pairs") not in BASELINES:
            return plain
        return with_task_defaults(plain, plain.get("task", "pairs"))

    @model_validator(mode="after")
    def _fits_the_task(self) -> Self:
        known, wrong = BASELINES[self.task], []
        few = "" if self.task == "pairs" else r"(@[1-9][0-9]*)?"
        for name in self.baselines:
            if not re.fullmatch(rf"({'|'.join(known)}){few}", name):
                wrong.append(f"'{name}' is no baseline of {self.task}; they are {list(known)}")
            elif name.partition("@")[0] in OF_TABLE and not self.data.table:
                wrong.append(f"baseline '{name}' needs data.table")
            elif name.partition("@")[0] in OF_TEXTS and self._no_texts:
                wrong.append(f"baseline '{name}' needs data.texts")
        of_pairs, kind = self.task == "pairs", self.data.problem_type
        losses = get_args(PairLoss) if of_pairs else LOSSES[kind]
        for name, arm in self.arms.items():
            if arm.loss not in losses:
                named = kind if self.task == "classification" else self.task
                wrong.append(f"arms.{name}: {arm.loss} is no loss of {named}: {list(losses)}")
            if arm.classifier.table and not self.data.table:
                wrong.append(f"arms.{name}.classifier.table needs data.table")
            wrong += [f"arms.{name}.{what}" for what in self._unfit(arm)]
        wrong += self._without_columns()
        wrong += [] if of_pairs else misfits(self)
        if wrong:
            raise ValueError("; ".join(dict.fromkeys(wrong)))
        return self

    def _without_columns(self) -> list[str]:
        """Return what cannot be done for lack of text columns, or of an arm to read them."""
        if not self._no_texts:
            return [] if self.arms else ["arms is empty; give at least one"]
        if not self.data.table:
            return ["data.texts and data.table are empty; name the columns to read"]
        if not self.arms:
            return []
        return [
            "data.texts is empty, and an arm adapts an encoder of texts: name the text columns, or "
            "give no arms (`arms: {}`) to compare the baselines of the table"
        ]

    @model_validator(mode="after")
    def _series_alone(self) -> Self:
        if self.task == "series" and self.data.split.method == "by_text":
            raise ValueError("data.split.method by_text: a series has no texts")
        altered = [name for name, arm in self.arms.items() if arm.augment]
        if altered and self.task != "series":
            raise ValueError(f"arms.{altered[0]}.augment needs task: series")
        if self.pretrain is not None and not self.makes_base:
            raise ValueError("pretrain needs task: series, and no base.model")
        return self

    def _unfit(self, arm: ArmSection) -> list[str]:
        """Return what of an arm the task does not have."""
        pooling = arm.classifier.pooling
        poolings = _POOLING.get(self.task, (pooling,))
        wrong = []
        if pooling not in poolings:
            wrong.append(f"classifier.pooling {pooling}: of {self.task} one of {list(poolings)}")
        if self.task == "series" and arm.method == "lora":
            wrong.append("method lora: encoders of series are small; use full or head")
        if self.task == "series" and arm.classifier.texts != "joint":
            wrong.append("classifier.texts: a series has no texts")
        if self.task == "series" and arm.classifier.head_init != "random":
            wrong.append("classifier.head_init class_means: needs task: classification")
        if self.task == "series" and arm.base.max_seq_length is not None:
            wrong.append("base.max_seq_length: a series is read whole")
        return wrong

    @property
    def makes_base(self) -> bool:
        """True if the base of the experiment, or of an arm, is the encoder of the recipe."""
        models = [self.base.model, *(arm.base.model for arm in self.arms.values())]
        return self.task == "series" and OWN_BASE in models

    def seeds_of(self, arm: str) -> tuple[int, ...]:
        """Return the seeds that an arm is trained with; the artefact is that of the first."""
        return tuple(range(self.seed, self.seed + self.arms[arm].seeds))

    @property
    def _no_texts(self) -> bool:
        return self.task == "classification" and not self.data.texts

    @model_validator(mode="after")
    def _fusions_fit(self) -> Self:
        wrong = []
        for name, fusion in self.fusion.items():
            if fusion.arm not in self.arms:
                wrong.append(f"fusion.{name}.arm names {fusion.arm!r}, which is no arm")
            absent = sorted(set(fusion.members) - set(self.baselines))
            if absent:
                wrong.append(f"fusion.{name}.members names {absent}, which are no baselines")
            if any(member.partition("@")[0] == "base" for member in fusion.members):
                wrong.append(f"fusion.{name}.members names 'base', which the arm's model contains")
        if self.fusion and self.task != "classification":
            wrong.append("fusion needs task: classification")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        runs = {*self.arms, *self.baselines, *self.fusion}
        if "base" not in self.baselines and not self._no_texts:
            raise ValueError("baselines must hold 'base': every verdict is against it")
        both = sorted(set(self.arms) & set(self.baselines))
        if both:
            raise ValueError(f"{both[0]!r} is an arm and a baseline; rename the arm")
        if RESERVED & runs:
            raise ValueError(f"{sorted(RESERVED & runs)} are folders of their own; rename the run")
        twice = sorted(set(self.fusion) & {*self.arms, *self.baselines})
        if twice:
            raise ValueError(f"{twice[0]!r} is a fusion and another run; rename the fusion")
        named = [(f"gates[{i}].run", gate.run) for i, gate in enumerate(self.gates)]
        if self.published:
            named += [("published.figures", run) for run in self.published.figures]
        wrong = [f"{where} names {run!r}" for where, run in named if run not in runs]
        if wrong:
            raise ValueError(f"{'; '.join(wrong)}, but the runs are {sorted(runs)}")
        bare = sorted(name for name, reason in self.accept.items() if not reason.strip())
        if bare:
            raise ValueError(f"accept.{bare[0]} gives no reason")
        return self

    @model_validator(mode="after")
    def _references_are_baselines(self) -> Self:
        named = [("evaluation.reference", self.evaluation.reference)]
        named += [(f"arms.{n}.reference", a.reference) for n, a in self.arms.items() if a.reference]
        wrong = [f"{where} names {run!r}" for where, run in named if run not in self.baselines]
        if wrong:
            raise ValueError(f"{'; '.join(wrong)}, but the baselines are {sorted(self.baselines)}")
        return self
