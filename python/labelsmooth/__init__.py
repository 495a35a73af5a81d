# SPDX-License-Identifier: MIT
"""Label-smoothed cross-entropy: the loss and its gradient for NumPy, and under `labelsmooth.torch` and
`labelsmooth.jax` for PyTorch and JAX, which are imported only there. What smoothing does to a model is
said by `study` and by the program that comes with the package."""

from ._core import CalibrationStats, isa, set_isa, set_threads, threads
from .calibration import ReliabilityCurve, TemperatureScaler, calibration_error, reliability_curve
from .cross_entropy import Parts, cross_entropy
from .errors import Error
from .evaluation import compare, evaluate
from .program import program
from .smoothing import Explanation, convert, explain, smooth_labels
from .study import study

__all__ = [
    "CalibrationStats",
    "Error",
    "Explanation",
    "Parts",
    "ReliabilityCurve",
    "TemperatureScaler",
    "calibration_error",
    "compare",
    "convert",
    "cross_entropy",
    "evaluate",
    "explain",
    "isa",
    "program",
    "reliability_curve",
    "set_isa",
    "set_threads",
    "smooth_labels",
    "study",
    "threads",
]
