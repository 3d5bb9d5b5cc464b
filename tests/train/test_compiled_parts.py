"""Compiled parts: same weights as without, nothing compiled outside of steps or left behind."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from graft.core.errors import InputError
from graft.models.compiled import CompiledParts, compiles, parts_without_attention

TINY = BertConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler is installed"
)


def test_parts_are_what_stands_between_attentions() -> None:
    kinds = [type(part).__name__ for part in parts_without_attention(BertModel(TINY))]
    assert kinds == 2 * ["BertSelfOutput", "BertIntermediate", "BertOutput"]


@pytest.mark.slow
@needs_compiler
# What torch says of itself while it traces.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
def test_steps_are_the_same_and_nothing_stays_compiled() -> None:
    torch.manual_seed(0)
    model = BertModel(TINY).train()
    ids = torch.arange(24).view(2, 12)

    def gradients() -> list[torch.Tensor]:
        model.zero_grad()
        model(input_ids=ids).last_hidden_state.square().sum().backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    plain = gradients()
    counters: Any = torch._dynamo.utils.counters
    counters.clear()
    compiled = CompiledParts(model, wanted=True)
    with compiled.waiting():
        gradients()
        assert not counters["stats"]["unique_graphs"]
        with compiled.in_step():
            again = gradients()
    assert counters["stats"]["unique_graphs"]
    largest = max(float(gradient.abs().max()) for gradient in plain)
    for one, other in zip(plain, again, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5 * largest)
    assert all(part._compiled_call_impl is None for part in compiled.parts)
    assert "_orig_mod" not in "".join(model.state_dict())


def test_auto_is_a_matter_of_operations() -> None:
    model = nn.Linear(1000, 1000)
    assert not compiles("auto", model, tokens=10_000)
    if any(map(shutil.which, ("c++", "g++", "clang++"))):
        assert compiles("auto", model, tokens=10**12)
    assert not compiles(False, model, tokens=10**12)


def test_without_a_compiler_it_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not compiles("auto", nn.Linear(1000, 1000), tokens=10**12)
    with pytest.raises(InputError, match=r"torch_compile.*no C\+\+ compiler"):
        compiles(True, nn.Linear(2, 2), tokens=1)
