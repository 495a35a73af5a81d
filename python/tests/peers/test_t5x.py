# SPDX-License-Identifier: MIT
"""T5X, t5x/losses_test.py: z-loss, the rule `others`, and what the sum is divided by."""

import numpy as np

from .plain import log_softmax, losses

TOKENS = np.array([[1, 2, 3, 4, 0], [5, 6, 0, 0, 0]])
LOGITS = np.random.default_rng(51).normal(size=(2, 5, 7))
REAL = TOKENS != 0


def rows(targets_of):
    return losses(LOGITS, targets_of)


def smoothed(amount=0.1, classes=7):
    return (
        np.full((2, 5, classes), amount / (classes - 1))
        + (1 - amount - amount / (classes - 1)) * np.eye(classes)[TOKENS]
    )


def test_number_of_real_target_tokens(ask):
    loss, _ = ask(LOGITS, TOKENS, ignore_index=0, label_smoothing=0.1, rule="others", denominator="rows")
    np.testing.assert_allclose(loss, rows(smoothed())[REAL].sum() / 6, rtol=1e-12)


def test_number_of_all_target_tokens(ask):
    loss, _ = ask(LOGITS, TOKENS, ignore_index=0, label_smoothing=0.1, rule="others", denominator=10.0)
    np.testing.assert_allclose(loss, rows(smoothed())[REAL].sum() / 10, rtol=1e-12)


def test_average_per_sequence(ask):
    """Weights that sum to 1 for each sequence, divided by the number of sequences."""
    weight = np.array([[0.25, 0.25, 0.25, 0.25, 0], [0.5, 0.5, 0, 0, 0]])
    loss, _ = ask(LOGITS, TOKENS, row_weight=weight, label_smoothing=0.1, rule="others", denominator=2.0)
    np.testing.assert_allclose(loss, (weight * rows(smoothed())).sum() / 2, rtol=1e-12)


def test_z_loss(ask):
    loss, _ = ask(LOGITS, TOKENS, label_smoothing=0.1, rule="others", lse_square_scale=1e-2, reduction="none")
    lse = LOGITS[..., 0] - log_softmax(LOGITS)[..., 0]
    np.testing.assert_allclose(loss, rows(smoothed()) + 1e-2 * lse**2, rtol=1e-12)


def test_normalised_loss(ask):
    """T5X takes off the entropy of the target, so that a perfect prediction costs 0. That changes no gradient, and is
    the floor that `explain` prints."""
    import labelsmooth

    q = smoothed()
    perfect, gradient = ask(np.log(q), TOKENS, label_smoothing=0.1, rule="others")
    explained = labelsmooth.explain(classes=7, label=1, label_smoothing=0.1, logits=[0.0] * 7)
    floor = next(one["floor"] for one in explained["rules"] if one["rule"] == "others")
    np.testing.assert_allclose(perfect, floor, rtol=1e-9)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)
