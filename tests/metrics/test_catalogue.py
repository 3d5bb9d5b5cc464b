import pytest

from graft.metrics.catalogue import CATALOGUE, metric
from graft.metrics.pairs import PAIR_MEASURES


def test_every_metric_is_found_under_its_own_name():
    assert all(metric(name).name == name for name in CATALOGUE)
    assert {measure.metric.name for measure in PAIR_MEASURES} <= set(CATALOGUE)
    assert {"cluster_purity", "cluster_count", "noise_share"} <= set(CATALOGUE)
    assert len({entry.title for entry in CATALOGUE.values()}) == len(CATALOGUE)


@pytest.mark.parametrize(("wrong", "nearest"), [("spearmen", "spearman"), ("auc", "roc_auc")])
def test_an_unknown_name_is_answered_with_the_nearest(wrong, nearest):
    with pytest.raises(KeyError, match=f"'{wrong}'.*'{nearest}'"):
        metric(wrong)


def test_the_catalogue_cannot_be_changed():
    with pytest.raises(TypeError):
        CATALOGUE["new"] = metric("f1")
