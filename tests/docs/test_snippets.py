"""Every recipe and every piece of Python in the documentation is one that works."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import graft
from graft.audits.registry import ARM_CHECKS, DATA_CHECKS
from graft.config.loading import load_recipe
from graft.metrics.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "# recipe\n"


def blocks(language):
    pages = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    return [
        pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
        for page in pages
        for number, (kind, text) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
        if kind == language
    ]


RECIPES, PYTHON = blocks("yaml"), blocks("python")


def test_there_are_snippets():
    assert len(RECIPES) >= 12
    assert len(PYTHON) >= 2


@pytest.mark.parametrize("text", RECIPES)
def test_a_recipe_loads_and_names_what_exists(text, tmp_path):
    assert text.startswith(MARK), "a yaml block is a whole recipe and begins with '# recipe'"
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    recipe = load_recipe(path).recipe
    named = [recipe.evaluation.primary, *(gate.metric for gate in recipe.gates)]
    if recipe.published:
        named += [name for figures in recipe.published.figures.values() for name in figures]
    assert [name for name in named if name not in CATALOGUE] == []
    checks = (*ARM_CHECKS, *DATA_CHECKS)
    known = {key for check in checks for key in (check.name, check.id)}
    assert set(recipe.accept) <= known


@pytest.mark.parametrize("text", PYTHON)
def test_python_parses_and_uses_the_public_names(text):
    used = {
        node.attr
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "graft"
    }
    assert used <= set(graft.__all__)


def test_the_example_recipes_load():
    examples = sorted((ROOT / "examples").glob("*.yaml"))
    assert examples
    for path in examples:
        load_recipe(path)
