# SPDX-License-Identifier: MIT
"""The loss for NumPy."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _core
from .errors import Error
from .settings import (
    Denominator,
    Empty,
    Reduction,
    Rule,
    Settings,
    Support,
    Weighting,
    bound,
    named_denominator,
)

Array: TypeAlias = npt.NDArray[Any]


class Parts(NamedTuple):
    """What a loss is made of, one entry a row, in the labels' shape. Ignored rows hold 0, and argmax -1.

    Attributes:
        loss: weighted and smoothed, not divided; float64, as all but the last two.
        nll: the hard-label loss, without smoothing and weights.
        lse: log-sum-exp of the row.
        confidence: the largest probability.
        entropy: of the predicted distribution, nats.
        argmax: the predicted class, the lowest on ties; int64.
        correct: whether it is the label; None where dense targets have no labels.
    """

    loss: Array
    nll: Array
    lse: Array
    confidence: Array
    entropy: Array
    argmax: Array
    correct: Array | None


def rows_shape(logits: Array, axis: int) -> tuple[int, ...]:
    """The logits' shape without its class axis."""
    if not -logits.ndim <= axis < logits.ndim:
        raise Error("axis", f"{axis} found, the logits have {logits.ndim} axes")
    axis %= logits.ndim
    return logits.shape[:axis] + logits.shape[axis + 1 :]


