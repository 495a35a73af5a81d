# SPDX-License-Identifier: MIT
"""The loss as a module."""

from typing import Any

import torch
from torch import Tensor

from labelsmooth.settings import Denominator, Empty, Rule, Support, Weighting

from .functional import cross_entropy

_TENSORS = ("weight", "prior", "matrix", "class_smoothing", "mask")


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    r"""torch.nn.CrossEntropyLoss, and what it lacks.

    .. math:: L = -\sum_k w_k q_k \log p_k

    Args: those of `cross_entropy`. The tensors (weight (K,), prior (K,), matrix (K, K), class_smoothing (K,),
        mask (K,)) move with the module; weight alone is in the state dict, as in PyTorch. What differs by
        batch is given with the call: ``criterion(input, target, row_weight=...)`` takes every keyword of
        `cross_entropy`, before the module's own.

    Returns: as `cross_entropy`.

    Raises: as `cross_entropy`.

    Example:
        >>> import torch, labelsmooth.torch
        >>> criterion = labelsmooth.torch.CrossEntropyLoss(label_smoothing=0.1)
        >>> round(criterion(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([2])).item(), 6)
        0.507606

    Source: as `cross_entropy`.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int | None = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        rule: Rule = "uniform",
        prior: Tensor | None = None,
        matrix: Tensor | None = None,
        class_smoothing: Tensor | None = None,
        weighting: Weighting = "per_term",
        support: Support = "all",
        mask: Tensor | None = None,
        padded_classes: int = 0,
        scale: float = 1.0,
        softcap: float | None = None,
        lse_square_scale: float = 0.0,
        entropy_penalty: float = 0.0,
        max_suppression: float = 0.0,
        denominator: Denominator | float = "weights",
        empty: Empty = "nan",
        axis: int | None = None,
        return_z_loss: bool = False,
        return_token_accuracy: bool = False,
        return_predicted_tokens: bool = False,
        return_parts: bool = False,
    ) -> None:
        super().__init__(weight, size_average, ignore_index, reduce, reduction, label_smoothing)  # type: ignore[arg-type]
        for name, tensor in zip(_TENSORS[1:], (prior, matrix, class_smoothing, mask), strict=True):
            self.register_buffer(name, tensor, persistent=False)
        options = {
            "rule": rule,
            "weighting": weighting,
            "support": support,
            "padded_classes": padded_classes,
            "scale": scale,
            "softcap": softcap,
            "lse_square_scale": lse_square_scale,
            "entropy_penalty": entropy_penalty,
            "max_suppression": max_suppression,
            "denominator": denominator,
            "empty": empty,
            "axis": axis,
            "return_z_loss": return_z_loss,
            "return_token_accuracy": return_token_accuracy,
            "return_predicted_tokens": return_predicted_tokens,
            "return_parts": return_parts,
        }
        plain = CrossEntropyLoss.__init__.__kwdefaults__ or {}
        # What is not the default: each keyword costs time in every call.
        self.options: dict[str, Any] = {
            name: value for name, value in options.items() if value != plain[name]
        }

    def forward(self, input: Tensor, target: Tensor, **of_this_batch: Any) -> Any:
        given: dict[str, Any] = {
            "ignore_index": self.ignore_index,
            "reduction": self.reduction,
            "label_smoothing": self.label_smoothing,
            **self.options,
        }
        buffers = self._buffers  # where attributes of a module are looked for last, in 0.5 us each
        for name in _TENSORS:
            tensor = buffers[name] if name in buffers else getattr(self, name)
            if tensor is not None:
                given[name] = tensor
        given.update(of_this_batch)
        return cross_entropy(input, target, **given)

    def extra_repr(self) -> str:
        """What is not the default."""
        own = {"ignore_index": -100, "reduction": "mean", "label_smoothing": 0.0}
        said = [
            f"{name}={getattr(self, name)!r}"
            for name, default in own.items()
            if getattr(self, name) != default
        ]
        said += [f"{name}={value!r}" for name, value in self.options.items()]
        return ", ".join(said)
