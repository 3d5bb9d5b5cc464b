"""Do texts of one category lie together? UMAP to two dimensions, HDBSCAN, purity."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN

from graft.core.errors import DataError, MissingExtraError, Problem
from graft.core.scores import Metric
from graft.core.seeds import derive
from graft.metrics.measures import Floats

MIN_POINTS = 15  # UMAP looks at 15 neighbours; fewer points have no structure to show
MIN_CLUSTER = 5
_SOURCE = (
    "McInnes, Healy & Melville 2018, UMAP; Campello, Moulavi & Sander 2013, HDBSCAN; "
    "Manning, Raghavan & Schütze 2008, chapter 16 (purity)"
)

CLUSTER_METRICS: tuple[Metric, ...] = (
    Metric(
        name="cluster_purity",
        title="Cluster purity",
        higher_is_better=True,
        low=0.0,
        high=1.0,
        unit="",
        definition="Share of the clustered texts whose category is the most frequent one of their "
        "cluster (UMAP to two dimensions, then HDBSCAN; noise left out).",
        source=_SOURCE,
    ),
    Metric(
        name="cluster_count",
        title="Clusters",
        higher_is_better=None,
        low=0.0,
        high=None,
        unit="clusters",
        definition="Number of clusters that HDBSCAN finds after UMAP to two dimensions.",
        source=_SOURCE,
    ),
    Metric(
        name="noise_share",
        title="Noise share",
        higher_is_better=None,
        low=0.0,
        high=1.0,
        unit="",
        definition="Share of the texts that HDBSCAN puts into no cluster.",
        source=_SOURCE,
    ),
)


@dataclass(frozen=True)
class ClusterReport:
    """What clustering of the embeddings shows.

    Args:
        purity: Share of the clustered points in the category of their cluster, 0 to 1; None if
            there are no clusters or clustering could not be done.
        clusters: Number of clusters, None if clustering could not be done.
        noise_share: Share of the points in no cluster, None if clustering could not be done.
        coordinates: Shape (n, 2) for the charts, None if clustering could not be done.
        note: Why something is None; empty otherwise.
        assignment: Shape (n,), cluster 0, 1, … of each point, −1 for noise; None if clustering
            could not be done.
    """

    purity: float | None
    clusters: int | None
    noise_share: float | None
    coordinates: Floats | None
    note: str = ""
    assignment: NDArray[np.int64] | None = None


def cluster_purity(
    embeddings: NDArray[np.floating], categories: Sequence[str], seed: int
) -> ClusterReport:
    """Return how purely the clusters of the embeddings follow the categories.

    The same seed gives the same report. Needs the extra `umap`; without it, or with fewer than
    15 points, the report says so in its note.

    Args:
        embeddings: Shape (n, dimensions), one finite row per text, compared by cosine.
        categories: n categories.
        seed: Seed of the recipe.

    Raises:
        DataError: Lengths differ, or an embedding is zero or not finite.

    Example:
        >>> cluster_purity(np.eye(3), ["a", "b", "c"], seed=1).note
        '3 points are too few to cluster; at least 15 are needed'
    """
    points = np.asarray(embeddings, dtype=np.float32)
    _check(points, categories)
    if len(points) < MIN_POINTS:
        note = f"{len(points)} points are too few to cluster; at least {MIN_POINTS} are needed"
        return ClusterReport(None, None, None, None, note)
    try:
        coordinates = _map(points, seed)
    except MissingExtraError as error:
        return ClusterReport(None, None, None, None, str(error))
    found = HDBSCAN(min_cluster_size=MIN_CLUSTER, copy=True).fit_predict(coordinates)
    count = int(found.max()) + 1
    return ClusterReport(
        purity=purity(found, categories),
        clusters=count,
        noise_share=float((found < 0).mean()),
        coordinates=coordinates,
        note="" if count else "every point is noise: no cluster found",
        assignment=found.astype(np.int64),
    )


def purity(clusters: NDArray[np.integer], categories: Sequence[str]) -> float | None:
    """Return the share of clustered points in the most frequent category of their cluster.

    Args:
        clusters: Shape (n,), cluster 0, 1, … of each point, below 0 for noise.
        categories: n categories.

    Returns:
        0 to 1; None if every point is noise.

    Example:
        >>> purity(np.array([0, 0, 0, 1, 1, -1]), ["a", "a", "b", "b", "b", "a"])
        0.8
    """
    agrees = in_majority(clusters, categories)[clusters >= 0]
    return float(agrees.mean()) if len(agrees) else None


def in_majority(clusters: NDArray[np.integer], categories: Sequence[str]) -> NDArray[np.bool_]:
    """Return which points are of the most frequent category of their cluster; noise is not.

    Args:
        clusters: Shape (n,), cluster 0, 1, … of each point, below 0 for noise.
        categories: n categories.

    Example:
        >>> in_majority(np.array([0, 0, 0, -1]), ["a", "b", "b", "b"]).tolist()
        [False, True, True, False]
    """
    _, codes = np.unique(np.asarray(categories, dtype=str), return_inverse=True)
    clustered = clusters >= 0
    if not clustered.any():
        return clustered
    table = np.zeros((int(clusters.max()) + 1, int(codes.max()) + 1), dtype=np.int64)
    np.add.at(table, (clusters[clustered], codes[clustered]), 1)
    found: NDArray[np.bool_] = clustered & (codes == table.argmax(axis=1)[clusters])
    return found


def _check(points: Floats | NDArray[np.float32], categories: Sequence[str]) -> None:
    problems = []
    if points.ndim != 2 or len(points) != len(categories):
        what = f"shape {points.shape} with {len(categories)} categories"
        problems.append(Problem("embeddings", what, "give one row and one category per text"))
    else:
        norms = np.linalg.norm(points, axis=1)
        bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0))).tolist()
        if bad:
            what = f"{len(bad)} are zero or not finite, first at rows {bad[:5]}"
            problems.append(Problem("embeddings", what, "look for NaN in the model's output"))
    if problems:
        raise DataError("embeddings to cluster", problems)


def _map(points: NDArray[np.float32], seed: int) -> Floats:
    """Return UMAP coordinates of shape (n, 2)."""
    with warnings.catch_warnings():
        # A part of UMAP that is not used here asks for TensorFlow; separate groups of texts are a
        # finding, not a fault.
        warnings.filterwarnings("ignore", message="Tensorflow not installed")
        warnings.filterwarnings("ignore", message="Graph is not fully connected")
        try:
            import umap  # noqa: PLC0415 - an extra, and slow to import
        except ImportError as error:
            raise MissingExtraError("umap-learn", "umap", "Cluster purity") from error
        reducer = umap.UMAP(
            n_neighbors=MIN_POINTS - 1,
            min_dist=0.0,  # dense clusters, as UMAP's guide to clustering advises
            metric="cosine",
            random_state=derive(seed, "clusters") % 2**32,
            n_jobs=1,  # what a fixed seed needs, said out loud
        )
        return np.asarray(reducer.fit_transform(points), dtype=np.float64)
