"""K8 over what a trainer saved: fires, is silent, does not apply."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from graft.audits import saving
from graft.audits.contract import run_checks
from graft.audits.evidence import read_trainer_evidence
from graft.core.files import write_json
from graft.core.findings import Status
from graft.core.layout import RunPaths
from graft.core.saves import Save, Saves
from graft.integrations.saving import compare_folder

SAVE = Save("out/checkpoint-4", 4, 10, 8, (), (), ())
LATER = replace(SAVE, folder="out/checkpoint-8", step=8)
CHOSEN = Saves((SAVE, LATER), "out/checkpoint-8", "eval_accuracy", {"4": 0.5, "8": 0.9}, True, True)


def statuses(tmp_path, saves):
    paths = RunPaths(tmp_path)
    write_json(paths.saves, saves)
    evidence = read_trainer_evidence(paths, None, "full")
    return {found.name: found for found in run_checks(saving.CHECKS, evidence, {})}


def test_without_a_save_nothing_is_to_be_looked_at(tmp_path):
    found = statuses(tmp_path, Saves(()))
    assert {finding.status for finding in found.values()} == {Status.not_applicable}


def test_whole_saves_and_the_best_one_pass(tmp_path):
    found = statuses(tmp_path, CHOSEN)
    assert {finding.status for finding in found.values()} == {Status.passed}


LACKING = {
    "missing": (replace(SAVE, missing=("head.weight",)), "lacks 1 of 8"),
    "different": (replace(SAVE, different=("head.weight",)), "other values"),
    "wrapped": (
        replace(SAVE, missing=("head.weight",), unknown=("_orig_mod.head.weight",)),
        "_orig_mod",
    ),
}


@pytest.mark.parametrize("name", LACKING)
def test_a_save_that_lacks_something_fails(name, tmp_path):
    save, words = LACKING[name]
    found = statuses(tmp_path, Saves((save,)))["saved_tensors"]
    assert found.status == Status.failed
    assert words in found.summary


CHOICES = {
    "the worst is kept": (
        {"best": "out/checkpoint-4", "greater_is_better": True},
        Status.failed,
    ),
    "a score whose lowest value is kept": (
        {"best": "out/checkpoint-4", "greater_is_better": False},
        Status.failed,
    ),
    "an error whose highest value is kept": ({"chosen_by": "eval_wer"}, Status.failed),
    "a loss whose lowest value is kept": (
        {"chosen_by": "eval_loss", "best": "out/checkpoint-4", "greater_is_better": False},
        Status.passed,
    ),
    "an unknown metric": ({"chosen_by": "eval_quality"}, Status.passed),
    "not restored": ({"restored": False}, Status.failed),
    "never evaluated": ({"evaluations": {}}, Status.warned),
    "nothing chosen": ({"best": ""}, Status.warned),
    "the better step was not saved": (
        {"evaluations": {"4": 0.5, "6": 0.95, "8": 0.9}, "restored": None},
        Status.warned,
    ),
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_choice_of_the_best(name, tmp_path):
    changes, expected = CHOICES[name]
    found = statuses(tmp_path, replace(CHOSEN, **changes))["best_checkpoint"]
    assert found.status == expected, found.summary


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))


def written(folder, tensors):
    folder.mkdir()
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / "m.safetensors")
    return folder


def test_a_folder_is_compared_with_memory(model, tmp_path):
    state = model.state_dict()
    changed = ["0.weight", "1.weight"]
    whole = compare_folder(written(tmp_path / "whole", state), 3, model, changed)
    assert (whole.missing, whole.different, whole.unknown) == ((), (), ())
    assert (whole.tensors, whole.changed, whole.step) == (4, 2, 3)


def test_lower_precision_on_disk_is_the_same_weight(model, tmp_path):
    half = {name: tensor.half() for name, tensor in model.state_dict().items()}
    save = compare_folder(written(tmp_path / "half", half), 1, model, ["0.weight"])
    assert save.different == ()


def test_each_lack_is_named(model, tmp_path):
    state = model.state_dict()
    other = {"0.weight": state["0.weight"] + 1, "extra": torch.ones(3)}
    save = compare_folder(written(tmp_path / "other", other), 1, model, ["0.weight", "1.weight"])
    assert (save.missing, save.different, save.unknown) == (
        ("1.weight",),
        ("0.weight",),
        ("extra",),
    )


def test_a_name_that_no_loader_finds_counts_as_missing(model, tmp_path):
    """LOD-06."""
    wrapped = {f"_orig_mod.{name}": tensor for name, tensor in model.state_dict().items()}
    save = compare_folder(written(tmp_path / "wrapped", wrapped), 1, model, ["0.weight"])
    assert save.missing == ("0.weight",)
    assert len(save.unknown) == 4


def test_an_empty_folder_holds_nothing(model, tmp_path):
    save = compare_folder(tmp_path, 1, model, ["0.weight"])
    assert (save.tensors, save.missing) == (0, ("0.weight",))
