# SPDX-License-Identifier: MIT
"""Keras 3, keras/src/losses/losses_test.py, its cross-entropy tests but for those of configuration: inputs and figures.

Keras's `sample_weight` is ours of the row, its mean `sum_over_batch_size` divides by the rows (denominator="rows"), its
`ignore_class` is our `ignore_index`. Probabilities go in as their logarithms. A sigmoid of z is the softmax of 0 and z,
where the default rule is Keras's binary smoothing, y (1 - e) + e/2.
"""

import numpy as np
import pytest

LOGITS = np.array([[8, 1, 1], [0, 9, 1], [2, 3, 5]], np.float32)
PROBABILITIES = np.array([[0.9, 0.05, 0.05], [0.5, 0.89, 0.6], [0.05, 0.01, 0.94]])
LABELS = {"index": np.array([0, 1, 2]), "one-hot": np.eye(3, dtype=np.float32)}


def log_of(probabilities):
    """Keras normalises probabilities first, which a softmax of the logarithms does too."""
    with np.errstate(divide="ignore"):
        return np.log(probabilities).astype(np.float32)


@pytest.fixture(params=LABELS)
def labels(request):
    return LABELS[request.param]


def test_all_correct(ask, labels):
    loss, _ = ask(10 * np.eye(3, dtype=np.float32), labels)
    assert abs(loss) < 5e-4
    loss, _ = ask(log_of(np.eye(3)), labels)
    assert loss == 0


@pytest.mark.parametrize("logits, expected", [(log_of(PROBABILITIES), 0.3239), (LOGITS, 0.0573)])
def test_unweighted(ask, labels, logits, expected):
    loss, _ = ask(logits, labels)
    assert abs(loss - expected) < 5e-4


@pytest.mark.parametrize("logits, expected", [(log_of(PROBABILITIES), 0.7449), (LOGITS, 0.1317)])
def test_one_weight_for_all(ask, labels, logits, expected):
    weight = np.full(3, 2.3, np.float32)
    loss, _ = ask(logits, labels, row_weight=weight, denominator="rows")
    assert abs(loss - expected) < 5e-4


@pytest.mark.parametrize("logits, expected", [(log_of(PROBABILITIES), 1.0696), (LOGITS, 0.31829)])
def test_sample_weights(ask, labels, logits, expected):
    weight = np.array([1.2, 3.4, 5.6], np.float32)
    loss, _ = ask(logits, labels, row_weight=weight, denominator="rows")
    assert abs(loss - expected) < 5e-4


def test_no_reduction(ask, labels):
    loss, _ = ask(LOGITS, labels, reduction="none")
    np.testing.assert_allclose(loss, [0.001822, 0.000459, 0.169846], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("label", [[0], np.array([[1, 0, 0]], np.float32)], ids=["index", "one-hot"])
def test_label_smoothing_of_far_logits(ask, label):
    loss, _ = ask(np.array([[100, -100, -100]], np.float32), label, label_smoothing=0.1)
    np.testing.assert_allclose(loss, 400 * 0.1 / 3, rtol=1e-6)


def test_label_smoothing_with_an_axis(ask):
    """Three classes over two positions: the mass is shared by the classes, not by the last axis."""
    target = np.array([[[1, 0], [0, 1], [0, 0]], [[0, 1], [1, 0], [0, 0]]], np.float32).swapaxes(1, 2)
    predicted = np.array([[[0.8, 0.1], [0.1, 0.8], [0.1, 0.1]], [[0.1, 0.8], [0.8, 0.1], [0.1, 0.1]]])
    log_p = log_of(predicted.swapaxes(1, 2))
    loss, _ = ask(log_p, target, label_smoothing=0.1)
    expected = -np.mean(np.sum((0.9 * target + 0.1 / 3) * log_p, -1))
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_ignore_class(ask):
    logits = np.array([[[0.854, 0.698, 0.598], [0.088, 0.86, 0.018]]], np.float32)
    loss, gradient = ask(logits, np.array([[-1, 2]]), ignore_index=-1, reduction="none")
    np.testing.assert_allclose(loss, [[0, 1.480129]], rtol=1e-6)
    assert not gradient[0, 0].any()


def test_binary_segmentation(ask):
    label = np.array([[0, 1, 1, 0], [1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 0, 1]])
    predicted = np.eye(2)[label]
    loss, _ = ask(log_of(predicted), label)
    assert loss == 0
    predicted[0, 3], predicted[3, 3] = [0.2, 0.8], [0.6, 0.4]
    loss, _ = ask(log_of(predicted), label)
    np.testing.assert_allclose(loss, -(np.log(0.2) + np.log(0.4)) / 16, rtol=1e-6)


def test_class_weight_of_fit(ask):
    """`class_weight` weighs a sample by its label, and the mean divides by the rows."""
    weight = np.array([1, 2, 4], np.float32)
    loss, _ = ask(
        LOGITS, LABELS["index"], label_smoothing=0.1, weight=weight, weighting="label", denominator="rows"
    )
    each, _ = ask(LOGITS, LABELS["index"], label_smoothing=0.1, reduction="none")
    np.testing.assert_allclose(loss, np.mean(weight * each), rtol=1e-6)


BINARY_LOGITS = np.array([[10, -10, 10], [10, 10, -10]], np.float32)
BINARY_LABELS = np.array([[1, 0, 1], [0, 1, 1]])


def two_classes(logits):
    return np.stack([np.zeros_like(logits), logits], -1)


def test_binary_label_smoothing(ask):
    logits = two_classes(np.array([[10, -10, -10]], np.float32))
    loss, _ = ask(logits, np.array([[1, 0, 1]]), label_smoothing=0.1)
    assert abs(loss - 10.5 / 3) < 5e-4
    np.testing.assert_allclose(loss, 3.500045398899, rtol=1e-6)


def test_binary(ask):
    loss, _ = ask(two_classes(BINARY_LOGITS), BINARY_LABELS)
    assert abs(loss - 3.3333) < 5e-4
    weight = np.broadcast_to(np.array([[4], [3]], np.float32), (2, 3)).copy()
    loss, _ = ask(two_classes(BINARY_LOGITS), BINARY_LABELS, row_weight=weight, denominator="rows")
    assert abs(loss - 10) < 5e-4
    each, _ = ask(two_classes(BINARY_LOGITS), BINARY_LABELS, reduction="none")
    np.testing.assert_allclose(each.mean(-1), [0, 6.666], atol=1e-3)
