"""The objectives of masked series: what they count, what they see, and where chance comes from."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from graft.config.pretraining import MaskSection, PretrainSection
from graft.config.sections import ArmSection
from graft.config.series import EncoderSection
from graft.core.facts import RowFacts
from graft.evaluate.predictions import predict
from graft.metrics.pretraining import units_of
from graft.models.series.building import new_encoder, series_config
from graft.models.series.pretraining import SeriesPretrainer, guesses, observed
from graft.tasks.masked_series import MaskedSeries
from graft.tasks.series_examples import padded
from graft.tasks.series_objectives import chance_levels, guessed_without_model, told_apart
from series_models import CHANNELS, KINDS, sine_rows, wave_rows

ARM = ArmSection()
ALL = {"reconstruction": 1.0, "forecast": 0.5, "contrastive": 0.25}
NORMALISATIONS = ("channel", "robust", "series", "none")


def masked(objectives=None, **more):
    section = PretrainSection(objectives=objectives or {"reconstruction": 1.0}, **more)
    return MaskedSeries(section, 3, RowFacts(channels=CHANNELS))


def pretrainer(task, kind="transformer", normalisation="series", rows=None, patch=2):
    section = EncoderSection(
        kind=kind, width=8, heads=2, patch=patch, normalisation=normalisation, dropout=0.0
    )
    rows = wave_rows(20, 1) if rows is None else rows
    encoder = new_encoder(series_config(section, CHANNELS), list(rows["series"]), 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        projects = "contrastive" in task.objectives
        return SeriesPretrainer(encoder, guesses=True, projects=projects).eval()


def loss_of(task, model, rows):
    """The summed loss of rows in one batch, and their number."""
    with torch.no_grad():
        loss, count = task.loss(model, task.collate(rows), ARM)
    return float(loss), count


def examples(task, count=12, seed=5):
    return task.prepare(wave_rows(count, seed), None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_the_encoder_never_sees_what_is_hidden(kind, normalisation):
    task = masked()
    model, example = pretrainer(task, kind, normalisation), examples(task)[0]
    hidden = torch.from_numpy(task.masks.of_row("reconstruction", example))[None]
    values, lengths = padded([example.series])
    other = torch.where(hidden, values + 7, values)
    with torch.no_grad():
        first, second = model(values, lengths, hidden), model(other, lengths, hidden)
    said, again = values + first.difference, other + second.difference
    there = ~values.isnan()
    assert torch.allclose(said[there], again[there], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_a_batch_is_the_sum_of_its_rows_whatever_the_padding(kind):
    task = masked({"reconstruction": 1.0, "forecast": 0.5})
    model, rows = pretrainer(task, kind), examples(task)
    whole, count = loss_of(task, model, rows)
    alone = [loss_of(task, model, [row]) for row in rows]
    assert count == sum(one for _, one in alone) == len(rows)
    assert whole == pytest.approx(sum(loss for loss, _ in alone), rel=1e-4)
    assert task.rowwise(ARM)
    assert not masked(ALL).rowwise(ARM)


def test_gaps_and_padding_are_never_counted():
    task = masked({"reconstruction": 1.0, "forecast": 1.0})
    rows = examples(task)
    columns = predict(task, pretrainer(task), rows, 5)
    for objective in task.objectives:
        wanted = [
            int((task.masks.of_row(objective, row) & ~np.isnan(row.series)).sum()) for row in rows
        ]
        assert columns[units_of(objective)].tolist() == wanted
    census = task.supervision(rows, pretrainer(task))
    assert census.units == sum(columns[units_of(name)].sum() for name in task.objectives)
    assert census.rows_without_loss == 0


def test_a_row_of_which_nothing_is_hidden_carries_no_loss():
    task = masked()
    bare = wave_rows(2, 1).assign(
        series=pd.Series([np.ones((1, 2), np.float32) * np.nan, np.ones((9, 2), np.float32)])
    )
    rows = task.prepare(bare, None)
    loss, count = loss_of(task, pretrainer(task, normalisation="channel"), rows)
    assert count == 1
    assert math.isfinite(loss)
    assert task.supervision(rows, pretrainer(task)).examples == {"rows_without_loss": ("r0",)}


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_flat_channels_and_empty_ones_give_finite_gradients(normalisation):
    task = masked(ALL)
    model, chance = pretrainer(task, normalisation=normalisation), np.random.default_rng(0)
    odd = chance.normal(size=(3, 12, 2)).astype(np.float32)
    odd[0, :, 0], odd[1, :, 1], odd[2, 3:, 0] = 5.0, np.nan, 5.0
    rows = wave_rows(3, 1).assign(series=pd.Series(list(odd), dtype=object))
    loss, count = task.loss(model.train(), task.collate(task.prepare(rows, None)), ARM)
    torch.autograd.backward(loss / count)
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_weights_are_those_of_the_recipe():
    parts = {}
    for name in ("reconstruction", "forecast"):
        task = masked({name: 1.0})
        parts[name], _ = loss_of(task, pretrainer(task), examples(task))
    task = masked({"reconstruction": 2.0, "forecast": 0.5})
    both, _ = loss_of(task, pretrainer(task), examples(task))
    assert both == pytest.approx(2 * parts["reconstruction"] + 0.5 * parts["forecast"], rel=1e-5)


def test_chance_is_torchs_in_training_and_the_seeds_in_evaluation():
    task = masked(ALL)
    model, rows = pretrainer(task), examples(task)

    def loss(seed):
        torch.manual_seed(seed)
        return loss_of(task, model, rows)

    assert loss(1) == loss(2)
    assert torch.equal(torch.get_rng_state(), torch.manual_seed(2).get_state())
    model.train()
    assert loss(1) == loss(1) != loss(2)


def test_views_of_one_series_lie_together_if_the_embedding_says_so():
    own = torch.nn.functional.normalize(torch.randn(6, 4, generator=torch.manual_seed(1)), dim=1)
    same = torch.ones(6, 4) / 2
    assert told_apart(own, own, 0.05).losses.max() < told_apart(same, same, 0.05).losses.min()
    levels = chance_levels([np.arange(6)])
    assert told_apart(same, same, 0.05).losses.numpy() == pytest.approx(levels)


def test_the_whole_loss_on_held_out_rows_is_the_weighted_sum():
    task = masked(ALL)
    rows = examples(task, 20)
    columns = task.compared(predict(task, pretrainer(task), rows, 7))
    wanted = sum(weight * columns[name] for name, weight in ALL.items())
    assert columns["loss"] == pytest.approx(wanted)
    assert all(values.shape == (20,) for values in columns.values())
    again = task.compared(predict(task, pretrainer(task), rows, 3))
    assert again["loss"] == pytest.approx(columns["loss"], rel=1e-4)


def test_a_guess_is_measured_as_the_model_is():
    task = masked()
    rows = task.prepare(sine_rows(4, 1), None)
    model = pretrainer(task, rows=sine_rows(4, 1))
    found = task.guesses(model, rows)["reconstruction"]
    assert set(found) == {"mean", "last", "linear"}
    example, scaler = rows[0], model.encoder.scaler
    hidden = task.masks.of_row("reconstruction", example)
    values, lengths = padded([example.series])
    _, scale = scaler.level(values, observed(values, lengths))
    guess = guesses(example.series, hidden, np.zeros(2))["linear"]
    wanted = (((guess - example.series) / scale[0].numpy()) ** 2)[hidden].mean()
    assert guessed_without_model(scaler, example.series, hidden)["linear"] == pytest.approx(wanted)
    assert found["linear"]["reconstruction"][0] == pytest.approx(wanted)


def test_what_is_shown_holds_every_value_and_what_was_hidden():
    task = masked({"reconstruction": 1.0, "forecast": 1.0}, mask=MaskSection(kind="patch"))
    rows = examples(task, 3)
    shown = task.shown(pretrainer(task), rows)
    assert len(shown) == 2 * sum(row.series.size for row in rows)
    own = shown[(shown["row"] == "r1") & (shown["objective"] == "forecast")]
    assert own[own["channel"] == "walk"]["value"].to_numpy() == pytest.approx(
        rows[1].series[:, 1], nan_ok=True
    )
    assert own["hidden"].sum() == 2 * min(8, len(rows[1].series) // 2)
