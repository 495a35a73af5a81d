# SPDX-License-Identifier: MIT
"""Calibration in scikit-learn's manner: how far confidences are from how often they are right, and the
temperature that brings them there."""

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _core
from .cross_entropy import Array, cross_entropy
from .errors import Error

Norm: TypeAlias = Literal["l1", "l2", "max"]
Strategy: TypeAlias = Literal["uniform", "quantile"]
Edges: TypeAlias = Literal["left", "right"]


class ReliabilityCurve(NamedTuple):
    """The bins that have rows, one entry each, in the order of their confidence.

    Attributes:
        confidence, accuracy: means over the bin's rows.
        count: how many these are.
        low, high: the bin's edges; with the strategy ``quantile`` its least and greatest confidence.
    """

    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]  # type: ignore[assignment]  # a tuple has a method of this name
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


def calibration_error(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    *,
    n_bins: int = 15,
    norm: Norm = "l1",
    strategy: Strategy = "uniform",
    edges: Edges = "left",
    logits: bool = False,
    ignore_index: int | None = -100,
) -> float:
    r"""Calibration error over bins: ECE, its root mean square, or the worst bin.

    .. math:: \Big(\sum_b \frac{n_b}{N}\,|\mathrm{acc}_b - \mathrm{conf}_b|^r\Big)^{1/r}, r = 1, 2, \infty.

    Noise alone makes it positive: `evaluate` says what a calibrated model would show on as many rows.

    Args:
        y_true: integer classes, in the shape of `y_prob` without its last axis; or (N,) of 0 and 1.
        y_prob: (..., K) probabilities, whose largest is the confidence of the class it predicts (top-label
            calibration); or (N,) probabilities of class 1, as scikit-learn has it.
        n_bins: how many bins.
        norm: ``l1`` is ECE, ``l2`` its root mean square, ``max`` MCE.
        strategy: ``uniform``: bins of equal width. ``quantile``: groups of equal size in the order of the
            confidence, ties in that of the rows; the first N mod n_bins groups have one more.
        edges: ``left``: bins are [low, high), the last closed (NumPy). ``right``: (low, high], the first
            closed (Guo et al.; scikit-learn's calibration_curve). For the strategy ``uniform``.
        logits: `y_prob` holds (..., K) logits.
        ignore_index: rows with this label do not count; None: all do.

    Returns:
        The error, from 0 to 1.

    Raises:
        Error: a row that does not sum to 1, a label outside [0, K), no row that counts; with the row.

    Example:
        >>> import labelsmooth
        >>> round(labelsmooth.calibration_error([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]), 12)
        0.333333333333
        >>> round(labelsmooth.calibration_error([0, 0, 1], [0.25, 0.25, 0.55], n_bins=2), 12)
        0.316666666667

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017. docs/calibration.md compares what
    other libraries compute.
    """
    if norm not in ("l1", "l2", "max"):
        raise Error("norm", f"'{norm}' found; l1, l2, max are allowed")
    curve = reliability_curve(
        y_true,
        y_prob,
        n_bins=n_bins,
        strategy=strategy,
        edges=edges,
        logits=logits,
        ignore_index=ignore_index,
    )
    gaps = np.abs(curve.confidence - curve.accuracy)
    share = curve.count / curve.count.sum()
    return float(gaps.max() if norm == "max" else share @ gaps if norm == "l1" else np.sqrt(share @ gaps**2))


