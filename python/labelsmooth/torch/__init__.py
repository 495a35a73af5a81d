# SPDX-License-Identifier: MIT
"""Label-smoothed cross-entropy for PyTorch: a drop-in for torch.nn.CrossEntropyLoss, and timm's losses."""

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError("labelsmooth.torch needs PyTorch: pip install labelsmooth[torch]") from error

from .functional import CrossEntropyOutput, cross_entropy
from .losses import CrossEntropyLoss
from .ops import Parts
from .timm import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropyLoss",
    "CrossEntropyOutput",
    "LabelSmoothingCrossEntropy",
    "Parts",
    "SoftTargetCrossEntropy",
    "cross_entropy",
]
