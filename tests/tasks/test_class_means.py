"""A head that begins at the class means: what it says before the first step, and what is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch.nn.functional import normalize

from graft.config.loading import load_recipe
from graft.config.sections import ArmSection
from graft.core.errors import RecipeError
from graft.models.heads import TextClassifier, assert_classifier, load_classifier, save_classifier
from graft.models.locate import locate_base
from graft.tasks.class_examples import class_batch, class_examples, embeddings_of, logits_of
from graft.tasks.class_means import SHARPNESS
from graft.tasks.classification import ClassificationTask
from tiny_models import colour_facts, colour_rows

CLASSES = 3
TASK = ClassificationTask(colour_facts(CLASSES))


def built(base: Path, rows: pd.DataFrame, *, control: str = "none", **more: Any) -> TextClassifier:
    classifier = {"head_init": "class_means", **more}
    plain = {"loss": "cross_entropy", "classifier": classifier, "control": control}
    model, report = TASK.build(ArmSection.model_validate(plain), locate_base(str(base)), 3, rows)
    assert report.left_out == ()
    return assert_classifier(model)


def _parts(model: TextClassifier, rows: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor]:
    batch = class_batch(class_examples(model, rows))
    with torch.inference_mode():
        return embeddings_of(model, batch), logits_of(model, batch)


def test_a_logit_is_the_cosine_to_the_mean_of_its_class(colour_encoder: Path) -> None:
    rows = colour_rows(30, 1, CLASSES)
    model = built(colour_encoder, rows)
    found, logits = _parts(model, rows)
    labels = rows["label"].to_numpy().astype(int)
    means = torch.stack([found[labels == k].mean(0) for k in range(CLASSES)])
    cosines = normalize(found, dim=1) @ normalize(means, dim=1).T
    assert torch.allclose(logits, SHARPNESS * cosines, atol=1e-4)
    assert torch.allclose(found.norm(dim=1), torch.ones(len(rows)), atol=1e-5)


def test_it_tells_the_classes_before_the_first_step(colour_encoder: Path) -> None:
    """Better than a guess, on rows that it has not seen; the tiny encoder itself is random."""
    new = colour_rows(300, 2, CLASSES)
    _, logits = _parts(built(colour_encoder, colour_rows(30, 1, CLASSES)), new)
    right = (logits.argmax(1).numpy() == new["label"].to_numpy()).mean()
    assert right > 1 / CLASSES + 0.1


def test_a_tower_has_means_of_its_own_and_the_table_begins_at_random(colour_encoder: Path) -> None:
    rows = colour_rows(30, 1, CLASSES)
    model = built(colour_encoder, rows, texts="towers", table=True)
    width, weight = model.width, model.head.linear.weight.detach()
    for tower in (weight[:, :width], weight[:, width : 2 * width]):
        assert torch.allclose(tower.norm(dim=1), torch.full((CLASSES,), SHARPNESS), rtol=1e-4)
    of_table = weight[:, 2 * width :]
    assert of_table.shape[1] > 0
    assert 0 < of_table.abs().max() < 0.2


def test_a_class_without_rows_stays_as_it_was_drawn(colour_encoder: Path) -> None:
    rows = colour_rows(30, 1, CLASSES)
    model = built(colour_encoder, rows[rows["label"] != 1].reset_index(drop=True))
    norms = model.head.linear.weight.detach().norm(dim=1)
    assert norms[[0, 2]].min() > SHARPNESS - 0.1
    assert 0 < norms[1] < 1


def test_the_control_begins_at_the_means_of_its_random_encoder(colour_encoder: Path) -> None:
    rows = colour_rows(30, 1, CLASSES)
    model = built(colour_encoder, rows, control="random_init")
    found, logits = _parts(model, rows)
    mean = found[rows["label"].to_numpy().copy() == 0].mean(0)
    cosines = normalize(found, dim=1) @ normalize(mean, dim=0)
    assert torch.allclose(logits[:, 0], SHARPNESS * cosines, atol=1e-3)


def test_the_saved_folder_keeps_the_length_of_embeddings(
    colour_encoder: Path, tmp_path: Path
) -> None:
    rows = colour_rows(12, 1, CLASSES)
    model = built(colour_encoder, rows)
    save_classifier(model, tmp_path)
    _, before = _parts(model, rows)
    _, after = _parts(load_classifier(tmp_path), rows)
    assert torch.equal(before, after)
    # Without Graft too: what `encode` gives is the logits.
    plain = SentenceTransformer(str(tmp_path), device="cpu").encode(["red1 red2"])
    assert plain.shape == (1, CLASSES)
    assert np.abs(plain).max() <= SHARPNESS * 1.001


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"train": "t.csv", "texts": ["t"], "problem_type": "regression"}},
        {"data": {"train": "t.csv", "texts": ["t"], "problem_type": "multi_label_classification"}},
        {"task": "series", "data": {"train": "t.ts"}},
        {"task": "pairs", "data": {"train": "t.csv"}},
    ],
)
def test_it_is_refused_where_a_row_has_no_one_class(changes: dict[str, Any]) -> None:
    arm = {"classifier": {"head_init": "class_means"}}
    recipe = {"name": "x", "task": "classification", "arms": {"few": arm}, **changes}
    with pytest.raises(RecipeError, match=r"head_init|classifier"):
        load_recipe(recipe)
