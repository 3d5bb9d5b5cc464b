"""The model of a classification before training: base, head, adapter, and what each is from."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from graft.config.sections import ArmSection
from graft.core.facts import RowFacts
from graft.core.origins import LoadReport
from graft.core.seeds import derive
from graft.data.classes import class_counts
from graft.models.adapters import attach_lora, is_adapter
from graft.models.encoder import load_encoder, reinitialise
from graft.models.heads import HEAD, ClassifierLayout, TextClassifier, with_head
from graft.models.locate import LocatedBase
from graft.models.report import Added, with_new_tensors
from graft.models.table_features import fit_table
from graft.tasks.class_means import begin_at_class_means
from graft.tasks.class_texts import separator_of


def build_classifier(
    facts: RowFacts, arm: ArmSection, base: LocatedBase, seed: int, rows: pd.DataFrame
) -> tuple[TextClassifier, LoadReport]:
    """Return backbone and pooling of the base with a new head, and where each tensor is from.

    Args:
        facts: Columns and classes.
        arm: The arm.
        base: The base model.
        seed: The experiment's seed.
        rows: Training rows; table columns are fitted to them, and their classes are counted.

    Raises:
        ModelError: The base cannot be loaded.
        RecipeError: The adapter fits no module of the base.
    """
    loaded, sources = load_encoder(base, arm.base), list[tuple[Added, str]]()
    columns = (facts.numbers, facts.categories) if arm.classifier.table else ((), ())
    table = fit_table(rows, *columns)
    mean, scale = _mean_and_scale(rows["label"]) if facts.regression else (0.0, 1.0)
    layout = ClassifierLayout(
        classes=facts.classes,
        texts=facts.texts,
        input=arm.classifier.texts,
        separator=separator_of(loaded.model.tokenizer),
        table=table.columns,
        class_rows=tuple(class_counts(rows, facts)),
        problem_type=facts.problem_type,
        rows=len(rows),
        target_mean=mean,
        target_scale=scale,
    )
    at_means = arm.classifier.head_init == "class_means"
    model, left_out = with_head(
        loaded.model,
        arm.classifier.pooling,
        layout,
        table,
        derive(seed, HEAD),
        unit_length=at_means,
    )
    begun = "at the class means" if at_means else "random"
    sources.append((lambda name: name.startswith(f"{HEAD}."), f"head: new, {begun}"))
    if arm.method == "lora":
        attach_lora(model.encoder, arm.lora, derive(seed, "adapter"))
        sources.append((is_adapter, "adapter: new, its product is zero"))
    if arm.control == "random_init":
        reinitialise(model, seed)
        sources.append((lambda name: True, "random_init: control without pretraining"))
    if at_means:
        begin_at_class_means(model, rows)
    report = replace(loaded.report, left_out=left_out)
    return model, with_new_tensors(report, model, sources)


def _mean_and_scale(labels: pd.Series[float]) -> tuple[float, float]:
    """Return mean and standard deviation, 1 for labels that are all equal."""
    return float(labels.mean()), float(labels.std(ddof=0)) or 1.0
