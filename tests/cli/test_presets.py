"""The recipes that come with Graft load, and name keys that exist: all of them."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from pydantic import BaseModel

from graft.cli.init import preset
from graft.config.loading import load_recipe
from graft.config.recipe import Recipe
from graft.config.sections import ArmSection

NAMES = sorted(
    file.name.removesuffix(".yaml")
    for file in (files("graft.config") / "presets").iterdir()
    if file.name.endswith(".yaml")
)


def test_the_presets_are_there():
    assert {"pairs", "demo-pairs"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_loads(name, tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(preset(name), encoding="utf-8")
    load_recipe(path)


def uncommented(text):
    """The recipe with every commented key in use."""
    return re.sub(r"^(\s*)#(?=\w+:|  - \{|  \w+:)", r"\1", text, flags=re.MULTILINE)


def test_every_commented_key_is_real(tmp_path):
    text = uncommented(preset("pairs"))
    assert text != preset("pairs")
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    # An interval without its strategy would be an option that nothing reads.
    strategies = [f"training.{kind}_strategy=steps" for kind in ("eval", "save")]
    loaded = load_recipe(path, strategies).recipe
    assert loaded.gates
    assert loaded.published
    assert loaded.arms["standard"].freeze
    assert loaded.arms["standard"].training.early_stopping_patience == 2


def keys(section):
    for name, field in section.model_fields.items():
        yield name
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind)


def test_the_template_names_every_key_there_is():
    text = preset("pairs")
    missing = [
        name for name in {*keys(Recipe), *keys(ArmSection)} if not re.search(rf"\b{name}:", text)
    ]
    assert missing == []


def test_init_writes_it_and_overwrites_nothing(graft, tmp_path):
    path = tmp_path / "mine.yaml"
    assert graft("init", "pairs", path).code == 0
    assert path.read_text(encoding="utf-8") == preset("pairs")
    path.write_text("mine", encoding="utf-8")
    answer = graft("init", "pairs", path)
    assert answer.code == 3
    assert "--force" in answer.stderr
    assert path.read_text(encoding="utf-8") == "mine"
    assert graft("init", "pairs", path, "--force", "--json").document["file"] == str(path)
    assert path.read_text(encoding="utf-8") == preset("pairs")


def test_a_comment_of_prose_stays_a_comment():
    assert uncommented("# a word: here\n#key: 1\n  #  - {a: 1}\n") == (
        "# a word: here\nkey: 1\n    - {a: 1}\n"
    )