def reliability_curve(
    y_true: npt.ArrayLike,
    y_prob: npt.ArrayLike,
    *,
    n_bins: int = 15,
    strategy: Strategy = "uniform",
    edges: Edges = "left",
    logits: bool = False,
    ignore_index: int | None = -100,
) -> ReliabilityCurve:
    """Mean confidence and accuracy of each bin: the points of a reliability diagram.

    Args:
        y_true, y_prob, n_bins, strategy, edges, logits, ignore_index: as in `calibration_error`.

    Returns:
        `ReliabilityCurve`, without the empty bins, as scikit-learn's calibration_curve leaves them out.

    Raises:
        Error: as `calibration_error`.

    Example:
        >>> import labelsmooth
        >>> curve = labelsmooth.reliability_curve([0, 0, 1, 1, 1], [0.25, 0.25, 0.55, 0.75, 0.75], n_bins=4)
        >>> curve.confidence.round(4).tolist(), curve.accuracy.tolist(), curve.count.tolist()
        ([0.25, 0.55, 0.75], [0.0, 1.0, 1.0], [2, 1, 2])
        >>> curve.low.tolist(), curve.high.tolist()
        ([0.25, 0.5, 0.75], [0.5, 0.75, 1.0])

    Source: DeGroot and Fienberg, "The Comparison and Evaluation of Forecasters", 1983.
    """
    if n_bins < 1:
        raise Error("n_bins", f"{n_bins} found, at least 1 is needed")
    if strategy not in ("uniform", "quantile"):
        raise Error("strategy", f"'{strategy}' found; uniform, quantile are allowed")
    if edges not in ("left", "right"):
        raise Error("edges", f"'{edges}' found; left, right are allowed")
    confidence, correct = _confidences(y_true, y_prob, logits, ignore_index)
    if confidence.size == 0:
        raise Error("y_true", "no row counts, at least one is needed")
    if strategy == "uniform":
        bins, low, high = _bins_of_equal_width(confidence, n_bins, edges)
    else:
        bins, low, high = _groups_of_equal_size(confidence, n_bins)
    count = np.bincount(bins, minlength=low.size)
    filled = count > 0
    return ReliabilityCurve(
        np.bincount(bins, confidence, low.size)[filled] / count[filled],
        np.bincount(bins, correct, low.size)[filled] / count[filled],
        count[filled],
        low[filled],
        high[filled],
    )


def _bins_of_equal_width(confidence: Array, n_bins: int, edges: Edges) -> tuple[Array, Array, Array]:
    """The bin of each row, and the edges of the bins."""
    bounds = np.arange(n_bins + 1) / n_bins
    side: Literal["left", "right"] = "right" if edges == "left" else "left"
    return np.searchsorted(bounds[1:-1], confidence, side), bounds[:-1], bounds[1:]


def _groups_of_equal_size(confidence: Array, n_bins: int) -> tuple[Array, Array, Array]:
    """The group of each row, and the least and greatest confidence of the groups, none of them empty."""
    order = np.argsort(confidence, kind="stable")
    groups = np.array_split(order, min(n_bins, order.size))
    bins = np.empty(order.size, np.int64)
    bins[order] = np.repeat(np.arange(len(groups)), [rows.size for rows in groups])
    return (
        bins,
        confidence[np.array([rows[0] for rows in groups])],
        confidence[np.array([rows[-1] for rows in groups])],
    )


def _confidences(
    y_true: npt.ArrayLike, y_prob: npt.ArrayLike, logits: bool, ignore_index: int | None
) -> tuple[Array, Array]:
    """Confidence of the counted rows, float64, and whether each came true."""
    y, p = np.asarray(y_true), np.asarray(y_prob)
    tolerance = {"float16": 1e-3, "bfloat16": 8e-3}.get(p.dtype.name, 1e-4)  # of a sum that should be 1
    if y.dtype.kind not in "iub":
        raise Error("y_true", f"{y.dtype} found, integers are needed")
    binary = p.ndim == 1
    if p.ndim == 0 or y.shape != (p.shape if binary else p.shape[:-1]):
        raise Error("y_true", f"shape {y.shape} found, y_prob has {p.shape}")
    if binary and logits:
        raise Error("y_prob", f"shape {p.shape} found, logits have (..., K)")
    classes = 2 if binary else p.shape[-1]
    y, p = y.reshape(-1), p.reshape(y.size, 1 if binary else classes).astype(np.float64, copy=False)
    counted = np.full(y.shape, True) if ignore_index is None else y != ignore_index
    _refuse("y_true", counted & ((y < 0) | (y >= classes)), f"has no label from 0 to {classes - 1}")
    if logits:
        parts = cross_entropy(p, y, reduction="none", ignore_index=ignore_index, return_parts=True)[1]
        wrong = counted & ~np.isfinite(parts.confidence)
        _refuse(
            "y_prob", wrong, "holds NaN or +inf, or -inf alone; finite logits and some at -inf are allowed"
        )
        return parts.confidence[counted], parts.correct[counted]
    outside = ~((p >= 0) & (p <= 1 + 1e-6)).all(axis=1)
    _refuse("y_prob", counted & outside, "holds a probability outside [0, 1]")
    if binary:
        return p[counted, 0], y[counted] == 1
    _refuse("y_prob", counted & ~(np.abs(p.sum(axis=1) - 1) <= tolerance), "does not sum to 1")
    return p.max(axis=1)[counted], (p.argmax(axis=1) == y)[counted]


def _refuse(argument: str, wrong: Array, complaint: str) -> None:
    """Names the first of the wrong rows."""
    if wrong.any():
        row = int(wrong.argmax())
        raise Error(argument, f"row {row} {complaint}", row)


