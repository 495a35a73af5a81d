# SPDX-License-Identifier: MIT
"""Flux.jl, test/losses.jl, crossentropy, logitcrossentropy and label_smoothing over classes."""

import numpy as np
import pytest

RATIO = np.log(0.1 / 0.9)
LOG_P = np.log(np.array([[0.1, 0.9], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]))
LOGITS = np.array([[RATIO, 0], [0, RATIO], [0, RATIO], [RATIO, 0]])
LABELS = np.array([1, 1, 0, 0])


@pytest.mark.parametrize("logits", [LOG_P, LOGITS], ids=["probabilities", "logits"])
def test_cross_entropy(ask, logits):
    loss, _ = ask(logits, LABELS)
    np.testing.assert_allclose(loss, 1.203972804325936, rtol=1e-14)
    loss, _ = ask(logits, LABELS, label_smoothing=0.1)
    np.testing.assert_allclose(loss, 1.2039728043259348, rtol=1e-14)


def test_one_row(ask_library):
    loss, _ = ask_library(np.array([[0, RATIO]]), [1], label_smoothing=0.2)
    np.testing.assert_allclose(loss, -0.1 * np.log(0.9) - 0.9 * np.log(0.1), rtol=1e-14)


def test_zero_probability_of_other_classes(ask):
    with np.errstate(divide="ignore"):
        logits = np.log(np.array([[0.1, 0.0, 0.9]]))
    with_it, _ = ask(logits, np.array([[0.1, 0.0, 0.9]]))
    without, _ = ask(logits[:, [0, 2]], np.array([[0.1, 0.9]]))
    np.testing.assert_allclose(with_it, without, rtol=1e-14)


def test_smoothing_raises_the_loss_of_good_predictions_and_lowers_that_of_bad_ones(ask_library):
    labels = np.array([1, 1, 1, 0, 0])
    similar = np.log(0.6 * np.eye(2)[labels] + 0.2)
    for logits, raises in ((similar, True), (similar[:, ::-1].copy(), False)):
        hard, _ = ask_library(logits, labels)
        smooth, _ = ask_library(logits, labels, label_smoothing=0.4)
        assert (smooth > hard) == raises


def test_label_smoothing():
    """Flux refuses 0 as well as what is above 1; 0 is no smoothing here."""
    import labelsmooth

    one_hot = np.array([[0.0, 1.0]])
    np.testing.assert_allclose(
        labelsmooth.smooth_labels(one_hot, 0.2, dtype=np.float64), [[0.1, 0.9]], rtol=1e-15
    )
    assert labelsmooth.smooth_labels(one_hot, 0.0).tolist() == one_hot.tolist()
    with pytest.raises(labelsmooth.Error):
        labelsmooth.smooth_labels(one_hot, 1.2)
