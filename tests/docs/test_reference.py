"""The reference pages are what the code says today."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from graft.config.recipe import Recipe
from graft.config.sections import ArmSection
from graft.metrics.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]


def _generator():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/generate_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()


@pytest.mark.parametrize("name", GENERATOR.PAGES)
def test_the_page_is_not_stale(name):
    written = (GENERATOR.FOLDER / name).read_text(encoding="utf-8")
    assert written == GENERATOR.PAGES[name](), "run python docs/generate_reference.py"


def test_no_page_is_written_by_hand():
    assert {path.name for path in GENERATOR.FOLDER.iterdir()} == set(GENERATOR.PAGES)


def test_pages_hold_every_key_verb_and_metric():
    recipe = GENERATOR.recipe_page()
    for model in (Recipe, ArmSection):
        assert [name for name in model.model_fields if f"| `{name}` |" not in recipe] == []
    assert {"run", "verify-frozen", "data check"} <= set(GENERATOR.verbs())
    metrics = GENERATOR.metrics_page()
    assert [name for name in CATALOGUE if f"`{name}`" not in metrics] == []
