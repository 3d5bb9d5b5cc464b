import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from graft.core.errors import RunFolderError
from graft.core.jsonable import from_plain, to_plain
from graft.core.roles import Role, Split
from graft.core.scores import Score, ScoreBook, Scores
from graft.core.verdicts import Comparison, Verdict
from graft.evaluate.comparison import ComparisonSettings, compare
from graft.evaluate.gates import gates, measured_on_test
from graft.metrics.pairs import PAIR_MEASURES
from graft.metrics.significance import holm

ROWS = 120
SKILL = {"majority": None, "base": 0.0, "standard": 3.0, "lora": 2.0}
SETTINGS = ComparisonSettings(
    primary="spearman",
    base="base",
    arms=("standard", "lora"),
    resamples=300,
    alpha=0.05,
    seed=42,
)
FEW = [m for m in PAIR_MEASURES if m.metric.name in ("spearman", "accuracy", "false_positives")]


def frame(skill, rows=ROWS, seed=0):
    rng = np.random.default_rng([seed, 0 if skill is None else int(abs(skill) * 10) + 1])
    label = np.arange(rows) % 2.0
    noise = np.zeros(rows) if skill is None else rng.normal(size=rows)
    return pd.DataFrame(
        {
            "row": [f"r{i}" for i in range(rows)],
            "label": label,
            "score": label * (skill or 0.0) + noise,
            "threshold": (skill or 0.0) / 2,
            "category": ["a", "b", "c"] * (rows // 3),
        }
    )


@pytest.fixture
def predictions():
    return {run: frame(skill) for run, skill in SKILL.items()}


def by_key(comparison):
    return {(p.candidate, p.reference, p.subset, p.metric): p for p in comparison.pairs}


def test_arms_that_learnt_are_better_than_the_base_and_the_answer_is_storable(predictions):
    found = compare(predictions, measures=FEW, settings=SETTINGS)
    assert [item.candidate for item in found.headline] == ["standard", "lora"]
    for item in found.headline:
        assert (item.reference, item.metric, item.subset) == ("base", "spearman", "all")
        assert item.verdict is Verdict.better
        assert item.low > 0 and item.p_holm < 0.05 and item.p_mcnemar < 0.05
        assert item.difference == pytest.approx(item.candidate_value - item.reference_value)
        assert item.detectable < item.difference
    assert from_plain(Comparison, to_plain(found)) == found


def test_every_arm_meets_every_other_run_once_each_way(predictions):
    found = compare(predictions, measures=PAIR_MEASURES, settings=SETTINGS)
    keys = by_key(found)
    judged = sum(m.metric.higher_is_better is not None for m in PAIR_MEASURES)
    assert len(keys) == len(found.pairs) == 2 * 3 * judged
    there = keys["lora", "standard", "all", "spearman"]
    back = keys["standard", "lora", "all", "spearman"]
    assert (there.low, there.high) == (-back.high, -back.low)
    assert (there.p_permutation, there.p_holm) == (back.p_permutation, back.p_holm)
    assert not any(p.metric == "best_f1_threshold" for p in found.pairs)


def test_fewer_false_positives_are_better(predictions):
    item = by_key(compare(predictions, measures=FEW, settings=SETTINGS))
    against_base = item["standard", "base", "all", "false_positives"]
    assert against_base.difference < 0
    assert against_base.verdict is Verdict.better


def test_a_copy_of_the_base_is_not_shown(predictions):
    predictions["lora"] = predictions["base"].copy()
    item = compare(predictions, measures=FEW, settings=SETTINGS).headline[1]
    assert (item.verdict, item.difference, item.p_permutation) == (Verdict.not_shown, 0.0, 1.0)
    assert item.detectable is None
    assert "includes zero." in item.reason


def test_an_arm_below_the_base_is_worse(predictions):
    predictions["lora"] = frame(-2.0)
    assert compare(predictions, measures=FEW, settings=SETTINGS).headline[1].verdict == "worse"


def test_a_constant_run_is_not_measured_where_ranks_are_needed(predictions):
    item = by_key(compare(predictions, measures=FEW, settings=SETTINGS))
    assert item["lora", "majority", "all", "spearman"].verdict is Verdict.not_measured
    assert "undefined for majority" in item["lora", "majority", "all", "spearman"].reason
    assert item["lora", "majority", "all", "accuracy"].verdict is Verdict.better


def test_the_order_of_the_rows_does_not_matter(predictions):
    expected = compare(predictions, measures=FEW, settings=SETTINGS)
    predictions["lora"] = predictions["lora"].sample(frac=1, random_state=1)
    assert compare(predictions, measures=FEW, settings=SETTINGS) == expected


def test_the_headline_is_on_the_clean_rows_where_rows_leak(predictions):
    # On the leaked rows, and only there, the arm knows the answer.
    leaked = frozenset(f"r{i}" for i in range(60))
    predictions["lora"] = predictions["base"].assign(
        score=lambda rows: rows["score"] + 9 * rows["label"] * rows["row"].isin(leaked)
    )
    settings = replace(SETTINGS, leaked_rows=leaked)
    found = compare(predictions, measures=FEW, settings=settings)
    item = found.headline[1]
    assert (item.subset, item.n, item.verdict) == ("clean", 60, Verdict.not_shown)
    assert by_key(found)["lora", "base", "all", "spearman"].verdict is Verdict.better
    assert {p.subset for p in found.pairs} == {"all", "clean"}


def test_fewer_than_ten_clean_rows_are_not_measured(predictions):
    leaked = frozenset(f"r{i}" for i in range(ROWS - 9))
    settings = replace(SETTINGS, leaked_rows=leaked)
    item = compare(predictions, measures=FEW, settings=settings).headline[0]
    assert (item.verdict, item.n, item.difference) == (Verdict.not_measured, 9, None)
    assert "9 rows" in item.reason


def test_headline_and_other_pairs_are_corrected_over_their_own_family(predictions):
    predictions |= {"standard": frame(0.3), "lora": frame(0.2), "tfidf": frame(0.1)}
    found = compare(predictions, measures=FEW, settings=SETTINGS)
    assert corrections(found.headline) == pytest.approx(holm_of(found.headline))
    keys = by_key(found)
    assert all(keys[i.candidate, "base", "all", "spearman"] == i for i in found.headline)
    # Two arms against base, tfidf and majority, and each other once.
    others = {
        frozenset((pair.candidate, pair.reference)): pair
        for pair in found.pairs
        if pair.metric == "accuracy"
    }
    assert len(others) == 7
    assert corrections(others.values()) == pytest.approx(holm_of(others.values()))


def corrections(pairs):
    return [pair.p_holm for pair in pairs]


def holm_of(pairs):
    return holm([pair.p_permutation for pair in pairs])


def test_the_same_seed_gives_the_same_answer_and_another_seed_another(predictions):
    one, again, other = (
        compare(predictions, measures=FEW, settings=replace(SETTINGS, seed=seed))
        for seed in (1, 1, 2)
    )
    assert one == again
    assert one.headline[0].low != other.headline[0].low


def test_runs_of_other_rows_are_refused_by_name(predictions):
    predictions["lora"] = predictions["lora"].iloc[1:]
    predictions["standard"] = predictions["standard"].assign(label=1.0)
    with pytest.raises(RunFolderError) as caught:
        compare(predictions, measures=FEW, settings=SETTINGS)
    text = str(caught.value)
    assert "lora: does not have the rows of 'base': 1 differ, first ['r0']" in text
    assert "standard: has other labels than 'base'" in text


def test_unusable_columns_are_all_named_at_once(predictions):
    predictions["lora"] = predictions["lora"].drop(columns="threshold")
    predictions["standard"] = pd.concat([frame(1.0), frame(1.0).head(2)])
    predictions["majority"].loc[3, "score"] = np.nan
    with pytest.raises(RunFolderError) as caught:
        compare(predictions, measures=FEW, settings=SETTINGS)
    found = {problem.where: problem.what for problem in caught.value.problems}
    assert found == {
        "lora": "has no column ['threshold']",
        "standard": "has rows twice, first ['r0', 'r1']",
        "majority": "has missing values in ['score']",
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"primary": "spearmen"}, "primary metric 'spearmen' is not among"),
        ({"arms": ("lora", "full")}, "run 'full' has no predictions"),
        ({"arms": ("base",)}, "reference 'base' is an arm"),
        ({"leaked_rows": frozenset({"x1"})}, r"1 are no test rows, first \['x1'\]"),
    ],
)
def test_settings_that_name_what_is_not_there_are_refused(predictions, changes, words):
    with pytest.raises(RunFolderError, match=words):
        compare(predictions, measures=FEW, settings=replace(SETTINGS, **changes))


