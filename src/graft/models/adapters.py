"""Low-rank adapters through PEFT: attached, saved as a PEFT folder, merged from that folder."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, PeftModel
from sentence_transformers import SentenceTransformer

from graft.config.sections import LoraSection
from graft.core.errors import Problem, RecipeError
from graft.models.encoder import quiet_transformers

ADAPTER_NAME = "default"


def is_adapter(name: str) -> bool:
    """Return True if the parameter belongs to a LoRA adapter.

    Example:
        >>> is_adapter("encoder.layer.0.attention.self.query.lora_A.default.weight")
        True
    """
    return any(part.startswith("lora_") for part in name.split("."))


def attach_lora(model: SentenceTransformer, section: LoraSection, seed: int) -> None:
    """Add a LoRA adapter (Hu et al. 2021) to the backbone's target modules.

    The adapter starts as the identity: its B matrices are zero.

    Raises:
        RecipeError: A target matches no linear module; lists what could be named.
    """
    linear, unread = _linear_modules(model)
    problems = [
        Problem(
            "lora.target_modules",
            f"'{target}' matches no linear module that the embedding reads",
            f"choose from {sorted({name.rsplit('.', 1)[-1] for name in linear})}",
        )
        for target in section.target_modules
        if not any(name == target or name.endswith(f".{target}") for name in linear)
    ]
    if problems:
        raise RecipeError("lora", problems)
    config = LoraConfig(
        r=section.r,
        lora_alpha=section.lora_alpha,
        lora_dropout=section.lora_dropout,
        target_modules=list(section.target_modules),
        # An adapter on a module that is never run would stay zero for ever.
        exclude_modules=unread or None,
        use_rslora=section.use_rslora,
        task_type="FEATURE_EXTRACTION",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.add_adapter(config, adapter_name=ADAPTER_NAME)


def _linear_modules(model: SentenceTransformer) -> tuple[list[str], list[str]]:
    """Return the names of the backbone's linear modules that an embedding reads, and the others."""
    backbone = model[0].auto_model
    flags = [parameter.requires_grad for parameter in model.parameters()]
    model.requires_grad_(True)
    features = model.preprocess(["probe"])
    torch.autograd.backward(model(features)["sentence_embedding"].sum())
    linear = {n: m for n, m in backbone.named_modules() if isinstance(m, torch.nn.Linear)}
    read = [name for name, module in linear.items() if module.weight.grad is not None]
    model.zero_grad(set_to_none=True)
    for parameter, flag in zip(model.parameters(), flags, strict=True):
        parameter.requires_grad_(flag)
    return read, [name for name in linear if name not in read]


def save_adapter(model: SentenceTransformer, folder: Path, base: str) -> None:
    """Write the adapter alone as a folder that PEFT and Sentence-Transformers load.

    Args:
        model: The model with its adapter.
        folder: An empty folder.
        base: What to name as the base model in the adapter's config.
    """
    name_base(model, base)
    with quiet_transformers():
        model.save(str(folder), create_model_card=False)


def name_base(model: SentenceTransformer, base: str) -> None:
    """Write into the config of the adapter which base it is for."""
    for config in model[0].auto_model.peft_config.values():
        config.base_model_name_or_path = base


def merge_adapter(model: SentenceTransformer, folder: Path) -> SentenceTransformer:
    """Return the untouched `model` with the adapter in `folder` added into its weights.

    Merging starts from the saved file, so that what is merged is what was saved.
    """
    with quiet_transformers():
        with_adapter = PeftModel.from_pretrained(model[0].auto_model, str(folder))
        model[0].model = with_adapter.merge_and_unload(safe_merge=True)
    return model


def load_adapter(model: SentenceTransformer, folder: Path) -> SentenceTransformer:
    """Return the untouched `model` with the adapter in `folder` beside its weights."""
    with quiet_transformers():
        model[0].model = PeftModel.from_pretrained(model[0].auto_model, str(folder))
    model.eval()
    return model
