"""The sections of a recipe that describe the rows: files, columns by role, splits, leakage."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from graft.config.problem_types import ProblemType
from graft.config.section import Section
from graft.config.series import SeriesSection

TaskName = Literal["pairs", "classification", "series"]
LeakKind = Literal[
    "exact", "normalised", "near", "shared_text", "shared_texts_all", "group", "overlap", "time"
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
        description="The kinds that make a row unclean and the finding fail; of series [exact, "
        "normalised, group, overlap, time] if left out.",
    )
    near_threshold: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Jaccard similarity of word 3-grams that counts as near; of series the "
        "correlation, 0.99 if left out.",
    )


class DataSection(Section):
    """The rows: files, columns by role, splits."""

    train: str | tuple[str, ...] = Field(
        description="JSONL, JSON, CSV, TSV, Parquet, Arrow, .ts (each also .gz), NumPy or a "
        "datasets folder."
    )
    validation: str | None = Field(None, description="Split from the training rows if left out.")
    test: str | None = Field(None, description="Split from the rows if left out.")
    columns: dict[str, str] = Field(
        {}, description="Role to column: sentence1, sentence2, label (or score), group, time."
    )
    texts: tuple[str, ...] = Field(
        (), description="Text columns of a classification, in order; a row may lack some of them."
    )
    table: tuple[str, ...] = Field(
        (),
        description="Table columns of a classification: numbers and categories, told apart by "
        "their values; any may be missing.",
    )
    categorical: tuple[str, ...] = Field(
        (), description="Those of the table columns whose numbers are names."
    )
    problem_type: ProblemType = Field(
        "single_label_classification",
        description="What the label of a classification is, by the names of Hugging Face: one "
        "class, a list of any number of labels, or a number to predict.",
    )
    label_separator: str = Field(
        "|",
        min_length=1,
        description="What stands between the labels of a row where the column holds texts.",
    )
    series: SeriesSection = SeriesSection()
    positive: str | None = Field(
        None, description="The positive one of two classes; the last in order if left out."
    )
    label_range: tuple[float, float] = Field(
        (0.0, 1.0),
        description="Smallest and largest label of the files; labels are scaled to 0..1 by it.",
    )
    slices: tuple[str, ...] = Field((), description="Columns by which metrics are reported too.")
    split: SplitSection = SplitSection()
    leakage: LeakageSection = LeakageSection()
    max_rows: int | None = Field(
        None, ge=10, description="Take so many rows of the training files, drawn by the seed."
    )
    max_cell_bytes: int = Field(1_000_000, ge=1, description="Longest text that is taken.")
    on_bad_rows: Literal["stop", "drop"] = Field(
        "stop", description="stop: name them and end; drop: name them and go on without them."
    )

    @field_validator("positive", mode="before")
    @classmethod
    def _as_a_class_is_named(cls, value: object) -> object:
        # YAML reads 1 and true as a number and a truth value; classes are named as words.
        if isinstance(value, bool):
            return str(value).lower()
        return str(value) if isinstance(value, int) else value

    @field_validator("label_range")
    @classmethod
    def _range_rises(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("the first number must be below the second")
        return value
