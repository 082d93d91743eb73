"""Weights that each row of a batch has for itself, some gradient steps away from those that all share (MAML)."""

from collections.abc import Callable, Mapping
from typing import Literal

from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

MetaGradient = Literal["first", "second"]
"""Whether the steps count as constants when the shared weights are learned (`first`), or are differentiated through."""


def adapted(
    module: nn.Module,
    loss: Callable[..., Tensor],
    seen: tuple[Tensor, ...],
    context: tuple[Tensor, ...],
    *,
    steps: int,
    rate: float,
    order: MetaGradient,
) -> Tensor:
    """module(*seen) row by row, each row with weights of its own: w <- w - rate * d loss / d w, `steps` times.

    The start w of all rows are the module's parameters, which get the gradient of the result; they are not changed.

    Args:
        module: takes `seen` [b, ...] and returns [b, ...]; draws nothing.
        loss: output [...] of one row and its `context` -> scalar.
        seen: what the module is called with, rows first.
        context: what the loss is told beside it, rows first.
        steps: gradient steps; with 0 every row has the shared weights.
        rate: length of a step.
        order: see `MetaGradient`.
    """
    if not steps:
        output: Tensor = module(*seen)
        return output
    start: Mapping[str, Tensor] = dict(module.named_parameters())

    def apply(weights: Mapping[str, Tensor], *row: Tensor) -> Tensor:
        result: Tensor = functional_call(module, dict(weights), tuple(each.unsqueeze(0) for each in row))
        return result.squeeze(0)

    def row_loss(weights: Mapping[str, Tensor], row: tuple[Tensor, ...], told: tuple[Tensor, ...]) -> Tensor:
        return loss(apply(weights, *row), *told)

    def of_row(row: tuple[Tensor, ...], told: tuple[Tensor, ...]) -> Tensor:
        weights = start
        for _ in range(steps):
            if order == "first":
                fixed = {name: value.detach() for name, value in weights.items()}
                slopes = grad(row_loss)(fixed, _detached(row), _detached(told))
            else:
                slopes = grad(row_loss)(weights, row, told)
            weights = {name: value - rate * slopes[name] for name, value in weights.items()}
        return apply(weights, *row)

    result: Tensor = vmap(of_row)(seen, context)
    return result


def _detached(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor.detach() for tensor in tensors)
