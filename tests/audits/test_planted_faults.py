"""Every planted fault of the zoo is caught by the check that is meant for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from graft.audits.contract import run_checks
from graft.audits.registry import ARM_CHECKS, DATA_CHECKS, RECIPE_CHECKS
from graft.core.findings import Status
from graft.core.options import OptionInForce
from graft.core.origins import Origin
from graft.core.probes import AccumulationProbe, Gap, Spread
from graft.core.tables import LeakedRow

EXPERIMENT_CHECKS = (*DATA_CHECKS, *RECIPE_CHECKS)


def phase(evidence, index, **changes):
    """Change fields of a phase's record; a callable receives the record."""
    phases = list(evidence.ledger.phases)
    new = {k: v(phases[index]) if callable(v) else v for k, v in changes.items()}
    phases[index] = replace(phases[index], **new)
    return replace(evidence, ledger=replace(evidence.ledger, phases=tuple(phases)))


def tensors(evidence, index, part, **changes):
    """Change the records of a phase whose name holds `part`."""

    def edit(record):
        return tuple(replace(t, **changes) if part in t.name else t for t in record.tensors)

    return phase(evidence, index, tensors=edit)


def ledger(evidence, **changes):
    return replace(evidence, ledger=replace(evidence.ledger, **changes))


def plan(evidence, **changes):
    return replace(evidence, plan=replace(evidence.plan, **changes))


def load(evidence, **changes):
    return replace(evidence, load=replace(evidence.load, **changes))


def origins(evidence, part, **changes):
    new = tuple(replace(t, **changes) if part in t.name else t for t in evidence.load.tensors)
    return load(evidence, tensors=new)


def rates(evidence, index, change):
    """Replace the applied rates of every group by `change(rates)`."""

    def edit(record):
        return {name: tuple(change(list(values))) for name, values in record.applied_rates.items()}

    return phase(evidence, index, applied_rates=edit)


def weights(evidence, change, folder="model", name="model.safetensors"):
    """Rewrite a weight file of the run."""
    path = evidence.paths.root / folder / name
    state = load_file(path)
    save_file(change(state), path)
    return evidence


def base_state(evidence):
    return load_file(evidence.base_folder / "model.safetensors")


def cut_steps(evidence, index, steps):
    """Take fewer steps than planned, with everything else consistent."""
    cut = rates(evidence, index, lambda values: values[:steps])
    return phase(cut, index, executed_steps=steps, rows=steps * 5, epoch_orders=("x",))


def scores(frame, change):
    return frame.assign(score=change(frame["score"]))


def report(evidence, **changes):
    return replace(evidence, report=replace(evidence.report, **changes))


def leak(evidence, **changes):
    row = LeakedRow("test", "test:3", ("exact",), ("train:4",), ("a", "b"))
    item, other = evidence.report.leakage
    return report(evidence, leakage=(replace(item, leaked=(row,), clean_rows=11, **changes), other))


def split(evidence, index, **changes):
    splits = list(evidence.report.splits)
    splits[index] = replace(splits[index], **changes)
    return report(evidence, splits=tuple(splits))


def column(evidence, **changes):
    """Change what the data report says about its one table column."""
    (entry,) = evidence.report.table
    return report(evidence, table=(replace(entry, **changes),))


def probe(evidence, **changes):
    return replace(evidence, probes=replace(evidence.probes, **changes))


def census(evidence, **changes):
    return replace(evidence, supervision=replace(evidence.supervision, **changes))


def served(evidence, **changes):
    return replace(evidence, served=replace(evidence.served, **changes))


def options(evidence, **changes):
    return replace(evidence, options=replace(evidence.options, **changes))


def knowing_control(evidence):
    """A control with five seeds that knows the labels as well as the arm does."""
    others = {f"{evidence.name}/seed-{seed}": evidence.test for seed in range(1, 5)}
    return replace(evidence, control="shuffled_labels", others=others)


def stored(evidence, **changes):
    return phase(evidence, 0, features=lambda p: replace(p.features, **changes))


def wrong_gradient(evidence):
    return replace(evidence.probes.gradient, measured=0.01)