def cross_entropy(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    label_smoothing: float | npt.ArrayLike = 0.0,
    rule: Rule = "uniform",
    prior: npt.ArrayLike | None = None,
    matrix: npt.ArrayLike | None = None,
    class_smoothing: npt.ArrayLike | None = None,
    weight: npt.ArrayLike | None = None,
    weighting: Weighting = "per_term",
    row_weight: npt.ArrayLike | None = None,
    ignore_index: int | None = -100,
    mixed: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    hard_labels: npt.ArrayLike | None = None,
    support: Support = "all",
    mask: npt.ArrayLike | None = None,
    padded_classes: int = 0,
    scale: float = 1.0,
    softcap: float | None = None,
    lse_square_scale: float = 0.0,
    entropy_penalty: float = 0.0,
    max_suppression: float = 0.0,
    reduction: Reduction = "mean",
    denominator: Denominator | float = "weights",
    empty: Empty = "nan",
    axis: int = -1,
    upstream: float | npt.ArrayLike = 1.0,
    return_grad: bool = False,
    return_parts: bool = False,
    out: Array | None = None,
) -> Any:
    r"""Label-smoothed cross-entropy, with its gradient where asked for.

    For a row with target :math:`q = a\,t + b\,u` (label part t, prior part u; the rule gives a and b), class
    weights w and p = softmax(z):

    .. math:: L = -\sum_k w_k q_k \log p_k, \qquad
       \frac{\partial L}{\partial z_k} = p_k \sum_j w_j q_j - w_k q_k.

    Args:
        logits: (..., K, ...), float32, float64, float16 or ml_dtypes' bfloat16, any strides.
        labels: integers of the logits' shape without `axis`; or floating targets of the logits' shape, one
            distribution (or any mass) a row.
        label_smoothing: amount e in [0, 1]; or one amount a row, in the rows' shape.
        rule: where the mass goes. ``uniform``: label 1 - e + e/K, others e/K. ``others``: 1 - e, e/(K-1).
            ``flip``: 1 - e, e each. ``additive``: 1, e each. The last two have a mass that is not 1.
        prior: what takes the place of 1/K under ``uniform``: (K,), or the logits' shape. Sums to 1.
        matrix: (K, K), the prior of each label.
        class_smoothing: (K,), the amount of each label, in place of `label_smoothing`.
        weight: (K,) class weights.
        weighting: ``per_term`` weighs each class's term (PyTorch), ``label`` the row by its label (Keras),
            ``expected`` the row by the mean of its target (Paddle).
        row_weight: one weight a row.
        ignore_index: rows with this label do not count; None: all do.
        mixed: (second labels, weight of the first in [0, 1]), both of the rows' shape (mixup).
        hard_labels: with floating targets: labels that say which rows are ignored and which correct.
        support: ``finite``: classes at -inf or masked take no part in smoothing; ``all``: they do, and one at
            -inf makes a smoothed loss inf.
        mask: bool, False excludes a class: (K,) or the logits' shape. Needs the support ``finite``.
        padded_classes: how many of the last classes are padding in memory only.
        scale: z = scale * logits, the inverse of a temperature.
        softcap: z = softcap * tanh(logits / softcap), before the scale.
        lse_square_scale: factor of logsumexp(z)^2 (z-loss).
        entropy_penalty: factor of the entropy of p, which is taken off.
        max_suppression: factor of max z - mean z.
        reduction: ``mean``, ``sum`` or ``none``.
        denominator: of a mean: ``weights`` of the counted rows, their number ``rows``, or a constant.
        empty: what a mean over nothing is: ``nan``, ``zero``, or an ``error``.
        axis: of the classes.
        upstream: factor of the gradient; with the reduction ``none`` also one a row.
        return_grad: also return d(loss)/d(logits), in the logits' shape and type.
        return_parts: also return `Parts`.
        out: the array that the gradient is written to; may be the logits themselves.

    Returns:
        The loss: a float, or float64 losses in the rows' shape with the reduction ``none``. With
        `return_grad` and `return_parts` a tuple (loss, gradient, parts) of what was asked for.

    Raises:
        Error: a ValueError that names the argument, what was found (with the row) and what is allowed.

    Example:
        >>> import labelsmooth
        >>> loss, grad = labelsmooth.cross_entropy(
        ...     [[2.0, -1.0], [-1.0, 2.0]], [0, 1], label_smoothing=0.3, return_grad=True)
        >>> round(loss, 12)
        0.498587351574
        >>> grad.round(4).tolist()
        [[0.0513, -0.0513], [-0.0513, 0.0513]]

    Source: Szegedy et al., "Rethinking the Inception Architecture", 2016. docs/math.md has the formulas, the
    error bounds, and what NaN and infinity do.
    """
    z = _floating(logits)
    shape = rows_shape(z, axis)
    y = np.asarray(labels)
    dense = y.dtype.kind not in "iub" and y.shape == z.shape
    if hard_labels is not None and not dense:
        raise Error("hard_labels", "go with floating targets of the logits' shape")
    if mixed is not None and dense:
        raise Error("mixed", "goes with integer labels")
    second, mixing = mixed if mixed is not None else (None, None)
    one_amount = np.ndim(label_smoothing) == 0
    kind, constant = named_denominator(denominator)
    settings = Settings(
        label_smoothing=float(label_smoothing) if one_amount else 0.0,  # type: ignore[arg-type]
        rule=rule,
        weighting=weighting,
        ignore_index=ignore_index,
        support=support,
        padded_classes=padded_classes,
        scale=scale,
        softcap=softcap or 0.0,
        lse_square_scale=lse_square_scale,
        entropy_penalty=entropy_penalty,
        max_suppression=max_suppression,
        reduction=reduction,
        denominator=kind,
        denominator_value=constant,
        empty=empty,
        axis=axis,
    )
    loss = _core.Loss(
        bound(settings),
        _walkable(z),
        _of_rows("labels", hard_labels if dense else y, shape),
        second=_of_rows("mixed", second, shape),
        mixing=_of_rows("mixed", _optional(mixing), shape),
        targets=_contiguous(y) if dense else None,
        prior=_optional(prior),
        matrix=_optional(matrix),
        amounts=None if one_amount else _of_rows("label_smoothing", _optional(label_smoothing), shape),
        class_amounts=_optional(class_smoothing),
        weight=_optional(weight),
        row_weight=_of_rows("row_weight", _optional(row_weight), shape),
        mask=None if mask is None else _contiguous(np.asarray(mask)),
    )

    parts = _empty_parts(
        shape, all_of=return_parts, loss=reduction == "none", correct=not dense or hard_labels is not None
    )
    grad = None
    if return_grad or out is not None:
        grad = np.empty(z.shape, z.dtype) if out is None else out
        factor = float(upstream) if np.ndim(upstream) == 0 else 1.0  # type: ignore[arg-type]
        factors = None if np.ndim(upstream) == 0 else _of_rows("upstream", _optional(upstream), shape)
        value = loss.value(grad, factor, factors, parts)
    else:
        value = loss.value(parts=parts)
    result: list[Any] = [parts["loss"] if reduction == "none" else value.loss]
    if grad is not None:
        result.append(grad)
    if return_parts:
        result.append(Parts(*[parts.get(name) for name in Parts._fields]))  # type: ignore[arg-type]
    return result[0] if len(result) == 1 else tuple(result)


def _floating(array: npt.ArrayLike) -> Array:
    """Integers and bools become float64."""
    values = np.asarray(array)
    return values.astype(np.float64) if values.dtype.kind in "iub" else values


def _contiguous(array: Array) -> Array:
    return array if array.flags.c_contiguous else np.array(array, order="C")


def _walkable(array: Array) -> Array:
    """Logits of up to three axes are read where they lie, whatever their strides."""
    return array if array.ndim <= 3 else _contiguous(array)


def _optional(array: npt.ArrayLike | None) -> Array | None:
    return None if array is None else _contiguous(_floating(array))


def _of_rows(name: str, array: npt.ArrayLike | None, shape: tuple[int, ...]) -> Array | None:
    """One entry a row, contiguous."""
    if array is None:
        return None
    values = _contiguous(np.asarray(array))
    if values.shape != shape:
        raise Error(name, f"shape {values.shape} found, that of the rows is {shape}")
    return values


def _empty_parts(shape: tuple[int, ...], all_of: bool, loss: bool, correct: bool) -> dict[str, Array]:
    names = [name for name in Parts._fields if all_of or (loss and name == "loss")]
    types = {"argmax": np.int64, "correct": np.bool_}
    return {
        name: np.empty(shape, types.get(name, np.float64)) for name in names if name != "correct" or correct
    }
