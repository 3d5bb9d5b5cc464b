import numpy as np
import pytest

from graft.metrics.evidence import Evidence, collect
from graft.metrics.pairs import PAIR_MEASURES
from graft.metrics.replicates import Sampling
from graft.metrics.resampling import PairedBootstrap

MEASURES = [m for m in PAIR_MEASURES if m.metric.name in ("spearman", "roc_auc", "accuracy")]
SAMPLING = Sampling(resamples=200, alpha=0.05, seed=1)


def runs(rng, rows=60):
    label = np.arange(rows) % 2.0
    return {
        name: {
            "score": label * skill + rng.normal(size=rows),
            "label": label,
            "threshold": np.full(rows, 0.5),
        }
        for name, skill in (("good", 3.0), ("fair", 1.0), ("bad", 0.0))
    }


def gathered(given, pairs, **changes):
    settings = {"subset": "all", "of_decisions": {"accuracy"}, "sampling": SAMPLING, **changes}
    once = {name: [columns] for name, columns in given.items()}
    return list(collect(once, pairs, MEASURES, **settings))


def test_each_pair_and_measure_is_measured_once(rng):
    found = gathered(runs(rng), [("good", "bad"), ("good", "fair")])
    keys = [(item.candidate, item.reference, item.metric.name) for item in found]
    assert len(keys) == len(set(keys)) == 6
    assert all(isinstance(item, Evidence) and item.measured and item.n == 60 for item in found)


def test_a_pair_has_the_same_answer_whichever_runs_stand_beside_it(rng):
    given = runs(rng)
    alone = gathered({name: given[name] for name in ("good", "bad")}, [("good", "bad")])
    among = gathered(given, [("good", "fair"), ("good", "bad")])
    assert alone == [item for item in among if item.reference == "bad"]


def test_mcnemar_is_there_only_where_asked_for_and_where_runs_decide(rng):
    given = runs(rng)
    p_values = {item.metric.name: item.p_mcnemar for item in gathered(given, [("good", "bad")])}
    assert p_values["spearman"] is None
    assert 0 < p_values["accuracy"] < 0.01
    for columns in given.values():
        del columns["threshold"]
    ranking = [m for m in MEASURES if m.metric.name != "accuracy"]
    found = collect(
        {name: [columns] for name, columns in given.items()},
        [("good", "bad")],
        ranking,
        subset="all",
        of_decisions={"roc_auc"},
        sampling=SAMPLING,
    )
    assert [item.p_mcnemar for item in found] == [None, None]


@pytest.mark.parametrize("rows", [0, 9])
def test_too_few_rows_are_not_resampled(rng, rows):
    for item in gathered(runs(rng, rows), [("good", "bad")]):
        assert not item.measured
        assert (item.bootstrap.low, item.p_permutation) == (None, None)


def test_the_mirror_of_the_mirror_is_the_evidence(rng):
    for item in gathered(runs(rng), [("good", "bad")]):
        assert item.mirrored().mirrored() == item


def test_the_mirror_of_no_difference_is_no_negative_zero():
    item = Evidence(
        MEASURES[0].metric,
        "all",
        "a",
        "b",
        20,
        0.5,
        0.5,
        PairedBootstrap(0.0, 0.0, 0.0, 1.0, 0.0, 0),
        1.0,
        None,
    )
    assert str(item.mirrored().bootstrap.difference) == "0.0"
