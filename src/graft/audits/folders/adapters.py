"""A saved adapter taken apart: low-rank pairs by module, tensors saved whole, and what is odd."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from graft.audits.adapter_files import AdapterMatrices, match_names, scaling
from graft.audits.folders.comparison import ComparedTensor, compare_tensor
from graft.audits.folders.places import Place
from graft.audits.folders.stored import StoredTensor
from graft.core.errors import ModelError, Problem

LEAD = "base_model.model."
_HALVES = {
    "lora_A": ("a", False),
    "lora_B": ("b", False),
    "lora_embedding_A": ("a", True),
    "lora_embedding_B": ("b", True),
}
_OTHERS = re.compile(r"lora_|ia3_|prompt|trainable_tokens|hada_|lokr_|oft_|boft_|vera_|vblora_")


@dataclass(frozen=True)
class AdapterParts:
    """The tensors of an adapter by what they do.

    Args:
        place: Its folder.
        config: Its config.
        halves: Module to the matrices `a` and `b` of its pair; one may be absent.
        embeddings: Modules whose pair belongs to an embedding, so that its matrix lies crosswise.
        whole: Tensors saved as they are: heads, biases, embeddings.
        others: Tensors of other adapters (DoRA magnitudes, IA3 vectors, prompts).
        prefixed: Keys that carry a wrapper's prefix, or lack that of PEFT.
    """

    place: Place
    config: Mapping[str, Any]
    halves: Mapping[str, Mapping[str, StoredTensor]]
    embeddings: frozenset[str]
    whole: Mapping[str, StoredTensor]
    others: Mapping[str, StoredTensor]
    prefixed: tuple[str, ...]

    @property
    def kind(self) -> str:
        """PEFT's name of the method, such as `LORA` or `IA3`."""
        return str(self.config.get("peft_type") or "LORA").upper()

    @property
    def plain(self) -> bool:
        """True if ΔW = scale · B · A holds for every pair."""
        odd = ("use_dora", "use_qalora", "use_bdlora", "lora_bias", "target_parameters")
        pairs = (len(pair) == 2 for pair in self.halves.values())
        return self.kind == "LORA" and not any(self.config.get(key) for key in odd) and all(pairs)

    def delta(self, module: str) -> torch.Tensor | None:
        """Return ΔW of one module in float64; None if its two matrices do not fit each other.

        Raises:
            ModelError: The config holds no rank or no alpha.
        """
        pair = self.halves[module]
        a, b = pair["a"].read(), pair["b"].read()
        if a.shape[0] != b.shape[1]:
            return None
        transposed = bool(self.config.get("fan_in_fan_out")) or module in self.embeddings
        return AdapterMatrices(a, b, scaling(self.config, module), transposed).delta()

    def is_zero(self, module: str) -> bool:
        """Return True if the pair adds nothing: its B, which starts at zero, is still zero."""
        pair = self.halves[module]
        return "b" not in pair or not bool(pair["b"].read().any())


def take_apart(place: Place) -> AdapterParts:
    """Return the parts of the adapter in `place`, whatever prefix its keys carry."""
    config = place.adapter_config
    halves: dict[str, dict[str, StoredTensor]] = defaultdict(dict)
    embeddings, prefixed = set(), []
    whole: dict[str, StoredTensor] = {}
    others: dict[str, StoredTensor] = {}
    for key, stored in place.tensors.items():
        clean = clean_key(key)
        if key != LEAD + clean:
            prefixed.append(key)
        module, _, half = clean.removesuffix(".weight").rpartition(".")
        if half in _HALVES and len(stored.shape) == 2:
            side, crosswise = _HALVES[half]
            halves[module][side] = stored
            embeddings.update([module] if crosswise else [])
        elif re.search(
            r"lora_|ia3_|prompt|trainable_tokens|_magnitude|hada_|lokr_|oft_|vera_", clean
        ):
            others[clean] = stored
        else:
            whole[clean.replace(".modules_to_save.default", "")] = stored
    return AdapterParts(
        place, config, halves, frozenset(embeddings), whole, others, tuple(prefixed)
    )


def clean_key(key: str) -> str:
    """Return the path of the tensor in the base's model, without any wrapper's prefix.

    Example:
        >>> clean_key("base_model.model._orig_mod.model.layers.0.q_proj.lora_A.weight")
        'model.layers.0.q_proj.lora_A.weight'
        >>> clean_key("module.base_model.model.base_model.model.score.weight")
        'score.weight'
    """
    before = None
    key = ".".join(part for part in key.split(".") if part != "_orig_mod")
    while before != key:
        before = key
        key = key.removeprefix("module.").removeprefix(LEAD)
    return key


def modules_in(base: Mapping[str, StoredTensor], parts: AdapterParts) -> dict[str, str]:
    """Return for each adapted module the name of the base's matrix; without those it lacks."""
    wanted = {f"{module}.weight": module for module in parts.halves}
    found = match_names(list(wanted), list(base))
    return {wanted[name]: partner for name, partner in found.items()}


def moved_by(base: Place, parts: AdapterParts) -> tuple[ComparedTensor, ...]:
    """Return how far the adapter moves each tensor of the base: by ΔW, or to what it saved whole.

    Raises:
        ModelError: The adapter is not a plain LoRA.
    """
    if not parts.plain:
        what = f"is a {parts.kind} adapter whose change of the weights is not computed"
        raise ModelError(str(parts.place.path), [Problem(str(parts.place.path), what, "merge it")])
    matrices = modules_in(base.tensors, parts)
    adapted = {name: module for module, name in matrices.items()}
    saved = match_names(list(parts.whole), list(base.tensors))
    replaced = {name: key for key, name in saved.items()}
    compared = []
    for name, stored in base.tensors.items():
        before = stored.read()
        after, tuned_name = before, ""
        if name in replaced and parts.whole[replaced[name]].shape == stored.shape:
            tuned_name = replaced[name]
            after = parts.whole[tuned_name].read()
        elif name in adapted:
            tuned_name = adapted[name]
            delta = parts.delta(tuned_name)
            if delta is not None and tuple(delta.shape) == stored.shape:
                after = before.double() + delta
                before = before.double()
        compared.append(compare_tensor(name, tuned_name, before, torch.as_tensor(after)))
    return tuple(compared)
