"""Where a check must not cry wolf, and where it must warn instead of failing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.audits.agreement import compare
from graft.audits.artefact import artefact_equivalence, kept_checkpoint
from graft.audits.distinct import differs_from_base, differs_from_other_arms
from graft.audits.evidence import EvidenceMissingError
from graft.audits.loading import base_files, load_ledger
from graft.audits.movement import movement
from graft.audits.rates import rates
from graft.audits.rows import evaluated_rows, leakage, row_sets, rows_seen
from graft.audits.trainable import finite_loss, first_gradient, trainable_set
from graft.core.errors import NotApplicableError
from graft.core.findings import Status
from graft.core.ledger import TensorRecord
from graft.core.origins import Origin, TensorOrigin
from graft.core.plan import PlannedTensor


def phases(evidence, change):
    new = tuple(change(phase) for phase in evidence.ledger.phases)
    return replace(evidence, ledger=replace(evidence.ledger, phases=new))


def records(evidence, change):
    return phases(evidence, lambda p: replace(p, tensors=tuple(change(t) for t in p.tensors)))


def with_tensor(evidence, name, joins=0, **changes):
    """Plan and record one more tensor that never sees a gradient and never moves."""
    tensor = PlannedTensor(name, (4, 4), 16, "top", joins)
    plan = replace(evidence.plan, tensors=(*evidence.plan.tensors, tensor))
    plain = TensorRecord(
        name, "parameter", 16, True, True, False, None, 0.0, 0.0, 1.0, True, "same", "same"
    )
    added = phases(
        replace(evidence, plan=plan),
        lambda p: replace(p, tensors=(*p.tensors, replace(plain, **changes))),
    )
    return added


def test_a_pooler_that_nothing_reads_is_a_warning(healthy):
    evidence = with_tensor(healthy("full"), "pooler.dense.weight")
    assert trainable_set(evidence).status == Status.passed
    for check in (first_gradient, movement):
        answer = check(evidence)
        assert answer.status == Status.warned
        assert "pooler.dense.weight" in answer.summary


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("encoder.layer.2.output.dense.weight", {}),
        ("pooler.dense.weight", {"first_gradient": 0.0}),
        ("spooler.dense.weight", {}),
    ],
)
def test_every_other_tensor_without_a_gradient_fails(healthy, name, changes):
    evidence = with_tensor(healthy("full"), name, **changes)
    assert first_gradient(evidence).status == Status.failed
    assert movement(evidence).status == Status.failed


def test_a_batch_without_loss_is_a_warning(healthy):
    evidence = records(
        healthy("full"), lambda t: replace(t, first_gradient=0.0) if t.requires_grad else t
    )
    answer = first_gradient(evidence)
    assert answer.status == Status.warned
    assert "no loss" in answer.summary


def test_one_tensor_with_a_first_gradient_of_zero_fails(healthy):
    evidence = records(
        healthy("full"),
        lambda t: replace(t, first_gradient=0.0) if "1.attention.self.q" in t.name else t,
    )
    assert first_gradient(evidence).status == Status.failed


def test_a_matrix_a_may_rest_in_a_phase_too_short_to_move_it(healthy):
    resting = {"gradient": False, "relative_change": 0.0, "changed_share": 0.0}
    still = records(
        healthy("lora"),
        lambda t: replace(t, **resting, sha256_after=t.sha256_before) if "lora_A" in t.name else t,
    )
    short = phases(still, lambda p: replace(p, executed_steps=2))
    assert first_gradient(short).status == movement(short).status == Status.passed
    assert first_gradient(still).status == movement(still).status == Status.failed


def test_an_embedding_may_change_in_few_rows_only(healthy):
    few = records(
        healthy("full"), lambda t: replace(t, changed_share=0.001) if "word" in t.name else t
    )
    assert movement(few).evidence["phases"][1]["barely_moved"]["total"] == 0
    none = records(
        healthy("full"), lambda t: replace(t, changed_share=0.0) if "word" in t.name else t
    )
    assert movement(none).evidence["phases"][1]["did_not_move"]["total"] == 1


def test_running_statistics_of_a_trained_module_may_change(healthy):
    name = "encoder.layer.1.attention.self.running_mean"
    evidence = healthy("full")
    buffer = TensorRecord(
        name, "buffer", 4, False, False, None, None, 1.0, 1.0, 1.0, True, "a", "b"
    )
    drifting = phases(evidence, lambda p: replace(p, tensors=(*p.tensors, buffer)))
    assert movement(drifting).status == Status.failed
    module = with_tensor(
        drifting,
        "encoder.layer.1.attention.self.weight",
        gradient=True,
        first_gradient=1.0,
        relative_change=0.1,
        changed_share=1.0,
        sha256_after="moved",
    )
    assert movement(module).status == Status.passed


def test_tied_tensors_count_once_whatever_name_the_model_lists(healthy):
    evidence = healthy("full")
    name = "embeddings.word_embeddings.weight"
    plan = evidence.plan
    twin = next(replace(t, name="decoder.weight") for t in plan.tensors if t.name == name)
    plan = replace(plan, tensors=(*plan.tensors, twin), tied=((name, "decoder.weight"),))
    assert trainable_set(replace(evidence, plan=plan)).status == Status.passed
    assert movement(replace(evidence, plan=plan)).status == Status.passed


def test_a_thaw_that_early_stopping_skipped_fails_and_says_why(healthy):
    evidence = healthy("full")
    ledger = replace(evidence.ledger, phases=evidence.ledger.phases[:1], stopped_early="patience")
    stopped = replace(evidence, ledger=ledger)
    answer = movement(stopped)
    assert answer.status == Status.failed
    assert "phase 1 took no step (training stopped early: patience)" in answer.summary.lower()
    assert rates(stopped).status == Status.passed
    assert "patience" in rates(stopped).summary
    assert trainable_set(stopped).status == Status.passed


def test_a_kept_checkpoint_older_than_the_thaw_is_a_warning(healthy):
    evidence = healthy("full")
    kept = replace(evidence, ledger=replace(evidence.ledger, best_step=4))
    assert movement(kept).status == Status.warned
    assert "phase 1" in movement(kept).summary
    kept = replace(evidence, ledger=replace(evidence.ledger, best_step=5))
    assert movement(kept).status == Status.passed


def test_a_plan_that_never_reaches_its_peak_is_a_warning(healthy):
    evidence = healthy("lora")
    half = {name: tuple(r / 2 for r in values) for name, values in evidence.plan.rates.items()}
    lowered = phases(
        replace(evidence, plan=replace(evidence.plan, rates=half)),
        lambda p: replace(p, applied_rates=half),
    )
    answer = rates(lowered)
    assert answer.status == Status.warned
    assert "50% of its peak" in answer.summary


@pytest.mark.parametrize(
    ("factor", "status"),
    [(1 + 1e-7, Status.passed), (1 + 1e-5, Status.failed), (0.3, Status.failed)],
)
def test_a_rate_may_differ_by_rounding_only(healthy, factor, status):
    def scale(phase):
        real = {n: tuple(r * factor for r in v) for n, v in phase.applied_rates.items()}
        return replace(phase, applied_rates=real)

    assert rates(phases(healthy("full"), scale)).status == status


def test_a_cut_last_epoch_is_right_if_the_plan_cuts_it(healthy):
    evidence = healthy("lora")
    (phase,) = evidence.ledger.phases
    cut = phases(evidence, lambda p: replace(p, executed_steps=6, rows=30))
    assert rows_seen(cut).status == Status.passed
    assert rows_seen(phases(cut, lambda p: replace(p, rows=19))).status == Status.failed
    assert phase.rows == 40


def test_arms_that_saw_different_numbers_of_rows_are_a_warning(healthy_data):
    ledger = healthy_data.seen["tuned"]
    fewer = replace(ledger, phases=tuple(replace(p, distinct_rows=7) for p in ledger.phases))
    answer = row_sets(replace(healthy_data, seen=healthy_data.seen | {"tuned": fewer}))
    assert answer.status == Status.warned


def test_an_evaluation_split_without_a_leakage_report_is_not_run(healthy_data):
    report = replace(healthy_data.report, leakage=healthy_data.report.leakage[:1])
    validation, test = leakage(replace(healthy_data, report=report))
    assert (validation.status, test.status) == (Status.not_run, Status.passed)


def test_no_test_rows_is_not_applicable(healthy):
    evidence = healthy("full")
    splits = evidence.splits[evidence.splits["split"] != "test"]
    with pytest.raises(NotApplicableError, match="no test rows"):
        evaluated_rows(replace(evidence, splits=splits))


def test_a_random_control_is_not_applicable(healthy):
    evidence = healthy("full")
    tensors = tuple(
        replace(t, origin=Origin.new, source="random_init: control", identical=None)
        for t in evidence.load.tensors
    )
    control = replace(evidence, load=replace(evidence.load, tensors=tensors))
    for check in (load_ledger, base_files):
        with pytest.raises(NotApplicableError, match="random initialisation on purpose"):
            check(control)
    half = replace(evidence.load, tensors=(*tensors[:-1], evidence.load.tensors[-1]))
    assert load_ledger(replace(evidence, load=half)).status == Status.failed


def test_a_missing_tensor_that_the_recipe_names_is_allowed_and_listed(healthy):
    evidence = healthy("full")
    name = "pooler.dense.weight"
    fresh = TensorOrigin(name, Origin.new, "initialised", (4, 4), None)
    load = replace(evidence.load, tensors=(*evidence.load.tensors, fresh), missing=(name,))
    assert load_ledger(replace(evidence, load=load)).status == Status.failed
    load = replace(load, allowed=("pooler",))
    answer = load_ledger(replace(evidence, load=load))
    assert answer.status == Status.passed
    assert answer.evidence["allowed"]["first"] == [name]


def test_one_row_on_the_threshold_may_flip_and_two_may_not(healthy):
    evidence = healthy("full")
    edge = evidence.test.assign(score=evidence.test["score"])
    for flips, status in ((1, Status.passed), (2, Status.failed)):
        test, memory = edge.copy(), edge.copy()
        test.loc[: flips - 1, "score"] = 0.123
        memory.loc[: flips - 1, "score"] = 0.123 - 1e-6
        answer = artefact_equivalence(replace(evidence, test=test, in_memory=memory))
        assert answer.status == status


def test_predictions_without_thresholds_say_so(healthy):
    evidence = healthy("full")
    bare = replace(evidence, test=evidence.test.drop(columns="threshold"))
    assert "decisions were not compared" in artefact_equivalence(bare).summary


def test_a_primary_metric_that_is_measured_on_one_side_only_fails(healthy):
    evidence = healthy("full")
    last = float(evidence.test["score"].iloc[0])
    one_sided = replace(evidence, primary=lambda f: 0.5 if f["score"].iloc[0] == last else None)
    assert artefact_equivalence(one_sided).status == Status.failed
    nowhere = replace(evidence, primary=lambda f: None)
    assert "not measured" in artefact_equivalence(nowhere).summary


def test_scores_that_are_not_finite_fail_and_stay_json(healthy):
    evidence = healthy("full")
    broken = replace(evidence, test=evidence.test.assign(score=np.nan))
    for check in (artefact_equivalence, differs_from_base, differs_from_other_arms):
        assert check(broken).status == Status.failed


def test_a_model_folder_without_weights_is_not_another_model(healthy):
    evidence = healthy("full")
    (evidence.paths.model / "model.safetensors").unlink()
    assert "no weight file" in differs_from_base(evidence).summary


def test_a_kept_checkpoint_that_nobody_evaluated(healthy):
    evidence = healthy("full")
    silent = replace(evidence, history=evidence.history[:-1])
    with pytest.raises(NotApplicableError, match="nothing was evaluated during"):
        kept_checkpoint(silent)
    early = replace(evidence, history=[{"step": 4, "metrics": {"validation_spearman": 0.1}}])
    with pytest.raises(NotApplicableError, match="after the last step, 8"):
        kept_checkpoint(early)
    chosen = replace(evidence, ledger=replace(evidence.ledger, best_step=5))
    assert kept_checkpoint(chosen).status == Status.failed


def test_a_history_without_a_loss_is_missing_evidence(healthy):
    with pytest.raises(EvidenceMissingError, match="no loss"):
        finite_loss(replace(healthy("full"), history=[]))


@given(
    scores=st.lists(st.floats(-1, 1), min_size=1, max_size=30),
    shift=st.floats(0.01, 1),
    seed=st.integers(0, 99),
)
def test_distances_do_not_depend_on_the_order_of_rows(scores, shift, seed):
    left = pd.DataFrame({"row": [str(i) for i in range(len(scores))], "score": scores})
    left["threshold"] = 0.0
    right = left.assign(score=left["score"] + shift).sample(frac=1, random_state=seed)
    distance = compare(left, right, 1e-4)
    assert distance.same_rows
    assert distance.largest == pytest.approx(shift)
    assert distance.differing == len(scores)
    crossed = [s for s in scores if s < 0 <= s + shift]
    assert len(distance.flipped) == len(crossed)
    assert compare(left, left, 1e-4).largest == 0


def test_rows_of_one_side_only_and_repeated_rows_are_named():
    left = pd.DataFrame({"row": ["a", "b", "b"], "score": [0.1, 0.2, 0.2]})
    right = pd.DataFrame({"row": ["b", "c"], "score": [0.2, np.inf]})
    distance = compare(left, right, 1e-4)
    assert (distance.only_left, distance.only_right) == (("a",), ("c",))
    assert distance.repeated == ("b",)
    assert not distance.same_rows
    assert compare(left.iloc[:0], right, 1e-4).largest is None


def test_a_base_that_is_frozen_for_the_whole_run_is_told_whatever_it_scores(healthy):
    evidence = healthy("head")
    named = [replace(t, group="head") if t.joins == 0 else t for t in evidence.plan.tensors]
    plan = replace(evidence.plan, method="full", tensors=tuple(named))
    answer = movement(replace(evidence, plan=plan))
    assert answer.status == Status.warned
    assert "all 6 tensors below the head are frozen for the whole run" in answer.summary
    assert "unfreeze_after = 0 of frozen" in answer.summary
    assert movement(evidence).status == Status.passed
