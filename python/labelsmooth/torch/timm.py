# SPDX-License-Identifier: MIT
"""timm's losses, under its names and with its meaning."""

import torch
from torch import Tensor

from .functional import cross_entropy


class LabelSmoothingCrossEntropy(torch.nn.Module):
    r"""Label-smoothed cross-entropy, mean over rows.

    .. math:: L = -(1 - e) \log p_y - \frac{e}{K} \sum_k \log p_k

    Args:
        smoothing: amount e in [0, 1).

    Returns: of x (N, K) and target (N,) a scalar.

    Raises: as `cross_entropy`.

    Example:
        >>> import torch, labelsmooth.torch
        >>> criterion = labelsmooth.torch.LabelSmoothingCrossEntropy(smoothing=0.1)
        >>> round(criterion(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([2])).item(), 6)
        0.507606

    Source: timm, timm/loss/cross_entropy.py.
    """

    def __init__(self, smoothing: float = 0.1) -> None:
        super().__init__()
        assert smoothing < 1.0
        self.smoothing = smoothing

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        loss: Tensor = cross_entropy(x, target, ignore_index=None, label_smoothing=self.smoothing, axis=-1)
        return loss


class SoftTargetCrossEntropy(torch.nn.Module):
    r"""Cross-entropy with probabilities, mean over rows, as of mixup.

    .. math:: L = -\sum_k t_k \log p_k

    Returns: of x (..., K) and target (..., K) a scalar.

    Raises: as `cross_entropy`.

    Example:
        >>> import torch, labelsmooth.torch
        >>> x, target = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.0, 0.5, 0.5]])
        >>> round(labelsmooth.torch.SoftTargetCrossEntropy()(x, target).item(), 6)
        0.907606

    Source: timm, timm/loss/cross_entropy.py.
    """

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        loss: Tensor = cross_entropy(x, target, axis=-1)
        return loss


class BinaryCrossEntropy(torch.nn.Module):
    r"""Cross-entropy of K sigmoids, with class numbers smoothed as under the softmax.

    .. math:: L = -\sum_k q_k \log \sigma(z_k) + (1 - q_k) \log \sigma(-z_k), \qquad q = (1 - e)\,t + e / K

    Args:
        smoothing: amount e in [0, 1), of class numbers alone.
        target_threshold: targets above it become 1, the others 0.
        weight, pos_weight: as in binary_cross_entropy_with_logits; pos_weight may be a number.
        reduction: ``mean`` over rows and classes, ``sum`` or ``none``.
        sum_classes: sum over classes, mean over rows, whatever the reduction.

    Returns: of x (N, K) and target (N,) or (N, K) a scalar, or (N, K) under ``none``.

    Raises: as binary_cross_entropy_with_logits.

    Example:
        >>> import torch, labelsmooth.torch
        >>> criterion = labelsmooth.torch.BinaryCrossEntropy(smoothing=0.1)
        >>> round(criterion(torch.tensor([[1.0, -1.0]]), torch.tensor([0])).item(), 6)
        0.363262

    Source: timm, timm/loss/binary_cross_entropy.py; Wightman et al., "ResNet strikes back", 2021.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        smoothing: float = 0.1,
        target_threshold: float | None = None,
        weight: Tensor | None = None,
        reduction: str = "mean",
        sum_classes: bool = False,
        pos_weight: Tensor | float | None = None,
    ) -> None:
        super().__init__()
        assert 0.0 <= smoothing < 1.0
        self.smoothing = smoothing
        self.target_threshold = target_threshold
        self.reduction = "none" if sum_classes else reduction
        self.sum_classes = sum_classes
        self.register_buffer("weight", weight)
        if isinstance(pos_weight, float | int):
            pos_weight = torch.tensor(pos_weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        assert x.shape[0] == target.shape[0]
        if target.shape != x.shape:
            target = self._smoothed(target, x)
        if self.target_threshold is not None:
            target = (target > self.target_threshold).to(target.dtype)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            x, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )
        return loss.sum(-1).mean() if self.sum_classes else loss

    def _smoothed(self, labels: Tensor, x: Tensor) -> Tensor:
        """(N, K) from (N,)."""
        classes = x.shape[-1]
        off = self.smoothing / classes
        rows = torch.full((x.shape[0], classes), off, device=x.device, dtype=x.dtype)
        return rows.scatter_(1, labels.long().view(-1, 1), 1.0 - self.smoothing + off)
