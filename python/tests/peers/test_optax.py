# SPDX-License-Identifier: MIT
"""optax, optax/losses/_classification_test.py and _smoothing_test.py, and the examples of its documentation: inputs and
figures. optax's own files run against ours with run_optax_suite.py; these cases are asked of every face."""

import numpy as np
import pytest

EXAMPLE = np.array([[1.2, -0.8, -0.5], [0.9, -1.2, 1.1]], np.float32)
INF = np.inf


@pytest.mark.parametrize(
    "smoothing, rule, expected",
    [
        (0.0, "uniform", [0.276129705546, 2.951798795854]),
        (0.1, "uniform", [0.399463038879, 2.805132129188]),
        (0.1, "others", [0.461129705546, 2.731798795854]),
    ],
)
def test_the_documented_example(ask, smoothing, rule, expected):
    loss, _ = ask(EXAMPLE, [0, 1], label_smoothing=smoothing, rule=rule, reduction="none")
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


SAFE_LOGITS = np.array([[10, 1, -2], [1, 4, 0.2], [-INF, 0, 0], [-INF, 0, 0], [-INF, 0, -INF]], np.float32)
SAFE_TARGETS = np.array([[0, 1, 0], [1, 0, 0], [0, 0.5, 0.5], [0.4, 0.3, 0.3], [0, 1, 0]], np.float32)


def test_impossible_classes_as_safe_softmax_cross_entropy(ask):
    loss, gradient = ask(SAFE_LOGITS, SAFE_TARGETS, reduction="none")
    np.testing.assert_allclose(loss, [9.00013, 3.0696733, 0.693147, INF, 0], atol=1e-5)
    assert np.isfinite(gradient[[0, 1, 2, 4]]).all()


def test_index_and_one_hot_labels_agree(ask):
    logits = SAFE_LOGITS[:2]
    index, of_index = ask(logits, [1, 0], reduction="none")
    one_hot, of_one_hot = ask(logits, np.eye(3, dtype=np.float32)[[1, 0]], reduction="none")
    np.testing.assert_allclose(index, one_hot, rtol=1e-6)
    np.testing.assert_allclose(of_index, of_one_hot, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("classes", [5, 10])
def test_masked_classes_are_as_if_absent(ask, classes):
    random = np.random.default_rng(classes)
    logits = random.normal(size=(6, classes)).astype(np.float32)
    targets = random.dirichlet(np.ones(classes), 6).astype(np.float32)
    mask = np.arange(classes) % 2 == 0
    without, of_without = ask(logits[:, mask], targets[:, mask], reduction="none")
    masked, of_masked = ask(logits, np.where(mask, targets, 0), mask=mask, support="finite", reduction="none")
    np.testing.assert_allclose(masked, without, rtol=1e-6)
    np.testing.assert_allclose(of_masked[:, mask], of_without, rtol=1e-5, atol=1e-7)
    assert not of_masked[:, ~mask].any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axis(axis):
    import labelsmooth

    random = np.random.default_rng(axis)
    logits = random.normal(size=(4, 5, 6))
    labels = random.integers(logits.shape[axis], size=np.delete(logits.shape, axis))
    there = labelsmooth.cross_entropy(logits, labels, axis=axis, label_smoothing=0.1, reduction="none")
    last = labelsmooth.cross_entropy(
        np.moveaxis(logits, axis, -1), labels, label_smoothing=0.1, reduction="none"
    )
    np.testing.assert_allclose(there, last, rtol=1e-14)


@pytest.mark.parametrize("row", [0, slice(None)], ids=["one row", "batch"])
@pytest.mark.parametrize("amount", [0.0, 0.1, 1.0])
def test_smooth_labels(row, amount):
    import labelsmooth

    one_hot = np.array([[0, 1, 0], [1, 0, 0]], np.float32)[row]
    smooth = labelsmooth.smooth_labels(one_hot, amount)
    np.testing.assert_allclose(smooth, (1 - amount) * one_hot + amount / 3, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "axes", [(1, 3), (3, 2), (2, 3), (-3, -1), (-1, -2), (-2, -1), (0, 1, 3), (-4, -3, -1)]
)
def test_several_class_axes_moved_last_and_reshaped(ask_library, axes):
    """optax takes a tuple of axes, whose classes are numbered in its order."""
    import optax

    random = np.random.default_rng(44)
    logits = random.normal(size=(2, 3, 4, 5)).astype(np.float32)
    rows = [size for axis, size in enumerate(logits.shape) if axis not in {one % 4 for one in axes}]
    moved = np.moveaxis(logits, axes, range(-len(axes), 0)).reshape(*rows, -1)
    labels = random.integers(moved.shape[-1], size=rows)
    loss, _ = ask_library(moved, labels, reduction="none")
    theirs = optax.softmax_cross_entropy_with_integer_labels(logits, labels, axis=axes)
    np.testing.assert_allclose(loss, theirs, rtol=2e-6)
