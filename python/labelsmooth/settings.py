# SPDX-License-Identifier: MIT
"""The options of the loss that are no arrays, under the names that every face uses."""

from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from . import _core

Rule: TypeAlias = Literal["uniform", "others", "flip", "additive"]
Weighting: TypeAlias = Literal["per_term", "label", "expected"]
Support: TypeAlias = Literal["all", "finite"]
Reduction: TypeAlias = Literal["mean", "sum", "none"]
Denominator: TypeAlias = Literal["weights", "rows"]
Empty: TypeAlias = Literal["nan", "zero", "error"]


class Settings(NamedTuple):
    """Everything of a loss but its arrays; hashable, so that what it means is worked out once."""

    label_smoothing: float = 0.0
    rule: str = "uniform"
    weighting: str = "per_term"
    ignore_index: int | None = -100
    support: str = "all"
    padded_classes: int = 0
    scale: float = 1.0
    softcap: float = 0.0
    lse_square_scale: float = 0.0
    entropy_penalty: float = 0.0
    max_suppression: float = 0.0
    reduction: str = "mean"
    denominator: str = "weights"
    denominator_value: float = 0.0
    empty: str = "nan"
    axis: int = -1


@lru_cache(maxsize=256)
def bound(settings: Settings) -> _core.Settings:
    """The library's own form, checked."""
    return _core.Settings(**settings._asdict())


def named_denominator(denominator: str | float) -> tuple[str, float]:
    """A denominator by name, or the constant that a number is."""
    return (denominator, 0.0) if isinstance(denominator, str) else ("constant", float(denominator))
