# SPDX-License-Identifier: MIT
"""quack, tests/test_cross_entropy.py: shapes, extreme values, empty batches.

Cut: 289 rows of up to 262,144 classes there, at most 77 rows and 128,256 classes here.
"""

import numpy as np
import pytest

from .plain import gradients, losses, one_hot


@pytest.mark.parametrize(
    "rows, classes", [(1, 192), (77, 1024), (33, 32768), (1, 50264), (7, 65536), (9, 128256)]
)
def test_shapes(ask, rows, classes):
    random = np.random.default_rng(rows * classes)
    logits = (0.1 * random.normal(size=(rows, classes))).astype(np.float32)
    labels = random.integers(classes, size=rows)
    upstream = random.normal(size=rows)
    loss, gradient = ask(logits, labels, upstream=upstream, reduction="none")
    q = one_hot_rows(labels, classes)
    np.testing.assert_allclose(loss, losses(logits, q), rtol=1e-6)
    np.testing.assert_allclose(gradient, upstream[:, None] * gradients(logits, q), rtol=2e-6, atol=1e-9)


def one_hot_rows(labels, classes):
    q = np.zeros((len(labels), classes))
    q[np.arange(len(labels)), labels] = 1
    return q


@pytest.mark.parametrize("value", [10.0, -10.0])
def test_equal_logits(ask, value):
    loss, _ = ask(np.full((16, 1024), value, np.float32), np.arange(16), reduction="none")
    np.testing.assert_allclose(loss, np.log(1024), rtol=1e-6)


def test_a_shift_changes_nothing(ask):
    random = np.random.default_rng(41)
    logits, labels = random.integers(-8, 8, (16, 1024)).astype(np.float32) / 4, random.integers(1024, size=16)
    loss, gradient = ask(logits, labels, reduction="none")
    shifted, of_shifted = ask(logits + 100, labels, reduction="none")
    np.testing.assert_allclose(shifted, loss, rtol=1e-6)
    np.testing.assert_allclose(of_shifted, gradient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("label", [0, 1023])
def test_first_and_last_class(ask, label):
    logits = np.random.default_rng(42).normal(size=(16, 1024)).astype(np.float32)
    labels = np.full(16, label)
    loss, gradient = ask(logits, labels, reduction="none")
    np.testing.assert_allclose(loss, losses(logits, one_hot(labels, 1024)), rtol=1e-6)
    assert (gradient[:, label] < 0).all() and (np.delete(gradient, label, 1) > 0).all()


def test_certain_rows(ask):
    """The label 40 above the rest: the loss is their e^-40 each, not 0."""
    logits = np.zeros((2, 192), np.float32)
    logits[:, 5] = 40
    loss, _ = ask(logits, [5, 5], reduction="none")
    np.testing.assert_allclose(loss, 191 * np.exp(-40), rtol=1e-5)


def test_ignored_rows(ask):
    random = np.random.default_rng(43)
    logits, labels = random.normal(size=(33, 192)).astype(np.float32), random.integers(192, size=33)
    labels[::3] = -100
    loss, gradient = ask(logits, labels, reduction="none")
    assert not loss[::3].any() and not gradient[::3].any()
    assert loss[1::3].all() and gradient[1::3].all()


@pytest.mark.parametrize("reduction, expected", [("mean", np.nan), ("sum", 0.0)])
def test_empty_batches(ask, reduction, expected):
    logits, labels = np.zeros((0, 1024), np.float32), np.zeros(0, np.int64)
    loss, gradient = ask(logits, labels, reduction=reduction, label_smoothing=0.1)
    np.testing.assert_equal(float(loss), expected)
    assert gradient.shape == (0, 1024)
    each, gradient = ask(logits, labels, reduction="none", label_smoothing=0.1)
    assert each.shape == (0,) and gradient.shape == (0, 1024)
