# SPDX-License-Identifier: MIT
"""The rules by themselves: smoothed targets, conversion between frameworks, the arithmetic of one sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core
from .errors import Error
from .program import run, run_json
from .settings import Rule


def smooth_labels(
    labels: npt.ArrayLike,
    label_smoothing: float,
    *,
    num_classes: int | None = None,
    rule: Rule = "uniform",
    prior: npt.ArrayLike | None = None,
    where: npt.ArrayLike | None = None,
    axis: int = -1,
    dtype: npt.DTypeLike = np.float32,
) -> npt.NDArray[Any]:
    r"""Smoothed target rows, for a trainer that takes them.

    .. math:: q = a\,t + b\,u, \qquad \text{under uniform: } q = (1 - e)\,t + e / K.

    Args:
        labels: integers of any shape (then `num_classes` is needed), or floating targets with the classes
            along `axis`, such as one-hot rows or mixed ones.
        label_smoothing: amount e in [0, 1].
        num_classes: K, of integer labels.
        rule: as in `cross_entropy`.
        prior: (K,), in place of 1/K; under the rule ``uniform`` only.
        where: bool, False for classes that take no part: (K,) or the targets' shape. Their target stays the
            label part alone, and the others share the smoothing's mass; ``uniform`` only.
        axis: of the classes, in what is returned.
        dtype: of what is returned.

    Returns:
        Targets: the labels' shape with K inserted at `axis`, or the shape of floating labels.

    Raises:
        Error: a label outside [0, K), an amount outside [0, 1], or a prior that does not fit.

    Example:
        >>> import labelsmooth
        >>> labelsmooth.smooth_labels([1], 0.1, num_classes=4).tolist()
        [[0.02500000037252903, 0.925000011920929, 0.02500000037252903, 0.02500000037252903]]

    Source: Szegedy et al., 2016; the rules' users are named in docs/math.md.
    """
    y = np.asarray(labels)
    if y.dtype.kind in "iub":
        if num_classes is None:
            raise Error("num_classes", "integer labels need it")
        t = _one_hot(y, num_classes, axis)
    else:
        t = y.astype(np.float64)
        if num_classes is not None and t.shape[axis] != num_classes:
            raise Error("num_classes", f"{num_classes} found, the labels have {t.shape[axis]} classes")
    t = np.moveaxis(t, axis, -1)
    classes = t.shape[-1]
    a, b = _core.affine(rule, label_smoothing, classes)
    if rule != "uniform" and (prior is not None or where is not None):
        raise Error("prior" if where is None else "where", "goes with the rule uniform only")
    u = np.full(classes, 1 / classes) if prior is None else np.asarray(prior, np.float64)
    if u.shape != (classes,) or not (np.all(u >= 0) and abs(u.sum() - 1) <= 1e-6):
        raise Error("prior", f"{classes} non-negative entries that sum to 1 are needed")
    if where is not None:
        allowed = np.asarray(where, bool)
        allowed = allowed if allowed.ndim == 1 else np.moveaxis(allowed, axis, -1)
        u = np.where(allowed, u, 0)
    with np.errstate(invalid="ignore"):  # nothing allowed: no prior is left, NaN
        u = u / u.sum(-1, keepdims=True)
    q: npt.NDArray[Any] = np.moveaxis(a * t + b * u, -1, axis).astype(dtype)
    return q


def _one_hot(labels: npt.NDArray[Any], classes: int, axis: int) -> npt.NDArray[np.float64]:
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise Error("labels", f"row {row} has {labels.flat[row]}, 0 to {classes - 1} are allowed", row)
    return np.moveaxis(np.eye(classes)[labels], -1, axis)


def convert(amount: float, source: str, target: str, classes: int) -> tuple[float, float]:
    """An amount of smoothing from one rule or framework to another.

    The loss under `source` is `scale` times that under `target` with the amount returned, so that both train
    the same, `scale` being a factor of the learning rate.

    Args:
        amount: under `source`, in [0, 1].
        source, target: ``uniform``, ``others``, ``flip``, ``additive``, ``keras-binary``, ``classy-vision``,
            or a framework's name such as ``pytorch`` or ``fairseq``.
        classes: K.

    Returns:
        (amount, scale).

    Raises:
        ValueError: where no amount in [0, 1] does it, or a name is unknown.

    Example:
        >>> import labelsmooth
        >>> amount, scale = labelsmooth.convert(0.1, "additive", "uniform", 5)
        >>> round(amount, 6), round(scale, 6)
        (0.357143, 1.4)

    Source: docs/math.md, "Converting".
    """
    options = ["--from", source, "--to", target, "--classes", str(classes)]
    found = run_json("convert", *options, repr(float(amount)))
    return found["smoothing"], found["scale"]


class Explanation(dict[str, Any]):
    """What `explain` found, by the keys of the program's JSON; prints as its table."""

    def __init__(self, found: dict[str, Any], text: str) -> None:
        super().__init__(found)
        self.text = text

    def __str__(self) -> str:
        return self.text


def explain(
    *,
    classes: int | None = None,
    label: int | None = None,
    label_smoothing: float | None = None,
    logits: Sequence[float] | None = None,
    probs: Sequence[float] | None = None,
) -> Explanation:
    """The arithmetic of one sample under every rule: target, loss, optimum, floor, gradient.

    Args:
        classes, label, label_smoothing: K, y and e; without any argument the worked example of the document
            that the project implements.
        logits, probs: (K,), the prediction, one or the other.

    Returns:
        A dict with an entry of ``rules`` for each rule; printing it gives the table.

    Raises:
        ValueError: arguments that do not fit.

    Example:
        >>> import labelsmooth
        >>> rules = labelsmooth.explain()["rules"]
        >>> [(one["rule"], round(one["loss"], 6)) for one in rules[:2]]
        [('none', 1.021651), ('uniform', 1.09965)]

    Source: docs/seed.md.
    """
    arguments = ["explain"]
    for flag, value in (("--classes", classes), ("--label", label), ("--smoothing", label_smoothing)):
        if value is not None:
            arguments += [flag, repr(value)]
    for flag, values in (("--logits", logits), ("--probs", probs)):
        if values is not None:
            arguments.append(f"{flag}=" + ",".join(repr(float(value)) for value in values))
    return Explanation(run_json(*arguments), run(*arguments))
