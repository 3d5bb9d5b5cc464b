"""The recipes that come with Graft load, and name keys that exist: all of them."""

from __future__ import annotations

import re
from importlib.resources import files

import pandas as pd
import pytest
from pydantic import BaseModel

from graft.cli.demo import QUICK
from graft.cli.init import preset
from graft.config.evaluation import CostSection, FusionSection
from graft.config.loading import load_recipe
from graft.config.recipe import Recipe
from graft.config.sections import ArmSection, ClassifierSection, LoraSection
from graft.config.series import EncoderSection, SeriesSection
from graft.data.readers import read_table
from graft.synthetic.compatibility import write_compatibility
from graft.synthetic.matches import write_matches
from graft.synthetic.regimes import write_regimes

NAMES = sorted(
    file.name.removesuffix(".yaml")
    for file in (files("graft.config") / "presets").iterdir()
    if file.name.endswith(".yaml")
)


def test_the_presets_are_there():
    assert {"pairs", "classification", "series", "demo-pairs", "demo-match", "demo-regime"} <= set(
        NAMES
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_loads(name, tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(preset(name), encoding="utf-8")
    load_recipe(path)


def uncommented(text):
    """The recipe with every commented key in use."""
    return re.sub(r"^(\s*)#(?=\w+:|  - \{|  \w+:)", r"\1", text, flags=re.MULTILINE)


TEMPLATES = ["pairs", "classification", "series"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_commented_key_is_real(name, tmp_path):
    text = uncommented(preset(name))
    assert text != preset(name)
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    # An interval without its strategy would be an option that nothing reads.
    strategies = [f"training.{kind}_strategy=steps" for kind in ("eval", "save")]
    loaded = load_recipe(path, strategies).recipe
    assert loaded.gates
    assert loaded.published
    first = next(iter(loaded.arms.values()))
    assert first.freeze
    assert first.training.early_stopping_patience == 2
    assert (loaded.fusion != {}) == (name == "classification")


def keys(section):
    for name, field in section.model_fields.items():
        yield name
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind)


# What only pairs, only a classification, only series and only texts have.
OF_PAIRS = {"label_range"}
OF_LABELS = {"problem_type", "label_separator"}
OF_CLASSES = {
    "texts", "table", "categorical", "positive", "head_learning_rate", "lr_decay", "costs",
    "false_positive", "false_negative", "fusion", "reference", "rows_per_class", "classifier",
    "reasons", *OF_LABELS,
    *ClassifierSection.model_fields, *FusionSection.model_fields,
}  # fmt: skip
OF_SERIES = {
    "series", "augment", "encoder", "pretrain",
    *SeriesSection.model_fields, *EncoderSection.model_fields,
}  # fmt: skip
OF_TEXTS = {
    "texts", "table", "categorical", "max_seq_length", "reasons", "fusion", "arm", "members",
    "folds", "lora", "head_init", *LoraSection.model_fields,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("pairs", OF_CLASSES | OF_SERIES),
        ("classification", OF_PAIRS | OF_SERIES - {"pooling"}),
        ("series", OF_PAIRS | OF_TEXTS | OF_LABELS),
    ],
)
def test_the_template_names_every_key_there_is(name, others):
    text = preset(name)
    wanted = {*keys(Recipe), *keys(ArmSection), *keys(CostSection), *keys(FusionSection)}
    wanted -= others
    missing = [key for key in wanted if not re.search(rf"\b{key}:", text)]
    assert missing == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_init_writes_it_and_overwrites_nothing(name, graft, tmp_path):
    path = tmp_path / "mine.yaml"
    assert graft("init", name, path).code == 0
    assert path.read_text(encoding="utf-8") == preset(name)
    path.write_text("mine", encoding="utf-8")
    answer = graft("init", name, path)
    assert answer.code == 3
    assert "--force" in answer.stderr
    assert path.read_text(encoding="utf-8") == "mine"
    assert graft("init", name, path, "--force", "--json").document["file"] == str(path)
    assert path.read_text(encoding="utf-8") == preset(name)


def test_a_comment_of_prose_stays_a_comment():
    assert uncommented("# a word: here\n#key: 1\n  #  - {a: 1}\n") == (
        "# a word: here\nkey: 1\n    - {a: 1}\n"
    )


@pytest.mark.parametrize("kind", ["pairs", "match", "regime"])
@pytest.mark.parametrize("quick", [False, True])
def test_a_demo_reads_what_its_generator_writes(kind, quick, tmp_path):
    writers = {"pairs": write_compatibility, "match": write_matches, "regime": write_regimes}
    train, *_ = writers[kind](tmp_path, 1)
    path = tmp_path / "demo.yaml"
    path.write_text(preset(f"demo-{kind}"), encoding="utf-8")
    data = load_recipe(path, QUICK[kind] if quick else ()).recipe.data
    wanted = {*data.columns.values(), *data.texts, *data.table, *data.slices}
    wanted |= set(data.series.channels)
    assert wanted == set(pd.read_parquet(train) if kind == "regime" else read_table(train).frame)
