# SPDX-License-Identifier: MIT
"""fairseq's label_smoothed_cross_entropy and lightseq's kernel of it: the rule `others`, summed, with a pad.

Cut: batches of thousands of tokens there, 64 here, of 30,413 and 40,519 classes.
"""

import numpy as np
import pytest

from .plain import log_softmax

PAD = 1


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float16, 1e-6)])
@pytest.mark.parametrize("classes", [30413, 40519])
def test_loss_and_nll_sums(classes, dtype, tolerance):
    import labelsmooth

    random = np.random.default_rng(classes)
    logits, labels = random.normal(size=(64, classes)).astype(dtype), random.integers(classes, size=64)
    labels[::5] = PAD
    loss, parts = labelsmooth.cross_entropy(
        logits,
        labels,
        label_smoothing=0.1,
        rule="others",
        ignore_index=PAD,
        reduction="sum",
        return_parts=True,
    )
    log_p, kept = log_softmax(logits), labels != PAD
    nll, smooth, rest = -log_p[np.arange(64), labels], -log_p.sum(-1), 0.1 / (classes - 1)
    expected = (1 - 0.1 - rest) * nll + rest * smooth
    np.testing.assert_allclose(loss, expected[kept].sum(), rtol=tolerance)
    np.testing.assert_allclose(parts.nll.sum(), nll[kept].sum(), rtol=tolerance)


@pytest.mark.parametrize("classes", [2, 5, 1000])
@pytest.mark.parametrize("amount", [0.05, 0.1])
def test_its_amount_under_our_default_rule(ask, classes, amount):
    """fairseq's e is PyTorch's e K / (K - 1)."""
    import labelsmooth

    random = np.random.default_rng(classes)
    logits, labels = random.normal(size=(8, classes)), random.integers(classes, size=8)
    theirs, of_theirs = ask(logits, labels, label_smoothing=amount, rule="others")
    converted, scale = labelsmooth.convert(amount, "fairseq", "pytorch", classes)
    assert scale == 1 and abs(converted - amount * classes / (classes - 1)) < 1e-12
    ours, of_ours = ask(logits, labels, label_smoothing=converted)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_allclose(of_ours, of_theirs, atol=1e-15)


def test_classy_vision_amount():
    """ClassyVision divides one-hot + e/K by 1 + e: uniform e / (1 + e)."""
    import labelsmooth

    amount, scale = labelsmooth.convert(0.1, "classy-vision", "pytorch", 5)
    assert scale == 1 and abs(amount - 0.1 / 1.1) < 1e-12
    targets = labelsmooth.smooth_labels([0], amount, num_classes=5, dtype=np.float64)
    np.testing.assert_allclose(targets[0, :2], [0.927272727273, 0.018181818182], rtol=1e-11)
