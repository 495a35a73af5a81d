# SPDX-License-Identifier: MIT
"""What users reported against other libraries, as cases: each names its issue."""

import numpy as np
import pytest

from .plain import gradients, losses, one_hot


def entropy(q):
    return -(q * np.log(q)).sum()


@pytest.mark.parametrize(
    "rule, classes, floor",
    [
        ("uniform", 2, 0.198515243346),
        ("others", 2, 0.325082973391),
        ("uniform", 1000, 1.014847997749),
        ("uniform", 32000, 1.362389683077),
    ],
)
def test_the_floor_is_the_entropy_of_the_target(ask, rule, classes, floor):
    """pytorch#148884: at p = q the loss is H(q), its least, and the gradient 0."""
    a, b = (
        (0.9, 0.1)
        if rule == "uniform"
        else (1 - 0.1 * classes / (classes - 1), 0.1 * classes / (classes - 1))
    )
    q = np.full((1, classes), b / classes)
    q[0, 1] += a
    loss, gradient = ask(np.log(q), [1], label_smoothing=0.1, rule=rule)
    np.testing.assert_allclose(loss, floor, rtol=1e-11)
    np.testing.assert_allclose(loss, entropy(q), rtol=1e-12)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)


@pytest.mark.parametrize(
    "weight, optimum",
    [
        ([1, 1], [0.95, 0.05]),
        ([1, 10], [0.655172413793, 0.344827586207]),
        ([1, 100], [0.159663865546, 0.840336134454]),
    ],
)
def test_class_weights_move_the_optimum(ask, weight, optimum):
    """pytorch#104776: weights of each term move what is learnt; weights of the label do not."""
    weight = np.array(weight, np.float64)
    _, gradient = ask(np.log([optimum]), [0], weight=weight, label_smoothing=0.1)
    np.testing.assert_allclose(gradient, 0, atol=1e-10)
    _, gradient = ask(np.log([[0.95, 0.05]]), [0], weight=weight, weighting="label", label_smoothing=0.1)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)


def test_impossible_classes_under_smoothing(ask):
    """pytorch#63004, pytext#1698, tensorflow#19828: inf, unless smoothing is shared by the possible classes alone."""
    logits = np.array([[1, 2, -np.inf]], np.float32)
    loss, _ = ask(logits, [1], label_smoothing=0.1)
    assert loss == np.inf
    loss, gradient = ask(logits, [1], label_smoothing=0.1, support="finite")
    np.testing.assert_allclose(loss, 0.363261687518, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0.218941421370, -0.218941421370, 0]], rtol=1e-6)
    loss, gradient = ask(logits, [1])
    np.testing.assert_allclose(loss, 0.313261687518, rtol=1e-6)
    assert gradient[0, 2] == 0


@pytest.mark.parametrize("sentinel", [-1e4, -1e9, np.finfo(np.float32).min])
def test_a_mask_in_place_of_sentinels(ask, sentinel):
    """A finite stand-in for -inf makes the smoothed loss explode; the mask does not look at it."""
    logits = np.array([[1, 2, sentinel]], np.float32)
    exploded, _ = ask(logits, [1], label_smoothing=0.1)
    assert exploded > 300
    masked, gradient = ask(
        logits, [1], label_smoothing=0.1, mask=np.array([True, True, False]), support="finite"
    )
    np.testing.assert_allclose(masked, 0.363261687518, rtol=1e-6)
    assert gradient[0, 2] == 0


def test_z_loss_and_soft_cap(ask):
    """The closed forms of a z-loss and of a soft cap, in 12 digits."""
    loss, gradient = ask(np.array([[1.0, 2, 3]]), [2], label_smoothing=0.1, lse_square_scale=1e-4)
    np.testing.assert_allclose(loss, 0.508767142285, rtol=1e-11)
    np.testing.assert_allclose(gradient, [[0.056758597581, 0.211561925361, -0.267639001749]], rtol=1e-10)
    loss, gradient = ask(np.array([[40, -5, 0.5]]), [0], label_smoothing=0.1, softcap=30.0)
    np.testing.assert_allclose(loss, 1.888598612789, rtol=1e-11)
    np.testing.assert_allclose(gradient, [[0.016199513649, -0.032424288134, -0.033324075781]], rtol=1e-10)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_nan_in_an_ignored_row_stays_there(ask, reduction):
    """PyTorch's gradient of such a row is NaN."""
    logits = np.array([[1.0, 2, 3], [np.nan] * 3, [0.5, 0, -1]])
    loss, gradient = ask(logits, [2, -100, 0], label_smoothing=0.1, reduction=reduction)
    assert np.isfinite(loss).all() and np.isfinite(gradient).all() and not gradient[1].any()


