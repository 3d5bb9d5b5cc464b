"""A run folder of a classification, written from the core types with planted numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from graft.core.costs import RunCost
from graft.core.experiment import ExperimentIndex, RunEntry
from graft.core.facts import RowFacts
from graft.core.files import sha256_text, write_json, write_text
from graft.core.fusion import FusionRecord
from graft.core.layout import ExperimentPaths
from graft.core.plan import PlannedGroup, PlannedPhase, PlannedTensor, ResolvedPlan
from graft.core.roles import Role, Split
from graft.core.scores import Score, ScoreBook, Scores
from graft.core.seeds import generator
from graft.core.tables import DataReport
from graft.core.verdicts import Comparison, PairedDifference, Verdict
from graft.metrics.labelled import measures_of
from graft.metrics.probabilities import class_columns

RUNS = (
    RunEntry("majority", Role.baseline, "Majority class", trained=False),
    RunEntry("tfidf", Role.baseline, "TF-IDF", trained=False),
    RunEntry("base", Role.baseline, "Untouched base", trained=False),
    RunEntry("transfer", Role.arm, "Head, then top layers", trained=True),
    RunEntry("noise", Role.arm, "Without pretraining", trained=True),
    RunEntry("fused", Role.arm, "Text and table", trained=False),
)
SKILL = {"majority": 0.0, "tfidf": 0.8, "base": 1.1, "transfer": 2.2, "noise": 0.4, "fused": 2.6}
RECIPE = """\
arms:
  transfer: {control: none}
  noise: {control: random_init}
evaluation:
  costs: {false_positive: 1.0, false_negative: 5.0}
"""
ROWS = 400


def rows_of(classes):
    chance = generator(3, "rows", len(classes))
    return pd.DataFrame(
        {
            "row": [f"test-{i}" for i in range(ROWS)],
            "source": "test.csv",
            "bio": [f"I like nights {i} <b>" for i in range(ROWS)],
            "note": [f"We work at night {i}" for i in range(ROWS)],
            "distance": chance.uniform(1, 90, ROWS),
            "unit": chance.choice(["surgery", "medicine"], ROWS),
            "agency": chance.choice(["Alba", "Bell", "Rare"], ROWS, p=[0.6, 0.35, 0.05]),
            "label": chance.integers(len(classes), size=ROWS).astype(float),
            "leaked": False,
        }
    )


def predicted(rows, run, classes):
    chance = generator(3, "scores", run, len(classes))
    logits = chance.normal(size=(len(rows), len(classes)))
    logits[np.arange(len(rows)), rows["label"].astype(int)] += SKILL[run]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    frame = rows.assign(**class_columns(shares))
    return frame.assign(threshold=0.45) if len(classes) == 2 else frame


def book(entry, frame, classes):
    measures = measures_of(RowFacts(classes=classes))
    parts = [("all", frame), *((f"agency={v}", g) for v, g in frame.groupby("agency"))]
    books = []
    for name, part in parts:
        columns = {n: part[n].to_numpy() for n in part if part[n].dtype.kind == "f"}
        items = []
        for kind in measures:
            value = kind.compute(columns)
            ends = (None, None) if value is None else (value - 0.05, value + 0.05)
            items.append(Score(kind.metric.name, value, *ends, len(part)))
        books.append(Scores(entry.name, entry.role, Split.test, name, tuple(items)))
    return ScoreBook(tuple(books))


def pair(candidate, reference, books, metric, verdict=Verdict.better):
    new, old = (books[name].on(Split.test)[metric].value for name in (candidate, reference))
    return PairedDifference(
        metric, candidate, reference, "all", ROWS, new, old, new - old, new - old - 0.03,
        new - old + 0.03, 0.0002, 0.0002, 0.0002, 0.0004, 0.05, verdict, "",
    )  # fmt: skip


def plan_of():
    tensors = [PlannedTensor("embeddings.word.weight", (100, 4), 400, "rest", None)]
    tensors += [
        PlannedTensor(f"encoder.layer.{i}.w", (4, 4), 16, "top" if i > 3 else "rest",
                      1 if i > 3 else None) for i in range(6)
    ]  # fmt: skip
    tensors.append(PlannedTensor("head.linear.weight", (2, 4), 8, "head", 0))
    groups = (PlannedGroup("head", 2e-3, 0.0, -1), PlannedGroup("top", 5e-5, 0.0, 1))
    phases = (PlannedPhase(0, 1, 1, 0, 10, 8, ("head",)),
              PlannedPhase(1, 2, 4, 10, 30, 40, ("head", "top")))  # fmt: skip
    rates = {"head": (2e-3,) * 40, "top": (0.0,) * 10 + (5e-5,) * 30}
    return ResolvedPlan("full", tuple(tensors), groups, phases, (), 504, 40, 10, 40, 4, "cosine",
                        rates)  # fmt: skip


def build(root, classes, primary):
    paths, rows = ExperimentPaths(root), rows_of(classes)
    facts = RowFacts(("bio", "note"), ("distance",), ("unit",), classes)
    index = ExperimentIndex(
        "match", "classification", "all-MiniLM-L6-v2", "tfidf", primary, 42, RUNS, ("agency",),
        sha256_text("r"), {"graft": "0.1.0"}, "CPU, 2 cores",
    )  # fmt: skip
    write_json(paths.index, index)
    write_json(paths.data_report, DataReport((), (), "Grouped.", {}, (), facts))
    write_text(paths.recipe, RECIPE)
    books = {}
    for entry in RUNS:
        run = paths.run(entry.name)
        frame = predicted(rows, entry.name, classes)
        run.predictions(Split.test).parent.mkdir(parents=True)
        frame.to_parquet(run.predictions(Split.test))
        books[entry.name] = book(entry, frame, classes)
        write_json(run.scores, books[entry.name])
        if entry.trained:
            write_json(run.plan, plan_of())
            write_json(run.cost, RunCost(72.0, 3.1, 10**9, None, 91_000_000, None, "CPU, 2 cores"))
    losses = {"transfer": 0.41, "table": 0.66}
    write_json(paths.run("fused").fusion, FusionRecord(
        "transfer", ("table",), "stacked", "Text counts 1.1, table 0.4.", {}, "the training rows",
        1800, 5, losses, 0.38))  # fmt: skip
    arms = ("transfer", "noise", "fused")
    verdicts = dict.fromkeys(arms, Verdict.better) | {"noise": Verdict.worse}
    headline = tuple(pair(arm, "tfidf", books, primary, verdicts[arm]) for arm in arms)
    others = [pair(arm, "tfidf", books, "accuracy", verdicts[arm]) for arm in arms]
    others.append(pair("transfer", "noise", books, primary))
    others.append(pair("fused", "transfer", books, primary, Verdict.not_shown))
    write_json(paths.comparison, Comparison(primary, 0.05, headline, tuple(others), (), ()))
    return root
