"""What is added to a loaded model enters its load report by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import nn

from graft.core.origins import LoadReport, Origin, TensorOrigin
from graft.models.encoder import tensor_name


def with_new_tensors(
    report: LoadReport, model: nn.Module, sources: Mapping[str, str]
) -> LoadReport:
    """Return the report with the tensors that were attached or replaced after loading.

    Args:
        report: The report of the base.
        model: The model as it will be trained.
        sources: Part of a tensor's name to how it was initialised; an empty part means every
            tensor of the base was replaced.
    """
    if not sources:
        return report
    known = {tensor.name: tensor for tensor in report.tensors}
    tensors = []
    for name, tensor in model.state_dict().items():
        shown = tensor_name(name).replace(".base_layer.", ".")
        source = next((s for part, s in sources.items() if part and _has(shown, part)), None)
        if source is None and shown in known and "" not in sources:
            tensors.append(known[shown])
            continue
        how = source or sources.get("", "initialised")
        shape = tuple(tensor.shape)
        tensors.append(TensorOrigin(shown, Origin.new, how, shape, None))
    count = sum(parameter.numel() for parameter in model.parameters())
    return replace(report, tensors=tuple(tensors), parameters=count)


def _has(name: str, part: str) -> bool:
    return name.startswith(part) or f".{part}" in name
