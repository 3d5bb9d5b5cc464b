"""Adapters and quantised layers: asked for in a config, and really there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from graft.core.options import OptionInForce
from graft.integrations.watched import plain_name


def adapter_options(model: nn.Module) -> list[OptionInForce]:
    """Return for each target of each PEFT config how many modules it names and how many it has."""
    adapted = {
        plain_name(name)
        for name, module in model.named_modules()
        if hasattr(module, "base_layer") and any(True for _ in module.children())
    }
    modules = [
        plain_name(name)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not _is_half(name)
    ]
    return [
        option
        for config in _configs(model)
        for option in [*_targets(config, modules, adapted), *_patterns(config, adapted)]
    ]


def _is_half(name: str) -> bool:
    return any(part.startswith("lora_") for part in name.split("."))


def _configs(model: nn.Module) -> Iterator[Any]:
    seen: set[int] = set()
    for module in model.modules():
        configs = getattr(module, "peft_config", None)
        for config in configs.values() if isinstance(configs, dict) else ():
            if id(config) not in seen:
                seen.add(id(config))
                yield config


def _targets(config: Any, modules: list[str], adapted: set[str]) -> Iterator[OptionInForce]:  # noqa: ANN401
    targets = getattr(config, "target_modules", None)
    if not targets or isinstance(targets, str):
        return
    # Fewer on purpose: then only a target that has none at all is wrong.
    fewer = any(
        getattr(config, name, None)
        for name in ("layers_to_transform", "layers_pattern", "exclude_modules")
    )
    for target in sorted(targets):
        there = [name for name in modules if name == target or name.endswith(f".{target}")]
        have = [name for name in adapted if name == target or name.endswith(f".{target}")]
        wanted = max(len(there), len(have))
        yield OptionInForce(
            option=f"target_modules: {target}",
            requested=max(wanted, 1),
            in_force=len(have),
            same=bool(have) and (fewer or len(have) == wanted),
            note="modules of this name, and those of them with an adapter",
        )


def _patterns(config: Any, adapted: set[str]) -> Iterator[OptionInForce]:  # noqa: ANN401
    for option in ("rank_pattern", "alpha_pattern"):
        for pattern in getattr(config, option, None) or {}:
            fitting = sum(bool(re.match(rf"(.*\.)?({pattern})$", name)) for name in adapted)
            note = "adapted modules that the pattern matches"
            yield OptionInForce(f"{option}: {pattern}", None, fitting, fitting > 0, note)


def quantisation(model: nn.Module) -> list[OptionInForce]:
    """Return whether the layers are quantised if the model's config says that they are."""
    config = getattr(getattr(model, "config", None), "quantization_config", None)
    if config is None:
        return []
    kinds = {type(m).__name__ for m in model.modules() if isinstance(m, nn.Linear)}
    kinds |= {type(m).__name__ for m in model.modules() if "Linear" in type(m).__name__}
    packed = sorted(kinds - {"Linear", "NonDynamicallyQuantizableLinear"})
    named = config if isinstance(config, dict) else vars(config)
    method = named.get("quant_method")
    return [
        OptionInForce(
            "quantization_config",
            str(getattr(method, "value", method)),
            ", ".join(packed) or "plain Linear layers",
            bool(packed),
            "classes of the linear layers",
        )
    ]
