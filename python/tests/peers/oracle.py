# SPDX-License-Identifier: MIT
"""What the suites of fused kernels compare themselves with: PyTorch's own loss of the same logits, here in float64."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def torch_loss(
    logits: Tensor,
    target: Tensor,
    *,
    scale: float = 1.0,
    softcap: float | None = None,
    lse_square_scale: float = 0.0,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    **options: Any,
) -> Tensor:
    """PyTorch's cross-entropy of scaled and capped logits, plus the z-loss, whose mean is over the counted rows."""
    z = logits.double()
    z = z if softcap is None else softcap * torch.tanh(z / softcap)
    z = z * scale
    weight = None if weight is None else weight.double()
    loss = functional.cross_entropy(
        z, target, weight, ignore_index=ignore_index, reduction=reduction, **options
    )
    if lse_square_scale == 0:
        return loss
    squares = lse_square_scale * torch.logsumexp(z, -1) ** 2
    counted = target != ignore_index
    each = torch.where(counted, squares, 0.0)
    return loss + {"none": each, "sum": each.sum(), "mean": each.sum() / counted.sum()}[reduction]


def exact(
    logits: Tensor, target: Tensor, upstream: Tensor | float = 1.0, **options: Any
) -> tuple[Tensor, Tensor]:
    """Loss and gradient of `torch_loss` in float64."""
    z = logits.detach().double().requires_grad_()
    loss = torch_loss(z, target, **options)
    loss.backward(torch.as_tensor(upstream, dtype=loss.dtype).expand(loss.shape))
    assert z.grad is not None
    return loss.detach(), z.grad


def ours(
    logits: Tensor, target: Tensor, upstream: Tensor | float = 1.0, **options: Any
) -> tuple[Tensor, Tensor]:
    """The same of labelsmooth.torch, in the logits' own type."""
    import labelsmooth.torch

    x = logits.detach().clone().requires_grad_()
    loss = labelsmooth.torch.cross_entropy(x, target, **options)
    loss.backward(torch.as_tensor(upstream, dtype=loss.dtype).expand(loss.shape))
    assert x.grad is not None
    return loss.detach(), x.grad


def assert_agree(
    mine: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor], *, rtol: float, atol: float
) -> None:
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=rtol, atol=atol)


def batch(rows: int, classes: int, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Normal logits, uniform labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=generator).to(dtype)
    return logits, torch.randint(classes, (rows,), generator=generator)


def ignore_some(target: Tensor, ignore_index: int, share: float = 0.3, seed: int = 1) -> Tensor:
    """A share of the labels becomes `ignore_index`."""
    dropped = torch.rand(target.shape, generator=torch.Generator().manual_seed(seed)) < share
    dropped.view(-1)[0], dropped.view(-1)[1] = True, False
    return torch.where(dropped, ignore_index, target)
