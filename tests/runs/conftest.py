"""A recipe that a tiny encoder finishes in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_recipe(colour_encoder: Path, pair_files: tuple[Path, Path]) -> dict[str, Any]:
    """Two arms on pairs of colours, without clusters and with few resamples."""
    train, test = pair_files
    return {
        "name": "tiny",
        "base": {"model": str(colour_encoder)},
        "data": {"train": str(train), "test": str(test), "slices": ["kind"]},
        "evaluation": {"clusters": False, "bootstrap_resamples": 200},
        "training": {"learning_rate": 3e-3, "num_train_epochs": 4, "precision": "fp32"},
        "arms": {
            "standard": {"method": "full"},
            "lora": {
                "method": "lora",
                "lora": {"lora_alpha": 32, "lora_dropout": 0},
                "training": {"learning_rate": 2e-2, "num_train_epochs": 12},
            },
        },
    }
