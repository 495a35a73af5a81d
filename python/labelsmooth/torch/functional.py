# SPDX-License-Identifier: MIT
"""The loss for PyTorch."""

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from labelsmooth.arrays import Arrays
from labelsmooth.errors import Error
from labelsmooth.settings import Denominator, Empty, Rule, Settings, Support, Weighting, named_denominator

from . import eager, ops
from .checks import (
    HALVES,
    check_kind,
    check_labels,
    check_others,
    check_reduction,
    check_smoothing,
    check_soft,
    check_tensors,
    check_weight,
    class_axis,
)
from .ops import Parts

# Inside torch.func.grad, vmap and the like, tensors have no memory; the library knows no tangents either.
_in_transform = getattr(torch._C, "_are_functorch_transforms_active", lambda: False)


class CrossEntropyOutput(NamedTuple):
    """The loss and what else was asked for, under Liger's names; None where it was not. Only the loss has a
    gradient.

    Attributes:
        loss: as `cross_entropy` returns it alone.
        z_loss: the part of it that is lse_square_scale * lse^2, reduced as it is.
        token_accuracy: share of the counted rows whose largest logit is the label's, float32; with the
            reduction ``none`` 0 or 1 a row.
        predicted_tokens: class of the largest logit, the lowest on ties, -1 where ignored; int64.
        parts: what the loss is made of, float64 on the CPU.
    """

    loss: Tensor
    z_loss: Tensor | None = None
    token_accuracy: Tensor | None = None
    predicted_tokens: Tensor | None = None
    parts: Parts | None = None


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int | None = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float | Tensor = 0.0,
    *,
    rule: Rule = "uniform",
    prior: Tensor | None = None,
    matrix: Tensor | None = None,
    class_smoothing: Tensor | None = None,
    weighting: Weighting = "per_term",
    row_weight: Tensor | None = None,
    mixed: tuple[Tensor, Tensor] | None = None,
    hard_labels: Tensor | None = None,
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
) -> Any:
    r"""torch.nn.functional.cross_entropy, and what it lacks.

    For a row with target :math:`q = a\,t + b\,u` (label part t, prior part u; the rule gives a and b), class
    weights w and p = softmax(z):

    .. math:: L = -\sum_k w_k q_k \log p_k, \qquad
       \frac{\partial L}{\partial z_k} = p_k \sum_j w_j q_j - w_k q_k.

    Args:
        input: logits, (K,), (N, K) or (N, K, d1, ...), of any floating type and strides.
        target: class numbers, of the input's shape without K, of any integer type; or probabilities of the
            input's shape.
        weight: (K,) class weights.
        size_average, reduce: PyTorch's old names of the reduction.
        ignore_index: rows with this label do not count; None: all do.
        reduction: ``mean``, ``sum`` or ``none``.
        label_smoothing: amount e in [0, 1]; or one amount a row, a tensor of the rows' shape.
        rule: where the mass goes. ``uniform``: label 1 - e + e/K, others e/K. ``others``: 1 - e, e/(K-1).
            ``flip``: 1 - e, e each. ``additive``: 1, e each. The last two have a mass that is not 1.
        prior: what takes the place of 1/K under ``uniform``: (K,), or the input's shape. Sums to 1.
        matrix: (K, K), the prior of each label.
        class_smoothing: (K,), the amount of each label, in place of `label_smoothing`.
        weighting: ``per_term`` weighs each class's term (PyTorch), ``label`` the row by its label (Keras),
            ``expected`` the row by the mean of its target (Paddle).
        row_weight: one weight a row.
        mixed: (second labels, weight of the first in [0, 1]), both of the rows' shape (mixup).
        hard_labels: with probabilities: labels that say which rows are ignored and which correct.
        support: ``finite``: classes at -inf or masked take no part in smoothing; ``all``: they do, and one at
            -inf makes a smoothed loss inf.
        mask: bool, False excludes a class: (K,) or the input's shape. Needs the support ``finite``.
        padded_classes: how many of the last classes are padding in memory only.
        scale: z = scale * input, the inverse of a temperature.
        softcap: z = softcap * tanh(input / softcap), before the scale.
        lse_square_scale: factor of logsumexp(z)^2 (z-loss).
        entropy_penalty: factor of the entropy of p, which is taken off.
        max_suppression: factor of max z - mean z.
        denominator: of a mean: ``weights`` of the counted rows, their number ``rows``, or a constant.
        empty: what a mean over nothing is: ``nan``, ``zero``, or an ``error``.
        axis: of the classes, where it is not PyTorch's.
        return_z_loss, return_token_accuracy, return_predicted_tokens, return_parts: what a
            `CrossEntropyOutput` holds beside the loss.

    Returns:
        The loss in the input's type, under autocast in float32: a scalar, or with the reduction ``none`` one
        a row. With any `return_...` a `CrossEntropyOutput`.

    Raises:
        IndexError, RuntimeError, TypeError, ValueError: where PyTorch does, in its words.
        labelsmooth.Error: a ValueError that names the argument, what was found and what is allowed.

    Example:
        >>> import torch, labelsmooth.torch
        >>> logits = torch.tensor([[2.0, -1.0], [-1.0, 2.0]], requires_grad=True)
        >>> loss = labelsmooth.torch.cross_entropy(logits, torch.tensor([0, 1]), label_smoothing=0.3)
        >>> loss.backward()
        >>> round(loss.item(), 6), round(logits.grad[0, 0].item(), 4)
        (0.498587, 0.0513)

    Source: Szegedy et al., "Rethinking the Inception Architecture", 2016. docs/math.md has the formulas, the
    error bounds, and what NaN and infinity do; docs/compatibility.md what differs from PyTorch.
    """
    if size_average is not None or reduce is not None:
        reduction = _legacy(size_average, reduce)
    check_reduction(reduction)
    check_tensors(input, target, weight)
    axis = class_axis(input, axis)
    soft = target.shape == input.shape
    amounts: Tensor | None = None
    traced = torch.compiler.is_compiling()
    if isinstance(label_smoothing, Tensor) and label_smoothing.dim() > 0:
        amounts, label_smoothing = label_smoothing, 0.0
    elif traced and class_smoothing is None:
        amounts, label_smoothing = _amount_of_graph(label_smoothing, input, axis), 0.0
    else:
        label_smoothing = float(label_smoothing)
        check_smoothing(label_smoothing)
    if soft:
        check_soft(target, ignore_index, hard_labels)
    else:
        check_labels(input, target, axis)
    if weight is not None:
        check_weight(weight, input.shape[axis] - padded_classes, input.dtype, soft)
    if mixed is not None or hard_labels is not None:
        check_kind(soft, mixed, hard_labels)

    labels = hard_labels if soft else target
    if not soft and input.dim() == 1:
        labels = target.reshape(())  # one row; PyTorch takes labels (1,)
    second, mixing = mixed if mixed is not None else (None, None)
    dense = target if soft else None
    given: ops.Tensors = [labels]  # `Arrays` up to the last that is there
    alone = second is mixing is dense is prior is matrix is amounts is class_smoothing is None
    if not (alone and weight is row_weight is mask is None):
        given += (second, mixing, dense, prior, matrix, amounts, class_smoothing, weight, row_weight, mask)
        while given[-1] is None:
            given.pop()
    kind, constant = named_denominator(denominator)
    settings, text = (_settings_and_text if traced else _known_settings)(
        label_smoothing,
        rule,
        weighting,
        ignore_index,
        support,
        padded_classes,
        float(scale),
        float(softcap or 0.0),
        float(lse_square_scale),
        float(entropy_penalty),
        float(max_suppression),
        reduction,
        kind,
        constant,
        empty,
        axis,
    )
    wanted = (return_z_loss, return_token_accuracy, return_predicted_tokens, return_parts)
    dtype = input.dtype
    if dtype in HALVES and torch.is_autocast_enabled(input.device.type):
        dtype = torch.float32  # as autocast has it, without a copy of the logits
    through = len(given) > 1 and check_others(given, input, axis, soft)
    if soft and input.shape[axis] == 0 and settings.empty != "error" and True not in wanted:
        return _of_no_classes(settings, input, target)
    if through or not _is_reached(input) or _in_transform() or _has_tangents():
        return _by_formula(settings, input, Arrays(*given), dtype, through, wanted)

    call = ops.cross_entropy if traced else ops.loss_and_summaries
    loss, summaries = call(input, given, text, True in wanted, dtype != input.dtype)
    if True not in wanted:
        return loss
    return _with_parts(settings, text, input, given, loss, summaries, wanted)


