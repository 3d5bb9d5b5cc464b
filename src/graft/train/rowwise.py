"""Big embedding tables, trained without touching the rows that no batch has read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from graft.core.plan import ResolvedPlan
from graft.train.modes import named_parameters, tied_names

# From here on (4 MB of float32) filling a whole gradient with zeros costs more than all the
# bookkeeping of rows; below, the whole table stays in the processor's cache.
LARGE = 2**20


@contextlib.contextmanager
def rowwise_gradients(
    model: nn.Module, plan: ResolvedPlan, large: int = LARGE
) -> Iterator[tuple[str, ...]]:
    """Yield the names of the tables whose gradients hold only the rows that a batch reads.

    Inside the block the gradient of such a table is a sparse tensor; a table is one if the plan
    trains it, it has at least `large` elements, and nothing but its lookup uses it. Predictions
    and the numbers of the gradient stay the same. Afterwards the modules are as they were.

    Args:
        model: The model.
        plan: Its plan.
        large: Elements from which on a table is taken.
    """
    names = {id(parameter): name for name, parameter in named_parameters(model).items()}
    trained = {tensor.name for tensor in plan.tensors if tensor.joins is not None}
    candidates = trained.difference(*tied_names(model))
    tables = [
        module
        for module in model.modules()
        if isinstance(module, nn.Embedding)
        and names.get(id(module.weight)) in candidates
        and module.weight.numel() >= large
        # A limit of the norm changes weights in the forward pass; scaling needs a dense gradient.
        and not (module.sparse or module.scale_grad_by_freq or module.max_norm is not None)
    ]
    for module in tables:
        module.sparse = True
    try:
        yield tuple(names[id(module.weight)] for module in tables)
    finally:
        for module in tables:
            module.sparse = False


class RowwiseAdamW(torch.optim.AdamW):
    """AdamW (Loshchilov & Hutter 2019) that also takes sparse gradients of tables.

    The numbers are those of AdamW with dense gradients: every row that ever had a gradient is
    updated in every step, and the update of all others is zero but for the weight decay, which
    reaches the whole table. Only the moments of the rows seen so far are held: `state[table]` has
    their sorted indices in `rows`, and one row of `exp_avg` and `exp_avg_sq` for each.

    Example:
        >>> table = nn.Embedding(1000, 4, sparse=True)
        >>> optimizer = RowwiseAdamW(table.parameters(), fused=True)
        >>> table(torch.tensor([7, 3, 7])).sum().backward()
        >>> optimizer.step()
        >>> optimizer.state[table.weight]["rows"]
        tensor([3, 7])
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # noqa: ANN401 - as in torch
        """Update every parameter that has a gradient; return the loss of the closure, if any."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        tables = [
            (group, parameter, parameter.grad)
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
            and (parameter.grad.is_sparse or "rows" in self.state.get(parameter, {}))
        ]
        for _, parameter, _ in tables:
            parameter.grad = None
        super().step()
        for group, parameter, gradient in tables:
            parameter.grad = gradient
            self._update(group, parameter, gradient)
        return loss

    def _update(self, group: dict[str, Any], table: nn.Parameter, gradient: Tensor) -> None:
        gradient = (gradient if gradient.is_sparse else gradient.to_sparse(1)).coalesce()
        touched = gradient.indices()[0]
        state = self._with_rows(table, touched)
        rows = state["rows"]
        values = table.index_select(0, rows)
        places = torch.searchsorted(rows, touched)
        dense = torch.zeros_like(values).index_copy_(0, places, gradient.values())
        if group["weight_decay"]:
            table.mul_(1 - group["lr"] * group["weight_decay"])
        adamw(
            [values],
            [dense],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [],
            [state["step"]],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
        table.index_copy_(0, rows, values)

    def _with_rows(self, table: nn.Parameter, touched: Tensor) -> dict[str, Tensor]:
        """Return the state of the table, moments grown by the rows that are new to it."""
        state: dict[str, Tensor] = self.state[table]
        if not state:
            state["step"] = torch.zeros(())
            state["rows"] = touched[:0]
            state["exp_avg"] = state["exp_avg_sq"] = table.detach()[:0]
        elif "rows" not in state:  # its gradients were dense until now
            state["rows"] = torch.arange(len(table))
        before = state["rows"]
        rows = torch.unique(torch.cat([before, touched]))
        if len(rows) > len(before):
            places = torch.searchsorted(rows, before)
            for name in ("exp_avg", "exp_avg_sq"):
                grown = table.new_zeros((len(rows), *table.shape[1:]))
                state[name] = grown.index_copy_(0, places, state[name])
            state["rows"] = rows
        return state
