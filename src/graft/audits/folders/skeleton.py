"""The tensors that an adapter's config asks for, by PEFT itself, on a model without weights."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.utils.other import get_pattern_key

from graft.audits.folders.adapters import clean_key
from graft.audits.folders.places import Place
from graft.core.errors import NotApplicableError
from graft.models.encoder import quiet_transformers

CLASSES = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "FEATURE_EXTRACTION": "AutoModel",
}
# What a library raises when a config does not describe what it can build.
REFUSALS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    ImportError,
    IndexError,
    NotImplementedError,
)
_HEADS = re.compile(r"(^|\.)(classifier|score|classifier\.out_proj)\.weight$")


@dataclass(frozen=True)
class Expected:
    """What PEFT would load.

    Args:
        tensors: Key in an adapter file to the shape.
        unmatched: Names in `target_modules` and the patterns of rank and alpha without a module.
        refusal: PEFT's words if it found no module to adapt, else empty.
        adapted_share: Share of the parameters of linear modules that the adapter reaches.
    """

    tensors: Mapping[str, tuple[int, ...]]
    unmatched: tuple[str, ...] = ()
    refusal: str = ""
    adapted_share: float | None = None


def expected_tensors(base: Place, adapter: Place) -> Expected:
    """Return the tensors that the adapter's config asks for on the base's architecture.

    Raises:
        NotApplicableError: The base has no config, or PEFT or Transformers cannot build the model.
    """
    if not base.config:
        raise NotApplicableError("the base has no config.json, so its modules are not known")
    with quiet_transformers(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            config = PeftConfig.from_pretrained(str(adapter.folder))
            skeleton = _skeleton(adapter_class(base, adapter), base, adapter)
        except REFUSALS as error:
            raise NotApplicableError(f"the model cannot be built: {str(error)[:200]}") from None
        linear = {
            name: sum(p.numel() for p in module.parameters())
            for name, module in skeleton.named_modules()
            if isinstance(module, torch.nn.Linear)
        }
        unmatched = _unmatched(config, [name for name, _ in skeleton.named_modules()])
        if hasattr(config, "init_lora_weights"):
            config.init_lora_weights = True  # others need the weights of the base
        try:
            model = get_peft_model(skeleton, config, low_cpu_mem_usage=True)
            state = get_peft_model_state_dict(model, save_embedding_layers=False)
        except REFUSALS as error:
            if "arget modules" in str(error):
                return Expected({}, unmatched, str(error)[:200])
            raise NotApplicableError(f"PEFT cannot build it: {str(error)[:200]}") from None
    return Expected(
        tensors={key: tuple(tensor.shape) for key, tensor in state.items()},
        unmatched=unmatched,
        adapted_share=_share(model, linear),
    )


def model_class(config: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return the class of Transformers that the config names; AutoModel if it names none."""
    named = [str(name) for name in config.get("architectures") or ()]
    found = next((getattr(transformers, name, None) for name in named), None)
    return found or transformers.AutoModel


def adapter_class(base: Place, adapter: Place) -> Any:  # noqa: ANN401
    """Return the class that the adapter was trained on: by its task, else by its modules' names."""
    task = adapter.adapter_config.get("task_type")
    if task in CLASSES:
        return getattr(transformers, CLASSES[task])
    wanted = {clean_key(key).partition(".lora_")[0] for key in adapter.tensors}
    candidates = [
        model_class(base.config),
        transformers.AutoModel,
        transformers.AutoModelForSequenceClassification,
        transformers.AutoModelForCausalLM,
    ]
    return max(candidates, key=lambda kind: len(wanted & _module_names(kind, base, adapter)))


def _module_names(kind: Any, base: Place, adapter: Place) -> set[str]:  # noqa: ANN401
    try:
        return {name for name, _ in _skeleton(kind, base, adapter).named_modules()}
    except REFUSALS:
        return set()  # the architecture has no such class


def _skeleton(kind: Any, base: Place, adapter: Place) -> torch.nn.Module:  # noqa: ANN401
    read = transformers.AutoConfig.from_pretrained(str(base.backbone), local_files_only=True)
    labels = head_labels(adapter)
    if labels:
        read.num_labels = labels
    with torch.device("meta"):
        built: torch.nn.Module = (
            kind.from_config(read) if hasattr(kind, "from_config") else kind(read)
        )
    return built


def head_labels(adapter: Place) -> int | None:
    """Return the number of labels of the head that the adapter saved; None if it saved none."""
    rows = [t.shape[0] for name, t in adapter.tensors.items() if _HEADS.search(name) and t.shape]
    return rows[-1] if rows and adapter.adapter_config.get("task_type") != "CAUSAL_LM" else None


def _unmatched(config: PeftConfig, names: list[str]) -> tuple[str, ...]:
    """Return the names in the config that match no module; a target pattern is PEFT's matter."""
    targets = getattr(config, "target_modules", None)
    wanted = targets if isinstance(targets, list | set | tuple) else ()
    lost = {t for t in wanted if not any(n == t or n.endswith(f".{t}") for n in names)}
    for field in ("rank_pattern", "alpha_pattern"):
        patterns = getattr(config, field, None) or {}
        lost |= {p for p in patterns if all(get_pattern_key([p], n) != p for n in names)}
    return tuple(sorted(lost))


def _share(model: PeftModel, linear: Mapping[str, int]) -> float | None:
    adapted = {
        name.removeprefix("base_model.model.")
        for name, module in model.named_modules()
        if hasattr(module, "base_layer")
    }
    total = sum(linear.values())
    return sum(linear[name] for name in adapted if name in linear) / total if total else None
