"""`graft.load` and `graft predict` for a classification."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sentence_transformers import SentenceTransformer

from graft.config.sections import ArmSection
from graft.core.errors import InputError
from graft.core.files import committed_folder
from graft.models.locate import locate_base
from graft.runs import prediction
from graft.runs.classifier import Classifier
from graft.runs.loading import load
from graft.runs.prediction import predict_file
from graft.tasks.classification import ClassificationTask
from tiny_models import colour_facts, colour_rows, write_jsonl


def written(base: Path, folder: Path, classes: int, **classifier: object) -> Path:
    """Return the model folder of an untrained classifier."""
    values = {"loss": "cross_entropy", "classifier": classifier}
    task = ClassificationTask(colour_facts(classes))
    rows = colour_rows(30, 1, classes)
    arm = ArmSection.model_validate(values)
    model, _ = task.build(arm, locate_base(str(base)), 0, rows)
    with torch.no_grad():
        model.head.linear.weight.mul_(20)  # type: ignore[union-attr]
    with committed_folder(folder / "model") as place:
        task.save(model, place)
    return folder / "model"


@pytest.fixture(scope="module")
def joint(colour_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(colour_encoder, tmp_path_factory.mktemp("joint"), 3)


@pytest.fixture(scope="module")
def wide(colour_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(colour_encoder, tmp_path_factory.mktemp("wide"), 2, texts="towers", table=True)


def loaded(folder: Path) -> Classifier:
    found = load(folder)
    assert isinstance(found, Classifier)
    return found


def test_without_graft_encode_gives_the_logits_of_joint_texts(joint: Path) -> None:
    rows = colour_rows(9, 4, 3)
    plain = SentenceTransformer(str(joint), device="cpu")
    assert [name for name, _ in plain.named_children()] == ["0", "1", "head"]
    texts = [" [SEP] ".join(t for t in (r.title, r.note) if t) for r in rows.itertuples()]
    logits = torch.tensor(plain.encode(texts)).double()
    shares = torch.softmax(logits, dim=1).numpy()
    found = loaded(joint).predict(rows)
    np.testing.assert_allclose(found[["p_red", "p_blue", "p_green"]], shares, atol=1e-6)
    assert found["predicted"].tolist() == [
        ("red", "blue", "green")[place] for place in shares.argmax(axis=1)
    ]
    np.testing.assert_allclose(found["score"], shares.max(axis=1), atol=1e-6)


def test_two_classes_are_decided_at_the_threshold(wide: Path) -> None:
    rows = colour_rows(20, 5).set_index("row")
    classifier = loaded(wide)
    found = classifier.predict(rows)
    assert list(found.index) == list(rows.index)
    np.testing.assert_allclose(found["p_red"] + found["p_blue"], 1)
    assert found["score"].tolist() == found["p_blue"].tolist()
    middle = float(found["score"].median())
    decided = Classifier(classifier.model, middle).predict(rows)["predicted"]
    assert (decided == "blue").tolist() == (found["score"] >= middle).tolist()


def test_rows_that_cannot_be_read_are_named(wide: Path) -> None:
    rows = colour_rows(5, 5)
    with pytest.raises(InputError, match="has no column 'note'"):
        loaded(wide).predict(rows.drop(columns="note"))
    with pytest.raises(InputError, match="row 2"):
        loaded(wide).predict(rows.astype({"size": object}).assign(size=[1, "big", 2, 3, 4]))


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_a_file_comes_back_with_classes_and_probabilities(
    wide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(prediction, "PART", 7)
    rows = colour_rows(20, 5).drop(columns="label")
    rows["size"] = rows["size"].astype(object).where(rows["size"].notna(), None)
    file = write_jsonl(rows.rename(columns={"title": "headline"}), tmp_path / "in.jsonl")
    done = predict_file(wide, file, tmp_path / f"out{ending}", {"title": "headline"})
    assert done.added == ("predicted", "score", "p_red", "p_blue")
    assert (done.rows, done.threshold, done.positive) == (20, None, "blue")
    read = {".parquet": pd.read_parquet, ".csv": pd.read_csv}.get(
        ending, lambda path: pd.read_json(path, lines=True)
    )
    found = read(tmp_path / f"out{ending}")
    expected = loaded(wide).predict(rows)
    assert found["predicted"].tolist() == expected["predicted"].tolist()
    np.testing.assert_allclose(found["score"], expected["score"], atol=1e-6)


def test_a_missing_column_of_a_file_is_said(wide: Path, tmp_path: Path) -> None:
    file = write_jsonl(colour_rows(5, 5)[["title", "shop"]], tmp_path / "in.jsonl")
    with pytest.raises(InputError, match="no column is known to be 'note'"):
        predict_file(wide, file, tmp_path / "out.csv", {})
