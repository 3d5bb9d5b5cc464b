"""What is added to a loaded model enters its load report by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from graft.core.origins import LoadReport, Origin, TensorOrigin
from graft.models.encoder import tensor_name

Added = Callable[[str], bool]


def with_new_tensors(
    report: LoadReport, model: nn.Module, sources: Sequence[tuple[Added, str]]
) -> LoadReport:
    """Return the report with the tensors that were attached or replaced after loading.

    Args:
        report: The report of the base.
        model: The model as it will be trained.
        sources: Which tensors were added, by a test of their name, and how they were initialised.
            The first that fits counts.
    """
    if not sources:
        return report
    known = {tensor.name: tensor for tensor in report.tensors}
    tensors = []
    for name, tensor in model.state_dict().items():
        shown = tensor_name(name).replace(".base_layer.", ".")
        how = next((source for added, source in sources if added(shown)), None)
        if how is None and shown in known:
            tensors.append(known[shown])
        else:
            shape = tuple(tensor.shape)
            tensors.append(TensorOrigin(shown, Origin.new, how or "initialised", shape, None))
    count = sum(parameter.numel() for parameter in model.parameters())
    return replace(report, tensors=tuple(tensors), parameters=count)