def _is_reached(input: Tensor) -> bool:
    """Whether the library serves it: meta tensors have shapes alone. Elsewhere PyTorch's operators say the same."""
    return input.is_cpu or input.is_meta


def _amount_of_graph(amount: float | Tensor, input: Tensor, axis: int) -> Tensor | None:
    """One a row, so that the graph reads it: as a setting, each amount of a schedule would compile another graph."""
    if not isinstance(amount, Tensor):
        check_smoothing(amount)
        if amount == 0.0:
            return None
        amount = torch.scalar_tensor(amount, dtype=torch.float64)
    dtype = torch.float32 if input.device.type == "mps" else torch.float64  # which MPS has not
    return amount.to(input.device, dtype).expand(ops.rows_shape(input, axis))


def _settings_and_text(*values: Any) -> tuple[Settings, str]:
    settings = Settings(*values)
    return settings, ops.text_of(settings)


_known_settings = lru_cache(maxsize=256)(_settings_and_text)


def _with_parts(
    settings: Settings,
    text: str,
    input: Tensor,
    given: ops.Tensors,
    loss: Tensor,
    summaries: Tensor,
    wanted: tuple[bool, ...],
) -> CrossEntropyOutput:
    with torch.no_grad():
        *parts, denominator = ops.cross_entropy_parts(summaries, input, given, text)
    tensors = Arrays(*given)
    if tensors.labels is None:
        parts[-1] = None

    def reduced(rows: Tensor) -> Tensor:
        if settings.reduction == "none":
            return rows
        mean = rows.sum() / denominator
        return torch.where(denominator == 0, 0.0, mean) if settings.empty == "zero" else mean

    return _output(loss, Parts(*parts), reduced, settings, tensors, wanted)


