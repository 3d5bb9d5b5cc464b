"""The base that an experiment makes itself: the encoder that its recipe describes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from graft.core.files import committed_folder, manifest_problems
from graft.core.layout import ExperimentPaths
from graft.core.roles import Split
from graft.core.seeds import derive
from graft.data.dataset import Dataset
from graft.data.series import COLUMN
from graft.models.series.building import new_encoder, series_config
from graft.models.series.folders import save_series
from graft.runs.experiment import Experiment


def make_base(experiment: Experiment, dataset: Dataset) -> None:
    """Write the encoder that the recipe describes, if a base is to be that and it is not there yet.

    Its weights are random, its normalisation is fitted to the training rows. Pretraining, if the
    recipe wants it, begins with it.

    Args:
        experiment: The experiment.
        dataset: Its rows.
    """
    recipe, folder = experiment.recipe, experiment.paths.untrained
    if not recipe.makes_base or (folder.is_dir() and not manifest_problems(folder)):
        return
    encoder = new_encoder(
        series_config(recipe.encoder, dataset.facts.channels),
        list(dataset.rows(Split.train)[COLUMN]),
        derive(recipe.seed, "encoder"),
    )
    with committed_folder(folder) as partial:
        save_series(encoder, partial)


@contextmanager
def passing_base(experiment: Experiment, dataset: Dataset) -> Iterator[Experiment]:
    """Yield the experiment with a base of its own, if it has one, in a folder that goes.

    Args:
        experiment: The experiment; its folder is not touched.
        dataset: Its rows.
    """
    if not experiment.recipe.makes_base:
        yield experiment
        return
    with tempfile.TemporaryDirectory() as folder:
        passing = replace(experiment, paths=ExperimentPaths(Path(folder)))
        make_base(passing, dataset)
        if experiment.recipe.pretrain is not None:
            # What is pretrained has the shape of what is not.
            shutil.copytree(passing.paths.untrained, passing.paths.pretraining.model)
        yield passing
