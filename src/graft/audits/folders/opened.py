"""Tokenizers and configs of both folders, read by Transformers, with what it completes."""

from __future__ import annotations

import warnings
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from graft.audits.folders.places import Place
from graft.audits.folders.skeleton import REFUSALS
from graft.core.errors import NotApplicableError
from graft.models.encoder import quiet_transformers


def tokenizer_of(place: Place) -> Any:  # noqa: ANN401 - Transformers has many tokenizer classes
    """Return the tokenizer that was saved with the model.

    Raises:
        NotApplicableError: There is none, or Transformers cannot read it.
    """
    if not place.has_tokenizer:
        raise NotApplicableError(f"no tokenizer lies with {place.path.name}")
    with quiet_transformers(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return AutoTokenizer.from_pretrained(str(place.backbone), local_files_only=True)
        except REFUSALS as error:
            what = f"the tokenizer of {place.path.name} cannot be read: {str(error)[:200]}"
            raise NotApplicableError(what) from None


def full_config(place: Place) -> dict[str, Any]:
    """Return the config with every default filled in; as it stands if Transformers cannot."""
    if not place.config:
        raise NotApplicableError(f"no config.json lies with {place.path.name}")
    with quiet_transformers(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read = AutoConfig.from_pretrained(str(place.backbone), local_files_only=True)
        except REFUSALS:
            return dict(place.config)
    return dict(read.to_dict())
