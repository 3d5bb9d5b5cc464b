"""Faults of several labels a row, of numbers, and of a control, planted in real classifications."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from faults.fusion_faults import ROWS, class_frames
from faults.graft_runs import ARM, graft_run
from faults.zoo import Planted, Registry, sabotage
from graft.core.facts import MULTI_LABEL, REGRESSION
from graft.core.files import read_json, write_json, write_manifest
from graft.core.layout import ExperimentPaths
from graft.models.heads import CLASSES_FILE, ClassifierLayout
from graft.runs import arms
from graft.tasks import class_examples
from tiny_models import priced_rows, tagged_rows

fault = Registry()

LONG = {"num_train_epochs": 6, "learning_rate": 3e-3, "head_learning_rate": 2e-2}
MEANS = {"classifier": {"head_init": "class_means"}}
# The fewest that tell a control from luck.
CONTROL = {"control": "shuffled_labels", "seeds": 5, "training": LONG}


def label_run(folder: Path, kind: str, *arms: dict[str, Any], **changes: Any) -> Planted:
    """Run an experiment whose rows have several labels, or a number.

    Args:
        folder: Where the run folder lies.
        kind: What the label is.
        arms: The arms.
        changes: As of `graft_run`.
    """
    make = tagged_rows if kind == MULTI_LABEL else priced_rows
    return graft_run(
        folder,
        *arms,
        rows={"train": make(96, 1), "test": make(48, 2)},
        training=LONG,
        **{**ROWS, "data": {**ROWS["data"], "problem_type": kind}, **changes},
    )


@fault("DAT-13", "label_order")
def one_label_of_several_turned_round(folder: Path) -> Planted:
    """In training the first of three labels is read as there where it is not."""

    def turned(labels: Any) -> Any:
        def read(*rest: Any) -> Any:
            found = labels(*rest).copy()
            found[:, 0] = 1 - found[:, 0]
            return found

        return read

    return label_run(folder, MULTI_LABEL, during=sabotage(class_examples, "_labels", turned))


@fault("SAV-02", "artefact_equivalence")
def unit_of_a_number_not_saved(folder: Path) -> Planted:
    """Mean and deviation of the training labels, the head's unit, are lost beside its weights."""

    def lost(paths: ExperimentPaths) -> None:
        file = paths.run(ARM).model / CLASSES_FILE
        layout = read_json(file, ClassifierLayout)
        plain = {"target_mean": 0.0, "target_scale": 1.0}
        write_json(file, ClassifierLayout(**{**vars(layout), **plain}))
        write_manifest(paths.run(ARM).model)

    return label_run(folder, REGRESSION, then=lost)


@fault("EMB-02", "artefact_equivalence", "served_reading")
def unit_length_lost(folder: Path) -> Planted:
    """The head was trained on embeddings of length 1, and the saved folder does not give them."""

    def lost(paths: ExperimentPaths) -> None:
        file = paths.run(ARM).model / "modules.json"
        modules = json.loads(file.read_text(encoding="utf-8"))
        kept = [module for module in modules if not module["type"].endswith("Normalize")]
        assert len(kept) < len(modules)
        file.write_text(json.dumps(kept), encoding="utf-8")
        write_manifest(paths.run(ARM).model)

    return graft_run(folder, MEANS, rows=class_frames(), then=lost, **ROWS)


@fault("EVL-09", "control_at_chance")
def labels_of_the_control_stay(folder: Path) -> Planted:
    """The labels of the control are not dealt out, so it learns what it must not know."""

    def undealt(_: Any) -> Any:
        return lambda rows, split, *rest: rows[rows["split"] == split].reset_index(drop=True)

    return graft_run(
        folder,
        CONTROL,
        rows=class_frames(),
        during=sabotage(arms, "_dealt_rows", undealt),
        **ROWS,
    )
