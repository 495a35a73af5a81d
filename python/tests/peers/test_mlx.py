# SPDX-License-Identifier: MIT
"""MLX, python/tests/test_losses.py, test_cross_entropy: its inputs and figures. MLX's `weights` are ours of the row."""

import numpy as np
import pytest

TWO_ROWS = np.array([[2, -1], [-1, 2]], np.float32)
LABELS = np.array([0, 1])
ONE_HOT = np.eye(2, dtype=np.float32)


@pytest.mark.parametrize("labels", [LABELS, ONE_HOT], ids=["index", "one-hot"])
@pytest.mark.parametrize(
    "smoothing, row_weight, expected",
    [
        (0.0, None, [0.048587351574, 0.048587351574]),
        (0.0, [1, 2], [0.048587351574, 0.097174703148]),
        (0.3, None, [0.498587351574, 0.498587351574]),
        (0.3, [1, 2], [0.498587351574, 0.997174703148]),
    ],
)
def test_smoothing_and_weights(ask, labels, smoothing, row_weight, expected):
    weight = None if row_weight is None else np.array(row_weight, np.float32)
    loss, _ = ask(TWO_ROWS, labels, label_smoothing=smoothing, row_weight=weight, reduction="none")
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_soft_targets(ask):
    loss, _ = ask(TWO_ROWS, np.array([[0.9, 0.1], [0.1, 0.9]], np.float32), reduction="none")
    np.testing.assert_allclose(loss, [0.348587351574] * 2, rtol=1e-6)


@pytest.mark.parametrize("offset", [1e4, 1e6])
@pytest.mark.parametrize("smoothing, expected", [(0.0, 0.048587351574), (0.3, 0.498587351574)])
def test_a_shared_offset_changes_nothing(ask, offset, smoothing, expected):
    logits = np.array([[2, -1]], np.float32) + np.float32(offset)
    loss, _ = ask(logits, [0], label_smoothing=smoothing, reduction="none")
    np.testing.assert_allclose(loss, [expected], rtol=1e-6)


@pytest.mark.parametrize("value", [1.0, 1e4, 1e8, 1e20])
def test_equal_logits_of_any_size(ask, value):
    loss, _ = ask(np.full((1, 2), value, np.float32), [0], reduction="none")
    np.testing.assert_allclose(loss, [np.log(2)], rtol=1e-6)


def test_impossible_classes(ask):
    logits = np.array([[0, -np.inf], [-np.inf, 0]], np.float32)
    loss, gradient = ask(logits, LABELS, reduction="none")
    assert loss.tolist() == [0, 0] and not gradient.any()


def test_impossible_classes_of_no_mass_are_no_nan(ask):
    """MLX, like PyTorch, says NaN here: 0 times infinity. A class that nothing is asked of costs nothing."""
    logits = np.array([[0, -np.inf], [-np.inf, 0]], np.float32)
    loss, gradient = ask(logits, ONE_HOT, reduction="none")
    assert loss.tolist() == [0, 0] and not gradient.any()


def test_another_axis(ask):
    import labelsmooth

    logits = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    labels = np.array([1, 2, 3, 0])
    loss, _ = ask(logits, labels, reduction="none")
    turned = labelsmooth.cross_entropy(logits.T, labels, axis=0, reduction="none")
    np.testing.assert_allclose(loss, turned, rtol=1e-6)
