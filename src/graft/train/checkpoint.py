"""Checkpoints that are whole or absent, and the newest one that verifies."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graft.core.errors import Problem, RunFolderError
from graft.core.files import committed_folder, manifest_problems, write_json
from graft.train.snapshot import TensorFile, write_tensors

logger = logging.getLogger(__name__)
_WEIGHTS, _OPTIMIZER, _STATE = "weights.safetensors", "optimizer.safetensors", "state.json"
_SEPARATOR = "::"
_RNG = "rng"


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint on disk."""

    folder: Path
    step: int
    state: dict[str, Any]


def save_checkpoint(
    folder: Path,
    tensors: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    state: Mapping[str, Any],
) -> None:
    """Write one checkpoint: weights that can have changed, optimizer, random state, counters.

    Args:
        folder: `checkpoints/step-N`.
        tensors: Tensors to keep, by name.
        optimizer: Its state is kept by the names of `parameters`.
        parameters: The model's parameters by name.
        state: Plain data.
    """
    names = {id(parameter): name for name, parameter in parameters.items()}
    moments = {
        f"{names[id(parameter)]}{_SEPARATOR}{key}": value
        for parameter, values in optimizer.state.items()
        for key, value in values.items()
    }
    with committed_folder(folder) as partial:
        write_tensors(partial / _WEIGHTS, tensors)
        write_tensors(partial / _OPTIMIZER, {**moments, _RNG: torch.get_rng_state()})
        write_json(partial / _STATE, dict(state))


def newest_checkpoint(folder: Path) -> tuple[Checkpoint | None, tuple[str, ...]]:
    """Return the newest checkpoint whose hashes verify, and the names of those passed over."""
    passed_over: list[str] = []
    for place in sorted(folder.glob("step-*"), key=_step, reverse=True):
        problems = manifest_problems(place)
        if problems:
            logger.warning("checkpoint %s is passed over: %s", place, problems[0])
            passed_over.append(place.name)
            continue
        return read_checkpoint(place), tuple(passed_over)
    return None, tuple(passed_over)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Return the checkpoint in `folder`.

    Raises:
        RunFolderError: It does not verify.
    """
    problems = manifest_problems(folder)
    if problems:
        raise RunFolderError(str(folder), problems)
    state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    return Checkpoint(folder, _step(folder), state)


def restore_weights(checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> None:
    """Copy the checkpoint's weights into `tensors`, in place.

    Raises:
        RunFolderError: It holds a tensor that the model does not have.
    """
    saved = TensorFile(checkpoint.folder / _WEIGHTS)
    foreign = sorted(set(saved) - set(tensors))
    if foreign:
        what = f"holds {foreign[:3]}, which the model does not have"
        fix = "remove the run folder and train again"
        raise RunFolderError("checkpoint", [Problem(str(checkpoint.folder), what, fix)])
    copy_into(tensors, saved)


def copy_into(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy `values` into the tensors of the same names, in place."""
    with torch.no_grad():
        for name, value in values.items():
            tensors[name].copy_(value)


def restore_optimizer(
    checkpoint: Checkpoint,
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
) -> None:
    """Put back the optimizer's moments and the random state."""
    saved = dict(TensorFile(checkpoint.folder / _OPTIMIZER))
    torch.set_rng_state(saved.pop(_RNG))
    for key, value in saved.items():
        name, _, moment = key.partition(_SEPARATOR)
        optimizer.state[parameters[name]][moment] = value


def prune_checkpoints(folder: Path, keep: int, protect: int | None) -> None:
    """Delete all but the newest `keep` checkpoints and the one of step `protect`."""
    places = sorted(folder.glob("step-*"), key=_step, reverse=True)
    for place in places[keep:]:
        if _step(place) != protect:
            shutil.rmtree(place)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))
