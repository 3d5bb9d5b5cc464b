"""The algebra of a merge, on matrices and on a real PEFT adapter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from graft.audits.adapter_files import match_names, read_adapter
from graft.audits.contract import run_checks
from graft.audits.evidence import RunEvidence
from graft.audits.merging import CHECKS, judge, merge_algebra
from graft.core.errors import ModelError
from graft.core.findings import Status
from graft.core.layout import RunPaths


def matrices(seed: int):
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(8, 6, generator=generator)
    delta = torch.randn(8, 2, generator=generator) @ torch.randn(2, 6, generator=generator)
    return base, delta.double()


@given(seed=st.integers(0, 2**31), scale=st.floats(1e-3, 10))
def test_a_right_merge_passes_at_every_scale(seed, scale):
    base, delta = matrices(seed)
    matrix = judge("query", base, base + (scale * delta).float(), scale * delta)
    assert matrix.verdict == "merged"
    assert matrix.ratio == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (0.0, "were never merged"),
        (2.0, "were merged 2 times"),
        (3.0, "were merged 3 times"),
        (0.5, "were merged with 0.5 times the right scale"),
        (1.01, "were merged with 1.01 times the right scale"),
        (-1.0, "hold something else than base + adapter"),
    ],
)
def test_a_wrong_merge_is_named_in_words(times, words):
    base, delta = matrices(1)
    assert judge("query", base, base + (times * delta).float(), delta).verdict == words


def test_a_merge_of_another_adapter_is_named():
    base, delta = matrices(1)
    _, other = matrices(2)
    verdict = judge("query", base, base + other.float(), delta).verdict
    assert verdict == "hold something else than base + adapter"


def test_an_adapter_that_half_precision_swallows_is_named():
    base, delta = matrices(1)
    small = delta * 1e-3
    merged = (base + small.float()).to(torch.bfloat16)
    assert judge("query", base, merged, small).verdict == "lost the adapter in rounding"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_matrix_that_is_not_finite_is_named(bad):
    base, delta = matrices(1)
    assert judge("query", base, base * bad, delta).verdict == "hold NaN or infinity"


def test_another_shape_and_a_zero_adapter_are_named():
    base, delta = matrices(1)
    assert judge("query", base, base.T, delta).verdict == "have another shape"
    assert judge("query", base, base, delta * 0).verdict == "have an adapter of zero"


@pytest.mark.parametrize("left", ["", "model.", "0.auto_model.", "bert."])
@pytest.mark.parametrize("right", ["", "model.", "0_Transformer/", "bert."])
def test_names_match_whatever_their_prefix(left, right):
    names = [f"encoder.layer.{i}.query.weight" for i in range(12)] + ["embeddings.weight"]
    found = match_names([left + n for n in names], [right + n for n in reversed(names)])
    assert found == {left + n: right + n for n in names}


def test_a_name_without_partner_is_left_out_and_not_given_to_a_neighbour():
    names = [f"layer.{i}.query.weight" for i in range(3)]
    assert match_names(names, names[1:]) == {name: name for name in names[1:]}


def test_names_that_fit_twice_are_an_error():
    with pytest.raises(ModelError, match="equally well"):
        match_names(["query.weight"], ["a.query.weight", "b.query.weight"])
    with pytest.raises(ModelError, match="claimed by 2 names"):
        match_names(["a.query.weight", "b.query.weight"], ["query.weight"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"r": 4}, "the config says r = 4"),
        ({"r": 0}, "r is 0, not a positive number"),
        ({"lora_alpha": None}, "lora_alpha is None"),
        ({"alpha_pattern": {"query": 3}}, "alpha_pattern is"),
        ({"modules_to_save": ["head"]}, "modules_to_save is"),
    ],
)
def test_an_adapter_that_cannot_be_judged_fails_and_says_why(healthy, change, words):
    evidence = healthy("lora")
    path = evidence.paths.adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=words):
        read_adapter(evidence.paths.adapter)
    (finding,) = run_checks(CHECKS, evidence, {})
    assert finding.status == Status.failed
    assert words in finding.summary


def test_half_an_adapter_is_an_error(healthy):
    folder = healthy("lora").paths.adapter
    path = folder / "adapter_model.safetensors"
    state = {name: t for name, t in load_file(path).items() if "lora_B" not in name}
    save_file(state, path)
    with pytest.raises(ModelError, match="4 problems"):
        read_adapter(folder)


def test_tensors_that_the_recipe_lets_go_may_be_absent(healthy):
    evidence = healthy("lora")
    path = evidence.paths.model / "model.safetensors"
    save_file({n: t for n, t in load_file(path).items() if "LayerNorm" not in n}, path)
    assert merge_algebra(evidence).status == Status.failed
    allowed = replace(evidence.load, allowed=("embeddings.LayerNorm",))
    assert merge_algebra(replace(evidence, load=allowed)).status == Status.passed


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("use_rslora", [False, True])
def test_a_real_peft_merge_passes_and_a_second_one_does_not(tmp_path: Path, use_rslora):
    from peft import LoraConfig, PeftModel, get_peft_model

    torch.manual_seed(1)
    plain = torch.nn.Sequential()
    plain.add_module("query", torch.nn.Linear(6, 6))
    plain.add_module("value", torch.nn.Linear(6, 6))
    (tmp_path / "base").mkdir()
    save_file(plain.state_dict(), tmp_path / "base" / "model.safetensors")
    config = LoraConfig(r=4, lora_alpha=3, target_modules=["query"], use_rslora=use_rslora)
    tuned = get_peft_model(plain, config)
    with torch.no_grad():
        tuned.base_model.model.query.lora_B["default"].weight.normal_()
    tuned.save_pretrained(str(tmp_path / "run" / "adapter"))
    evidence = RunEvidence(
        "run", RunPaths(tmp_path / "run"), "lora", *[None] * 8, {}, tmp_path / "base", len
    )
    folder = tmp_path / "run" / "model"
    folder.mkdir()

    def merge_into(weights: Path) -> None:
        fresh = torch.nn.Sequential()
        fresh.add_module("query", torch.nn.Linear(6, 6))
        fresh.add_module("value", torch.nn.Linear(6, 6))
        fresh.load_state_dict(load_file(weights))
        merged = PeftModel.from_pretrained(fresh, str(evidence.paths.adapter)).merge_and_unload()
        save_file(merged.state_dict(), folder / "model.safetensors")

    merge_into(tmp_path / "base" / "model.safetensors")
    answer = merge_algebra(evidence)
    assert answer.status == Status.passed, answer.summary
    assert (answer.evidence["adapted"], answer.evidence["untouched"]) == (1, 3)
    merge_into(folder / "model.safetensors")
    assert "merged 2 times (query)" in merge_algebra(evidence).summary
