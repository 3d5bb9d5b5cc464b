"""The baselines of several labels and of numbers: what they learn, and what they bear."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from graft.core.facts import RowFacts
from graft.evaluate.scoring import prediction_columns
from graft.metrics.labelled import measures_of
from graft.tasks.class_baselines import CLASS_FITS, baselines_of
from graft.tasks.protocol import BaselineRows
from tiny_models import amount_facts, amount_rows, tag_facts, tag_rows


@dataclass(frozen=True)
class Kind:
    """A kind of label with rows, and what it is measured by."""

    facts: RowFacts
    train: pd.DataFrame
    test: pd.DataFrame
    metric: str

    def context(self, train=None):
        rows = self.train if train is None else train
        return BaselineRows(rows, self.test, encode, 7, self.facts)

    def value(self, name, train=None, metric=""):
        columns = baselines_of(self.facts.problem_type)[name].predict(self.context(train))
        frame = self.test.assign(**{n: v for n, v in columns.items() if v.ndim == 1})
        if self.facts.multi_label:
            frame["threshold"] = 0.5
        measures = {found.metric.name: found for found in measures_of(self.facts)}
        measure = measures[metric or self.metric]
        return measure.compute(prediction_columns(frame)) or 0.0


def encode(frame):
    """Embeddings that count the colours of the note."""
    counts = [[text.count(c) for c in ("red", "blue", "green")] for text in frame["note"]]
    noise = np.random.default_rng(len(frame)).normal(size=(len(frame), 3))
    return {"title": np.array(counts) + noise / 4}


KINDS = {
    "several labels": Kind(
        tag_facts(), tag_rows(300, 1), tag_rows(120, 2), "macro_average_precision"
    ),
    "a number": Kind(amount_facts(), amount_rows(300, 1), amount_rows(120, 2), "r2"),
}
LEARNERS = ("tfidf", "tfidf_table", "base")


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def labels_of(kind):
    return ["label", *kind.facts.label_columns]


@pytest.mark.parametrize("name", CLASS_FITS)
class TestEveryBaseline:
    def test_gives_the_columns_of_the_contract(self, kind, name):
        columns = baselines_of(kind.facts.problem_type)[name].predict(kind.context())
        plain = {n: v for n, v in columns.items() if v.ndim == 1}
        assert set(plain) == ({"p_0", "p_1", "p_2"} if kind.facts.multi_label else {"score"})
        for values in plain.values():
            assert values.shape == (120,)
            assert np.isfinite(values).all()
            assert not kind.facts.multi_label or ((values >= 0) & (values <= 1)).all()

    def test_does_not_read_the_labels_that_it_predicts(self, kind, name):
        hidden = kind.test.assign(**dict.fromkeys(labels_of(kind), np.nan))
        fits = baselines_of(kind.facts.problem_type)[name]
        again = fits.predict(replace(kind.context(), predicted=hidden))
        for column, values in fits.predict(kind.context()).items():
            np.testing.assert_array_equal(again[column], values)

    def test_shuffled_labels_give_no_more_than_the_shares_of_training(self, kind, name):
        order = np.random.default_rng(3).permutation(300)
        labels = kind.train[labels_of(kind)].iloc[order].reset_index(drop=True)
        dealt = kind.train.assign(**{column: labels[column] for column in labels})
        # Errors, not ranks: of few features any weights rank the rows somehow.
        error = "brier" if kind.facts.multi_label else "rmse"
        known = kind.value("majority", metric=error)
        assert kind.value(name, dealt, error) > 0.93 * known

    def test_bears_few_rows_and_labels_that_none_or_all_of_them_have(self, kind, name):
        few = kind.train.iloc[1:6].reset_index(drop=True)
        if kind.facts.multi_label:
            few = few.assign(y_0=0.0, y_1=1.0)
        found = CLASS_FITS[name](kind.context(few)).outputs(kind.test)
        assert np.isfinite(found).all()
        same = few.assign(**{column: few[column].iloc[0] for column in labels_of(kind)})
        constant = CLASS_FITS[name](kind.context(same)).outputs(kind.test)
        assert np.ptp(constant, axis=0).max() == pytest.approx(0)


@pytest.mark.parametrize("name", LEARNERS)
def test_what_reads_the_text_beats_what_knows_the_labels_alone(kind, name):
    assert kind.value(name) > kind.value("majority") + 0.3


def test_the_shares_of_training_are_predicted_for_every_row(kind):
    found = CLASS_FITS["majority"](kind.context()).outputs(kind.test)
    columns = list(kind.facts.label_columns) or ["label"]
    np.testing.assert_allclose(found[3], kind.train[columns].mean())


def test_the_titles_say_what_is_fitted():
    assert "ridge" in baselines_of("regression")["tfidf"].title
    assert "regressions" in baselines_of("multi_label_classification")["tfidf"].title
