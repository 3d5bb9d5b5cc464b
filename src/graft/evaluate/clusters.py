"""The map of the test texts: two-dimensional coordinates, clusters and their purity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from graft.core.scores import Score
from graft.core.seeds import generator
from graft.evaluate.spread import shown_inputs
from graft.metrics.clusters import ClusterReport, cluster_purity, in_majority
from graft.tasks.protocol import Array

# More points than this make neither the picture nor the purity clearer, only slower.
MAX_ROWS = 1000
_RESAMPLES = 500


def map_texts(
    rows: pd.DataFrame, embeddings: Mapping[str, Array], category: str, seed: int, path: Path
) -> tuple[Score, ...]:
    """Write the map of what was embedded; return purity, cluster count and noise share.

    Args:
        rows: Test rows with `row`, the category column, and the text columns if there are any.
        embeddings: Column to the embeddings of what it holds, `[rows, dimension]`.
        category: Column that purity is about.
        seed: The experiment's seed; at most 1,000 rows are drawn with it.
        path: Parquet file of the map.
    """
    chosen = np.arange(len(rows))
    if len(rows) > MAX_ROWS:
        drawn = generator(seed, "map").choice(len(rows), MAX_ROWS, replace=False)
        chosen = np.sort(drawn)
    part = rows.iloc[chosen]
    frame = pd.concat(
        [
            pd.DataFrame(
                {"row": part["row"], "text": shown_inputs(part, role), "category": part[category]}
            )
            for role in embeddings
        ],
        ignore_index=True,
    ).astype(str)
    points = np.concatenate([vectors[chosen] for vectors in embeddings.values()])
    report = cluster_purity(points, list(frame["category"]), seed)
    n = len(frame)
    low, high = _purity_interval(report, list(frame["category"]), seed)
    scores = [
        Score("cluster_purity", report.purity, low, high, n, report.note),
        Score("cluster_count", report.clusters, None, None, n, report.note),
        Score("noise_share", report.noise_share, None, None, n, report.note),
    ]
    if report.coordinates is not None and report.assignment is not None:
        frame["x"], frame["y"] = report.coordinates[:, 0], report.coordinates[:, 1]
        frame["cluster"] = report.assignment
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path, index=False)
    return tuple(scores)


def _purity_interval(
    report: ClusterReport, categories: list[str], seed: int
) -> tuple[float | None, float | None]:
    """Return the 95 % bootstrap interval over the clustered points.

    Clusters and their most frequent categories are as found: chosen anew in each resample they
    would follow its chance, and every resample would look purer than the points are.
    """
    if report.purity is None or report.assignment is None:
        return None, None
    agrees = in_majority(report.assignment, categories)[report.assignment >= 0]
    drawn = generator(seed, "purity").integers(len(agrees), size=(_RESAMPLES, len(agrees)))
    low, high = np.quantile(agrees[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
