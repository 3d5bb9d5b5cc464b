"""Healthy folders, written once; tests copy what they break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import diagnosis_models as models
from graft.audits.folders.diagnosis import Diagnosis, diagnose
from graft.core.findings import Status


@dataclass(frozen=True)
class Folders:
    """Bases, and what was tuned from each."""

    root: Path

    def __getattr__(self, name: str) -> Path:
        return self.root / name.replace("_", "-")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Folders as the libraries write them, each in a place of its own."""
    made = Folders(tmp_path_factory.mktemp("models"))
    root = made.root
    models.write_body(root / "body")
    models.write_classifier(root / "classifier")
    models.write_language_model(root / "language")
    models.write_encoder_base(root / "encoders").rename(root / "encoder")
    models.tune_classifier(root / "body", root / "tuned-body")
    models.tune_classifier(root / "classifier", root / "tuned-classifier")
    models.tune_classifier(root / "body", root / "head-only", only_head=True)
    models.tune_language_model(root / "language", root / "tuned-language")
    models.tune_encoder(root / "encoder", root / "tuned-encoder")
    models.write_lora(root / "language", root / "lora")
    models.write_lora(root / "body", root / "lora-classifier", kind=models.CLASSIFIERS)
    models.write_lora(root / "language", root / "untrained", trained=False)
    models.merge(root / "language", root / "lora", root / "merged")
    models.merge(root / "language", root / "lora", root / "merged-twice", times=2)
    return made


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Sixty labelled texts that no model was trained on."""
    return models.write_rows(tmp_path / "texts.jsonl", models.colour_texts(60, seed=9))


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Sixty labelled pairs."""
    rows: list[dict[str, Any]] = models.colour_pairs(60, 9).to_dict("records")
    return models.write_rows(tmp_path / "pairs.jsonl", rows)


@pytest.fixture
def look() -> Callable[..., Diagnosis]:
    """Diagnose, and make sure that no check broke and that the answer is JSON both ways."""
    from graft.core.jsonable import from_plain, to_plain

    def run(*places: Path, **more: Path | None) -> Diagnosis:
        found = diagnose(*places, **more)
        broken = [f for f in found.findings if f.status in (Status.error, Status.not_run)]
        assert broken == []
        assert from_plain(Diagnosis, to_plain(found)) == found
        assert found.healthy == (not found.causes)
        return found

    return run
