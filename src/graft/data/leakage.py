"""What the training rows give away of an evaluation split, and a training split repaired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from graft.config.data import LeakageSection
from graft.core.errors import DataError, Problem
from graft.core.facts import RowFacts
from graft.core.roles import Split
from graft.core.tables import LeakageReport, LeakedRow
from graft.data.dataset import PAIR_FACTS, Dataset
from graft.data.evidence import Evidence, evidence

SHOWN_ROWS = 5
SHOWN_CHARACTERS = 200


def leakage_report(
    train: pd.DataFrame,
    evaluation: pd.DataFrame,
    split: Split,
    section: LeakageSection,
    facts: RowFacts = PAIR_FACTS,
) -> LeakageReport:
    """Return which evaluation rows the training rows give away.

    Pairs are compared whatever the order of the two texts, rows of a classification by their texts
    together, and where these are short (`inputs.says_enough`) by their table values too, series by
    their values.
    `normalised` contains `exact`, and shared texts are compared in their normal form. A row is
    named in `leaked` if a kind of the policy applies to it, with every kind that does.

    Args:
        train: Training rows, as in `Dataset.frame`.
        evaluation: Rows of the split.
        split: `validation` or `test`.
        section: Policy and threshold for near duplicates.
        facts: Text columns, table columns and classes.

    Example:
        >>> train = pd.DataFrame({"row": ["train:1"], "sentence1": ["Hi!"], "sentence2": ["a"]})
        >>> test = pd.DataFrame({"row": ["test:1"], "sentence1": ["a"], "sentence2": ["hi"]})
        >>> report = leakage_report(train, test, Split.test, LeakageSection())
        >>> report.exact, report.normalised, report.clean_rows
        (0, 1, 0)
    """
    found = evidence(train, evaluation, section.near_threshold, facts)
    counts = {kind: sum(map(bool, map(len, rows))) for kind, rows in found.kinds.items()}
    ids = train["row"].to_numpy()
    leaked = []
    shown_columns = evaluation[["row", *facts.texts]]
    for index, row in enumerate(shown_columns.itertuples(index=False, name=None)):
        applies = found.of(index)
        if not any(kind in section.policy for kind in applies):
            continue
        shown = tuple(text[:SHOWN_CHARACTERS] for text in row[1:])
        order = np.concatenate([positions[:SHOWN_ROWS] for positions in applies.values()])
        givers = tuple(dict.fromkeys(str(ids[position]) for position in order))[:SHOWN_ROWS]
        leaked.append(LeakedRow(split.value, str(row[0]), tuple(applies), givers, shown))
    return LeakageReport(
        split=split.value,
        rows=len(evaluation),
        exact=counts["exact"],
        normalised=counts["normalised"],
        near=counts["near"],
        shared_any=counts.get("shared_text"),
        shared_all=counts.get("shared_texts_all"),
        groups=counts.get("group"),
        time=counts.get("time"),
        leaked=tuple(leaked),
        clean_rows=len(evaluation) - len(leaked),
        policy=section.policy,
        overlap=counts.get("overlap"),
    )


def leaked_ids(report: LeakageReport) -> frozenset[str]:
    """Return the ids of the rows that count as leaked."""
    return frozenset(row.row for row in report.leaked)


def repaired_split(dataset: Dataset, section: LeakageSection) -> tuple[Dataset, int]:
    """Return the data set without the training rows that give others away, and their count.

    Validation and test stay as they are, so figures before and after are on the same rows.

    Args:
        dataset: The data set; it is not changed.
        section: Policy and threshold for near duplicates.

    Raises:
        DataError: No training row would be left.
    """
    frame = dataset.frame
    at_train = np.flatnonzero(frame["split"] == Split.train.value)
    train = frame.iloc[at_train]
    doomed: set[int] = set()
    for split in (Split.validation, Split.test):
        rows = dataset.rows(split)
        if len(rows):
            found = evidence(train, rows, section.near_threshold, dataset.facts)
            doomed |= _givers(found, len(rows), section)
    if not doomed:
        return dataset, 0
    if len(doomed) == len(train):
        problem = Problem(
            "split 'train'",
            f"would be empty: each of its {len(train)} rows gives an evaluation row away",
            "split by another method, or take kinds out of data.leakage.policy",
        )
        raise DataError("repaired split", [problem])
    kept = np.delete(np.arange(len(frame)), at_train[sorted(doomed)])
    method = f"{dataset.split_method}; repaired: {len(doomed)} training rows taken out"
    repaired = frame.iloc[kept].reset_index(drop=True)
    return replace(dataset, frame=repaired, split_method=method), len(doomed)


def _givers(found: Evidence, rows: int, section: LeakageSection) -> set[int]:
    doomed: set[int] = set()
    for row in range(rows):
        applies = found.of(row)
        for kind, positions in applies.items():
            if kind not in section.policy:
                continue
            if kind == "shared_texts_all":
                # One text that no training row holds is enough: take the rarest.
                positions = min(found.by_text[row], key=len)  # noqa: PLW2901
            doomed.update(positions.tolist())
    return doomed
