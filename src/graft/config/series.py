"""The sections of a recipe that are about series."""

from __future__ import annotations

from pydantic import Field, field_validator

from graft.config.section import Section


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
