# SPDX-License-Identifier: MIT
"""Runs optax's tests of softmax cross-entropy with labelsmooth's function in place of optax's.

    python run_optax_suite.py [OPTIONS OF PYTEST]

The tests are those that come with the optax that is installed. optax's `where` of rows is our row weight, its `where` of
classes our mask of the finite support, whose masked rows it makes 0. How often ours were called is printed.
"""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import optax.losses
import pytest
from optax.losses import _classification

import labelsmooth.jax

SELECTED = "SoftmaxCrossEntropy"
calls: Counter[str] = Counter()


def masked(logits: Any, where: Any) -> dict[str, Any]:
    """optax's `where` in our words."""
    if where is None:
        return {}
    if where.shape != logits.shape:
        return {"row_weight": where.astype(logits.dtype)}
    return {"mask": where, "support": "finite", "row_weight": jnp.any(where, -1).astype(logits.dtype)}


def softmax_cross_entropy(logits: Any, labels: Any, axis: int = -1, where: Any = None) -> Any:
    if where is not None and where.shape == logits.shape:
        labels = jnp.where(where, labels, 0)  # optax leaves out the terms of masked classes
    return labelsmooth.jax.cross_entropy(logits, labels, axis=axis, reduction="none", **masked(logits, where))


def softmax_cross_entropy_with_integer_labels(
    logits: Any, labels: Any, axis: int = -1, where: Any = None
) -> Any:
    options = masked(logits, where)
    return labelsmooth.jax.cross_entropy(
        logits, labels, axis=axis, reduction="none", ignore_index=None, **options
    )


def safe_softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    return labelsmooth.jax.cross_entropy(logits, labels, reduction="none")


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        calls[function.__name__] += 1
        return function(*arguments, **options)

    return call


def main() -> int:
    for function in (
        softmax_cross_entropy,
        softmax_cross_entropy_with_integer_labels,
        safe_softmax_cross_entropy,
    ):
        setattr(_classification, function.__name__, counted(function))
    tests = Path(optax.losses.__file__).parent / "_classification_test.py"
    status = pytest.main([str(tests), "-k", SELECTED, "-q", "-p", "no:cacheprovider", *sys.argv[1:]])
    for name, times in calls.items():
        print(f"labelsmooth's {name} was called {times} times")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
