"""Pretraining of an encoder of series: hidden values, last steps, and views of the same series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from graft.config.pretraining import PretrainSection
from graft.config.sections import ArmSection, BaseSection
from graft.core.facts import UNKNOWN, RowFacts
from graft.core.origins import LoadReport
from graft.core.seeds import derive, generator
from graft.core.supervision import Supervision
from graft.data.series import COLUMN
from graft.metrics.measures import Measure
from graft.metrics.pretraining import LOSS, measures_of_objectives, units_of
from graft.models.locate import LocatedBase
from graft.models.report import with_new_tensors
from graft.models.series.folders import load_series_encoder, save_series
from graft.models.series.pretraining import ENCODER, SeriesPretrainer, observed
from graft.tasks.masked_looks import blindness, census, errors_of_guesses, picture
from graft.tasks.pretraining import Columns
from graft.tasks.protocol import Array
from graft.tasks.series_examples import ReadsSeries, SeriesRow, padded
from graft.tasks.series_masks import VIEW, MaskedBatch, Masks
from graft.tasks.series_model import check_channels
from graft.tasks.series_objectives import (
    Terms,
    beside,
    chance_levels,
    guessed,
    told_apart,
    told_apart_in_groups,
)

# Columns of the two views until they are compared.
_VIEWS = ("view_1", "view_2")


@dataclass(frozen=True)
class MaskedSeries(ReadsSeries):
    """Values that are hidden are to be found from those that are not.

    The loss of a row is the weighted sum of its objectives, each a mean over the values that were
    hidden and are there. Each row counts alike, however long.

    Args:
        section: Objectives and masks.
        seed: Seed of the masks of evaluation.
        facts: Channels of the rows.
    """

    section: PretrainSection
    seed: int
    facts: RowFacts = UNKNOWN

    @property
    def name(self) -> str:
        """The kind of pretraining."""
        return "masked series"

    @property
    def objectives(self) -> Mapping[str, float]:
        """Objective to its weight in the loss."""
        return {str(name): weight for name, weight in self.section.objectives.items()}

    @property
    def settings(self) -> dict[str, str | int | float]:
        """Masks, steps and temperature, as far as an objective reads them."""
        section, found = self.section, dict[str, str | int | float]()
        if {"reconstruction", "contrastive"} & set(self.objectives):
            found |= {"mask": section.mask.kind, "masked share": section.mask.share}
            found |= {} if section.mask.kind == "random" else {"mask length": section.mask.length}
        if "forecast" in self.objectives:
            found["forecast steps"] = section.forecast_steps
        if "contrastive" in self.objectives:
            found["temperature"] = section.temperature
        return found

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The whole loss, then that of each objective."""
        return measures_of_objectives(self.objectives)

    def build(self, base: LocatedBase, seed: int) -> tuple[nn.Module, LoadReport]:
        """Return the encoder with new heads, and where each tensor is from."""
        encoder, report = load_series_encoder(base, BaseSection())
        check_channels(encoder.config, self.facts.channels, base)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "pretraining heads"))
            model = SeriesPretrainer(
                encoder,
                guesses=bool(self.masks.guessing),
                projects="contrastive" in self.objectives,
            )
        model.eval()
        return model, with_new_tensors(report, model, [(_is_head, "head: new, random")])

    def new_head(self, model: nn.Module, arm: ArmSection) -> frozenset[str]:
        """Return the names of the parameters that are not the encoder's."""
        return frozenset(name for name, _ in model.named_parameters() if _is_head(name))

    def prepare(self, rows: pd.DataFrame, model: nn.Module) -> list[SeriesRow]:
        """Return one example per row."""
        return [SeriesRow(*cells) for cells in zip(rows["row"], rows[COLUMN], strict=True)]

    def collate(self, examples: Sequence[SeriesRow]) -> MaskedBatch:
        """Return the examples as one batch."""
        values, lengths = padded([example.series for example in examples])
        return MaskedBatch(tuple(example.row for example in examples), values, lengths)

    def rowwise(self, arm: ArmSection) -> bool:
        """Return True unless rows are compared with one another."""
        return "contrastive" not in self.objectives

    def loss(self, model: nn.Module, batch: MaskedBatch, arm: ArmSection) -> tuple[Tensor, int]:
        """Return the summed loss of the rows that have one, and their number."""
        terms, views = self._terms(assert_pretrainer(model), batch)
        if views:
            first, second = views
            terms["contrastive"] = told_apart(first, second, self.section.temperature)
        whole = torch.stack([self.objectives[name] * term.losses for name, term in terms.items()])
        units = torch.stack([term.units for term in terms.values()])
        return whole.sum(), int(units.any(dim=0).sum())

    def predict(self, model: nn.Module, batch: MaskedBatch) -> Columns:
        """Return loss and units of each objective, and the directions of two views."""
        terms, views = self._terms(assert_pretrainer(model), batch)
        columns: dict[str, Tensor] = {}
        for name, term in terms.items():
            columns |= {name: term.losses.double(), units_of(name): term.units}
        columns |= dict(zip(_VIEWS, views, strict=False))
        return {name: column.cpu().numpy() for name, column in columns.items()}

    def compared(self, columns: Mapping[str, Array]) -> Columns:
        """Return predicted columns with the contrastive loss, if wanted, and the whole one."""
        found = {name: values for name, values in columns.items() if values.ndim == 1}
        if "contrastive" in self.objectives:
            first, second = (columns[name] for name in _VIEWS)
            groups = self._groups(len(first))
            losses = told_apart_in_groups(first, second, self.section.temperature, groups)
            found |= {"contrastive": losses, units_of("contrastive"): np.ones(len(first))}
        whole = sum(weight * found[name] for name, weight in self.objectives.items())
        units = sum(found[units_of(name)] for name in self.objectives)
        return {**found, LOSS: np.asarray(whole), units_of(LOSS): np.asarray(units)}

    def guesses(
        self, model: nn.Module, examples: Sequence[SeriesRow]
    ) -> dict[str, dict[str, Columns]]:
        """Return the errors of mean, last value and straight line, and of telling rows at random.

        They guess what is hidden in evaluation, with the same measure as the model.
        """
        scaler = assert_pretrainer(model).encoder.scaler
        found = {
            objective: errors_of_guesses(self.masks, objective, scaler, examples)
            for objective in self.masks.guessing
        }
        if "contrastive" in self.objectives:
            levels = chance_levels(self._groups(len(examples)))
            columns = {"contrastive": levels, units_of("contrastive"): np.ones(len(levels))}
            found["contrastive"] = {"chance": columns}
        return {name: found[name] for name in self.objectives}

    def blind(self, model: nn.Module, examples: Sequence[SeriesRow]) -> tuple[Columns, Columns]:
        """Return what the model says of the rows, and of them with other hidden values."""
        return blindness(self.masks, assert_pretrainer(model), self.collate(examples))

    def shown(self, model: nn.Module, examples: Sequence[SeriesRow]) -> pd.DataFrame:
        """Return values, what was hidden, and what the model says: a line for each of them."""
        return picture(self.masks, assert_pretrainer(model), examples, self.facts.channels)

    def supervision(self, examples: Sequence[SeriesRow], model: nn.Module) -> Supervision:
        """Return what the loss sees of the rows under the masks of evaluation."""
        return census(self.masks, examples)

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the encoder as a Transformers folder with the code that loads it."""
        save_series(assert_pretrainer(model).encoder, folder)

    @property
    def masks(self) -> Masks:
        """What is hidden of each row."""
        return Masks(self.section, self.seed)

    def _terms(
        self, model: SeriesPretrainer, batch: MaskedBatch
    ) -> tuple[dict[str, Terms], list[Tensor]]:
        """Return the terms of the objectives that guess, and the two views if they are wanted."""
        device = model.encoder.device
        values, lengths = batch.values.to(device), batch.lengths.to(device)
        there = observed(values, lengths)
        # One draw for a batch, from the generator that checkpoints keep; none in evaluation.
        drawn = int(torch.randint(2**63 - 1, ())) if model.training else None
        terms, views = {}, []
        for purpose in self.masks.purposes:
            hidden = self.masks.of_batch(purpose, batch, drawn).to(device)
            look = model(values, lengths, hidden)
            if purpose in self.objectives:
                terms[purpose] = guessed(look, hidden, there)
            if look.embedding is not None and purpose in ("reconstruction", VIEW):
                views.append(look.embedding)
        return terms, views

    def _groups(self, rows: int) -> list[Array]:
        size = self.section.training.per_device_train_batch_size
        return beside(rows, size, generator(self.seed, "views", rows))


def _is_head(name: str) -> bool:
    return not name.startswith(f"{ENCODER}.")


def assert_pretrainer(model: nn.Module) -> SeriesPretrainer:
    """Return `model` as what `build` made."""
    if not isinstance(model, SeriesPretrainer):
        raise TypeError(f"masked series need a SeriesPretrainer, received {type(model).__name__}")
    return model
