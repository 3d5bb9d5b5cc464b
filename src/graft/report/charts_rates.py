"""The learning rates that the plan asked for and those that the optimizer used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from graft.core.ledger import Ledger
from graft.core.plan import ResolvedPlan
from graft.report.chart import Chart, Figure, Key, NotMeasured, Panel, hover, layout, thinned
from graft.report.charts_changes import change_lines, change_marks, changes_of
from graft.report.numerals import count, rate
from graft.report.palette import ARM_COLOURS
from graft.report.predictions import Styles

MOST_STEPS = 400


def applied(ledger: Ledger, group: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the executed steps, counted from 0, and the rate of `group` at each.

    The rate is 0 in phases that the group is not part of.
    """
    steps, values = list[np.ndarray](), list[np.ndarray]()
    for phase in ledger.phases:
        rates = phase.applied_rates.get(group, (0.0,) * phase.executed_steps)
        steps.append(phase.first_step + np.arange(len(rates)))
        values.append(np.asarray(rates, dtype=float))
    if not steps:
        return np.zeros(0, dtype=int), np.zeros(0)
    return np.concatenate(steps), np.concatenate(values)


def rate_gap(plan: ResolvedPlan, ledger: Ledger, group: str) -> tuple[int, float]:
    """Return the executed steps and the largest distance between planned and applied rate.

    Where a run stopped early, the steps that were not executed are not compared.
    """
    planned = np.asarray(plan.rates.get(group, ()), dtype=float)
    steps, done = applied(ledger, group)
    both = steps < len(planned)
    gaps = np.abs(done[both] - planned[steps[both]])
    return len(gaps), float(gaps.max(initial=0.0))


def rates(
    plans: Mapping[str, ResolvedPlan], ledgers: Mapping[str, Ledger], styles: Styles
) -> Chart | NotMeasured:
    """Return the planned and the applied rate of every group of every arm, with thaws.

    Args:
        plans: What training was going to do, per run.
        ledgers: What it did, per run; a run without one shows its plan alone.
        styles: Look of every run.
    """
    ident, title = "rates", "Learning rates, planned and applied"
    if not plans:
        return NotMeasured(ident, title, "no run has a plan")
    names = [name for name in styles if name in plans]
    members = {name: _groups(plans[name], ledgers.get(name)) for name in names}
    groups = list(dict.fromkeys(group for name in names for group in members[name]))
    colours = {group: ARM_COLOURS[i % len(ARM_COLOURS)] for i, group in enumerate(groups)}
    panels, records = [], []
    for name in names:
        plan, ledger = plans[name], ledgers.get(name)
        traces = list[Figure]()
        for group in members[name]:
            planned = np.asarray(plan.rates.get(group, ()), dtype=float)
            at, done = applied(ledger, group) if ledger else (np.zeros(0), np.zeros(0))
            whole = np.arange(len(planned))
            traces += _rate_line(f"{group}, planned", whole, planned, _wide(colours[group], group))
            traces += _rate_line(f"{group}, applied", at, done, _thin(colours[group], group))
            steps, gap = rate_gap(plan, ledger, group) if ledger else (0, None)
            records.append(
                {
                    "run": styles[name].title,
                    "group": group,
                    "peak planned": float(planned.max()) if len(planned) else None,
                    "peak applied": float(done.max()) if len(done) else None,
                    "steps compared": steps,
                    "largest difference": gap if steps else None,
                }
            )
        changes = changes_of(ledger)
        marks = change_marks(changes, "step", 0, "@ink")
        panels.append(
            Panel(
                styles[name].title,
                {
                    "data": traces + marks,
                    "layout": layout(
                        280,
                        {"title": {"text": "step"}},
                        {"rangemode": "tozero", "exponentformat": "e"},
                        shapes=change_lines(changes, "step", "@muted"),
                    ),
                },
            )
        )
    reading = (
        "The wide pale line is the rate that the plan asked for, the thin dark one what the "
        "optimizer used: they must lie on each other. Vertical lines are thaws."
    )
    keys = tuple(Key(group, group, colours[group], "line", "solid") for group in groups)
    source = "<run>/plan.json and <run>/ledger.json"
    return Chart(ident, title, reading, tuple(panels), pd.DataFrame(records), source, keys)


def _groups(plan: ResolvedPlan, ledger: Ledger | None) -> list[str]:
    """Return the groups that have a rate; a foreign trainer can apply one that nobody planned."""
    phases = ledger.phases if ledger else ()
    return list(dict.fromkeys([*plan.rates, *(g for phase in phases for g in phase.applied_rates)]))


def _wide(colour: str, group: str) -> Figure:
    return {"legendgroup": group, "line": {"color": colour, "width": 7}, "opacity": 0.3}


def _thin(colour: str, group: str) -> Figure:
    return {"legendgroup": group, "line": {"color": colour, "width": 1.6}, "opacity": 1}


def _rate_line(name: str, steps: np.ndarray, values: np.ndarray, style: Figure) -> list[Figure]:
    if not len(values):
        return []
    chosen = thinned(len(values), MOST_STEPS)
    return [
        {
            "type": "scatter",
            "mode": "lines",
            **style,
            "x": (steps[chosen] + 1).tolist(),
            "y": [float(f"{values[i]:.5g}") for i in chosen],
            "hoverinfo": "text",
            "hovertext": [
                hover([name, f"step {count(steps[i] + 1)}: {rate(values[i])}"]) for i in chosen
            ],
        }
    ]
