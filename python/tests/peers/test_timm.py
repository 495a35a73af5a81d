# SPDX-License-Identifier: MIT
"""timm, timm/loss/cross_entropy.py and timm/data/mixup.py. timm has no tests of its losses: these are its definitions."""

import numpy as np
import pytest

from .plain import gradients, losses, one_hot

ROWS, CLASSES = 16, 10


@pytest.fixture
def batch():
    random = np.random.default_rng(11)
    return random.normal(size=(ROWS, CLASSES)), random.integers(CLASSES, size=ROWS)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5, 0.99])
def test_label_smoothing_cross_entropy(ask_library, batch, smoothing):
    logits, labels = batch
    q = (1 - smoothing) * one_hot(labels, CLASSES) + smoothing / CLASSES
    loss, gradient = ask_library(logits, labels, label_smoothing=smoothing)
    np.testing.assert_allclose(loss, losses(logits, q).mean(), rtol=1e-12)
    np.testing.assert_allclose(gradient, gradients(logits, q) / ROWS, atol=1e-15)


def test_soft_target_cross_entropy(ask, batch):
    logits, _ = batch
    targets = np.random.default_rng(12).dirichlet(np.ones(CLASSES), ROWS)
    loss, gradient = ask(logits, targets)
    np.testing.assert_allclose(loss, losses(logits, targets).mean(), rtol=1e-12)
    np.testing.assert_allclose(gradient, gradients(logits, targets) / ROWS, atol=1e-15)


@pytest.mark.parametrize("of_each_row", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixup_target(ask, batch, smoothing, of_each_row):
    """timm smooths both labels, mixes them with those of the batch in reverse, and takes the soft loss."""
    logits, labels = batch
    share = np.random.default_rng(13).uniform(size=ROWS) if of_each_row else np.full(ROWS, 0.3)
    first, second = (
        (1 - smoothing) * one_hot(y, CLASSES) + smoothing / CLASSES for y in (labels, labels[::-1])
    )
    q = share[:, None] * first + (1 - share[:, None]) * second
    mixed = (labels[::-1].copy(), share)
    loss, gradient = ask(logits, labels, mixed=mixed, label_smoothing=smoothing)
    np.testing.assert_allclose(loss, losses(logits, q).mean(), rtol=1e-12)
    np.testing.assert_allclose(gradient, gradients(logits, q) / ROWS, atol=1e-15)


def test_smoothing_twice_is_more_smoothing(ask_library, batch):
    """Its Mixup smooths by default, and a smoothed loss after it does so again: 1 - (1 - e)^2."""
    logits, labels = batch
    smoothed = 0.9 * one_hot(labels, CLASSES) + 0.1 / CLASSES
    twice, _ = ask_library(logits, smoothed, label_smoothing=0.1)
    once, _ = ask_library(logits, labels, label_smoothing=1 - 0.9**2)
    np.testing.assert_allclose(twice, once, rtol=1e-12)
