from __future__ import annotations

from dataclasses import replace

import pytest

from graft.core.options import OptionInForce, OptionUse
from graft.core.probes import Gap, Probes
from graft.core.saves import Saves
from graft.core.supervision import Supervision
from graft.report.evidence import read_training
from graft.report.observed import asked, census, probed, saved


@pytest.fixture(scope="module")
def run(trained):
    return read_training(trained)


def test_what_differs_comes_first_and_then_what_nobody_saw(run):
    found = asked(run.options)
    assert [row[3] for row in found.table.rows] == ["no", "not known", "yes", "yes", "yes"]
    assert found.sentence.startswith("3 of 5 options in force as asked for; 1 not as asked for")
    assert found.sentence.endswith("6 options were given, 5 were read.")
    assert found.unread == "training.warmup_ration"


def test_two_settings_that_differ_never_look_alike():
    item = OptionInForce("training.learning_rate", 0.00123456, 0.00123457, False, "seen")
    _, requested, there, *_ = asked(OptionUse((), (), (item,))).table.rows[0]
    assert requested != there


def test_a_count_that_a_task_does_not_have_is_no_zero(run):
    found = census(run.supervision)
    assert len(found.table.rows) == 2 and "answers cut" in found.not_counted
    assert found.none == "None of these: rows from which nothing is learned."
    tokens = census(replace(run.supervision, unit="tokens", answers_cut=0, ends_missing=300))
    assert len(tokens.table.rows) == 3 and "answers cut" not in tokens.not_counted
    assert "rows whose answer lost its end" in tokens.none
    assert ("rows whose loss does not end with the end-of-text token", "300", "25.0 %", "") in (
        tokens.table.rows
    )


def test_a_census_of_nothing_and_of_many_labels_can_be_shown():
    labels = {str(number): number for number in range(30)}
    facts = dict(census(Supervision("rows", 0, 0, 0, 0, 0, None, 0, 0, labels)).facts)
    assert facts["Labels"].endswith("22 more in supervision.json") and "no limit" in facts["Tokens"]


def test_what_was_not_probed_says_why(run):
    facts = dict(probed(run.probes))
    assert facts["Training modules: not measured"] == "the model was predicted by another process"
    assert facts["The same batch twice"] == "24 rows: the outputs are equal."
    assert "3.1e−7" in facts["Each row alone"] and "2e−6 of their norm" in facts["Accumulation"]


def test_modules_in_training_mode_are_named():
    facts = dict(probed(Probes(again=Gap(2, 0.1, 1.0, ()), training_modules=("Dropout",))))
    assert facts["Modules in training mode while predicting"] == "Dropout"


def test_saves_name_what_is_missing_and_what_was_chosen(run):
    found = saved(run.saves)
    assert found.table.rows[1][4].endswith("and 3 more") and found.table.rows[0][4] == "none"
    assert dict(found.facts)["Called the best"] == "checkpoint-300 by eval_loss, lower is better"
    assert found.evaluations.total == 3


def test_a_trainer_that_saved_nothing_has_no_facts():
    found = saved(Saves(()))
    assert found.facts == () and found.table.total == 0 and found.evaluations is None
