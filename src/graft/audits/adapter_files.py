"""A saved LoRA adapter as matrices, and the names of one tensor in different folders."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft.utils.other import get_pattern_key

from graft.core.errors import ModelError, Problem
from graft.models.tensors import read_tensors

_PREFIX = "base_model.model."
_Parts = tuple[str, ...]
_UNREAD = ("alpha_pattern", "rank_pattern", "modules_to_save", "use_dora")


@dataclass(frozen=True)
class AdapterMatrices:
    """The two matrices of one adapted linear module.

    Args:
        a: `[r, in]`.
        b: `[out, r]`.
        scale: alpha / r, or alpha / sqrt(r) with rsLoRA.
        transposed: True if the base stores its matrix as `[in, out]`.
    """

    a: torch.Tensor
    b: torch.Tensor
    scale: float
    transposed: bool

    def delta(self) -> torch.Tensor:
        """Return ΔW = scale · B · A in float64, in the orientation of the base's matrix."""
        product = self.scale * (self.b.double() @ self.a.double())
        return product.T if self.transposed else product


def read_adapter(folder: Path) -> dict[str, AdapterMatrices]:
    """Return the matrices of a PEFT folder by the path of their module.

    Raises:
        ModelError: No or broken config, an option that is not plain LoRA, a tensor that is no
            LoRA matrix, a matrix without its partner, or another rank than the config says.
    """
    config = _read_config(folder)
    rank = config["r"]
    halves: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)
    problems = []
    for key, tensor in read_tensors(folder).items():
        if "/" in key:
            continue  # of a module beside the adapter, such as a head
        module, _, half = key.removesuffix(".weight").rpartition(".")
        if half not in ("lora_A", "lora_B") or tensor.ndim != 2:
            problems.append(Problem(key, "is no matrix of a plain LoRA adapter", "save it again"))
            continue
        halves[module.removeprefix(_PREFIX)][half] = tensor
    for module, pair in halves.items():
        if set(pair) != {"lora_A", "lora_B"}:
            problems.append(Problem(module, f"has only {sorted(pair)}", "save the adapter again"))
        elif not pair["lora_A"].shape[0] == pair["lora_B"].shape[1] == rank:
            shapes = [list(pair[half].shape) for half in ("lora_A", "lora_B")]
            problems.append(Problem(module, f"has {shapes}, the config says r = {rank}", "save it"))
    if not halves:
        problems.append(Problem(str(folder), "holds no adapter matrix", "save the adapter again"))
    if problems:
        raise ModelError(folder.name, problems)
    transposed = bool(config.get("fan_in_fan_out"))
    return {
        module: AdapterMatrices(pair["lora_A"], pair["lora_B"], scaling(config, module), transposed)
        for module, pair in halves.items()
    }


def scaling(config: Mapping[str, Any], module: str) -> float:
    """Return alpha / r of one module, or alpha / sqrt(r) with rsLoRA, as PEFT computes it.

    Args:
        config: The adapter's config; its `rank_pattern` and `alpha_pattern` count.
        module: Path of the adapted module.

    Raises:
        ModelError: Rank or alpha is no positive number.

    Example:
        >>> scaling({"r": 4, "lora_alpha": 8, "rank_pattern": {"query": 2}}, "layer.0.query")
        4.0
    """
    rank = _of_module(config, "rank_pattern", "r", module)
    alpha = _of_module(config, "alpha_pattern", "lora_alpha", module)
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _of_module(config: Mapping[str, Any], pattern: str, otherwise: str, module: str) -> float:
    patterns = config.get(pattern) or {}
    key = get_pattern_key(patterns, module)
    value = patterns.get(key, config.get(otherwise))
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        what = f"{otherwise} is {value!r}, not a positive number"
        raise ModelError(module, [Problem("adapter_config.json", what, "save the adapter again")])
    return float(value)


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "adapter_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        wanted = {key: config[key] for key in ("r", "lora_alpha")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"cannot be read: {type(error).__name__}: {error}"
        raise ModelError(
            folder.name, [Problem(str(path), what, "save the adapter again")]
        ) from None
    problems = [
        Problem(str(path), f"{key} is {value!r}, not a positive number", "save the adapter again")
        for key, value in wanted.items()
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0
    ]
    problems += [
        Problem(str(path), f"{key} is {config[key]!r}", "audit a plain LoRA adapter")
        for key in _UNREAD
        if config.get(key)
    ]
    if problems:
        raise ModelError(folder.name, problems)
    return dict(config)


def match_names(left: Sequence[str], right: Sequence[str]) -> dict[str, str]:
    """Return for each left name the right name that shares the longest dotted suffix with it.

    Folders name the same tensor with or without a prefix (`model.`, `bert.`, `0.auto_model.`).
    What is left over of two names must be nothing on one side, or the same pair of prefixes as
    for most other names; otherwise the left name has no partner.

    Raises:
        ModelError: Two names fit equally well, or two left names claim the same right one.

    Example:
        >>> match_names(["layer.0.query.weight"], ["bert.layer.0.query.weight"])
        {'layer.0.query.weight': 'bert.layer.0.query.weight'}
    """
    endings: dict[_Parts, list[str]] = defaultdict(list)
    for name in right:
        parts = _parts(name)
        for start in range(len(parts)):
            endings[parts[start:]].append(name)
    fits = {name: _fits(name, endings) for name in left}
    usual = Counter(next(iter(found.values())) for found in fits.values() if len(found) == 1)
    prefixes = usual.most_common(1)[0][0] if usual else None
    partners: dict[str, str] = {}
    problems = []
    for name, found in fits.items():
        good = [n for n, rest in found.items() if not all(rest) or rest == prefixes]
        exact = [n for n in good if not found[n][1]]
        if len(good) > 1 and len(exact) != 1:
            what = f"fits {good[:3]} equally well"
            problems.append(Problem(name, what, "compare folders of the same model"))
        elif good:
            partners[name] = (exact or good)[0]
    claims = Counter(partners.values())
    problems += [
        Problem(partner, f"is claimed by {count} names", "compare folders of the same model")
        for partner, count in claims.items()
        if count > 1
    ]
    if problems:
        raise ModelError("tensor names", problems)
    return partners


def _fits(name: str, endings: dict[_Parts, list[str]]) -> dict[str, tuple[_Parts, _Parts]]:
    """Return the names of the longest common suffix, with what is left of both before it."""
    parts = _parts(name)
    for start in range(len(parts)):
        found = endings.get(parts[start:])
        if found:
            common = len(parts) - start
            return {other: (parts[:start], _parts(other)[:-common]) for other in found}
    return {}


def _parts(name: str) -> _Parts:
    return tuple(name.replace("/", ".").split("."))
