# SPDX-License-Identifier: MIT
"""Cases of other projects' test suites, restated."""

from collections.abc import Callable
from typing import Any

import pytest

from .faces import ASK, FACES, Answer, Case


def _asking(face: str) -> Callable[..., Answer]:
    def of_face(logits: Any, labels: Any, *, upstream: Any = 1.0, **options: Any) -> Answer:
        return ASK[face](Case(logits, labels, options), upstream)

    return of_face


@pytest.fixture(params=FACES)
def ask(request: pytest.FixtureRequest) -> Callable[..., Answer]:
    """ask(logits, labels, upstream=1.0, **options) -> (loss, gradient) of one face."""
    return _asking(request.param)


@pytest.fixture(params=["numpy", "torch"])
def ask_library(request: pytest.FixtureRequest) -> Callable[..., Answer]:
    """The same of the faces that the library computes; JAX's is compiled by XLA, a second or so a case."""
    return _asking(request.param)
