# SPDX-License-Identifier: MIT
r"""The loss written once for every array library, as its definition: xp is `torch` or `jax.numpy`.

For arrays that the C++ library does not reach: on other devices, inside traced programs, and under second
derivatives. In the letters of docs/math.md, which derives them, with x = z - max z and u the prior:

    q = a t + b u,   A = a,   v = w u,   B = b / sum u,   Q = A sum t + B sum v,   S = alpha / support,
    loss  = r (Q ls - A sum t x - B sum v x  +  lambda lse^2 - beta H - S sum x)
    dz_k  = r (p_k (Q + 2 lambda lse + beta (H - ls + x_k)) - A t_k - B v_k  +  alpha [k = argmax] - S)

`forward` gives each row's quantities, `gradient` dz, and `reduce` the mean or the sum. The last axis is the
classes', without padding; `arrays.check` is the door. Half logits are computed in float32, others in their
own type. Values may be traced, so none is checked: a label that is no class and an amount outside [0, 1] make
their row NaN, and priors are divided by their sum.

Rows that do not count are replaced before the arithmetic, and no 0 meets an infinity, so that `gradient` may
be differentiated too where ignored rows hold NaN and classes are at -inf.
"""

from typing import Any, NamedTuple

import numpy as np

from .arrays import Arrays, Rows
from .errors import Error
from .settings import Settings

# ---- what the frameworks call differently ----


def _as(array: Any, dtype: Any) -> Any:
    return array.to(dtype) if hasattr(array, "to") else array.astype(dtype)


def _class_numbers(xp: Any, z: Any) -> Any:
    """0 to K - 1; in JAX in z's shape, so that they are sharded as it is."""
    if xp.__name__ == "torch":
        return xp.arange(z.shape[-1], device=z.device)
    return xp.arange(z.shape[-1]) + xp.zeros_like(z, dtype=int)


def _ones(xp: Any, z: Any) -> Any:
    """One a row."""
    place = {"device": z.device} if xp.__name__ == "torch" else {}
    return xp.ones(z.shape[:-1], dtype=z.dtype, **place)


def _computed(xp: Any, logits: Any, arrays: Arrays) -> tuple[Any, Arrays]:
    """All numbers in the type that the loss is computed in."""
    wide = logits if logits.dtype in (xp.float32, xp.float64) else _as(logits, xp.float32)
    numbers = ("mixing", "targets", "prior", "matrix", "amounts", "class_amounts", "weight", "row_weight")
    there = {name: getattr(arrays, name) for name in numbers if getattr(arrays, name) is not None}
    return wide, arrays._replace(**{name: _as(array, wide.dtype) for name, array in there.items()})


# ---- arithmetic that may meet infinities ----


def _times(xp: Any, c: Any, x: Any) -> Any:
    """c x, where 0 times whatever is 0, and c has its derivative all the same where x is finite."""
    return c * xp.where((c == 0) & ~xp.isfinite(x), 0.0, x)


def _over(xp: Any, c: Any, x: Any) -> Any:
    """c / x, where 0 / 0 is 0."""
    return c / xp.where((c == 0) & (x == 0), 1.0, x)


def _unit(xp: Any, amount: Any) -> Any:
    return xp.where((amount >= 0) & (amount <= 1), amount, np.nan)


# ---- what a row is made of ----


def _which(xp: Any, settings: Settings, logits: Any, arrays: Arrays) -> tuple[Any, Any]:
    """The rows that count, and those whose labels are classes."""
    every = _ones(xp, logits) == 1
    labels = [one for one in (arrays.labels, arrays.second) if one is not None]
    ignored = every if labels and settings.ignore_index is not None else ~every
    valid = every
    for one in labels:
        ignored = ignored & (one == settings.ignore_index)
        valid = valid & (one >= 0) & (one < logits.shape[-1])
    return ~ignored, valid


def _readable(xp: Any, logits: Any, arrays: Arrays, keep: Any, valid: Any) -> Any:
    """Logits that are masked; 0 in rows that are not kept, NaN in those whose label is no class."""
    if arrays.mask is not None:
        logits = xp.where(arrays.mask, logits, -np.inf)
    return xp.where(keep[..., None], xp.where(valid[..., None], logits, np.nan), 0.0)


def _shaped(xp: Any, settings: Settings, logits: Any) -> tuple[Any, Any]:
    """z, and its slope in the logits: 1 - tanh^2 without its cancellation."""
    cap = settings.softcap
    if cap == 0:
        return settings.scale * logits, settings.scale
    e = xp.exp(-2 * xp.abs(logits / cap))
    z = xp.where(xp.isinf(logits), logits, cap * xp.tanh(logits / cap))
    return settings.scale * z, settings.scale * 4 * e / ((1 + e) * (1 + e))


