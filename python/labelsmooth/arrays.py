# SPDX-License-Identifier: MIT
"""What `labelsmooth.formula` reads beside the logits and says of each row, and the door that it trusts."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import _core
from .errors import Error
from .settings import Settings, bound


class Arrays(NamedTuple):
    """Arrays of any framework for logits (rows..., K); what is None is not there."""

    labels: Any = None  # (rows...,) signed integers; beside targets: which rows are ignored, which correct
    second: Any = None  # (rows...,) the other labels of mixed ones
    mixing: Any = None  # (rows...,) the weight of the first
    targets: Any = None  # (rows..., K)
    prior: Any = None  # (K,) or (rows..., K)
    matrix: Any = None  # (K, K), the prior of each label
    amounts: Any = None  # (rows...,) or one, in place of Settings.label_smoothing
    class_amounts: Any = None  # (K,)
    weight: Any = None  # (K,)
    row_weight: Any = None  # (rows...,)
    mask: Any = None  # (K,) or (rows..., K) of bool


class Rows(NamedTuple):
    """`Parts` of each row, and what a mean divides by."""

    loss: Any
    nll: Any
    lse: Any
    confidence: Any
    entropy: Any
    argmax: Any
    correct: Any  # None where dense targets have no labels
    counts: Any
    share: Any  # of the denominator `weights`


_KEYWORDS = {
    "second": "mixed",
    "mixing": "mixed",
    "targets": "labels",
    "amounts": "label_smoothing",
    "class_amounts": "class_smoothing",
}


def check(settings: Settings, shape: tuple[int, ...], arrays: Arrays) -> None:
    """Raises Error for shapes that do not fit logits of `shape`, and for what does not go together."""
    rows, classes = shape[:-1], shape[-1:]
    allowed = {
        "targets": [shape],
        "prior": [classes, shape],
        "matrix": [classes * 2],
        "mask": [classes, shape],
    }
    allowed |= {"amounts": [rows, ()], "class_amounts": [classes], "weight": [classes]}
    for name, array in arrays._asdict().items():
        fits = allowed.get(name, [rows])
        if array is not None and tuple(array.shape) not in fits:
            needed = " or ".join(str(one) for one in dict.fromkeys(fits))
            raise Error(_KEYWORDS.get(name, name), f"shape {tuple(array.shape)} found, {needed} is needed")
    shared = arrays.prior is not None and tuple(arrays.prior.shape) == classes
    _refuse(settings, classes[0], tuple(array is not None for array in arrays), shared)


@lru_cache(maxsize=256)
def _refuse(settings: Settings, classes: int, given: tuple[bool, ...], shared: bool) -> None:
    """The library refuses: it is asked for a loss of one row, with the same options and stand-in arrays."""
    one, label = np.ones(1), np.zeros(1, np.int64)
    row, by_class = np.zeros((1, classes)), np.full(classes, 1 / max(classes, 1))
    stand_in = Arrays(
        labels=label,
        second=label,
        mixing=one,
        targets=row,
        prior=by_class if shared else by_class[None],
        matrix=np.broadcast_to(by_class, (classes, classes)),
        amounts=np.zeros(1),
        class_amounts=np.zeros(classes),
        weight=by_class,
        row_weight=one,
        mask=np.ones(classes, bool),
    )
    there = {
        name: array if is_given else None
        for is_given, (name, array) in zip(given, stand_in._asdict().items(), strict=True)
    }
    empty = "nan" if settings.empty == "error" else settings.empty
    _core.Loss(bound(settings._replace(empty=empty, axis=-1, padded_classes=0)), row, **there).value()
