# SPDX-License-Identifier: MIT
"""The Python of README.md runs and prints what it says."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import labelsmooth

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", README, re.S)


def rows_of(seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 300)
    return rng.normal(size=(300, 3)) + np.eye(3)[labels], labels


def fit(points: Any, labels: Any, smoothing: float) -> Any:
    weights = np.zeros((3, 3))
    for _ in range(50):
        _, gradient = labelsmooth.cross_entropy(
            points @ weights, labels, label_smoothing=smoothing, return_grad=True
        )
        weights -= points.T @ gradient
    return weights


def test_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (test, test_labels), (validation, validation_labels) = rows_of(101), rows_of(102)
    names: dict[str, Any] = {
        "training_rows": rows_of,
        "fit": fit,
        "predict": lambda model, rows: rows @ model,
    }
    names |= {"test": test, "test_labels": test_labels}
    names |= {"validation": validation, "validation_labels": validation_labels}
    assert len(BLOCKS) == 3
    for code, expected in BLOCKS:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        if expected:
            assert printed.getvalue() == expected
    assert (tmp_path / "my-study" / "report.html").exists()
