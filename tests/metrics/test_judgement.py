from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.core.verdicts import Verdict
from graft.metrics.catalogue import metric
from graft.metrics.evidence import Evidence
from graft.metrics.judgement import judge, judge_families, plain
from graft.metrics.resampling import PairedBootstrap

CLEAR = Evidence(
    metric=metric("spearman"),
    subset="all",
    candidate="lora",
    reference="base",
    n=295,
    candidate_value=0.82,
    reference_value=-0.22,
    bootstrap=PairedBootstrap(1.04, 0.98, 1.10, 0.001, 0.03, 0),
    p_permutation=0.0005,
    p_mcnemar=None,
)


def with_interval(low, high, **changes):
    bootstrap = replace(CLEAR.bootstrap, low=low, high=high, difference=(low + high) / 2)
    return replace(CLEAR, bootstrap=bootstrap, **changes)


def test_a_clear_difference_is_better_and_its_mirror_worse():
    assert judge(CLEAR, 0.001, 0.05).verdict is Verdict.better
    mirror = judge(CLEAR.mirrored(), 0.001, 0.05)
    assert mirror.verdict is Verdict.worse
    assert (mirror.candidate, mirror.candidate_value) == ("base", -0.22)
    assert (mirror.difference, mirror.low, mirror.high) == (-1.04, -1.10, -0.98)


def test_fewer_errors_are_better():
    fewer = with_interval(-12.0, -3.0, metric=metric("false_positives"))
    assert judge(fewer, 0.001, 0.05).verdict is Verdict.better
    assert judge(fewer.mirrored(), 0.001, 0.05).verdict is Verdict.worse


def test_the_reason_is_a_sentence_with_the_measured_numbers():
    assert judge(CLEAR, 0.001, 0.05).reason == (
        "lora scores 0.820 and base −0.220; the difference 1.040 (0.980 to 1.100) excludes zero."
    )


@pytest.mark.parametrize(
    ("evidence", "p_holm", "words"),
    [
        (with_interval(-0.1, 0.3), 0.001, "includes zero; 295 rows show a difference of 0.084"),
        (with_interval(0.0, 0.3), 0.001, "includes zero"),
        (CLEAR, 0.05, "p = 0.05 after Holm's correction is not below 0.05"),
    ],
)
def test_interval_and_corrected_p_must_both_agree(evidence, p_holm, words):
    found = judge(evidence, p_holm, 0.05)
    assert found.verdict is Verdict.not_shown
    assert words in found.reason


NOTHING = PairedBootstrap(None, None, None, None, None, 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 9}, "There are 9 rows; at least 10 are needed."),
        (
            {"reference_value": None, "bootstrap": NOTHING, "p_permutation": None},
            "Spearman correlation is undefined for base on these 295 rows.",
        ),
        (
            {
                "bootstrap": PairedBootstrap(1.04, None, None, None, None, 700),
                "p_permutation": None,
            },
            "undefined on 700 resamples",
        ),
    ],
)
def test_what_could_not_be_measured_has_no_numbers_and_says_why(changes, words):
    found = judge(replace(CLEAR, **changes), None, 0.05)
    assert found.verdict is Verdict.not_measured
    assert words in found.reason
    assert (found.difference, found.low, found.high, found.p_holm, found.detectable) == (None,) * 5


def test_families_are_corrected_apart_and_untested_members_do_not_count():
    evidence = [
        replace(CLEAR, candidate=arm, subset=subset, p_permutation=p)
        for arm, subset, p in [
            ("a", "all", 0.01),
            ("b", "all", 0.03),
            ("c", "all", None),
            ("a", "clean", 0.03),
        ]
    ]
    found = judge_families(evidence, lambda item: item.subset, 0.05)
    assert found["a", "base", "all", "spearman"].p_holm == pytest.approx(0.02)
    assert found["b", "base", "all", "spearman"].p_holm == pytest.approx(0.03)
    assert found["c", "base", "all", "spearman"].verdict is Verdict.not_measured
    assert found["a", "base", "clean", "spearman"].p_holm == pytest.approx(0.03)
    assert found["base", "a", "clean", "spearman"].verdict is Verdict.worse


@given(st.floats(-1e6, 1e6))
def test_a_number_other_than_zero_never_reads_as_zero(value):
    text = plain(value).replace("−", "-")
    assert float(text) == pytest.approx(value, abs=0.0005)
    assert (float(text) == 0) == (value == 0)


def test_numbers_of_things_have_no_needless_decimals():
    assert [plain(value, counted=True) for value in (137.0, 3.5, -2.0)] == ["137", "3.5", "−2"]
    assert plain(None) == "–"
