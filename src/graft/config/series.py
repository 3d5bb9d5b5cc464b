"""The sections of a recipe that are about series."""

from __future__ import annotations

from pydantic import Field

from graft.config.sections import Section


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
