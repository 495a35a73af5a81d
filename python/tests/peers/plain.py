# SPDX-License-Identifier: MIT
"""The definition in NumPy, for cases whose figures are not given."""

import numpy as np
import numpy.typing as npt


def log_softmax(logits: npt.ArrayLike) -> np.ndarray:
    z = np.asarray(logits, np.float64)
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def one_hot(labels: npt.ArrayLike, classes: int) -> np.ndarray:
    return np.eye(classes)[np.asarray(labels)]


def losses(logits: npt.ArrayLike, targets: npt.ArrayLike) -> np.ndarray:
    """Of each row, -sum q log p."""
    return -(np.asarray(targets, np.float64) * log_softmax(logits)).sum(-1)


def gradients(logits: npt.ArrayLike, targets: npt.ArrayLike) -> np.ndarray:
    """Of each row's loss, p sum q - q."""
    q = np.asarray(targets, np.float64)
    return np.exp(log_softmax(logits)) * q.sum(-1, keepdims=True) - q
