# SPDX-License-Identifier: MIT
"""Libraries whose suites have no figures to restate: their definition in NumPy, and ours by the keywords that
docs/compatibility.md gives for them."""

import numpy as np
import pytest

from .plain import gradients, losses, one_hot

ROWS, CLASSES, AMOUNT = 12, 7, 0.1
RANDOM = np.random.default_rng(101)
LOGITS = RANDOM.normal(size=(ROWS, CLASSES))
LABELS = RANDOM.integers(CLASSES, size=ROWS)
WEIGHT = np.linspace(0.5, 2, CLASSES)
UNIFORM = (1 - AMOUNT) * one_hot(LABELS, CLASSES) + AMOUNT / CLASSES
OTHERS = (1 - AMOUNT) * one_hot(LABELS, CLASSES) + AMOUNT / (CLASSES - 1) * (1 - one_hot(LABELS, CLASSES))


def assert_is(answer, targets, factors):
    """The sum of the rows' losses times `factors`, and its gradient."""
    loss, gradient = answer
    factors = np.broadcast_to(factors, ROWS)
    np.testing.assert_allclose(loss, (factors * losses(LOGITS, targets)).sum(), rtol=1e-12)
    np.testing.assert_allclose(gradient, factors[:, None] * gradients(LOGITS, targets), atol=1e-15)


def test_paddle_weights(ask):
    """The row's weight is the expected one of its target, and the mean divides by their sum."""
    expected = UNIFORM @ WEIGHT
    answer = ask(LOGITS, LABELS, weight=WEIGHT, weighting="expected", label_smoothing=AMOUNT)
    assert_is(answer, UNIFORM, expected / expected.sum())


def test_paddle_prior(ask):
    """label_smooth(prior_dist=)."""
    prior = WEIGHT / WEIGHT.sum()
    targets = (1 - AMOUNT) * one_hot(LABELS, CLASSES) + AMOUNT * prior
    assert_is(ask(LOGITS, LABELS, prior=prior, label_smoothing=AMOUNT), targets, 1 / ROWS)


def test_keras_class_weight(ask):
    answer = ask(LOGITS, LABELS, weight=WEIGHT, weighting="label", denominator="rows", label_smoothing=AMOUNT)
    assert_is(answer, UNIFORM, WEIGHT[LABELS] / ROWS)


def test_megatron(ask):
    """Losses of the tokens under the rule `others`, times a mask, over its sum."""
    mask = (np.arange(ROWS) % 3 > 0).astype(float)
    answer = ask(LOGITS, LABELS, row_weight=mask, rule="others", label_smoothing=AMOUNT)
    assert_is(answer, OTHERS, mask / mask.sum())


def test_mmpretrain(ask):
    """Weights of samples, and `avg_factor`; its mode classy_vision by the amount converted."""
    import labelsmooth

    sample_weight = np.linspace(0, 1, ROWS)
    answer = ask(LOGITS, LABELS, row_weight=sample_weight, denominator=5.0, label_smoothing=AMOUNT)
    assert_is(answer, UNIFORM, sample_weight / 5)
    amount, _ = labelsmooth.convert(AMOUNT, "classy-vision", "uniform", CLASSES)
    targets = (one_hot(LABELS, CLASSES) + AMOUNT / CLASSES) / (1 + AMOUNT)
    assert_is(ask(LOGITS, LABELS, label_smoothing=amount, reduction="sum"), targets, 1)


def test_opennmt_without_the_pad(ask):
    """Once: 1 - e for the label, nothing for the pad, e / (K - 2) for the rest. The prior of each label, then."""
    pad, labels = 0, LABELS[LABELS != 0]
    logits = LOGITS[LABELS != 0]
    prior = np.where(np.eye(CLASSES, dtype=bool), 0, 1 / (CLASSES - 2))
    prior[:, pad] = 0
    prior[pad] = 1 / CLASSES  # of the pad's own rows, which do not count
    loss, _ = ask(logits, labels, matrix=prior, label_smoothing=AMOUNT, ignore_index=pad, reduction="sum")
    targets = (1 - AMOUNT) * one_hot(labels, CLASSES) + AMOUNT * prior[labels]
    np.testing.assert_allclose(loss, losses(logits, targets).sum(), rtol=1e-12)


def test_padded_vocabulary(ask):
    """llm.c, nanoGPT, Megatron pad the vocabulary in memory; the padding is no class."""
    padded = np.concatenate([LOGITS, np.full((ROWS, 3), 50.0)], -1)
    loss, gradient = ask(padded, LABELS, padded_classes=3, label_smoothing=AMOUNT)
    np.testing.assert_allclose(loss, losses(LOGITS, UNIFORM).mean(), rtol=1e-12)
    assert not gradient[:, CLASSES:].any()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_liger_torchtune_transformer_engine_nemo_over_nothing(ask_library, reduction):
    loss, gradient = ask_library(LOGITS, np.full(ROWS, -100), empty="zero", reduction=reduction)
    assert loss == 0 and not gradient.any()


def test_temperature_of_distillation(ask):
    """A teacher's softened row as the target, the student's logits over T; the factor T^2 is the caller's."""
    temperature = 4.0
    teacher = np.exp(RANDOM.normal(size=(ROWS, CLASSES)))
    teacher /= teacher.sum(-1, keepdims=True)
    loss, gradient = ask(LOGITS, teacher, scale=1 / temperature)
    np.testing.assert_allclose(loss, losses(LOGITS / temperature, teacher).mean(), rtol=1e-12)
    expected = gradients(LOGITS / temperature, teacher) / temperature / ROWS
    np.testing.assert_allclose(gradient, expected, atol=1e-15)
