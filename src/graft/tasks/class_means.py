"""A head that begins at the mean embedding of each class instead of at random."""

from __future__ import annotations

import pandas as pd
import torch
from torch.nn.functional import normalize

from graft.models.batches import batches
from graft.models.heads import TextClassifier
from graft.tasks.class_examples import class_batch, class_examples, embeddings_of

# A logit is this times a cosine; also the scale of the ranking losses of Sentence-Transformers.
SHARPNESS = 20.0


def begin_at_class_means(model: TextClassifier, rows: pd.DataFrame) -> None:
    """Set the head so that the logit of a class is the cosine to its mean, times `SHARPNESS`.

    Weight imprinting (Qi, Brown & Lowe 2018). A random head sends random gradients into the
    encoder until it has learned the classes; with few rows a class the encoder is worse by then.
    Of towers each has its own mean. Weights of table columns, and those of a class without rows,
    stay as they were drawn. The rows are computed once, in float32.

    Args:
        model: Its encoder gives embeddings of unit length; its head is changed in place.
        rows: Training rows with one class each.
    """
    towers, width = model.layout.towers, model.width
    sums = torch.zeros(model.layout.outputs, towers * width, dtype=torch.float64)
    examples = class_examples(model, rows)
    order = sorted(range(len(examples)), key=lambda place: examples[place].tokens)
    tokens = [example.tokens for example in examples]
    model.eval()
    with torch.inference_mode():
        for chosen in batches(order, tokens):
            batch = class_batch([examples[place] for place in chosen])
            sums.index_add_(0, batch.labels, embeddings_of(model, batch).double().cpu())
    means = normalize(sums.view(-1, towers, width), dim=2).view(-1, towers * width)
    held = torch.tensor(model.layout.class_rows) > 0
    weight = model.head.linear.weight
    with torch.no_grad():
        weight[held, : towers * width] = (SHARPNESS * means[held]).to(weight.dtype)
