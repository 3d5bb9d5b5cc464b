"""The baselines of a classification: what they learn, and what they bear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.metrics import roc_auc_score

from graft.core.facts import SINGLE_LABEL, RowFacts
from graft.data.sampling import rows_per_class
from graft.evaluate.fusion_folder import TRUSTED
from graft.tasks.class_baselines import CLASS_FITS, baselines_of
from graft.tasks.protocol import BaselineRows
from tiny_models import colour_facts, colour_rows

BASELINES = baselines_of(SINGLE_LABEL)


def encode(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Embeddings that know the colour of the note, with noise."""
    kinds = np.array([["red" in text, "blue" in text, "green" in text] for text in frame["note"]])
    rng = np.random.default_rng(len(frame))
    return {"title": kinds + rng.normal(size=kinds.shape) / 4}


def given(classes: int = 2, train: int = 160, **more: object) -> BaselineRows:
    facts = colour_facts(classes)
    rows = colour_rows(train, 1, classes)
    found = BaselineRows(rows, colour_rows(90, 2, classes), encode, 7, facts)
    return replace(found, **more)


def test_the_mappings_name_the_same_baselines():
    assert set(CLASS_FITS) == set(BASELINES)
    assert all(baseline.title for baseline in BASELINES.values())


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", CLASS_FITS)
class TestEveryBaseline:
    def test_gives_probabilities_in_the_columns_of_the_contract(self, name, classes):
        rows = given(classes)
        found = CLASS_FITS[name](rows).outputs(rows.predicted)
        assert found.shape == (90, classes)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        columns = BASELINES[name].predict(rows)
        plain = {n for n, values in columns.items() if values.ndim == 1}
        more = {"predicted", *(f"p_{place}" for place in range(classes))} if classes > 2 else set()
        assert plain == {"score", *more}
        assert set(columns) - plain == ({"title"} if name == "base" else set())

    def test_does_not_read_the_labels_that_it_predicts(self, name, classes):
        rows = given(classes)
        turned = rows.predicted.assign(label=np.nan)
        again = BASELINES[name].predict(replace(rows, predicted=turned))
        for column, values in BASELINES[name].predict(rows).items():
            np.testing.assert_array_equal(again[column], values)

    def test_bears_one_row_of_each_class(self, name, classes):
        rows = given(classes)
        few = replace(rows, train=rows_per_class(rows.train, 1, 3))
        found = CLASS_FITS[name](few).outputs(rows.predicted)
        assert np.isfinite(found).all() and found.shape == (90, classes)

    def test_bears_a_class_that_training_lacks(self, name, classes):
        rows = given(classes)
        known = rows.train[rows.train["label"] < classes - 1].reset_index(drop=True)
        found = CLASS_FITS[name](replace(rows, train=known)).outputs(rows.predicted)
        assert (found[:, classes - 1] == 0).all()
        np.testing.assert_allclose(found.sum(axis=1), 1)

    def test_bears_texts_without_words_and_columns_without_values(self, name, classes):
        rows = given(classes)
        empty = {"title": "", "note": "", "size": np.nan, "shop": "(missing)"}
        found = CLASS_FITS[name](replace(rows, train=rows.train.assign(**empty)))
        assert np.isfinite(found.outputs(rows.predicted)).all()

    def test_shuffled_labels_give_chance(self, name, classes):
        rows = given(classes, train=300)
        order = np.random.default_rng(5).permutation(len(rows.train))
        dealt = rows.train.assign(label=rows.train["label"].to_numpy()[order])
        found = CLASS_FITS[name](replace(rows, train=dealt)).outputs(rows.predicted)
        right = (found.argmax(axis=1) == rows.predicted["label"]).mean()
        assert right < 1 / classes + 0.17


@pytest.mark.parametrize(("name", "least"), [("tfidf", 0.95), ("tfidf_table", 0.95), ("base", 0.9)])
def test_baselines_that_read_the_text_learn_from_it(name, least):
    rows = given()
    score = BASELINES[name].predict(rows)["score"]
    assert roc_auc_score(rows.predicted["label"], score) > least


def test_the_table_baseline_learns_from_the_table_alone():
    rows = given(train=300)
    fitted = CLASS_FITS["table"](rows)
    score = fitted.outputs(rows.predicted)
    assert roc_auc_score(rows.predicted["label"], score[:, 1]) > 0.7
    other_texts = rows.predicted.assign(note="", title="")
    np.testing.assert_array_equal(fitted.outputs(other_texts), score)


def test_the_shares_of_the_classes_are_those_of_training():
    rows = given(3)
    train = rows.train.iloc[:-1]
    found = CLASS_FITS["majority"](replace(rows, train=train)).outputs(rows.predicted)
    np.testing.assert_allclose(found[0], np.bincount(train["label"].astype(int)) / len(train))


def test_text_columns_are_kept_apart():
    """A word in the title is another feature than the same word in the note."""
    facts = RowFacts(("title", "note"), classes=("no", "yes"))
    train = pd.DataFrame({"title": ["aa", "bb"] * 20, "note": ["bb", "aa"] * 20})
    train["label"] = [0.0, 1.0] * 20
    rows = BaselineRows(train, train, encode, 1, facts)
    score = CLASS_FITS["tfidf"](rows).outputs(train)[:, 1]
    assert roc_auc_score(train["label"], score) == 1.0


def test_names_that_training_did_not_show_are_no_error():
    rows = given()
    unknown = rows.predicted.assign(shop="west", note="word never seen")
    for name in ("table", "tfidf_table"):
        assert np.isfinite(CLASS_FITS[name](rows).outputs(unknown)).all()


def test_more_categories_than_boosting_can_tell_are_no_error():
    rows = given(train=600)
    many = rows.train.assign(shop=[f"shop {index}" for index in range(600)])
    assert np.isfinite(CLASS_FITS["table"](replace(rows, train=many)).outputs(many)).all()


@pytest.mark.parametrize("name", ["majority", "tfidf", "table", "tfidf_table"])
def test_a_baseline_comes_back_from_its_file(name, tmp_path):
    rows = given()
    fitted = CLASS_FITS[name](rows)
    skops.io.dump(fitted.estimator, tmp_path / "member.skops")
    assert set(skops.io.get_untrusted_types(file=tmp_path / "member.skops")) <= set(TRUSTED)
    loaded = replace(fitted, estimator=skops.io.load(tmp_path / "member.skops", trusted=TRUSTED))
    np.testing.assert_array_equal(loaded.outputs(rows.predicted), fitted.outputs(rows.predicted))
