"""A head for classes or numbers on an encoder: composed, saved, and loaded again.

The model is a plain Sentence-Transformers model of `0` backbone, `1` pooling, `2` normalisation if
the head reads embeddings of unit length, and `head`, so its folder loads without Graft. What the
modules cannot say lies beside them as JSON.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling
from torch import Tensor, nn

from graft.core.errors import ModelError, Problem
from graft.core.facts import REGRESSION, SINGLE_LABEL
from graft.core.files import read_json, write_json
from graft.models.encoder import quiet_transformers
from graft.models.table_features import TableFeatures

HEAD = "head"
CLASSES_FILE, TABLE_FILE = "graft_classes.json", "graft_table.json"
# Logits near zero at first: no class is preferred, and the embedding's own scale hardly matters.
_SPREAD = 0.02
Input = Literal["joint", "towers"]


@dataclass(frozen=True)
class ClassifierLayout:
    """What goes into the head and what comes out, as it is saved.

    Args:
        classes: Name of each class, in the order of the logits; of two, the second is positive.
        texts: Text columns, in order.
        input: `joint`: the columns as one text; `towers`: their embeddings side by side.
        separator: What stands between the texts of a joint input.
        table: Table columns that are read beside the texts.
        class_rows: Training rows of each class.
        max_seq_length: Tokens read of one text, None for no limit.
        problem_type: What the label is: one class, several labels, or a number.
        rows: Training rows.
        target_mean: Of a regression the mean of the training labels.
        target_scale: Their standard deviation; the head predicts in this unit, from that mean.
    """

    classes: tuple[str, ...]
    texts: tuple[str, ...]
    input: str
    separator: str
    table: tuple[str, ...] = ()
    class_rows: tuple[int, ...] = ()
    max_seq_length: int | None = None
    problem_type: str = SINGLE_LABEL
    rows: int = 0
    target_mean: float = 0.0
    target_scale: float = 1.0

    @property
    def outputs(self) -> int:
        """Number of outputs of the head."""
        return 1 if self.problem_type == REGRESSION else len(self.classes)

    @property
    def towers(self) -> int:
        """Number of embeddings that the head reads."""
        return len(self.texts) if self.input == "towers" else 1

    @property
    def texts_alone(self) -> bool:
        """True if the head reads one embedding and nothing else, so that `encode` gives logits."""
        return self.towers == 1 and not self.table


class TextClassifier(SentenceTransformer):  # type: ignore[misc]
    """An encoder with a classification head, and what is known of its input.

    Args:
        modules: `0` backbone, `1` pooling, `2` normalisation if there is one, `head`.
        layout: What goes in and comes out.
        features: How the table columns become features.
        like: Model whose prompts are taken over.
    """

    def __init__(
        self,
        modules: OrderedDict[str, nn.Module],
        layout: ClassifierLayout,
        features: TableFeatures,
        like: SentenceTransformer,
    ) -> None:
        super().__init__(
            modules=modules,
            device="cpu",
            prompts=like.prompts,
            default_prompt_name=like.default_prompt_name,
        )
        self.layout, self.features = layout, features

    @cached_property
    def encoder(self) -> SentenceTransformer:
        """The encoder without the head; it shares the modules."""
        modules = OrderedDict((name, m) for name, m in self.named_children() if name != HEAD)
        return SentenceTransformer(
            modules=modules,
            device="cpu",
            prompts=self.prompts,
            default_prompt_name=self.default_prompt_name,
        )

    @property
    def width(self) -> int:
        """Numbers of one embedding."""
        return int(self.encoder.get_embedding_dimension())

    def logits(self, embeddings: Tensor, table: Tensor) -> Tensor:
        """Return the logits `[rows, outputs]`.

        Args:
            embeddings: `[rows, towers · width]`.
            table: Features `[rows, features]`.
        """
        device = embeddings.device
        found: Tensor = self.head.linear(torch.cat([embeddings, table.to(device)], dim=1))
        return found


def with_head(
    encoder: SentenceTransformer,
    pooling: str,
    layout: ClassifierLayout,
    features: TableFeatures,
    seed: int,
    *,
    unit_length: bool = False,
) -> tuple[TextClassifier, tuple[str, ...]]:
    """Return the encoder's backbone and pooling with a new head, and the modules left out.

    A normalisation or dense layer that the base has after its pooling serves the cosine of two
    texts; a head that begins at random is better off without.

    Args:
        encoder: The base.
        pooling: `base`, `mean` or `cls`; `base` is mean where the base does not pool.
        layout: What goes into the head and comes out.
        features: How the table columns become features.
        seed: Seed of the head's weights.
        unit_length: Give the head embeddings of length 1.

    Returns:
        The model, and the names of the modules left out, as their folders: `2_Normalize`.
    """
    own = next((m for m in list(encoder)[1:] if isinstance(m, Pooling)), None)
    if own is None or pooling != "base":
        own = Pooling(
            encoder[0].get_embedding_dimension(), "mean" if pooling == "base" else pooling
        )
    inputs = layout.towers * own.get_embedding_dimension() + len(features.names)
    head = Dense(inputs, layout.outputs, activation_function=nn.Identity())
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        head.linear.weight.normal_(std=_SPREAD)
        head.linear.bias.zero_()
    kept: list[nn.Module] = [own]
    if unit_length:
        kept.append(next((m for m in encoder if isinstance(m, Normalize)), Normalize()))
    left_out = tuple(
        f"{index}_{type(module).__name__}"
        for index, module in enumerate(encoder)
        if index and module not in kept
    )
    model = _composed(encoder, [*kept, head], layout, features)
    return model, left_out


def _composed(
    encoder: SentenceTransformer,
    rest: list[nn.Module],
    layout: ClassifierLayout,
    features: TableFeatures,
) -> TextClassifier:
    names = [*map(str, range(len(rest))), HEAD]
    modules = OrderedDict(zip(names, [encoder[0], *rest], strict=True))
    layout = replace(layout, max_seq_length=encoder.max_seq_length)
    model = TextClassifier(modules, layout, features, encoder)
    model.eval()
    return model


def save_classifier(model: TextClassifier, folder: Path) -> None:
    """Write the model as a Sentence-Transformers folder, its layout and table beside it.

    A model with an adapter writes the adapter instead of the backbone's weights.

    Args:
        model: The model.
        folder: An empty folder.
    """
    with quiet_transformers():
        model.save(str(folder), create_model_card=False)
    write_json(folder / CLASSES_FILE, model.layout)
    if model.layout.table:
        write_json(folder / TABLE_FILE, model.features)


def is_classifier(folder: Path) -> bool:
    """Return True if `save_classifier` wrote the folder."""
    return (folder / CLASSES_FILE).is_file()


def load_classifier(folder: Path) -> TextClassifier:
    """Return the classifier in `folder`, read as any Sentence-Transformers folder is.

    Raises:
        ModelError: The folder holds no classifier.
    """
    layout, features = read_layout(folder)
    with quiet_transformers():
        loaded = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return _composed(loaded, list(loaded)[1:], layout, features)


def add_saved_head(encoder: SentenceTransformer, folder: Path) -> TextClassifier:
    """Return the encoder's backbone with the pooling and the head that lie in `folder`.

    Args:
        encoder: The base, its adapter merged or beside it.
        folder: What `save_classifier` wrote.

    Raises:
        ModelError: The folder holds no classifier.
    """
    layout, features = read_layout(folder)
    listed = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    paths = {module["name"]: module["path"] for module in listed}
    places = {"local_files_only": True}
    rest: list[nn.Module] = [Pooling.load(str(folder), subfolder=paths["1"], **places)]
    rest += [Normalize()] if "2" in paths else []
    rest.append(Dense.load(str(folder), subfolder=paths[HEAD], **places))
    if layout.max_seq_length is not None:
        encoder.max_seq_length = layout.max_seq_length
    return _composed(encoder, rest, layout, features)


def read_layout(folder: Path) -> tuple[ClassifierLayout, TableFeatures]:
    """Return what a classifier's folder says of its input and its classes.

    Raises:
        ModelError: The folder holds no classifier.
    """
    if not is_classifier(folder):
        problem = Problem(str(folder), f"has no {CLASSES_FILE}", "give the folder of a classifier")
        raise ModelError(folder.name, [problem])
    layout = read_json(folder / CLASSES_FILE, ClassifierLayout)
    table = read_json(folder / TABLE_FILE, TableFeatures) if layout.table else TableFeatures()
    return layout, table


def assert_classifier(model: nn.Module) -> TextClassifier:
    """Return `model` as the classifier that a classification's `build` made."""
    if not isinstance(model, TextClassifier):
        raise TypeError(f"a classification needs a TextClassifier, received {type(model).__name__}")
    return model