class _Softmax(NamedTuple):
    argmax: Any
    top: Any  # (rows..., K), whether the class is the argmax
    x: Any
    p: Any
    tail: Any  # sum of e^x without the argmax, so that confident rows keep their digits
    ls: Any
    lse: Any
    entropy: Any  # H


def _softmax(xp: Any, z: Any) -> _Softmax:
    argmax = xp.argmax(z, axis=-1)
    top = argmax[..., None] == _class_numbers(xp, z)
    largest = xp.sum(xp.where(top, z, 0.0), axis=-1)
    x = z - largest[..., None]
    e = xp.where(top, x, xp.exp(x))  # 0 at the argmax, or NaN where it is not finite
    tail = xp.sum(e, axis=-1)
    ls = xp.log1p(tail)
    entropy = ls - xp.sum(_times(xp, e, x), axis=-1) / (1 + tail)
    return _Softmax(argmax, top, x, xp.exp(x) / (1 + tail)[..., None], tail, ls, largest + ls, entropy)


class _Target(NamedTuple):
    label: Any  # of mixed labels that of larger weight; None where dense targets have none
    t: Any  # (rows..., K), times the class weights where it is more than one class
    v: Any  # (rows..., K)
    A: Any  # times the class weight where t is one class; (rows...,) or a number
    B: Any
    S: Any
    share: Any


def _affine(xp: Any, settings: Settings, arrays: Arrays, label: Any, classes: int, keep: Any) -> Any:
    """a and b, linear in the amount under every rule. Plain arithmetic, which torch.compile follows."""
    e = settings.label_smoothing
    if arrays.amounts is not None or arrays.class_amounts is not None:
        e = arrays.amounts if arrays.amounts is not None else arrays.class_amounts[label]
        e = xp.where(keep, _unit(xp, e), 0.0)
    others = classes / max(classes - 1, 1)  # of one class the amount is 0
    full = {"uniform": (1, 1), "others": (others, others), "flip": (2, classes), "additive": (1, classes)}
    return 1 - full[settings.rule][0] * e, full[settings.rule][1] * e


