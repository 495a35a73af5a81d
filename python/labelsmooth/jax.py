# SPDX-License-Identifier: MIT
"""The loss for JAX: traced, differentiated, mapped over and sharded as any other function of arrays."""

from functools import partial
from typing import Any

import numpy as np

try:
    import jax
    import jax.numpy as jnp
    from jax.core import Tracer
    from jax.custom_derivatives import SymbolicZero
except ImportError as error:
    raise ImportError("labelsmooth.jax needs JAX: pip install labelsmooth[jax]") from error

from . import formula
from .arrays import Arrays, Rows, check
from .cross_entropy import Parts
from .errors import Error
from .settings import Denominator, Empty, Reduction, Rule, Settings, Support, Weighting, named_denominator

__all__ = ["cross_entropy"]


def cross_entropy(
    logits: jax.typing.ArrayLike,
    labels: jax.typing.ArrayLike,
    *,
    label_smoothing: float | jax.typing.ArrayLike = 0.0,
    rule: Rule = "uniform",
    prior: jax.typing.ArrayLike | None = None,
    matrix: jax.typing.ArrayLike | None = None,
    class_smoothing: jax.typing.ArrayLike | None = None,
    weight: jax.typing.ArrayLike | None = None,
    weighting: Weighting = "per_term",
    row_weight: jax.typing.ArrayLike | None = None,
    ignore_index: int | None = -100,
    mixed: tuple[jax.typing.ArrayLike, jax.typing.ArrayLike] | None = None,
    hard_labels: jax.typing.ArrayLike | None = None,
    support: Support = "all",
    mask: jax.typing.ArrayLike | None = None,
    padded_classes: int = 0,
    scale: float = 1.0,
    softcap: float | None = None,
    lse_square_scale: float = 0.0,
    entropy_penalty: float = 0.0,
    max_suppression: float = 0.0,
    reduction: Reduction = "mean",
    denominator: Denominator | float | jax.Array = "weights",
    empty: Empty = "nan",
    axis: int = -1,
    return_parts: bool = False,
) -> Any:
    r"""Label-smoothed cross-entropy, under any of JAX's transformations.

    For a row with target :math:`q = a\,t + b\,u` (label part t, prior part u; the rule gives a and b), class
    weights w and p = softmax(z):

    .. math:: L = -\sum_k w_k q_k \log p_k, \qquad
       \frac{\partial L}{\partial z_k} = p_k \sum_j w_j q_j - w_k q_k.

    The derivative in the logits is that formula, worked out when it is needed, to any order and in either
    mode (`jax.grad`, `jax.jvp`, `jax.hessian`); the derivatives in targets, mixing weights, amounts, priors
    and weights are JAX's own. Ignored rows have the gradient 0, whatever they hold.

    Values are not checked inside `jax.jit`, where they are not known. A label that is no class, which outside
    is an error, makes its row NaN there, and so does an amount or a mixing weight outside [0, 1] in an array
    anywhere. Priors are divided by their sum.

    Args:
        logits: (..., K, ...), bfloat16 and float16 (both computed in float32), float32 or float64.
        labels: integers of the logits' shape without `axis`; or floating targets of the logits' shape, one
            distribution (or any mass) a row.
        label_smoothing: amount e in [0, 1]; or an array, which may be traced, of one amount or of one a row.
        rule: where the mass goes. ``uniform``: label 1 - e + e/K, others e/K. ``others``: 1 - e, e/(K-1).
            ``flip``: 1 - e, e each. ``additive``: 1, e each. The last two have a mass that is not 1.
        prior: what takes the place of 1/K under ``uniform``: (K,), or the logits' shape.
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
        denominator: of a mean: ``weights`` of the counted rows, their number ``rows``, or a constant, which
            may be traced.
        empty: what a mean over nothing is: ``nan``, ``zero``, or, where it is not traced, an ``error``.
        axis: of the classes.
        return_parts: also return `Parts`, which are constants to differentiation; for `has_aux`.

    Returns:
        The loss, float32 or, of float64 logits, float64: one number, or the rows' shape with the reduction
        ``none``. With `return_parts` a tuple (loss, parts).

    Raises:
        Error: a ValueError that names the argument, what was found and what is allowed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from labelsmooth.jax import cross_entropy
        >>> step = jax.jit(jax.value_and_grad(lambda z, y: cross_entropy(z, y, label_smoothing=0.3)))
        >>> loss, grad = step(jnp.array([[2.0, -1.0], [-1.0, 2.0]]), jnp.array([0, 1]))
        >>> round(float(loss), 4), [round(float(one), 4) for one in grad[0]]
        (0.4986, [0.0513, -0.0513])

    Source: Szegedy et al., "Rethinking the Inception Architecture", 2016; docs/math.md.
    """
    z, y = _floating(logits), jnp.asarray(labels)
    if not isinstance(axis, int):
        raise Error("axis", f"{axis} found, one is allowed: move several last and reshape them to one")
    if not -z.ndim <= axis < z.ndim:
        raise Error("axis", f"{axis} found, the logits have {z.ndim} axes")
    classes = z.shape[axis] - padded_classes
    if not 0 <= padded_classes <= z.shape[axis]:
        raise Error("padded_classes", f"{padded_classes} found, the logits have {z.shape[axis]} classes")
    dense = jnp.issubdtype(y.dtype, jnp.floating) and y.shape == z.shape
    if hard_labels is not None and not dense:
        raise Error("hard_labels", "go with floating targets of the logits' shape")
    if mixed is not None and dense:
        raise Error("mixed", "goes with integer labels")
    second, mixing = mixed if mixed is not None else (None, None)
    amount_is_array = isinstance(label_smoothing, jax.Array) or np.ndim(label_smoothing) > 0
    divisor = None
    if isinstance(denominator, jax.Array):
        divisor, denominator = denominator, 1.0
    kind, constant = named_denominator(denominator)
    settings = _static(
        label_smoothing=0.0 if amount_is_array else label_smoothing,
        rule=rule,
        weighting=weighting,
        ignore_index=ignore_index,
        support=support,
        scale=scale,
        softcap=softcap or 0.0,
        lse_square_scale=lse_square_scale,
        entropy_penalty=entropy_penalty,
        max_suppression=max_suppression,
        reduction=reduction,
        denominator=kind,
        denominator_value=constant,
        empty=empty,
    )

    def last(array: Any) -> Any:
        """Where it has the logits' shape: the classes last, without padding."""
        if array is None or jnp.shape(array) != z.shape:
            return array
        return jnp.moveaxis(array, axis, -1)[..., :classes]

    arrays = Arrays(
        labels=_labels("labels", hard_labels if dense else y, ignore_index, classes),
        second=_labels("mixed", second, ignore_index, classes),
        mixing=_optional(mixing),
        targets=last(y) if dense else None,
        prior=last(_optional(prior)),
        matrix=_optional(matrix),
        amounts=_optional(label_smoothing) if amount_is_array else None,
        class_amounts=_optional(class_smoothing),
        weight=_optional(weight),
        row_weight=_optional(row_weight),
        mask=None if mask is None else last(jnp.asarray(mask, bool)),
    )
    z = last(z)
    check(settings, z.shape, arrays)

    loss, share, counts = _losses(settings, z, arrays)
    try:
        loss = formula.reduce(jnp, settings, loss, share, counts)
    except jax.errors.ConcretizationTypeError:
        raise Error("empty", "'error' found where values are traced; nan and zero are allowed") from None
    loss = loss if divisor is None else loss / divisor
    if not return_parts:
        return loss
    found = _rows(settings, *jax.lax.stop_gradient((z, arrays)))
    return loss, Parts(*found[: len(Parts._fields)])