@pytest.mark.slow
def test_five_runs_of_three_hundred_rows_take_less_than_a_minute():
    skills = {"base": 0.0, "tfidf": 0.5, "frozen_probe": 1.0, "standard": 3.0, "lora": 2.0}
    predictions = {run: frame(skill, rows=300) for run, skill in skills.items()}
    settings = replace(SETTINGS, resamples=2000, leaked_rows=frozenset({"r1", "r2"}))
    began = time.process_time()
    compare(predictions, measures=PAIR_MEASURES, settings=settings)
    assert time.process_time() - began < 60


def book(*, spearman, split=Split.test, subset="all"):
    score = Score("spearman", spearman, None, None, 100)
    return ScoreBook((Scores("lora", Role.arm, split, subset, (score,)),))


@pytest.mark.parametrize(
    ("minimum", "maximum", "reached"),
    [
        (0.65, None, True),
        (0.7, None, True),
        (0.71, None, False),
        (None, 0.7, True),
        (None, 0.69, False),
        (0.6, 0.8, True),
    ],
)
def test_a_gate_is_reached_within_its_bounds(minimum, maximum, reached):
    spec = [("lora", "spearman", minimum, maximum)]
    (found,) = gates(spec, {"lora": book(spearman=0.7)})
    assert (found.value, found.reached) == (0.7, reached)


@pytest.mark.parametrize(
    "books",
    [
        {},
        {"lora": ScoreBook(())},
        {"lora": book(spearman=None)},
        {"lora": book(spearman=0.9, split=Split.validation)},
        {"lora": book(spearman=0.9, subset="clean")},
    ],
)
def test_a_gate_on_what_was_not_measured_is_not_reached(books):
    (found,) = gates([("lora", "spearman", 0.1, None)], books)
    assert (found.value, found.reached) == (None, False)


def test_a_gate_on_an_unknown_metric_is_an_error():
    with pytest.raises(KeyError, match="did you mean 'spearman'"):
        gates([("lora", "spearmen", 0.1, None)], {})
    with pytest.raises(KeyError):
        measured_on_test({}, "lora", "spearmen")