def _label_part(xp: Any, arrays: Arrays, z: Any, keep: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """The label that is correct, and t."""
    if arrays.targets is not None:
        return first, xp.where(keep[..., None], arrays.targets, 0.0)
    numbers = _class_numbers(xp, z)
    t = _as(numbers == first[..., None], z.dtype)
    if second is None:
        return first, t
    mixing = xp.where(keep, _unit(xp, arrays.mixing), 1.0)
    t = mixing[..., None] * t + (1 - mixing)[..., None] * _as(numbers == second[..., None], z.dtype)
    return xp.where(mixing < 0.5, second, first), t


def _prior_part(xp: Any, settings: Settings, arrays: Arrays, z: Any, keep: Any, label: Any) -> Any:
    """u times its sum."""
    u = xp.ones_like(z)
    if arrays.prior is not None or arrays.matrix is not None:
        u = xp.where(keep[..., None], arrays.prior if arrays.prior is not None else arrays.matrix[label], u)
    return u if settings.support == "all" else xp.where(z == -np.inf, 0.0, u)


def _target(xp: Any, settings: Settings, arrays: Arrays, z: Any, keep: Any, valid: Any) -> _Target:
    first, second = (y if y is None else xp.where(keep & valid, y, 0) for y in (arrays.labels, arrays.second))
    a, b = _affine(xp, settings, arrays, first, z.shape[-1], keep)
    label, t = _label_part(xp, arrays, z, keep, first, second)
    u, w, share = _prior_part(xp, settings, arrays, z, keep, first), arrays.weight, _ones(xp, z)
    norm, v = xp.sum(u, axis=-1), u
    if w is not None and settings.weighting == "per_term":
        v = u * w
    if w is not None and (arrays.targets is not None or second is not None):
        t = t * w
        share = share if second is None else xp.sum(t, axis=-1)
    elif w is not None:
        share = w[first]
        if settings.weighting == "expected":
            share = a * share + b * xp.sum(u * w, axis=-1) / norm
        a, b = a * share, b if settings.weighting == "per_term" else b * share
    return _Target(label, t, v, a, _over(xp, b, norm), _over(xp, settings.max_suppression, norm), share)


# ---- the interface ----


def forward(xp: Any, settings: Settings, logits: Any, arrays: Arrays) -> Rows:
    """The quantities of each row."""
    logits, arrays = _computed(xp, logits, arrays)
    counts, valid = _which(xp, settings, logits, arrays)
    z, _ = _shaped(xp, settings, _readable(xp, logits, arrays, counts, valid))
    row, soft = _target(xp, settings, arrays, z, counts, valid), _softmax(xp, z)
    r = _ones(xp, z) if arrays.row_weight is None else arrays.row_weight
    label_mass, label_dot = xp.sum(row.t, axis=-1), xp.sum(_times(xp, row.t, soft.x), axis=-1)
    prior_mass, prior_dot = xp.sum(row.v, axis=-1), xp.sum(_times(xp, row.v, soft.x), axis=-1)
    loss = (row.A * label_mass + row.B * prior_mass) * soft.ls - _times(xp, row.A, label_dot)
    loss = loss - _times(xp, row.B + row.S, prior_dot)
    if settings.lse_square_scale != 0:
        loss = loss + settings.lse_square_scale * soft.lse**2
    if settings.entropy_penalty != 0:
        loss = loss - settings.entropy_penalty * soft.entropy

    def counted(value: Any, otherwise: Any = 0.0) -> Any:
        return xp.where(counts, value, otherwise)

    return Rows(
        loss=counted(_times(xp, r, loss)),
        nll=counted(label_mass * soft.ls - label_dot),
        lse=counted(soft.lse),
        confidence=counted(1 / (1 + soft.tail)),
        entropy=counted(soft.entropy),
        argmax=counted(soft.argmax, -1),
        correct=None if row.label is None else counts & (soft.argmax == row.label) & xp.isfinite(soft.lse),
        counts=counts,
        share=counted(r * row.share),
    )


def gradient(xp: Any, settings: Settings, logits: Any, arrays: Arrays, factor: Any) -> Any:
    """factor (a number, or an array of one or (rows...,)) times the derivative of each row's loss."""
    logits, arrays = _computed(xp, logits, arrays)
    counts, valid = _which(xp, settings, logits, arrays)
    logits = _readable(xp, logits, arrays, counts, valid)
    factor = factor * _ones(xp, logits)
    if arrays.row_weight is not None:  # of which 0 makes the gradient 0, whatever the logits
        counts = counts & ((arrays.row_weight != 0) | xp.isfinite(xp.amax(logits, axis=-1)))
        logits = xp.where(counts[..., None], logits, 0.0)
        factor = _times(xp, arrays.row_weight, factor)
    z, slope = _shaped(xp, settings, logits)
    row, soft = _target(xp, settings, arrays, z, counts, valid), _softmax(xp, z)
    # p - 1 = -tail / (1 + tail) spares the cancellation against t where the argmax is likely.
    mass, rest = xp.sum(row.t, axis=-1)[..., None], (soft.tail / (1 + soft.tail))[..., None]
    label_part = xp.where(soft.top & (rest <= 0.5), (mass - row.t) - mass * rest, mass * soft.p - row.t)
    prior_part = xp.sum(row.v, axis=-1)[..., None] * soft.p - row.v
    dz = _column(row.A) * label_part + _column(row.B) * prior_part
    if settings.lse_square_scale != 0:
        dz = dz + 2 * settings.lse_square_scale * soft.p * soft.lse[..., None]
    if settings.entropy_penalty != 0:
        from_mean = (soft.entropy - soft.ls)[..., None] + xp.where(xp.isinf(soft.x), 0.0, soft.x)
        dz = dz + settings.entropy_penalty * soft.p * from_mean
    if settings.max_suppression != 0:
        dz = xp.where(soft.top, dz + settings.max_suppression, dz) - _column(row.S) * row.v
    return xp.where(counts[..., None], _column(factor) * dz * slope, 0.0)


def _column(value: Any) -> Any:
    return value if isinstance(value, (int, float)) else value[..., None]


def reduce(xp: Any, settings: Settings, loss: Any, share: Any, counts: Any) -> Any:
    """The losses of Rows, their sum or their mean. `empty` of ``error`` needs values that are known."""
    if settings.reduction == "none":
        return loss
    total = xp.sum(loss)
    if settings.reduction == "sum":
        return total
    if settings.denominator == "constant":
        return total / settings.denominator_value
    by = xp.sum(share if settings.denominator == "weights" else _as(counts, loss.dtype))
    if settings.empty == "error" and bool(by == 0):
        raise Error("labels", "no row counts, or their weights sum to 0, so there is no mean")
    if settings.empty == "zero":  # 1 where the quotient is not taken, or its derivative would be NaN
        return xp.where(by == 0, 0.0, total / xp.where(by == 0, 1.0, by))
    return total / xp.where(by == 0, np.nan, by)
