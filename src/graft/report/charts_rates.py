"""The learning rates that the plan asked for and those that the optimizer used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from graft.core.ledger import Ledger
from graft.core.plan import ResolvedPlan
from graft.report.chart import Chart, Figure, Key, NotMeasured, Panel, hover, layout, thinned
from graft.report.numerals import count, rate
from graft.report.palette import ARM_COLOURS
from graft.report.predictions import Styles

MOST_STEPS = 400


def applied(ledger: Ledger, group: str) -> np.ndarray:
    """Return the rate of `group` at every executed step; 0 in phases that it is not part of."""
    parts = [
        np.asarray(phase.applied_rates.get(group, (0.0,) * phase.executed_steps), dtype=float)
        for phase in ledger.phases
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def rate_gap(plan: ResolvedPlan, ledger: Ledger, group: str) -> tuple[int, float]:
    """Return the executed steps and the largest distance between planned and applied rate.

    Where a run stopped early, the steps that were not executed are not compared.
    """
    done, planned = applied(ledger, group), np.asarray(plan.rates.get(group, ()), dtype=float)
    steps = min(len(done), len(planned))
    return steps, float(np.abs(done[:steps] - planned[:steps]).max()) if steps else 0.0


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
    groups = list(dict.fromkeys(group for name in names for group in plans[name].rates))
    colours = {group: ARM_COLOURS[i % len(ARM_COLOURS)] for i, group in enumerate(groups)}
    panels, records = [], []
    for name in names:
        plan, ledger = plans[name], ledgers.get(name)
        traces = list[Figure]()
        for group, planned in plan.rates.items():
            done = applied(ledger, group) if ledger else np.zeros(0)
            traces += _rate_lines(group, np.asarray(planned), done, colours[group])
            steps, gap = rate_gap(plan, ledger, group) if ledger else (0, None)
            records.append(
                {
                    "run": styles[name].title,
                    "group": group,
                    "peak planned": max(planned, default=0.0),
                    "peak applied": float(done.max()) if len(done) else None,
                    "steps compared": steps,
                    "largest difference": gap,
                }
            )
        marks, lines = _thaws(ledger)
        panels.append(
            Panel(
                styles[name].title,
                {
                    "data": traces + marks,
                    "layout": layout(
                        280,
                        {"title": {"text": "step"}},
                        {"rangemode": "tozero", "exponentformat": "e"},
                        shapes=lines,
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


def _rate_lines(group: str, planned: np.ndarray, done: np.ndarray, colour: str) -> list[Figure]:
    lines = []
    for name, values, style in (
        ("planned", planned, {"color": colour, "width": 7}),
        ("applied", done, {"color": colour, "width": 1.6}),
    ):
        chosen = thinned(len(values), MOST_STEPS)
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "legendgroup": group,
                "line": style,
                "opacity": 0.3 if name == "planned" else 1,
                "x": (chosen + 1).tolist(),
                "y": [float(f"{values[i]:.5g}") for i in chosen],
                "hoverinfo": "text",
                "hovertext": [
                    hover([f"{group}, {name}", f"step {count(i + 1)}: {rate(values[i])}"])
                    for i in chosen
                ],
            }
        )
    return lines


def _thaws(ledger: Ledger | None) -> tuple[list[Figure], list[Figure]]:
    if ledger is None or not ledger.changes:
        return [], []
    steps = [change.step for change in ledger.changes]
    marks: Figure = {
        "type": "scatter",
        "mode": "markers",
        "x": steps,
        "y": [0] * len(steps),
        "marker": {"symbol": "triangle-up", "size": 11, "color": "@ink"},
        "hoverinfo": "text",
        "hovertext": [hover([f"step {count(c.step)}", c.message]) for c in ledger.changes],
    }
    lines = [
        {
            "type": "line",
            "x0": step,
            "x1": step,
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "line": {"color": "@muted", "width": 1, "dash": "dot"},
        }
        for step in steps
    ]
    return [marks], lines
