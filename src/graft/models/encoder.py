"""Text encoders as Sentence-Transformers models, loaded so that no tensor is silently new."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling
from sentence_transformers.sentence_transformer.modules import Transformer as TransformerModule
from transformers import AutoConfig, AutoModel
from transformers.utils import logging as transformers_logging

from graft.config.sections import BaseSection
from graft.core.errors import ModelError, Problem
from graft.core.origins import LoadReport
from graft.core.seeds import derive
from graft.models.kernel_caches import bound_kernel_caches
from graft.models.locate import LocatedBase
from graft.models.origins import check_before_load, trace_origins

BACKBONE = "0.model."


@dataclass
class LoadedEncoder:
    """An encoder in memory and where each of its tensors came from."""

    model: SentenceTransformer
    report: LoadReport


def load_encoder(base: LocatedBase, section: BaseSection) -> LoadedEncoder:
    """Return the encoder of `base` in float32 on the processor, in evaluation mode.

    A Sentence-Transformers folder keeps its own pooling; a plain Transformers folder gets mean
    pooling. Every tensor is compared with the file, bit for bit.

    Raises:
        ModelError: Names every tensor that is missing, left over or of another shape and that
            the recipe does not allow, and every file that cannot be read.
    """
    bound_kernel_caches()
    check_base(base, section)
    with quiet_transformers():
        model = _read_model(base.folder)
    if section.max_seq_length is not None:
        model.max_seq_length = section.max_seq_length
    model.eval()
    return LoadedEncoder(model, trace_origins(model, base, section.allow))


def check_base(base: LocatedBase, section: BaseSection) -> None:
    """Return if the files of `base` hold every tensor that its model has, and no other.

    Raises:
        ModelError: Names every tensor and file that stands in the way.
    """
    check_before_load(base.folder, meta_backbone(base.folder), section.allow)


def _read_model(folder: Path) -> SentenceTransformer:
    arguments = {"torch_dtype": torch.float32}
    with readable(folder):
        if (folder / "modules.json").is_file():
            return SentenceTransformer(
                str(folder), device="cpu", model_kwargs=arguments, local_files_only=True
            )
        backbone = TransformerModule(str(folder), model_kwargs=arguments)
        pooling = Pooling(backbone.get_embedding_dimension(), "mean")
        return SentenceTransformer(modules=[backbone, pooling], device="cpu")


@contextlib.contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Load a model from `folder` inside the block.

    Raises:
        ModelError: A library cannot read one of its files.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        problem = Problem(
            str(folder), f"cannot be loaded: {str(error)[:300]}", "check that the folder is whole"
        )
        raise ModelError(folder.name, [problem]) from None


def meta_backbone(folder: Path) -> torch.nn.Module:
    """Return the backbone without weights.

    Raises:
        ModelError: The config describes no known model.
    """
    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
        with torch.device("meta"):
            skeleton: torch.nn.Module = AutoModel.from_config(config)
            return skeleton
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        problem = Problem(
            str(folder / "config.json"),
            f"describes no known model: {str(error)[:200]}",
            "give the folder of a Transformers or Sentence-Transformers model",
        )
        raise ModelError(folder.name, [problem]) from None


def reinitialise(model: SentenceTransformer, seed: int) -> None:
    """Replace every weight of the backbone by a random one: the control without pretraining."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "random_init"))
        fresh = AutoModel.from_config(model[0].auto_model.config)
    model[0].auto_model.load_state_dict(fresh.state_dict())


def add_identity_head(model: SentenceTransformer) -> str:
    """Add a dense head that changes nothing yet, before any normalisation; return its index.

    Starting at the identity makes the untrained head score exactly what the base scores.
    """
    dimension = model.get_embedding_dimension()
    head = Dense(dimension, dimension, activation_function=torch.nn.Identity())
    with torch.no_grad():
        head.linear.weight.copy_(torch.eye(dimension))
        head.linear.bias.zero_()
    modules = list(model)
    place = next(
        (index for index, module in enumerate(modules) if isinstance(module, Normalize)),
        len(modules),
    )
    for index in range(place, len(modules)):
        del model._modules[str(index)]
    for index, module in enumerate([head, *modules[place:]], start=place):
        model.add_module(str(index), module)
    return str(place)


def tensor_name(name: str) -> str:
    """Return a parameter's name without the prefix of the backbone module.

    Example:
        >>> tensor_name("0.model.encoder.layer.0.attention.self.query.weight")
        'encoder.layer.0.attention.self.query.weight'
    """
    return name.removeprefix(BACKBONE)


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence Transformers' bars and loading notes; what they would say is in the load report."""
    shown = transformers_logging.is_progress_bar_enabled()
    level = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            # PEFT 0.21 still asks Transformers 5.23 by the old name.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            yield
    finally:
        transformers_logging.set_verbosity(level)
        if shown:
            transformers_logging.enable_progress_bar()
