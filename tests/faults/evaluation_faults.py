"""Faults of reading texts, of embeddings and of evaluation, planted in Graft's own stages."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from faults.graft_runs import (
    FROZEN,
    copied_encoder,
    frames,
    graft_run,
    together,
    tuned,
)
from faults.load_faults import saved_as
from faults.zoo import Planted, Registry, sabotage
from graft.core.files import write_manifest
from graft.core.findings import Status
from graft.core.layout import ExperimentPaths
from graft.evaluate import fresh
from graft.models import encoder as encoders
from graft.models import packed
from graft.runs import arms
from graft.runs.experiment import Experiment
from graft.tasks import pairs
from graft.train import frozen
from tiny_models import WORDS, colour_pairs

fault = Registry()
LONG = {"num_train_epochs": 8, "learning_rate": 3e-3}


# Reading


@fault("DAT-05", "supervision", status=Status.warned)
def limit_lowered_by_the_loader(folder: Path) -> Planted:
    """The loader caps the length at four tokens, and every text of the data is longer."""

    def capped(read: Any) -> Any:
        def load(place: Path) -> Any:
            model = read(place)
            model.max_seq_length = 4
            return model

        return load

    return graft_run(folder, during=sabotage(encoders, "_read_model", capped))


@fault("EVL-06", "differs_from_other_arms")
def seeds_that_change_nothing(folder: Path) -> Planted:
    """Every replicate is trained with the first seed, so an interval over seeds shows nothing."""

    def first(seed_of: Any) -> Any:
        return lambda self, name: seed_of(self, self.arm_name(name))

    with sabotage(Experiment, "training_seed", first):
        return graft_run(folder, seeds=2)


@fault("DAT-10", "packed_rows", "row_alone")
def packed_texts_see_each_other(folder: Path) -> Planted:
    """Texts are packed into one row, and attention is told of no borders; nobody tries it first."""
    together_in_one_row = sabotage(packed, "_keeping_apart", lambda _: lambda *_: nullcontext())
    untried = sabotage(packed, "_tried", lambda _: lambda encoder: "")
    return graft_run(folder, rows=_uneven(), during=together(together_in_one_row, untried))


@fault("DAT-11", "row_alone")
def mask_of_ones(folder: Path) -> Planted:
    """The attention mask is built as all ones, so padding is read like text."""

    def ones(run: Any) -> Any:
        def read(modules: Any, features: Any) -> Any:
            if "attention_mask" in features:
                features["attention_mask"] = torch.ones_like(features["attention_mask"])
            return run(modules, features)

        return read

    return graft_run(folder, rows=_uneven(), during=sabotage(packed, "run_modules", ones))


@fault("DAT-12", "row_alone")
def last_position_pooled_with_padding_on_the_right(folder: Path) -> Planted:
    """The embedding is taken from the last position, where shorter texts have padding."""

    def last(run: Any) -> Any:
        def pooled(modules: Any, features: Any) -> Any:
            if "token_embeddings" not in features:
                features = modules[0](features)
            return features["token_embeddings"][:, -1]

        return pooled

    return graft_run(
        folder,
        rows=_uneven(),
        training={**LONG, "load_best_model_at_end": False},
        during=sabotage(packed, "run_modules", last),
    )


@fault("DAT-17", "stored_outputs")
def outputs_of_another_run(folder: Path) -> Planted:
    """A second run stores its outputs in the same folder, and the phase goes on with those."""

    def overwritten(enter: Any) -> Any:
        def start(self: Any, *rest: Any) -> None:
            enter(self, *rest)
            file = self.folder / "train" / "features.bin"
            with file.open("r+b") as stored:
                values = stored.read()
                stored.seek(0)
                stored.write(values[4096:] + values[:4096])

        return start

    return graft_run(folder, FROZEN, during=sabotage(frozen.FrozenFeatures, "enter", overwritten))


@fault("DAT-17", "served_reading", "artefact_equivalence")
def tokens_of_an_old_cache(folder: Path) -> Planted:
    """The token ids come from a cache that was written when the limit was four tokens."""

    def cached(tokenise: Any) -> Any:
        def read(model: Any, texts: list[str]) -> Any:
            limit = model.max_seq_length
            model.max_seq_length = 4
            try:
                return tokenise(model, texts)
            finally:
                model.max_seq_length = limit

        return read

    return graft_run(folder, during=sabotage(pairs, "tokenise", cached))


@fault("DAT-23", "supervision")
def tokenizer_of_another_model(folder: Path) -> Planted:
    """The tokenizer beside the base is that of another model and knows none of the words."""
    base = copied_encoder(folder)
    config = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    words = config["model"]["vocab"]
    config["model"]["vocab"] = {f"x{w}" if w in WORDS else w: index for w, index in words.items()}
    (base / "tokenizer.json").write_text(json.dumps(config), encoding="utf-8")
    return graft_run(folder, base={"model": str(base)})


@fault("EMB-02", "served_reading", "artefact_equivalence")
def pooling_lost_in_saving(folder: Path) -> Planted:
    """The model is trained with mean pooling and saved with the first token as pooling."""

    def first(save: Any) -> Any:
        def write(self: Any, model: Any, place: Path) -> None:
            save(self, model, place)
            file = place / "1_Pooling" / "config.json"
            config = json.loads(file.read_text(encoding="utf-8"))
            file.write_text(json.dumps(config | {"pooling_mode": "cls"}), encoding="utf-8")

        return write

    return graft_run(folder, during=sabotage(pairs.PairsTask, "save", first))


@fault("EMB-07", "served_reading", "artefact_equivalence")
def prompt_lost_in_saving(folder: Path) -> Planted:
    """The model is trained with a prompt before every text, and the saved folder has none."""
    base = copied_encoder(folder)
    _set_prompt(base, {"query": "red0 blue1 "}, "query")

    def forget(save: Any) -> Any:
        def write(self: Any, model: Any, place: Path) -> None:
            save(self, model, place)
            _set_prompt(place, {}, None)

        return write

    return graft_run(
        folder,
        base={"model": str(base)},
        during=sabotage(pairs.PairsTask, "save", forget),
    )


# Solutions that are none


@fault("EMB-01", "collapse")
def positives_alone(folder: Path) -> Planted:
    """Every training pair is a positive, so the loss is least when all texts are one point."""
    rows = {**frames(), "validation": colour_pairs(20, 3)}
    rows["train"]["label"] = 1
    return graft_run(folder, rows=rows, training=LONG)


@fault("DAT-25", "varied_predictions")
def one_answer_for_all(folder: Path) -> Planted:
    """Rate and decay are so high that the model ends with one score for every row."""
    extreme = {"learning_rate": 0.3, "weight_decay": 1.0, "num_train_epochs": 8}
    return graft_run(folder, training={**extreme, "warmup_steps": 0, "eval_strategy": "no"})


@fault("DAT-13", "label_order")
def labels_turned_round(folder: Path) -> Planted:
    """Training maps the labels to numbers in another order than the data set and the evaluation."""

    def turned(dealt: Any) -> Any:
        def rows(frame: Any, split: Any, *rest: Any) -> Any:
            part = dealt(frame, split, *rest)
            return part.assign(label=1 - part["label"])

        return rows

    return graft_run(folder, training=LONG, during=sabotage(arms, "_dealt_rows", turned))


@fault("DAT-13", "beyond_chance", status=Status.warned)
def labels_of_other_rows(folder: Path) -> Planted:
    """The labels are sorted apart from the rows, so each row carries the label of another."""

    def apart(dealt: Any) -> Any:
        def rows(frame: Any, split: Any, *rest: Any) -> Any:
            part = dealt(frame, split, *rest)
            return part.assign(label=np.sort(part["label"].to_numpy()))

        return rows

    return graft_run(folder, during=sabotage(arms, "_dealt_rows", apart))


# Evaluation


@fault("EVL-01", "repeatable")
def evaluated_with_dropout(folder: Path) -> Planted:
    """Nothing switches the model to evaluation, so its dropout stays on."""
    return graft_run(folder, during=sabotage(nn.Module, "eval", lambda switch: lambda self: self))


@fault("EVL-02", "evaluated_rows")
def training_rows_evaluated_as_test(folder: Path) -> Planted:
    """The loader of the training rows is handed to the test."""

    def wrong(write: Any) -> Any:
        def predictions(task: Any, rows: pd.DataFrame, *rest: Any) -> None:
            swapped = {"train": "test", "test": "train", "validation": "validation"}
            write(task, rows.assign(split=rows["split"].map(swapped)), *rest)

        return predictions

    return graft_run(folder, serving=sabotage(fresh, "write_predictions", wrong))


@fault("EVL-04", "kept_checkpoint")
def metric_of_another_name(folder: Path) -> Planted:
    """In training the name of the primary metric resolves to another function."""

    def other(metrics: Any) -> Any:
        def measured(*rest: Any) -> Any:
            found = metrics(*rest)
            return {**found, "validation_spearman": found["validation_roc_auc"]}

        return measured

    return graft_run(folder, during=sabotage(arms, "_validation_metrics", other))


@fault("EVL-05", "evaluated_rows")
def rows_repeated_to_fill_a_batch(folder: Path) -> Planted:
    """The sampler of two processes repeats rows until every process has as many."""

    def padded(write: Any) -> Any:
        def predictions(task: Any, rows: pd.DataFrame, columns: Any, *rest: Any) -> None:
            chosen = np.r_[np.arange(len(rows)), np.flatnonzero(rows["split"] == "test")[:2]]
            filled = {name: values[chosen] for name, values in columns.items()}
            write(task, rows.iloc[chosen], filled, *rest)

        return predictions

    return graft_run(folder, serving=sabotage(fresh, "write_predictions", padded))


@fault("EVL-06", "differs_from_other_arms")
def second_model_never_loaded(folder: Path) -> Planted:
    """The evaluation keeps the first model that it loads and scores it twice."""

    def kept(predict: Any) -> Any:
        first: dict[str, Any] = {}
        return lambda self, *rest: first.setdefault("it", predict(self, *rest))

    other = {"training": {"learning_rate": 1e-3}}
    return graft_run(folder, {}, other, serving=sabotage(pairs.PairsTask, "predict_folder", kept))


@fault("EVL-08", "artefact_equivalence")
def saved_with_fewer_bits(folder: Path) -> Planted:
    """The metric is measured in memory and the weights are saved as bfloat16."""
    rounded = saved_as(lambda old: {n: t.bfloat16() for n, t in old.items()})
    return graft_run(folder, training={"num_train_epochs": 4}, during=rounded)


@fault("EVL-08", "artefact_equivalence")
def another_training_in_the_folder(folder: Path) -> Planted:
    """A second training overwrites the weights; a real second process then loads them."""
    graft_run(folder / "second", training={"learning_rate": 1e-3})
    other = tuned(folder / "second").model / "model.safetensors"

    def overwrite(paths: ExperimentPaths) -> None:
        shutil.copy(other, tuned(paths).model)
        write_manifest(tuned(paths).model)

    return graft_run(folder, then=overwrite, process=together)


def _uneven() -> dict[str, pd.DataFrame]:
    """Return rows of which every third has texts of one word."""
    rows = frames()
    for frame in rows.values():
        short = frame.index % 3 == 0
        for side in ("sentence1", "sentence2"):
            frame.loc[short, side] = frame.loc[short, side].str.split().str[0]
    return rows


def _set_prompt(place: Path, prompts: dict[str, str], default: str | None) -> None:
    file = place / "config_sentence_transformers.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config |= {"prompts": prompts, "default_prompt_name": default}
    file.write_text(json.dumps(config), encoding="utf-8")
