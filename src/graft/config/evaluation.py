"""The sections of a recipe that say how runs are merged, scored, compared, gated and logged."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from graft.config.section import Section


class CostSection(Section):
    """What a wrong decision costs, in any unit; right ones cost nothing."""

    false_positive: float = Field(gt=0, description="Cost of a negative row decided positive.")
    false_negative: float = Field(gt=0, description="Cost of a positive row decided negative.")


class EvaluationSection(Section):
    """How runs are scored and compared."""

    primary: str = Field(
        "spearman",
        description="The metric that decides the headline; spearman for pairs, balanced_accuracy "
        "for a classification, macro_average_precision for several labels, r2 for a regression.",
    )
    reference: str = Field(
        "base",
        description="The run that the headline compares every arm with; majority without texts.",
    )
    costs: CostSection | None = Field(
        None, description="Choose the decision threshold by cost; by the best F1 if left out."
    )
    bootstrap_resamples: int = Field(
        2000, ge=100, description="Resamples per interval, and permutations per test."
    )
    clusters: bool = Field(
        True, description="UMAP and HDBSCAN of the test texts, by class or by the first slice."
    )
    reasons: bool = Field(
        True,
        description="What decides in a classification: importance of the columns, and words left "
        "out of a few test rows.",
    )


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


class FusionSection(Section):
    """An arm's text model and baselines merged for the final prediction."""

    title: str = Field("", description="A few words for the report.")
    arm: str = Field(description="Arm whose model gives one part of the prediction.")
    members: tuple[str, ...] = Field(
        ("table",), min_length=1, description="Baselines that give the others."
    )
    method: Literal["stacked", "average"] = Field(
        "stacked",
        description="stacked: a logistic regression on out-of-fold probabilities (Wolpert 1992); "
        "average: with the weights that are best on validation.",
    )
    folds: int = Field(
        5, ge=2, le=20, description="Folds of stacking; the arm is trained once more for each."
    )


class PublishedSection(Section):
    """Figures that somebody published, to be printed beside ours."""

    source: str = Field(min_length=1, description="Where the figures stand.")
    figures: dict[str, dict[str, float]] = Field(description="Run to metric to value.")


class TrackingSection(Section):
    """Where runs are logged besides the run folder."""

    mlflow: bool = Field(False, description="Log every run to MLflow; needs the extra `mlflow`.")
    uri: str | None = Field(None, description="Tracking server; a local store if left out.")
