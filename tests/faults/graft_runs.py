"""Small real experiments by `graft.run`, with places where a fault can be planted."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from faults.zoo import Planted, listening, sabotage
from graft.core.errors import RunFolderError
from graft.core.layout import ExperimentPaths, RunPaths
from graft.evaluate import fresh
from graft.runs import fusion, pipeline, stages
from graft.runs.experiment import find_experiment
from tiny_models import build_tiny_encoder, colour_pairs

ARM = "tuned"
NAME = "zoo"
TRAINING = {"num_train_epochs": 2, "learning_rate": 2e-3, "precision": "fp32"}
DATA: dict[str, Any] = {"slices": ["kind"], "split": {"validation": 0.2}}
LOW = ("embeddings", "encoder.layer.0")
THAW = {"freeze": [{"name": "low", "patterns": LOW, "unfreeze_after": 1}]}
FROZEN = {"freeze": [{"name": "low", "patterns": LOW, "unfreeze_after": 0}]}
BODY = ("embeddings", "encoder", "pooler")
LORA = {"method": "lora", "lora": {"lora_alpha": 32}, "training": {"learning_rate": 2e-2}}
HEAD = {"method": "head"}


def below_the_head(unfreeze_after: int, **changes: Any) -> dict[str, Any]:
    """Return an arm with everything below the head in one freeze group."""
    group = {"name": "encoder", "patterns": BODY, "unfreeze_after": unfreeze_after}
    return {"freeze": [group], **changes}


Around = contextlib.ContextDecorator | contextlib.AbstractContextManager[Any]


@cache
def material() -> Path:
    """Return a folder for what all cases share; it goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="fault-zoo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def encoder(seed: int = 0) -> Path:
    """Return the folder of a BERT of two layers of width 32 that knows some colours."""
    return build_tiny_encoder(material() / f"encoder-{seed}", seed)


def copied_encoder(folder: Path) -> Path:
    """Return a copy of the encoder that may be damaged."""
    return Path(shutil.copytree(encoder(), folder / "base"))


def frames(train: int = 80, test: int = 40) -> dict[str, pd.DataFrame]:
    """Return training and test pairs."""
    return {"train": colour_pairs(train, 1), "test": colour_pairs(test, 2)}


@contextlib.contextmanager
def together(*contexts: contextlib.AbstractContextManager[Any]) -> Iterator[None]:
    """Hold several contexts at once."""
    with contextlib.ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        yield


NOTHING = together()


@contextlib.contextmanager
def in_this_process() -> Iterator[None]:
    """Predict in this process: nine seconds of imports less; two cases keep the real one."""

    def here(_: Any) -> Any:
        def predict(job: fresh.FreshJob, place: Path) -> fresh.FreshAnswer:
            request, answer = place / "fresh.json", Path(job.answer)
            stages.write_json(request, job)
            fresh._main(request)
            found = stages.read_json(answer, fresh.FreshAnswer)
            answer.unlink()
            return found

        return predict

    with (
        sabotage(stages, "predict_in_fresh_process", here),
        sabotage(fusion, "predict_in_fresh_process", here),
    ):
        yield


def graft_run(
    folder: Path,
    *arms: Mapping[str, Any],
    rows: Mapping[str, pd.DataFrame] | None = None,
    during: Around = NOTHING,
    then: Callable[[ExperimentPaths], None] = lambda paths: None,
    serving: Around = NOTHING,
    process: Callable[[], Any] = in_this_process,
    **changes: Any,
) -> Planted:
    """Run an experiment from data to audits and return what was asked of the checks.

    Args:
        folder: Where the run folder lies.
        arms: The arms; the first is called `tuned`.
        rows: Rows by split; files of the recipe if it names any.
        during: Holds while an arm is trained, saved and merged.
        then: What happens between training and prediction.
        serving: Holds while the artefacts are loaded and predict.
        process: Where they are loaded.
        changes: Top-level keys of the recipe.
    """
    recipe: dict[str, Any] = {
        "name": NAME,
        "base": {"model": str(encoder())},
        "baselines": ["base", "majority"],
        "evaluation": {"clusters": False, "bootstrap_resamples": 100},
        "arms": dict(zip((ARM, "other", "third"), arms or ({},), strict=False)),
        **changes,
        "data": {**DATA, **changes.get("data", {})},
        "training": {**TRAINING, **changes.get("training", {})},
    }
    in_memory = None if "train" in recipe["data"] else rows or frames()

    def between(finish: Any) -> Any:
        def end(experiment: Any) -> Any:
            then(experiment.paths)
            return finish(experiment)

        return end

    hooks = (
        sabotage(pipeline, "train_arm", during),
        sabotage(pipeline, "predict_artefacts", serving),
        sabotage(pipeline, "finish", between),
        # The pages are drawn from what the audits have written: nothing can be caught there.
        sabotage(pipeline, "write_pages", lambda write: lambda place: None),
        process(),
    )
    with listening() as heard, together(*hooks):
        try:
            pipeline.run(recipe, root=folder / "runs", frames=in_memory)
        except RunFolderError:
            # The comparison refuses what is wrong with the rows; `graft audit` must name it.
            stages.audit_runs(find_experiment(folder / "runs" / NAME))
    return Planted(tuple(heard))


def tuned(folder: Path | ExperimentPaths) -> RunPaths:
    """Return the files of the first arm, by the folder of the case or the experiment's paths."""
    if isinstance(folder, Path):
        folder = ExperimentPaths(folder / "runs" / NAME)
    return folder.run(ARM)