def batch_loss(evidence):
    return replace(evidence.probes.accumulation, rowwise=False, gradient_gap=0.4)


def constant(frame):
    return scores(frame, lambda s: s * 0 + 0.5)


def one_class(frame):
    return frame.assign(predicted=1)


def chance(frame):
    return frame.sort_values("label").assign(score=[0.1, 0.9] * (len(frame) // 2))


TRAIN_ROWS = 20
UNMOVED = {"relative_change": 0.0, "changed_share": 0.0, "sha256_after": "x", "sha256_before": "x"}
DEAD = {"gradient": False, "first_gradient": None}

ARM_FAULTS = [
    ("FRZ-01", "movement", "full", lambda e: tensors(e, 1, "layer.0", **UNMOVED)),
    ("FRZ-01", "trainable_set", "full", lambda e: tensors(e, 1, "layer.0", requires_grad=False)),
    ("FRZ-02", "movement", "full", lambda e: tensors(e, 0, "layer.0", sha256_after="moved")),
    ("FRZ-03", "movement", "lora", lambda e: tensors(e, 0, "LayerNorm", sha256_after="moved")),
    ("FRZ-04", "trainable_set", "full", lambda e: tensors(e, 0, "layer", requires_grad=True)),
    ("FRZ-06", "trainable_set", "full", lambda e: tensors(e, 1, "", requires_grad=False)),
    ("FRZ-07", "movement", "lora", lambda e: tensors(e, 0, "lora_B", nonzero_share=0.0)),
    ("FRZ-07", "first_gradient", "lora", lambda e: tensors(e, 0, "layer.0", **DEAD)),
    ("FRZ-08", "trainable_set", "lora", lambda e: tensors(e, 0, "", in_optimizer=False)),
    (
        "FRZ-09",
        "first_gradient",
        "lora",
        lambda e: tensors(e, 0, "lora_", gradient=False, first_gradient=0.0),
    ),
    (
        "FRZ-11",
        "trainable_set",
        "lora",
        lambda e: tensors(e, 0, "word_embeddings", requires_grad=True, in_optimizer=True),
    ),
    ("FRZ-12", "movement", "lora", lambda e: tensors(e, 0, "position_ids", sha256_after="drift")),
    ("OPT-01", "trainable_set", "head", lambda e: tensors(e, 0, "2.linear", in_optimizer=False)),
    ("OPT-02", "trainable_set", "full", lambda e: phase(e, 0, optimizer_extra=3)),
    ("OPT-03", "movement", "full", lambda e: tensors(e, 0, "word_emb", sha256_after="decayed")),
    ("OPT-05", "movement", "full", lambda e: tensors(e, 1, "query", changed_share=0.001)),
    ("OPT-06", "rates", "full", lambda e: cut_steps(e, 1, 3)),
    ("OPT-07", "movement", "full", lambda e: tensors(e, 1, "query", finite=False)),
    ("OPT-07", "first_gradient", "full", lambda e: tensors(e, 0, "q", first_gradient=np.inf)),
    (
        "OPT-07",
        "finite_loss",
        "full",
        lambda e: replace(e, history=[*e.history, {"step": 9, "loss": None}]),
    ),
    ("OPT-09", "rates", "lora", lambda e: rates(e, 0, lambda r: r[::2] + [0.0] * 4)),
    ("OPT-10", "rates", "lora", lambda e: rates(e, 0, lambda r: [r[0]] * 4 + [r[1]] * 4)),
    ("OPT-11", "rates", "full", lambda e: plan(e, warmup_steps=8)),
    ("OPT-12", "rates", "full", lambda e: rates(e, 0, lambda r: [1e-3] * len(r))),
    ("OPT-13", "rates", "full", lambda e: rates(e, 1, lambda r: [0.0] * len(r))),
    ("OPT-15", "rates", "lora", lambda e: cut_steps(e, 0, 2)),
    ("RES-01", "rates", "lora", lambda e: rates(e, 0, lambda r: r[:4] + r[:4])),
    ("RES-02", "rows_seen", "lora", lambda e: phase(e, 0, rows=45)),
    ("DAT-18", "rows_seen", "full", lambda e: phase(e, 1, distinct_rows=12)),
    (
        "DAT-20",
        "rows_seen",
        "lora",
        lambda e: phase(e, 0, epoch_orders=lambda p: (p.epoch_orders[0],) * 2),
    ),
    ("LOD-01", "load_ledger", "full", lambda e: load(e, missing=("encoder.layer.0.x",))),
    ("LOD-01", "load_ledger", "full", lambda e: load(e, mismatched=("encoder.layer.0.x",))),
    (
        "LOD-02",
        "load_ledger",
        "full",
        lambda e: origins(e, "", origin=Origin.new, source="initialised", identical=None),
    ),
    ("LOD-03", "load_ledger", "full", lambda e: origins(e, "query", identical=False)),
    (
        "LOD-05",
        "load_ledger",
        "full",
        lambda e: origins(e, "layer.0", origin=Origin.new, source="initialised", identical=None),
    ),
    ("LOD-06", "load_ledger", "full", lambda e: load(e, unexpected=("_orig_mod.x.weight",))),
    ("LOD-07", "differs_from_base", "lora", lambda e: replace(e, test=e.base)),
    (
        "LOD-08",
        "load_ledger",
        "head",
        lambda e: origins(e, "layer.0", origin=Origin.new, source="head: new", identical=None),
    ),
    ("LOD-09", "base_files", "lora", lambda e: load(e, files={"model.safetensors": "0" * 64})),
    ("LOD-10", "load_ledger", "full", lambda e: origins(e, "word", origin="tied", identical=False)),
    (
        "LOD-11",
        "differs_from_base",
        "full",
        lambda e: replace(e, base=scores(e.test, lambda s: s + 1e-6)),
    ),
    ("LOD-11", "differs_from_base", "full", lambda e: weights(e, lambda _: base_state(e))),
    (
        "LOD-12",
        "trainable_set",
        "lora",
        lambda e: phase(
            e, 0, tensors=lambda p: tuple(t for t in p.tensors if "value.lora" not in t.name)
        ),
    ),
    (
        "SAV-01",
        "merge_algebra",
        "lora",
        lambda e: weights(
            e,
            lambda s: {k: torch.zeros_like(v) for k, v in s.items()},
            "adapter",
            "adapter_model.safetensors",
        ),
    ),
    ("SAV-01", "adapter_equivalence", "lora", lambda e: replace(e, adapter=e.base)),
    ("SAV-02", "artefact_equivalence", "head", lambda e: replace(e, test=e.base)),
    (
        "SAV-03",
        "merge_algebra",
        "lora",
        lambda e: weights(e, lambda s: {k: v for k, v in s.items() if "word" not in k}),
    ),
    (
        "SAV-05",
        "artefact_equivalence",
        "lora",
        lambda e: replace(e, test=scores(e.test, lambda s: s + 2e-3)),
    ),
    (
        "SAV-05",
        "kept_checkpoint",
        "full",
        lambda e: replace(e, validation=scores(e.validation, lambda s: s[::-1].to_numpy())),
    ),
    (
        "SAV-07",
        "kept_checkpoint",
        "full",
        lambda e: ledger(
            replace(e, history=[*e.history, {"step": 7, "metrics": {"validation_spearman": 0.9}}]),
            best_step=7,
        ),
    ),
    ("SAV-08", "artefact_equivalence", "full", lambda e: replace(e, test=e.others["other"])),
    ("EVL-02", "evaluated_rows", "full", lambda e: replace(e, test=wrong_split(e.test))),
    ("EVL-05", "evaluated_rows", "full", lambda e: replace(e, test=repeated(e.test))),
    ("EVL-06", "differs_from_other_arms", "full", lambda e: replace(e, test=e.others["other"])),
    (
        "EVL-08",
        "artefact_equivalence",
        "full",
        lambda e: replace(e, in_memory=e.in_memory.iloc[:-1]),
    ),
    ("MRG-01", "merge_algebra", "lora", lambda e: weights(e, lambda _: base_state(e))),
    (
        "MRG-04",
        "merge_algebra",
        "lora",
        lambda e: weights(e, lambda s: {k: 2 * v - base_state(e)[k] for k, v in s.items()}),
    ),
    (
        "MRG-03",
        "merge_algebra",
        "lora",
        lambda e: weights(e, lambda s: {k: v.to(torch.float8_e5m2).float() for k, v in s.items()}),
    ),
    (
        "MRG-04",
        "merge_algebra",
        "lora",
        lambda e: weights(e, lambda s: {k: (v + base_state(e)[k]) / 2 for k, v in s.items()}),
    ),
    (
        "MRG-05",
        "merge_algebra",
        "lora",
        lambda e: weights(
            e, lambda s: {k: v + 0.1 if "LayerNorm" in k else v for k, v in s.items()}
        ),
    ),
]

ARM_FAULTS += [
    ("OPT-16", "gradient_direction", "full", lambda e: probe(e, gradient=wrong_gradient(e))),
    ("DAT-02", "supervision", "full", lambda e: census(e, rows_without_loss=TRAIN_ROWS, units=0)),
    ("DAT-01", "supervision", "full", lambda e: census(e, unit="tokens", ends_missing=4)),
    ("DAT-04", "supervision", "full", lambda e: census(e, unit="tokens", answers_cut=4)),
    ("DAT-06", "supervision", "full", lambda e: census(e, unit="tokens", prompts_supervised=9)),
    ("DAT-09", "supervision", "full", lambda e: census(e, unit="tokens", shifted_labels=20)),
    ("DAT-23", "supervision", "full", lambda e: census(e, unknown_tokens=300)),
    ("SRV-03", "supervision", "full", lambda e: census(e, unit="tokens", doubled_starts=20)),
    ("EMB-02", "served_reading", "full", lambda e: served(e, settings={"pooling": "cls"})),
    ("EMB-07", "served_reading", "lora", lambda e: served(e, inputs={"test:0": (9, 9)})),
    ("DAT-11", "row_alone", "full", lambda e: probe(e, alone=Gap(4, 0.2, 0.5, ("test:1",)))),
    ("EVL-01", "repeatable", "full", lambda e: probe(e, again=Gap(4, 0.2, 0.5, ("test:1",)))),
    ("EVL-01", "repeatable", "lora", lambda e: probe(e, training_modules=("Dropout",))),
    ("DAT-10", "packed_rows", "full", lambda e: probe(e, padded=Gap(4, 0.2, 0.5, ("test:1",)))),
    ("DAT-17", "stored_outputs", "full", lambda e: stored(e, gap=0.3)),
    ("DAT-17", "stored_outputs", "full", lambda e: stored(e, gap=0.05, number_format="bf16")),
    ("FRZ-13", "frozen_modes", "full", lambda e: phase(e, 0, awake=("embeddings",))),
    ("DAT-25", "varied_predictions", "full", lambda e: replace(e, test=constant(e.test))),
    ("DAT-25", "varied_predictions", "full", lambda e: replace(e, test=one_class(e.test))),
    ("DAT-13", "label_order", "full", lambda e: replace(e, test=scores(e.test, lambda s: -s))),
    ("EMB-01", "collapse", "full", lambda e: replace(e, spread=Spread(24, 0.995, 1.4, 16))),
    ("RES-02", "resume", "full", lambda e: replace(e, history=[*e.history, e.history[2]])),
    ("RES-02", "resume", "full", lambda e: replace(e, history=e.history[:2] + e.history[3:])),
    (
        "OPT-04",
        "accumulation",
        "full",
        lambda e: probe(e, accumulation=AccumulationProbe(4, 1.6, 0.4, 3.0)),
    ),
    ("FRZ-04", "options_read", "full", lambda e: options(e, unread=("method",))),
    (
        "LOD-13",
        "options_in_force",
        "full",
        lambda e: options(e, in_force=(OptionInForce("weights", "nf4", "float32", False, ""),)),
    ),
    ("EVL-09", "control_at_chance", "full", knowing_control),
]
WARNED = [
    ("EMB-05", "accumulation", lambda e: probe(e, accumulation=batch_loss(e))),
    ("DAT-05", "supervision", lambda e: census(e, truncated_rows=4)),
    ("DAT-26", "supervision", lambda e: census(e, template_supervised=20)),
    ("DAT-02", "supervision", lambda e: census(e, rows_without_loss=1)),
    ("DAT-25", "supervision", lambda e: census(e, labels={"1": 20})),
    ("DAT-25", "varied_predictions", lambda e: replace(e, test=e.test.assign(threshold=-9.0))),
    ("DAT-25", "beyond_chance", lambda e: replace(e, test=chance(e.test))),
    ("RES-05", "resume", lambda e: ledger(e, passed_over=("step-6",))),
    (
        "FRZ-13",
        "frozen_modes",
        lambda e: phase(plan(e, frozen_in_eval=False), 0, awake=("embeddings",)),
    ),
]

DATA_FAULTS = [
    ("FRZ-04", "recipe_read", Status.failed, lambda e: options(e, unread=("seed",))),
    ("DAT-14", "leakage", Status.failed, lambda e: leak(e, exact=1)),
    ("DAT-15", "leakage", Status.failed, lambda e: leak(e, groups=1)),
    ("DAT-14", "row_sets", Status.failed, lambda e: replace(e, splits=overlapping(e.splits))),
    (
        "DAT-18",
        "row_sets",
        Status.failed,
        lambda e: split(e, 1, fingerprint=e.report.splits[0].fingerprint),
    ),
    ("EMB-05", "duplicates", Status.warned, lambda e: split(e, 0, duplicates=4)),
    ("C5", "contradictions", Status.warned, lambda e: split(e, 0, contradictions=2)),
    ("F5", "target_leakage", Status.failed, lambda e: column(e, alone=0.98)),
    ("DAT-22", "identifier_columns", Status.warned, lambda e: column(e, values=90, counting=True)),
]


def wrong_split(frame):
    return frame.assign(row=frame["row"].str.replace("test", "train"))


def repeated(frame):
    return pd.concat([frame, frame.iloc[:1]])


def overlapping(splits):
    return pd.concat([splits, splits.iloc[:2].assign(split="test")])


def _caught(findings, name):
    return [f for f in findings if f.name == name and f.status != Status.passed]


@pytest.mark.parametrize(
    ("fault", "name", "method", "plant"), ARM_FAULTS, ids=[f"{f[0]}-{f[1]}" for f in ARM_FAULTS]
)
def test_a_planted_fault_fails_the_run(healthy, fault, name, method, plant):
    (finding,) = _caught(run_checks(ARM_CHECKS, plant(healthy(method)), {}), name)
    assert finding.status == Status.failed, finding.summary
    assert finding.blocks
    assert finding.fix
    assert finding.where == "tuned"
    assert not finding.summary[0].islower()
    assert finding.evidence


@pytest.mark.parametrize(("fault", "name", "plant"), WARNED, ids=[f"{f[0]}-{f[1]}" for f in WARNED])
def test_what_a_person_should_know_is_a_warning(healthy, fault, name, plant):
    (finding,) = _caught(run_checks(ARM_CHECKS, plant(healthy("full")), {}), name)
    assert finding.status == Status.warned, finding.summary
    assert finding.fix
    assert not finding.blocks


@pytest.mark.parametrize(
    ("fault", "name", "status", "plant"), DATA_FAULTS, ids=[f[0] for f in DATA_FAULTS]
)
def test_a_planted_fault_of_the_data_is_found(healthy_data, fault, name, status, plant):
    (finding,) = _caught(run_checks(EXPERIMENT_CHECKS, plant(healthy_data), {}), name)
    assert finding.status == status
    assert finding.fix


def test_every_check_catches_at_least_one_planted_fault():
    caught = {name for _, name, *_ in [*ARM_FAULTS, *WARNED, *DATA_FAULTS]}
    assert caught == {check.name for check in (*ARM_CHECKS, *EXPERIMENT_CHECKS)}
    assert len({fault for fault, *_ in [*ARM_FAULTS, *DATA_FAULTS]}) >= 40
