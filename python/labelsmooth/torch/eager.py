# SPDX-License-Identifier: MIT
"""The loss in PyTorch's own operators, by `labelsmooth.formula`: on devices that the library does not reach,
for second derivatives, and for gradients in the targets."""

from typing import Any

import torch
from torch import Tensor

from labelsmooth import formula
from labelsmooth.arrays import Arrays, Rows, check
from labelsmooth.settings import Settings


def rows_of(settings: Settings, logits: Tensor, tensors: Arrays, through: bool) -> Rows:
    """The quantities of each row. The loss is differentiable in the logits, by the formula of its gradient;
    or `through` all that it is made of, as PyTorch differentiates it."""
    arrays = _classes_last(settings, logits, tensors)
    z = _sliced(settings, logits)
    if through or not (torch.is_grad_enabled() and z.requires_grad):
        return formula.forward(torch, settings, z, arrays)
    with torch.no_grad():
        rows = formula.forward(torch, settings, z, arrays)
    function = _Loss if torch.compiler.is_compiling() else _LossOfTangents
    return rows._replace(loss=function.apply(settings, rows.loss, z, *arrays))  # type: ignore[no-untyped-call]


def reduced(settings: Settings, rows: Rows, loss: Tensor | None = None) -> Tensor:
    """The rows' loss, or another quantity of theirs, as the loss is reduced."""
    of = rows.loss if loss is None else loss
    return formula.reduce(torch, settings, of, rows.share, rows.counts)  # type: ignore[no-any-return]


def second_gradient(
    direction: Tensor, settings: Settings, upstream: Tensor, logits: Tensor, tensors: list[Any]
) -> tuple[Tensor | None, Tensor | None]:
    """Derivatives, in the upstream and the logits, of direction . d(upstream loss)/d(logits)."""
    further = torch.is_grad_enabled()
    with torch.enable_grad():
        z = logits if logits.requires_grad else logits.detach().requires_grad_()
        z = z.view_as(z)  # of its own, since the upstream may depend on the logits too
        g = upstream if upstream.requires_grad else upstream.detach().requires_grad_()
        loss = reduced(settings, rows_of(settings, z, Arrays(*tensors), through=False))
        (first,) = torch.autograd.grad(loss, z, g.to(loss.dtype), create_graph=True)
        by_upstream, by_logits = torch.autograd.grad(first, (g, z), direction, create_graph=further)
    return by_upstream, by_logits


class _Loss(torch.autograd.Function):
    """The loss of rows, given, with the formula of its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(settings: Settings, loss: Tensor, z: Tensor, *arrays: Tensor | None) -> Tensor:
        return loss.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.settings, _, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        z, *arrays = ctx.saved_tensors
        dz = formula.gradient(torch, ctx.settings, z, Arrays(*arrays), upstream)
        return None, None, dz.to(z.dtype), *((None,) * len(arrays))


class _LossOfTangents(_Loss):
    """Forward derivatives too, which torch.compile refuses."""

    @staticmethod
    def jvp(ctx: Any, _: None, __: Any, direction: Tensor, *others: None) -> Tensor:
        z, *arrays = ctx.saved_tensors
        dz: Tensor = formula.gradient(torch, ctx.settings, z, Arrays(*arrays), 1.0)
        return (dz * direction).sum(-1)


def _sliced(settings: Settings, tensor: Tensor) -> Tensor:
    last = tensor.movedim(settings.axis, -1)
    return last[..., : last.shape[-1] - settings.padded_classes] if settings.padded_classes else last


def _classes_last(settings: Settings, logits: Tensor, tensors: Arrays) -> Arrays:
    """As `formula` wants them: classes last, without padding, labels signed."""
    changed: dict[str, Tensor] = {}
    for name in ("targets", "prior", "mask"):
        one = getattr(tensors, name)
        if one is not None and one.shape == logits.shape:
            changed[name] = _sliced(settings, one)
    for name in ("labels", "second"):
        one = getattr(tensors, name)
        if one is not None:
            changed[name] = one.long()
    arrays = tensors._replace(**changed)
    if not torch.compiler.is_compiling():
        check(settings, tuple(_sliced(settings, logits).shape), arrays)
    return arrays
