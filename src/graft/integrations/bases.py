"""Where the weights lie that a model in memory was loaded from."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from torch import nn

from graft.models.tensors import weight_files


def base_folder(model: nn.Module) -> Path | None:
    """Return the folder that the model was loaded from, if it is on this machine."""
    for module in model.modules():
        configs = getattr(module, "peft_config", None)
        adapters = list(configs.values()) if isinstance(configs, dict) else []
        for config in [*adapters, getattr(module, "config", None)]:
            for key in ("base_model_name_or_path", "_name_or_path"):
                folder = _folder(getattr(config, key, None), getattr(config, "_commit_hash", None))
                if folder is not None:
                    return folder
    return None


def _folder(name: object, revision: str | None) -> Path | None:
    if not isinstance(name, str) or not name:
        return None
    place = Path(name)
    if place.is_dir():
        return place if weight_files(place) else None
    try:
        cached = Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    return cached if weight_files(cached) else None
