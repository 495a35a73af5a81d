# SPDX-License-Identifier: MIT
"""The package's faces behind one signature, so that a peer's case is asked of each."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

Answer = tuple[np.ndarray, np.ndarray]  # loss, gradient
FACES = ("numpy", "torch", "jax")


class Case(NamedTuple):
    """Logits with the classes last, labels or floating targets, and the options by their names."""

    logits: Any
    labels: Any
    options: dict[str, Any]


def ask_numpy(case: Case, upstream: Any = 1.0) -> Answer:
    import labelsmooth

    loss, gradient = labelsmooth.cross_entropy(
        case.logits, case.labels, **case.options, upstream=upstream, return_grad=True
    )
    return np.asarray(loss), np.asarray(gradient)


def ask_torch(case: Case, upstream: Any = 1.0) -> Answer:
    import torch

    import labelsmooth.torch

    logits = _tensor(torch, case.logits, classes_second=True).requires_grad_()
    dense = np.shape(case.labels) == np.shape(case.logits)
    labels = _tensor(torch, case.labels, classes_second=dense)
    options = {name: _option(torch, value) for name, value in case.options.items()}
    loss = labelsmooth.torch.cross_entropy(logits, labels, **options)
    loss.backward(torch.as_tensor(upstream, dtype=loss.dtype).expand(loss.shape))
    assert logits.grad is not None
    return loss.detach().double().numpy(), _classes_last(logits.grad.double().numpy())


def ask_jax(case: Case, upstream: Any = 1.0) -> Answer:
    import jax

    arrays = {name: value for name, value in case.options.items() if isinstance(value, np.ndarray | tuple)}
    plain = tuple(
        (name, value) for name, value in case.options.items() if name not in arrays and value is not None
    )
    with jax.enable_x64(np.asarray(case.logits).dtype == np.float64):
        loss, gradient = _compiled()(
            np.asarray(case.logits), np.asarray(case.labels), upstream, arrays, plain
        )
        return np.asarray(loss, np.float64), np.asarray(gradient, np.float64)


@lru_cache
def _compiled() -> Callable[..., Any]:
    """Compiled once for each shape and each set of plain options."""
    import jax

    import labelsmooth.jax

    def answer(
        logits: Any, labels: Any, upstream: Any, arrays: dict[str, Any], plain: tuple[Any, ...]
    ) -> Any:
        options = arrays | dict(plain)
        loss, back = jax.vjp(lambda z: labelsmooth.jax.cross_entropy(z, labels, **options), logits)
        (gradient,) = back(jax.numpy.broadcast_to(jax.numpy.asarray(upstream, loss.dtype), loss.shape))
        return loss, gradient

    return jax.jit(answer, static_argnames="plain")


ASK: dict[str, Callable[..., Answer]] = {"numpy": ask_numpy, "torch": ask_torch, "jax": ask_jax}


def _tensor(torch: Any, array: Any, classes_second: bool) -> Any:
    values = np.asarray(array)
    if classes_second and values.ndim > 2:
        values = np.moveaxis(values, -1, 1)
    return torch.from_numpy(np.array(values, order="C"))


def _classes_last(gradient: np.ndarray) -> np.ndarray:
    return np.moveaxis(gradient, 1, -1) if gradient.ndim > 2 else gradient


def _option(torch: Any, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_option(torch, one) for one in value)
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value
