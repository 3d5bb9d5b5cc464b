"""Faults of loading: the base, its adapter, its names."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from faults.graft_runs import LORA, copied_encoder, encoder, graft_run, together, tuned
from faults.zoo import Planted, Registry, sabotage
from graft.core.layout import ExperimentPaths
from graft.models import adapters
from graft.models import encoder as encoders
from graft.runs import pipeline, stages
from graft.runs.baselines import run_baselines
from graft.tasks import pairs

fault = Registry()
Tensors = dict[str, Tensor]


@fault("LOD-01", "load_ledger")
def tolerant_load_drops_a_layer(folder: Path) -> Planted:
    """The file of the base lacks a layer, and the load passes over what is missing."""
    return _damaged(folder, lambda old: {k: v for k, v in old.items() if ".layer.1." not in k})


@fault("LOD-02", "load_ledger")
def every_key_prefixed(folder: Path) -> Planted:
    """Every key of the base's file carries the prefix of another class, so nothing is loaded."""
    return _damaged(folder, lambda old: {f"roberta.{k}": v for k, v in old.items()})


@fault("LOD-03", "load_ledger")
def weights_drawn_again(folder: Path) -> Planted:
    """The load reads every tensor, then the initialisation of the class draws a layer again."""

    def then_drawn(read: Any) -> Any:
        def load(place: Path) -> Any:
            model = read(place)
            body = model[0].auto_model
            for module in body.encoder.layer[1].modules():
                if isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, std=0.02)
            return model

        return load

    return graft_run(folder, during=sabotage(encoders, "_read_model", then_drawn))


@fault("LOD-05", "load_ledger")
def loading_by_other_names(folder: Path) -> Planted:
    """The layers have other names in the file than in the model, and loading goes by name."""
    return _damaged(
        folder, lambda old: {k.replace(".layer.", ".block."): v for k, v in old.items()}
    )


@fault("LOD-06", "load_ledger")
def compiled_prefix_in_the_base(folder: Path) -> Planted:
    """The base was saved from a compiled model, whose names begin with `_orig_mod.`."""
    return _damaged(folder, lambda old: {f"_orig_mod.{k}": v for k, v in old.items()})


@fault("LOD-06", "artefact_equivalence")
def compiled_prefix_in_the_artefact(folder: Path) -> Planted:
    """The trained model is saved with the prefix `_orig_mod.`; its users load random weights."""
    return graft_run(folder, during=saved_as(_prefixed("_orig_mod.")))


@fault("LOD-07", "adapter_equivalence")
def adapter_keys_that_fit_nothing(folder: Path) -> Planted:
    """The keys of the adapter carry a prefix too many: a real second process is the base."""

    def rename(paths: ExperimentPaths) -> None:
        change_file(tuned(paths).adapter / "adapter_model.safetensors", _prefixed("model."))

    return graft_run(folder, LORA, then=rename, process=together)


@fault("LOD-09", "base_files", "adapter_equivalence", "merge_algebra")
def adapter_on_another_base(folder: Path) -> Planted:
    """After training another revision of the base is put where the adapter looks for it."""
    base = copied_encoder(folder)

    def replace(paths: ExperimentPaths) -> None:
        shutil.copy(encoder(seed=1) / "model.safetensors", base / "model.safetensors")

    return graft_run(folder, LORA, base={"model": str(base)}, then=replace)


@fault("LOD-11", "differs_from_base")
def base_changed_in_place(folder: Path) -> Planted:
    """The adapter is put into the base in place; the base is measured after that."""
    kept: list[Any] = []

    def keep(build: Any) -> Any:
        def made(self: Any, *rest: Any) -> Any:
            model, report = build(self, *rest)
            kept.append(model)
            return model, report

        return made

    def mutated(encode: Any) -> Any:
        return lambda self, base, rows, encode: self.encode_rows(kept[0], rows)

    def afterwards(finish: Any) -> Any:
        def end(experiment: Any) -> Any:
            shutil.rmtree(experiment.paths.run("base").root)
            rows = stages.read_rows(experiment)
            with sabotage(pairs.PairsTask, "encode_base", mutated):
                run_baselines(experiment, rows, frozenset(), ("base",))
            return finish(experiment)

        return end

    with sabotage(pipeline, "finish", afterwards):
        return graft_run(folder, LORA, during=sabotage(pairs.PairsTask, "build", keep))


@fault("LOD-12", "options_in_force")
def adapter_on_some_of_its_targets(folder: Path) -> Planted:
    """Of the two kinds of modules that the recipe names, the adapter reaches one."""

    def partly(config: Any) -> Any:
        return lambda **options: config(**{**options, "target_modules": ["query"]})

    return graft_run(folder, LORA, during=sabotage(adapters, "LoraConfig", partly))


@fault("LOD-12", "options_in_force")
def adapter_in_one_layer(folder: Path) -> Planted:
    """The adapter reaches the first layer alone, as with a pattern that fits one kind of layer."""

    def partly(config: Any) -> Any:
        return lambda **options: config(**options, layers_to_transform=[0])

    return graft_run(folder, LORA, during=sabotage(adapters, "LoraConfig", partly))


def saved_as(change: Callable[[Tensors], Tensors]) -> Any:
    """Change the weight file of the model folder while it is saved."""

    def changed(save: Any) -> Any:
        def write(self: Any, model: Any, place: Path) -> None:
            save(self, model, place)
            change_file(place / "model.safetensors", change)

        return write

    return sabotage(pairs.PairsTask, "save", changed)


def change_file(file: Path, change: Callable[[Tensors], Tensors]) -> None:
    """Rewrite a weight file with what `change` makes of its tensors."""
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    save_file(change(tensors), file, metadata={"format": "pt"})


def _prefixed(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda old: {f"{prefix}{name}": tensor for name, tensor in old.items()}


def _damaged(folder: Path, change: Callable[[Tensors], Tensors]) -> Planted:
    """Train from a damaged base that nobody looks at before the load."""
    base = copied_encoder(folder)
    change_file(base / "model.safetensors", change)
    with sabotage(encoders, "check_before_load", lambda check: lambda *rest: None):
        return graft_run(folder, base={"model": str(base)})