def _by_formula(
    settings: Settings,
    input: Tensor,
    tensors: Arrays,
    dtype: torch.dtype,
    through: bool,
    wanted: tuple[bool, ...],
) -> Any:
    rows = eager.rows_of(settings, input, tensors, through)
    loss = eager.reduced(settings, rows).to(dtype)
    if True not in wanted:
        return loss
    detached: list[Any] = [one if one is None else one.detach() for one in rows[: len(Parts._fields)]]
    parts = Parts(*detached)
    return _output(loss, parts, lambda of: eager.reduced(settings, rows, of), settings, tensors, wanted)


def _output(
    loss: Tensor,
    parts: Parts,
    reduced: Callable[[Tensor], Tensor],
    settings: Settings,
    tensors: Arrays,
    wanted: tuple[bool, ...],
) -> CrossEntropyOutput:
    z_loss, accuracy, predicted, all_parts = wanted
    z_rows = settings.lse_square_scale * parts.lse**2
    if tensors.row_weight is not None:
        z_rows = z_rows * tensors.row_weight
    return CrossEntropyOutput(
        loss,
        reduced(z_rows).to(loss.dtype) if z_loss else None,
        _accuracy(parts, settings.reduction) if accuracy else None,
        parts.argmax if predicted else None,
        parts if all_parts else None,
    )


def _of_no_classes(settings: Settings, input: Tensor, target: Tensor) -> Tensor:
    """Sums over nothing, as PyTorch has them; the library refuses."""
    rows = (input * target.to(input.dtype)).sum(settings.axis)
    loss = rows if settings.reduction == "none" else rows.sum()
    return loss * float("nan") if (settings.reduction, settings.empty) == ("mean", "nan") else -loss


def _accuracy(parts: Parts, reduction: str) -> Tensor:
    if parts.correct is None:
        raise Error("return_token_accuracy", "needs the labels of the probabilities, as hard_labels")
    correct = parts.correct.float()
    return correct if reduction == "none" else torch.div(correct.sum(), (parts.argmax >= 0).sum())


def _has_tangents() -> bool:
    return getattr(forward_ad, "_current_level", -1) >= 0


def _legacy(size_average: bool | None, reduce: bool | None) -> str:
    reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead.",
        stacklevel=3,
    )
    return reduction