def test_nan_in_a_counted_row_stays_there(ask):
    logits = np.array([[1.0, 2, 3], [1, np.nan, 3], [0.5, 0, -1]])
    loss, gradient = ask(logits, [2, 0, 0], label_smoothing=0.1, reduction="none")
    assert np.isnan(loss).tolist() == [False, True, False]
    assert np.isnan(gradient).all(-1).tolist() == [False, True, False]
    assert np.isfinite(gradient[[0, 2]]).all()


def test_ignored_rows_take_no_smoothing(ask):
    """pytorch#73205, tinygrad#3570: the uniform part once counted them."""
    logits, labels = np.random.default_rng(81).normal(size=(4, 5)), np.array([1, -100, -100, 3])
    loss, _ = ask(logits, labels, label_smoothing=0.3)
    kept = labels >= 0
    q = 0.7 * one_hot(labels[kept], 5) + 0.06
    np.testing.assert_allclose(loss, losses(logits[kept], q).mean(), rtol=1e-12)


@pytest.mark.parametrize("ignore_index", [-100, -1, 255])
def test_weights_smoothing_and_any_ignore_index(ask, ignore_index):
    """pytorch#69339, pytorch#72056: this crashed for negative ones."""
    logits = np.random.default_rng(82).normal(size=(4, 5))
    labels, weight = np.array([1, ignore_index, 0, 3]), np.array([1, 2, 3, 4, 5.0])
    loss, gradient = ask(logits, labels, weight=weight, ignore_index=ignore_index, label_smoothing=0.1)
    kept = [0, 2, 3]
    q = weight * (0.9 * one_hot(labels[kept], 5) + 0.02)
    np.testing.assert_allclose(loss, losses(logits[kept], q).sum() / weight[labels[kept]].sum(), rtol=1e-12)
    assert not gradient[1].any()


def test_soft_targets_with_ignored_rows_and_row_weights(ask):
    """pytorch#63122, Paddle#13217, Liger#338: together they were to be had nowhere."""
    random = np.random.default_rng(83)
    logits, targets = random.normal(size=(4, 5)), random.dirichlet(np.ones(5), 4)
    labels, weight = np.array([1, -100, 0, 3]), np.array([1, 5, 0.5, 2.0])
    options = {"hard_labels": labels, "row_weight": weight, "label_smoothing": 0.1, "reduction": "sum"}
    loss, gradient = ask(logits, targets, **options)
    q = (np.where(labels < 0, 0, weight)[:, None]) * (0.9 * targets + 0.02)
    np.testing.assert_allclose(loss, losses(logits, q).sum(), rtol=1e-12)
    np.testing.assert_allclose(gradient, gradients(logits, q), atol=1e-15)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
def test_labels_of_any_integer_type(ask, dtype):
    """pytorch#1842: int32 is refused there, and uint8 with weights and smoothing."""
    logits, labels = np.random.default_rng(84).normal(size=(4, 5)), np.array([1, 4, 0, 3])
    options = {"weight": np.arange(1, 6.0), "label_smoothing": 0.1}
    found, expected = ask(logits, labels.astype(dtype), **options), ask(logits, labels, **options)
    assert found[0] == expected[0] and np.array_equal(found[1], expected[1])


@pytest.mark.parametrize("empty, expected", [("nan", np.nan), ("zero", 0.0)])
def test_a_mean_over_nothing_is_a_choice(ask, empty, expected):
    """pytorch#70348 and #75181 want 0, mgmalek/efficient_cross_entropy#6 NaN."""
    loss, gradient = ask(np.zeros((2, 3)), [-100, -100], empty=empty)
    np.testing.assert_equal(float(loss), expected)
    assert not gradient.any()


def test_rows_do_not_depend_on_their_batch(ask_library):
    """pytorch#181574, #71367: the same bits alone, in a batch, and in another order."""
    random = np.random.default_rng(85)
    logits, labels = random.normal(size=(9, 1000)).astype(np.float32), random.integers(1000, size=9)
    order = random.permutation(9)
    loss, gradient = ask_library(logits, labels, label_smoothing=0.1, reduction="none")
    shuffled, of_shuffled = ask_library(logits[order], labels[order], label_smoothing=0.1, reduction="none")
    assert np.array_equal(shuffled, loss[order]) and np.array_equal(of_shuffled, gradient[order])
    alone, of_alone = ask_library(logits[3:4], labels[3:4], label_smoothing=0.1, reduction="none")
    assert alone[0] == loss[3] and np.array_equal(of_alone[0], gradient[3])
