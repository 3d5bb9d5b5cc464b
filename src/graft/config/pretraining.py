"""The section of a recipe that says how its base is pretrained, on rows without labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from graft.config.section import Section
from graft.config.sections import TrainingSection

Objective = Literal["reconstruction", "forecast", "contrastive"]
# What a new encoder needs is not what a finished one bears. It is so small that casts to bf16 take
# longer than they save (24 ms a step in float32, 39 ms in bf16, for 64 windows of 105 × 4).
_TRAINING: Mapping[str, Any] = {
    "num_train_epochs": 20,
    "per_device_train_batch_size": 64,
    "learning_rate": 1e-3,
    "weight_decay": 0.01,
    "lr_scheduler_type": "cosine",
    "precision": "fp32",
}


class MaskSection(Section):
    """Which values of a series are hidden from the encoder."""

    kind: Literal["random", "block", "patch"] = Field(
        "block",
        description="random: single values; block: stretches of each channel by itself "
        "(Zerveas et al. 2021); patch: stretches of all channels together (Nie et al. 2023).",
    )
    share: float = Field(0.3, gt=0, lt=1, description="Share of the time steps that is hidden.")
    length: int = Field(8, ge=1, description="Time steps of a block or patch.")


class PretrainSection(Section):
    """Self-supervised pretraining of the encoder that the recipe describes."""

    unlabelled: str | tuple[str, ...] | None = Field(
        None,
        description="Files of rows, whose labels are not read; the training rows if left out.",
    )
    validation: float = Field(
        0.1, gt=0, lt=1, description="Share of these rows that is held out to choose by."
    )
    objectives: dict[Objective, float] = Field(
        {"reconstruction": 1.0},
        min_length=1,
        description="Objective to its weight in the loss. reconstruction: of masked values; "
        "forecast: of the last steps from those before; contrastive: two masked views of a series "
        "lie closer than those of others (InfoNCE, van den Oord et al. 2018).",
    )
    mask: MaskSection = MaskSection()
    forecast_steps: int = Field(8, ge=1, description="Last time steps that are forecast.")
    temperature: float = Field(
        0.1, gt=0, description="What cosines are divided by in the contrastive loss."
    )
    training: TrainingSection = Field(
        TrainingSection(**_TRAINING),
        description="As of an arm; other defaults: 20 epochs of 64 rows at 1e-3, weight decay "
        "0.01, cosine, fp32.",
    )

    @field_validator("training", mode="before")
    @classmethod
    def _for_a_new_encoder(cls, value: object) -> object:
        return {**_TRAINING, **value} if isinstance(value, Mapping) else value

    @field_validator("objectives")
    @classmethod
    def _weigh(cls, value: dict[Objective, float]) -> dict[Objective, float]:
        light = sorted(name for name, weight in value.items() if weight <= 0)
        if light:
            raise ValueError(f"the weight of {light} must be above 0; leave out what is not wanted")
        return value

    @model_validator(mode="after")
    def _validates(self) -> Self:
        if self.training.eval_strategy == "no":
            raise ValueError("training.eval_strategy 'no': pretraining is chosen by validation")
        return self
