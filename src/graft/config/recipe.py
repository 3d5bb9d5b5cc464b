"""The recipe: data, arms, baselines, evaluation and what counts as success."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from graft.config.sections import ArmSection, BaseSection, Section

TaskName = Literal["pairs"]
BaselineName = Literal["majority", "tfidf", "base", "frozen_probe"]
LeakKind = Literal[
    "exact", "normalised", "near", "shared_text", "shared_texts_all", "group", "time"
]


class SplitSection(Section):
    """How the rows are dealt out to train, validation and test."""

    method: Literal["stratified", "grouped", "by_text", "by_time"] = Field(
        "stratified",
        description="stratified by label; grouped: no group on two sides; by_text: no text on two "
        "sides; by_time: the youngest rows are the test rows.",
    )
    validation: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Share of the training rows; 0: none, then the last weights are kept and "
        "thresholds are chosen on training rows, and the report says so.",
    )
    test: float = Field(0.2, gt=0, lt=1, description="Share of all rows, if no test file is given.")


class LeakageSection(Section):
    """Which evaluation rows count as given away by the training rows."""

    policy: tuple[LeakKind, ...] = Field(
        ("exact", "normalised", "shared_texts_all", "group", "time"),
        description="The kinds that make a row unclean and the finding fail.",
    )
    near_threshold: float = Field(
        0.9, gt=0, le=1, description="Jaccard similarity of word 3-grams that counts as near."
    )


class DataSection(Section):
    """The rows: files, columns by role, splits."""

    train: str | tuple[str, ...] = Field(
        description="JSONL, JSON, CSV, TSV, Parquet, Arrow (each also .gz) or a datasets folder."
    )
    validation: str | None = Field(None, description="Split from the training rows if left out.")
    test: str | None = Field(None, description="Split from the rows if left out.")
    columns: dict[str, str] = Field(
        {}, description="Role to column: sentence1, sentence2, label (or score), group, time."
    )
    label_range: tuple[float, float] = Field(
        (0.0, 1.0),
        description="Smallest and largest label of the files; labels are scaled to 0..1 by it.",
    )
    slices: tuple[str, ...] = Field((), description="Columns by which metrics are reported too.")
    split: SplitSection = SplitSection()
    leakage: LeakageSection = LeakageSection()
    max_cell_bytes: int = Field(1_000_000, ge=1, description="Longest text that is taken.")
    on_bad_rows: Literal["stop", "drop"] = Field(
        "stop", description="stop: name them and end; drop: name them and go on without them."
    )

    @field_validator("label_range")
    @classmethod
    def _range_rises(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("the first number must be below the second")
        return value


class EvaluationSection(Section):
    """How runs are scored and compared."""

    primary: str = Field("spearman", description="The metric that decides the headline.")
    bootstrap_resamples: int = Field(
        2000, ge=100, description="Resamples per interval, and permutations per test."
    )
    clusters: bool = Field(True, description="UMAP and HDBSCAN of the test texts.")


class Gate(Section):
    """A success criterion; a run that misses it makes the exit code 2."""

    run: str = Field(description="Arm or baseline.")
    metric: str = Field(description="Metric on all test rows.")
    minimum: float | None = Field(None, description="Smallest value that passes.")
    maximum: float | None = Field(None, description="Largest value that passes.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.minimum is None and self.maximum is None:
            raise ValueError("a gate needs a minimum or a maximum")
        return self


class PublishedSection(Section):
    """Figures that somebody published, to be printed beside ours."""

    source: str = Field(min_length=1, description="Where the figures stand.")
    figures: dict[str, dict[str, float]] = Field(description="Run to metric to value.")


class TrackingSection(Section):
    """Where runs are logged besides the run folder."""

    mlflow: bool = Field(False, description="Log every run to MLflow; needs the extra `mlflow`.")
    uri: str | None = Field(None, description="Tracking server; a local store if left out.")


class Recipe(Section):
    """A whole experiment as data; immutable once loaded."""

    version: Literal[1] = Field(1, description="Version of the recipe's keys.")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Also the run folder.")
    task: TaskName = Field("pairs", description="Kind of task.")
    seed: int = Field(42, ge=0, description="The one seed; every use of chance derives from it.")
    base: BaseSection = BaseSection()
    data: DataSection
    arms: dict[str, ArmSection] = Field(min_length=1)
    baselines: tuple[BaselineName, ...] = Field(
        ("majority", "tfidf", "base", "frozen_probe"),
        description="Yardsticks; `base`, the untouched model, must be among them.",
    )
    evaluation: EvaluationSection = EvaluationSection()
    gates: tuple[Gate, ...] = ()
    published: PublishedSection | None = None
    accept: dict[str, str] = Field({}, description="Finding to the reason for living with it.")
    tracking: TrackingSection = TrackingSection()

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        runs = {*self.arms, *self.baselines}
        if "base" not in self.baselines:
            raise ValueError("baselines must hold 'base': every verdict is against it")
        both = sorted(set(self.arms) & set(self.baselines))
        if both:
            raise ValueError(f"{both[0]!r} is an arm and a baseline; rename the arm")
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
