"""Where a pretrained base comes from: stored beside its weights, so that it goes where they go."""

from __future__ import annotations

from dataclasses import dataclass, field

# Name of the record in the folder of the model, and `where` of the findings.
RECORD = "pretraining.json"
NAME = "pretraining"


@dataclass(frozen=True)
class Pretraining:
    """What was pretrained on what.

    Args:
        experiment: Name of the experiment.
        kind: Kind of pretraining, such as `masked series`.
        objectives: Objective to its weight in the loss.
        settings: What else decides what is learned, by its name.
        seed: Seed of the recipe.
        recipe_sha256: Hash of the resolved recipe.
        sources: Files of the rows.
        rows: Rows that it learned from.
        rows_sha256: Fingerprint of these rows.
        held_out: Rows that it was chosen by.
        held_out_sha256: Fingerprint of these rows.
        base: SHA-256 of every weight file that it began with, by name.
        notes: What a person should know of how the rows were read.
        versions: Versions of the libraries that matter.
    """

    experiment: str
    kind: str
    objectives: dict[str, float]
    settings: dict[str, str | int | float]
    seed: int
    recipe_sha256: str
    sources: tuple[str, ...]
    rows: int
    rows_sha256: str
    held_out: int
    held_out_sha256: str
    base: dict[str, str]
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
