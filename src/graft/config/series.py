"""The sections of a recipe that are about series."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from graft.config.section import Section

# Instead of the name of a base: the encoder that the recipe itself describes.
OWN_BASE = "encoder"


class SeriesSection(Section):
    """How files hold series; `.ts` and NumPy files say it themselves."""

    column: str | None = Field(
        None,
        description="Column whose cells are whole series, [time][channel] or [time]; the one "
        "called series if left out.",
    )
    channels: tuple[str, ...] = Field(
        (),
        description="Columns of the channels, in order: lists in a file with a row for each "
        "series, numbers in a long table. Of whole series the names of their channels.",
    )
    steps: tuple[str, ...] = Field(
        (),
        description="Patterns of columns of one time step each, a pattern for each channel: `t_*` "
        "is t_0, t_1, …, in the order of the numbers.",
    )
    item: str | None = Field(
        None,
        description="Column of a long table that says to which series a line belongs; item, "
        "item_id, series_id or unique_id if left out.",
    )
    timestamp: str | None = Field(
        None,
        description="Column of a long table that orders the lines of a series; timestamp, time, "
        "date, datetime or ds if left out.",
    )

    @field_validator("steps")
    @classmethod
    def _one_star(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        odd = [pattern for pattern in value if pattern.count("*") != 1]
        if odd:
            raise ValueError(f"{odd} must hold one * each, for the number of the time step")
        return value


class EncoderSection(Section):
    """The encoder that is pretrained, or trained from scratch, where no base is named."""

    kind: Literal["lstm", "gru", "tcn", "transformer"] = Field(
        "transformer",
        description="lstm and gru: recurrent; tcn: dilated convolutions (Bai et al. 2018); "
        "transformer: attention over patches.",
    )
    width: int = Field(64, ge=2, description="Numbers of a state.")
    layers: int = Field(2, ge=1, description="Number of layers.")
    heads: int = Field(4, ge=1, description="Attention heads of a transformer.")
    patch: int = Field(1, ge=1, description="Time steps that one state stands for.")
    kernel: int = Field(3, ge=1, description="States that a convolution of a tcn reads, odd.")
    bidirectional: bool = Field(
        True, description="lstm and gru read both ways, half the width each."
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="Between layers and before the head.")
    pooling: Literal["mean", "last", "attention"] = Field(
        "mean",
        description="From states to the embedding of a series: their mean, the last one, or by a "
        "learned score.",
    )
    normalisation: Literal["channel", "robust", "series", "none"] = Field(
        "channel",
        description="channel: mean and deviation of each channel, of the training rows; robust: "
        "median and quartiles instead; series: mean and deviation of each series; none.",
    )

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.kind == "transformer" and self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        if self.kind in ("lstm", "gru") and self.bidirectional and self.width % 2:
            raise ValueError(f"width {self.width} is odd: each direction has half of it")
        if self.kind == "tcn" and self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} is even: it has no state in its middle")
        return self
