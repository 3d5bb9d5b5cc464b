import pytest

from graft.core.roles import Role, Split
from graft.core.scores import Score, ScoreBook, Scores
from graft.evaluate.published import published_figures


def book(**values):
    scores = tuple(Score(name, value, None, None, 295) for name, value in values.items())
    return ScoreBook((Scores("lora", Role.arm, Split.test, "all", scores),))


def figure(metric, published, measured):
    (found,) = published_figures(
        {"lora": {metric: published}}, {"lora": book(**{metric: measured})}
    )
    return found


@pytest.mark.parametrize(
    ("metric", "published", "measured", "met"),
    [
        ("spearman", 0.853, 0.9, True),
        ("spearman", 0.853, 0.8525, True),
        ("spearman", 0.853, 0.8524, False),
        ("spearman", -0.219, -0.2194, True),
        ("best_f1_false_positives", 3, 2.0, True),
        ("best_f1_false_positives", 3, 3.0, True),
        ("best_f1_false_positives", 3, 4.0, False),
        ("best_f1_threshold", 0.612, 0.6124, True),
        ("best_f1_threshold", 0.612, 0.7, False),
        ("best_f1_threshold", 0.612, 0.5, False),
    ],
)
def test_as_good_in_the_direction_of_the_metric(metric, published, measured, met):
    found = figure(metric, published, measured)
    assert (found.published, found.measured, found.met) == (published, measured, met)


def test_what_was_not_measured_is_not_met():
    assert figure("spearman", -1.0, None).met is False
    (missing,) = published_figures({"standard": {"roc_auc": 0.0}}, {"lora": book(roc_auc=0.9)})
    assert (missing.run, missing.measured, missing.met) == ("standard", None, False)


def test_figures_keep_their_order_and_may_be_none():
    figures = {"lora": {"roc_auc": 0.9, "spearman": 0.8}, "base": {"margin": 0.1}}
    found = published_figures(figures, {"lora": book(roc_auc=0.95, spearman=0.7)})
    assert [(f.run, f.metric, f.met) for f in found] == [
        ("lora", "roc_auc", True),
        ("lora", "spearman", False),
        ("base", "margin", False),
    ]
    assert published_figures({}, {}) == ()


def test_an_unknown_metric_is_an_error_with_the_nearest_name():
    with pytest.raises(KeyError, match="did you mean 'spearman'"):
        figure("spearmn", 0.1, 0.2)
