# SPDX-License-Identifier: MIT
"""tinygrad, test/backend/test_ops.py, its cross-entropy tests: amounts, soft targets, ignored classes, class axes."""

import numpy as np
import pytest

from .plain import gradients, losses, one_hot

AMOUNTS = [0.0, 0.3, 0.7, 1.0]
RANDOM = np.random.default_rng(31)
LOGITS, LABELS = RANDOM.normal(size=(32, 10)), RANDOM.integers(10, size=32)


def smoothed(targets, amount):
    return (1 - amount) * targets + amount / targets.shape[-1]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("soft", [False, True])
def test_amounts(ask_library, soft, amount, reduction):
    targets = RANDOM.dirichlet(np.ones(10), 32) if soft else one_hot(LABELS, 10)
    q = smoothed(targets, amount)
    loss, gradient = ask_library(
        LOGITS, targets if soft else LABELS, label_smoothing=amount, reduction=reduction
    )
    each = losses(LOGITS, q)
    np.testing.assert_allclose(
        loss, {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction], rtol=1e-12
    )
    np.testing.assert_allclose(
        gradient, gradients(LOGITS, q) / (32 if reduction == "mean" else 1), atol=1e-14
    )


@pytest.mark.parametrize("amount", [0.0, 0.3])
@pytest.mark.parametrize("ignored", [int(LABELS[0]), 0, 3, 44])
def test_ignored_classes(ask_library, ignored, amount):
    kept = ignored != LABELS
    q = smoothed(one_hot(LABELS, 10), amount)
    loss, gradient = ask_library(LOGITS, LABELS, ignore_index=ignored, label_smoothing=amount)
    np.testing.assert_allclose(loss, losses(LOGITS, q)[kept].mean(), rtol=1e-12)
    np.testing.assert_allclose(gradient[kept], gradients(LOGITS, q)[kept] / kept.sum(), atol=1e-14)
    assert not gradient[~kept].any()


def test_minus_one_can_be_ignored(ask):
    """In tinygrad -1 means that nothing is."""
    labels = np.where(np.arange(32) % 4 == 0, -1, LABELS)
    loss, _ = ask(LOGITS, labels, ignore_index=-1)
    np.testing.assert_allclose(loss, losses(LOGITS, one_hot(LABELS, 10))[labels >= 0].mean(), rtol=1e-12)


@pytest.mark.parametrize("amount", AMOUNTS)
def test_class_axis(amount):
    import labelsmooth

    logits, labels = RANDOM.normal(size=(3, 12, 10)), RANDOM.integers(10, size=(3, 12))
    last = labelsmooth.cross_entropy(logits, labels, label_smoothing=amount, return_grad=True)
    second = labelsmooth.cross_entropy(
        logits.transpose(0, 2, 1), labels, label_smoothing=amount, axis=1, return_grad=True
    )
    np.testing.assert_allclose(second[0], last[0], rtol=1e-14)
    np.testing.assert_allclose(second[1].transpose(0, 2, 1), last[1], atol=1e-16)


@pytest.mark.parametrize("shape", [(32,), (32, 10), (32, 4, 4, 4)])
def test_soft_targets_of_any_mass(ask_library, shape):
    """Its targets are drawn from [-2, 2]."""
    logits, targets = RANDOM.uniform(-2, 2, shape), RANDOM.uniform(-2, 2, shape)
    rows = int(np.prod(shape[:-1]))
    loss, gradient = ask_library(logits, targets)
    np.testing.assert_allclose(loss, losses(logits, targets).mean(), rtol=1e-10)
    np.testing.assert_allclose(gradient, gradients(logits, targets) / rows, atol=1e-14)
