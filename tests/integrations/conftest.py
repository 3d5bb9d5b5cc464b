"""Bases that foreign trainers train."""

from __future__ import annotations

from pathlib import Path

import pytest

import foreign_models as foreign

# What the libraries themselves warn of while they build, load and train tiny models.
LIBRARY_WARNINGS = (
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",
    "ignore:.*treespec, LeafSpec.*:Warning",
    "ignore:.*does not have many workers.*:UserWarning",
    "ignore:Found .* module.s. in eval mode at the start of training:UserWarning",
    "ignore:.*`train_dataloader` to estimate number of stepping batches:UserWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for warning in LIBRARY_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return foreign.write_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return foreign.write_sentence_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return foreign.write_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session")
def tied_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return foreign.write_llama(tmp_path_factory.mktemp("tied"), tied=True)
