"""Faults of saving, of choosing the checkpoint and of merging."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from faults.graft_runs import HEAD, LORA, encoder, graft_run
from faults.load_faults import change_file, saved_as
from faults.zoo import Planted, Registry, sabotage
from graft.models import adapters
from graft.runs import arms
from graft.tasks import pairs
from graft.train import checkpoint, loop

fault = Registry()
# A rate so high that the metric rises and falls: the best checkpoint is not the last.
UNSTEADY = {
    "learning_rate": 2e-2,
    "num_train_epochs": 6,
    "per_device_train_batch_size": 8,
    "lr_scheduler_type": "constant",
    "save_total_limit": 9,
}


# Saving


@fault("SAV-01", "adapter_equivalence", "merge_algebra", "differs_from_base")
def adapter_saved_as_zeros(folder: Path) -> Planted:
    """The matrices of the adapter are saved before they are gathered: they are zero in the file."""
    return graft_run(
        folder, LORA, during=_adapter_as(lambda old: {k: torch.zeros_like(old[k]) for k in old})
    )


@fault("SAV-01", "adapter_equivalence", "merge_algebra", "differs_from_base")
def adapter_saved_empty(folder: Path) -> Planted:
    """The file of the adapter holds no tensor at all."""
    return graft_run(folder, LORA, during=_adapter_as(lambda old: {}))


@fault("SAV-02", "artefact_equivalence")
def head_not_saved(folder: Path) -> Planted:
    """The trained head is left out of the saved folder."""

    def headless(save: Any) -> Any:
        def write(self: Any, model: Any, place: Path) -> None:
            body = [module for module in model if not isinstance(module, Dense)]
            save(self, SentenceTransformer(modules=body, device="cpu"), place)

        return write

    return graft_run(folder, HEAD, during=sabotage(pairs.PairsTask, "save", headless))


@fault("SAV-03", "artefact_equivalence")
def embeddings_not_saved(folder: Path) -> Planted:
    """The trained word embeddings are not in the file; those of the base are."""
    before = load_file(encoder() / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    return graft_run(folder, during=saved_as(lambda old: {**old, name: before[name]}))


# Choosing the checkpoint


@fault("SAV-05", "kept_checkpoint")
def best_not_restored(folder: Path) -> Planted:
    """The best checkpoint is found and named, and the restore is skipped."""
    return graft_run(
        folder,
        training=UNSTEADY,
        during=sabotage(loop._Loop, "_restore_best", lambda restore: lambda self: None),
    )


@fault("SAV-06", "kept_checkpoint")
def worst_kept(folder: Path) -> Planted:
    """The search for the best checkpoint takes the metric to be better when it is lower."""

    def reversed_(selection: Any) -> Any:
        return lambda **fields: selection(**{**fields, "higher_is_better": False})

    return graft_run(folder, training=UNSTEADY, during=sabotage(arms, "Selection", reversed_))


@fault("SAV-07", "kept_checkpoint")
def restored_only_after_an_early_stop(folder: Path) -> Planted:
    """The best weights come back only if training stops early, and here it does not."""

    def only_then(restore: Any) -> Any:
        return lambda self: restore(self) if self.stopped_early else None

    return graft_run(
        folder,
        training={**UNSTEADY, "early_stopping_patience": 9},
        during=sabotage(loop._Loop, "_restore_best", only_then),
    )


@fault("SAV-08", "kept_checkpoint")
def newest_taken_for_the_best(folder: Path) -> Planted:
    """What is restored is the newest checkpoint, not the one that was chosen."""

    def newest(read: Any) -> Any:
        def found(place: Path) -> Any:
            steps = sorted(place.parent.glob("step-*"), key=lambda path: int(path.name[5:]))
            return read(steps[-1])

        return found

    return graft_run(
        folder, training=UNSTEADY, during=sabotage(loop.checkpoints, "read_checkpoint", newest)
    )


@fault("SAV-09", "kept_checkpoint")
def stored_one_evaluation_late(folder: Path) -> Planted:
    """Each checkpoint is stored with the weights of the evaluation before its own."""

    def lagging(save: Any) -> Any:
        before: list[Mapping[str, torch.Tensor]] = []

        def write(place: Path, tensors: Mapping[str, torch.Tensor], *rest: Any) -> None:
            before.append({name: tensor.detach().clone() for name, tensor in tensors.items()})
            save(place, before[-2] if len(before) > 1 else tensors, *rest)

        return write

    return graft_run(
        folder, training=UNSTEADY, during=sabotage(checkpoint, "save_checkpoint", lagging)
    )


@fault("SAV-10", "kept_checkpoint")
def metric_never_measured(folder: Path) -> Planted:
    """The evaluation returns no value for the metric that should choose."""

    def nothing(metrics: Any) -> Any:
        return lambda *rest: dict.fromkeys(metrics(*rest))

    return graft_run(folder, during=sabotage(arms, "_validation_metrics", nothing))


# Merging


@fault("MRG-01", "merge_algebra", "differs_from_base", "artefact_equivalence")
def merge_does_nothing(folder: Path) -> Planted:
    """The adapter is unloaded instead of merged, and the base is saved as the merged model."""

    def unloaded(merge: Any) -> Any:
        return lambda model, place: model

    return graft_run(folder, LORA, during=sabotage(pairs, "merge_adapter", unloaded))


@fault("MRG-03", "merge_algebra", "artefact_equivalence")
def merged_into_a_quantised_base(folder: Path) -> Planted:
    """The adapter is merged into a base whose weights are rounded to eight bits."""

    def rounded(merge: Any) -> Any:
        def into(model: Any, place: Path) -> Any:
            for parameter in model.parameters():
                parameter.data = parameter.data.to(torch.float8_e4m3fn).float()
            return merge(model, place)

        return into

    return graft_run(folder, LORA, during=sabotage(pairs, "merge_adapter", rounded))


@fault("MRG-04", "merge_algebra", "artefact_equivalence")
def scale_ignored(folder: Path) -> Planted:
    """The merge adds B·A without alpha / r."""
    return graft_run(folder, LORA, during=_merged_with(lambda scale: 1.0))


@fault("MRG-04", "merge_algebra", "artefact_equivalence")
def rank_stabilised_scale_ignored(folder: Path) -> Planted:
    """The adapter was trained with alpha / sqrt(r), the merge divides by r."""
    arm = {**LORA, "lora": {"lora_alpha": 32, "use_rslora": True, "r": 4}}
    return graft_run(folder, arm, during=_merged_with(lambda scale: scale / 2))


@fault("MRG-05", "merge_algebra", "artefact_equivalence")
def merged_twice(folder: Path) -> Planted:
    """The adapter is merged into a base that holds it already."""

    def again(merge: Any) -> Any:
        return lambda model, place: merge(merge(model, place), place)

    return graft_run(folder, LORA, during=sabotage(pairs, "merge_adapter", again))


def _adapter_as(change: Any) -> Any:
    """Change the file of the adapter while it is saved; the merge reads it from there."""

    def changed(save: Any) -> Any:
        def write(model: Any, place: Path, base: str) -> None:
            save(model, place, base)
            change_file(place / "adapter_model.safetensors", change)

        return write

    return sabotage(pairs, "save_adapter", changed)


def _merged_with(scale: Any) -> Any:
    """Merge at another scale than the adapter was trained with."""

    def wrong(load: Any) -> Any:
        def loaded(*rest: Any) -> Any:
            model = load(*rest)
            for module in model.modules():
                if isinstance(module, LoraLayer):
                    module.scaling = {name: scale(one) for name, one in module.scaling.items()}
            return model

        return loaded

    def merging(merge: Any) -> Any:
        def run(*rest: Any) -> Any:
            with sabotage(adapters.PeftModel, "from_pretrained", wrong):
                return merge(*rest)

        return run

    return sabotage(pairs, "merge_adapter", merging)
