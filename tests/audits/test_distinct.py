"""K9: two arms that seem to be one model are examined, and the cause is named."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from graft.audits.contract import run_checks
from graft.audits.distinct import CHECKS, differs_from_other_arms
from graft.audits.folders.known import CAUSES
from graft.audits.folders.sameness import Trained, read_trained, sameness, shared_weights
from graft.core.errors import NotApplicableError
from graft.core.files import read_json, write_json
from graft.core.findings import Status
from graft.core.ledger import Ledger
from graft.core.plan import ResolvedPlan


@pytest.fixture
def one_model(healthy):
    """Evidence of an arm whose weights, plan and predictions are those of the other arm."""
    evidence = healthy("full")
    other = evidence.runs["other"]
    shutil.rmtree(other.model)
    shutil.copytree(evidence.paths.model, other.model)
    return replace(evidence, others={"other": evidence.test})


def with_ledger(evidence, change):
    """Change the ledgers of both arms."""
    other = evidence.runs["other"]
    write_json(other.ledger, change(read_json(other.ledger, Ledger)))
    return replace(evidence, ledger=change(evidence.ledger))


def with_plan(evidence, change):
    """Change the plans of both arms."""
    other = evidence.runs["other"]
    write_json(other.plan, change(read_json(other.plan, ResolvedPlan)))
    return replace(evidence, plan=change(evidence.plan))


def asked(evidence):
    [finding] = [f for f in run_checks(CHECKS, evidence, {}) if f.name == "differs_from_other_arms"]
    return finding


def test_two_trainings_of_different_weights_and_scores_are_not_examined(healthy):
    finding = asked(healthy("full"))
    assert finding.status == Status.passed
    assert finding.evidence["examined"] == {}


def test_one_recipe_under_two_names_is_told_with_weights_and_probability(one_model):
    finding = asked(one_model)
    assert finding.status == Status.failed
    for said in (
        "'other' has exactly the same scores",
        "all 6 tensors below the head are equal, bit for bit",
        "24 of 24 rows are decided alike",
        "with independent errors reach with probability",
        "'tuned' and 'other' were trained by the same plan",
    ):
        assert said in finding.summary, said
    assert finding.fix == CAUSES["same_recipe"].fix
    found = finding.evidence["examined"]["other"]
    assert found["cause"] == "same_recipe"
    assert found["consistency"]["agreeing"] == 24
    assert found["consistency"]["log10_probability"] < -1


def test_a_thaw_that_was_never_reached_is_the_cause(one_model):
    first = lambda ledger: replace(ledger, phases=ledger.phases[:1])  # noqa: E731
    finding = asked(with_ledger(one_model, first))
    assert finding.evidence["examined"]["other"]["cause"] == "thaw_not_reached"
    assert "phase 1 of 'tuned' took no step, so bottom never thawed" in finding.summary
    assert finding.status == Status.failed


def test_an_encoder_that_both_plans_freeze_is_the_cause(one_model):
    def frozen(plan):
        tensors = tuple(replace(t, joins=None, group="encoder") for t in plan.tensors)
        return replace(plan, tensors=tensors, phases=plan.phases[:1])

    finding = asked(with_plan(one_model, frozen))
    assert finding.evidence["examined"]["other"]["cause"] == "frozen_by_plan"
    assert "unfreeze_after = 0 of encoder" in finding.summary


def test_a_group_that_never_moved_is_the_cause(one_model):
    def still(ledger):
        phases = [
            replace(
                phase,
                tensors=tuple(replace(t, sha256_after=t.sha256_before) for t in phase.tensors),
            )
            for phase in ledger.phases
        ]
        return replace(ledger, phases=tuple(phases))

    finding = asked(with_ledger(one_model, still))
    assert finding.evidence["examined"]["other"]["cause"] == "group_never_moved"
    assert "group bottom, top of 'tuned' never moved" in finding.summary


def test_a_checkpoint_from_before_the_thaw_is_a_reason_and_no_fault(one_model):
    finding = asked(with_ledger(one_model, lambda ledger: replace(ledger, best_step=3)))
    assert finding.evidence["examined"]["other"]["cause"] == "kept_before_thaw"
    assert finding.status == Status.warned
    assert "step 3, before the thaw after step 4" in finding.summary


def test_two_seeds_with_one_result_were_no_two_seeds(one_model):
    name = "tuned/seed-2"
    runs = {name: one_model.runs["other"]}
    finding = asked(replace(one_model, others={name: one_model.test}, runs=runs))
    assert finding.evidence["examined"][name]["cause"] == "seed_without_effect"
    assert finding.status == Status.failed


def test_predictions_of_one_model_for_two_are_told_apart_from_one_model(healthy):
    evidence = healthy("full")
    finding = asked(replace(evidence, test=evidence.others["other"]))
    assert finding.evidence["examined"]["other"]["cause"] == "served_twice"
    assert finding.status == Status.failed


def test_two_models_that_tie_are_examined_and_pass(healthy):
    evidence = healthy("full")
    test = evidence.test
    near = test.assign(score=test["score"] * 1.01, threshold=test["threshold"] * 1.01)
    finding = asked(replace(evidence, others={"other": near}))
    assert finding.status == Status.passed
    assert "'other' ties: 0 of 6 tensors below the head are equal" in finding.summary
    assert "24 of 24 rows are decided alike" in finding.summary


def test_two_seeds_that_tie_are_no_matter(healthy):
    evidence = healthy("full")
    near = evidence.test.assign(score=evidence.test["score"] + 1e-4)
    name = "tuned/seed-2"
    finding = asked(replace(evidence, others={name: near}, runs={name: evidence.runs["other"]}))
    assert finding.status == Status.passed
    assert finding.evidence["examined"] == {}


def test_an_only_arm_has_nothing_to_be_compared_with(healthy):
    with pytest.raises(NotApplicableError, match="only arm"):
        differs_from_other_arms(replace(healthy("full"), others={}))


def test_weights_that_cannot_be_compared_say_why(healthy, tmp_path):
    (tmp_path / "empty").mkdir()
    found = shared_weights(healthy("full").paths.model, tmp_path / "empty")
    assert "holds no weight file" in found.words
    assert not found.same_body


def test_predictions_without_decisions_have_no_probability(healthy):
    evidence = healthy("full")
    bare = evidence.test.drop(columns=["threshold"])
    one = Trained("a", evidence.paths.model, test=bare)
    found = sameness(one, read_trained("b", evidence.runs["other"], bare))
    assert found.consistency is None
    assert "24 of 24 rows have the same score" in found.words