class TemperatureScaler:
    r"""The temperature that makes logits fit their labels, as an estimator of scikit-learn's kind.

    .. math:: T = \arg\min_T\; -\frac{1}{N}\sum_i \log \operatorname{softmax}(z_i / T)_{y_i}

    Fit it on rows that the model was not trained on. It changes no prediction, and at its optimum the mean
    NLL is the mean entropy; a lower NLL need not mean a lower calibration error.

    Args:
        least, most: bounds of T, reached where the model is always right, or never better than chance.
        ignore_index: rows with this label do not count; None: all do.

    Attributes:
        temperature_: T.
        low_, high_: its 95 % interval; NaN at a bound, and where the NLL does not depend on T.
        at_bound_: whether the NLL still falls at the bound.
        nll_before_, nll_after_: mean NLL of the fitted rows at 1 and at T, nats.

    Example:
        >>> import numpy as np
        >>> import labelsmooth
        >>> logits = np.log([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.1]])
        >>> scaler = labelsmooth.TemperatureScaler().fit(logits, [0, 0, 0, 1, 1])
        >>> round(scaler.temperature_, 6)  # log 9 / log 4: right 4 times of 5
        1.584963
        >>> scaler.predict_proba(logits[:1]).round(6).tolist()
        [[0.8, 0.2]]

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017.
    """

    temperature_: float
    low_: float
    high_: float
    at_bound_: bool
    nll_before_: float
    nll_after_: float

    def __init__(self, *, least: float = 0.05, most: float = 20.0, ignore_index: int | None = -100) -> None:
        self.least = least
        self.most = most
        self.ignore_index = ignore_index

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor, as scikit-learn's clone and searches ask for them."""
        return {"least": self.least, "most": self.most, "ignore_index": self.ignore_index}

    def set_params(self, **params: Any) -> "TemperatureScaler":
        """Sets some of them."""
        for name, value in params.items():
            if name not in self.get_params():
                raise Error(name, f"no parameter; {', '.join(self.get_params())} are allowed")
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's pipelines ask of a step; only they call it."""
        from sklearn.utils import Tags, TargetTags, TransformerTags  # type: ignore[import-untyped]

        return Tags(None, TargetTags(required=True), TransformerTags())

    def fit(self, logits: npt.ArrayLike, labels: npt.ArrayLike) -> "TemperatureScaler":
        """Fits T.

        Args:
            logits: (..., K), any floating type; a CPU tensor that needs no gradient is read where it lies.
            labels: integers of the logits' shape without the last axis.

        Returns:
            Itself.

        Raises:
            Error: a label outside [0, K), a logit that is NaN or +inf, a label whose logit is -inf, no row
                that counts; with the row.

        Source: as of the class.
        """
        fit = _core.fit_temperature(
            _readable(logits),
            _readable(labels, integers=True),
            ignore_index=self.ignore_index,
            least=self.least,
            most=self.most,
        )
        self.temperature_ = fit.temperature
        self.low_, self.high_, self.at_bound_ = fit.low, fit.high, fit.at_bound
        self.nll_before_, self.nll_after_ = fit.nll_before, fit.nll_after
        return self

    def transform(self, logits: Any) -> Any:
        """logits / T, as an array or tensor of the same kind, shape and floating type."""
        if _is_tensor(logits):
            return logits / self.temperature_
        array = np.asarray(logits)
        divided = array / self.temperature_
        return divided if array.dtype.kind in "iub" else divided.astype(array.dtype, copy=False)

    def predict_proba(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """softmax(logits / T), float64, the classes along the last axis."""
        z = np.asarray(logits).astype(np.float64) / self.temperature_
        top = z.argmax(axis=-1)
        # The gradient of the hard-label loss is p - [k = label].
        p: npt.NDArray[np.float64] = cross_entropy(
            z, top, reduction="sum", ignore_index=None, return_grad=True
        )[1]
        np.put_along_axis(p, top[..., None], 1 + np.take_along_axis(p, top[..., None], -1), -1)
        return p


def _is_tensor(values: Any) -> bool:
    """Of another framework."""
    return hasattr(values, "__dlpack__") and not isinstance(values, np.ndarray)


def _readable(values: Any, integers: bool = False) -> Any:
    """What the library can read, where it lies if it can be."""
    if _is_tensor(values):
        return values
    array = np.asarray(values)
    return np.ascontiguousarray(
        array if integers or array.dtype.kind not in "iub" else array.astype(np.float64)
    )
