"""The section of a recipe that alters copies of training rows."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from graft.config.section import Section


class AugmentSection(Section):
    """Altered copies of the training rows of a series task; evaluation rows are never touched."""

    copies: int = Field(
        1, ge=1, le=50, description="Copies of each training row, beside the row itself."
    )
    window_slice: float = Field(
        1.0,
        ge=0.1,
        le=1,
        description="Share of the time steps that is kept, from anywhere, and stretched to the "
        "old length (Le Guennec et al. 2016); 1: all.",
    )
    time_warp: float = Field(
        0.0,
        ge=0,
        le=2,
        description="How much time runs faster and slower along the series: spread of the "
        "logarithm of its speed (Um et al. 2017); 0: not at all.",
    )
    scaling: float = Field(
        0.0,
        ge=0,
        le=2,
        description="Spread of the logarithm of a factor for all values of a series; 0: none.",
    )
    jitter: float = Field(
        0.0,
        ge=0,
        le=2,
        description="Noise on every value, in standard deviations of its channel; 0: none.",
    )

    @model_validator(mode="after")
    def _alters_something(self) -> Self:
        if self.window_slice == 1 and not (self.time_warp or self.scaling or self.jitter):
            raise ValueError("copies would be unaltered: give one of window_slice, time_warp, …")
        return self