# Compiled as one even where nothing around them is.


@partial(jax.jit, static_argnums=(0,))
def _rows(settings: Settings, logits: jax.Array, arrays: Arrays) -> Rows:
    return formula.forward(jnp, settings, logits, arrays)


@partial(jax.jit, static_argnums=(0,))
def _gradient(settings: Settings, logits: jax.Array, arrays: Arrays) -> jax.Array:
    return formula.gradient(jnp, settings, logits, arrays, 1.0)  # type: ignore[no-any-return]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _losses(settings: Settings, logits: jax.Array, arrays: Arrays) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of each row: its loss, its share of the denominator, and whether it counts."""
    rows = _rows(settings, logits, arrays)
    return rows.loss, rows.share, rows.counts.astype(rows.loss.dtype)


@partial(_losses.defjvp, symbolic_zeros=True)
def _losses_jvp(settings: Settings, primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    logits, arrays = primals
    loss, share, counts = _losses(settings, logits, arrays)
    dloss, dshare = jnp.zeros_like(loss), jnp.zeros_like(share)
    dlogits, darrays = tangents
    if not isinstance(dlogits, SymbolicZero):
        # The mean over nothing is NaN, its gradient in a row that does not count is 0.
        dloss = jnp.where(counts != 0, _along(settings, logits, arrays, dlogits), 0.0)
    moved = {
        name: d for name, d in darrays._asdict().items() if d is not None and not isinstance(d, SymbolicZero)
    }
    if moved:

        def of(values: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
            rows = _rows(settings, logits, arrays._replace(**values))
            return rows.loss, rows.share

        _, (more, dshare) = jax.jvp(of, ({name: getattr(arrays, name) for name in moved},), (moved,))
        dloss = dloss + more
    return (loss, share, counts), (dloss, dshare, jnp.zeros_like(counts))


@partial(jax.checkpoint, static_argnums=(0,))
def _along(settings: Settings, logits: jax.Array, arrays: Arrays, dlogits: jax.Array) -> jax.Array:
    """The derivative of each row's loss along dlogits. Kept for the backward pass are the logits, not dz."""
    dz = _gradient(settings, logits, arrays)
    return jnp.sum(dz * dlogits.astype(dz.dtype), axis=-1)


def _static(**options: Any) -> Settings:
    """Options that are known when the program is traced."""
    for name, value in options.items():
        if isinstance(value, Tracer):
            raise Error(name, "a traced value found, one that is known when tracing is needed")
    ignore_index = options["ignore_index"]
    if ignore_index is not None and not -(2**31) <= ignore_index < 2**31:
        raise Error("ignore_index", f"{ignore_index} found, numbers of 32 bits are allowed")
    known = {name: value.item() if hasattr(value, "item") else value for name, value in options.items()}
    return Settings(**known)


def _floating(array: jax.typing.ArrayLike) -> jax.Array:
    values = jnp.asarray(array)
    if jnp.issubdtype(values.dtype, jnp.complexfloating):
        raise Error("logits", f"have type {values.dtype}, real numbers are allowed")
    return values if jnp.issubdtype(values.dtype, jnp.floating) else values.astype(float)


def _optional(array: jax.typing.ArrayLike | None) -> jax.Array | None:
    return None if array is None else _floating(array)


def _labels(
    name: str, array: jax.typing.ArrayLike | None, ignore_index: int | None, classes: int
) -> jax.Array | None:
    """Signed, and checked where their values are known."""
    if array is None:
        return None
    labels = jnp.asarray(array)
    if not (jnp.issubdtype(labels.dtype, jnp.integer) or labels.dtype == bool):
        raise Error(name, f"have type {labels.dtype}, integers are allowed")
    if not isinstance(labels, Tracer):
        known = np.asarray(labels)
        wrong = (known < 0) | (known >= classes)
        wrong &= True if ignore_index is None else known != ignore_index
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            allowed = f"0 to {classes - 1}" + (
                "" if ignore_index is None else f" and the ignored {ignore_index}"
            )
            raise Error(name, f"row {row} has {known.flat[row]}, {allowed} are allowed", row)
    if not jnp.issubdtype(labels.dtype, jnp.signedinteger):
        labels = jnp.minimum(labels, np.iinfo(np.int32).max)
    return labels.astype(jnp.promote_types(labels.dtype, jnp.int32))
