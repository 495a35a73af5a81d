# SPDX-License-Identifier: MIT
"""What optax documents and tests of its softmax losses holds with our loss in its place."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

from labelsmooth.jax import cross_entropy

jax.config.update("jax_enable_x64", True)
losses = partial(cross_entropy, reduction="none")

# The example of optax's documentation.
DOCUMENTED = np.array([[1.2, -0.8, -0.5], [0.9, -1.2, 1.1]])
# The fixture of its tests, with what they expect.
LOGITS = np.array([[10.0, 1.0, -2.0], [1.0, 4.0, 0.2]], np.float32)
LABELS = np.array([1, 0], np.int32)
EXPECTED = np.array([9.00013, 3.0696733], np.float32)
RNG = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, [0.276129705546, 2.951798795854]),
        ({"label_smoothing": 0.1}, [0.399463038879, 2.805132129188]),
        ({"label_smoothing": 0.1, "rule": "others"}, [0.461129705546, 2.731798795854]),
    ],
)
def test_documented_example(keywords: dict[str, Any], expected: list[float]) -> None:
    np.testing.assert_allclose(losses(DOCUMENTED, [0, 1], **keywords), expected, rtol=1e-11)


@pytest.mark.parametrize("call", [losses, jax.jit(losses), jax.vmap(losses), jax.jit(jax.vmap(losses))])
def test_fixture_under_every_variant(call: Any) -> None:
    np.testing.assert_allclose(call(LOGITS, LABELS), EXPECTED, atol=1e-4)
    np.testing.assert_allclose(call(LOGITS, np.eye(3, dtype=np.float32)[LABELS]), EXPECTED, atol=1e-4)


def test_one_row() -> None:
    np.testing.assert_allclose(losses(LOGITS[0], LABELS[0]), EXPECTED[0], atol=1e-4)
    np.testing.assert_allclose(losses(LOGITS[0], np.array([0.0, 1.0, 0.0])), EXPECTED[0], atol=1e-4)


def test_gradients() -> None:
    check_grads(partial(losses, labels=LABELS), (LOGITS.astype(float),), order=1)
    check_grads(losses, (LOGITS.astype(float), np.eye(3)[LABELS]), order=1)


@pytest.mark.parametrize("shape", [(6,), (4, 6)])
@pytest.mark.parametrize("amount", [0.0, 0.1, 1.0])
def test_smoothed_labels(shape: tuple[int, ...], amount: float) -> None:
    """optax smooths one-hot rows first; the value, its gradient, and that in the amount are the same."""
    z, y = RNG.normal(size=shape) * 3, RNG.integers(0, 6, shape[:-1])

    def theirs(z: Any, e: Any) -> Any:
        return optax.softmax_cross_entropy(z, optax.smooth_labels(jax.nn.one_hot(y, 6), e)).mean()

    def ours(z: Any, e: Any) -> Any:
        return cross_entropy(z, y, label_smoothing=e)

    both = [jax.value_and_grad(f, (0, 1))(z, jnp.asarray(amount)) for f in (theirs, ours)]
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14), *both)


def test_dense_targets_and_integer_labels_as_optax() -> None:
    z, t, y = RNG.normal(size=(5, 7)), RNG.dirichlet(np.ones(7), 5), RNG.integers(0, 7, 5)
    for ours, theirs in (
        (lambda z: losses(z, t), lambda z: optax.softmax_cross_entropy(z, t)),
        (lambda z: losses(z, y), lambda z: optax.softmax_cross_entropy_with_integer_labels(z, y)),
    ):
        np.testing.assert_allclose(ours(z), theirs(z), rtol=1e-13)
        np.testing.assert_allclose(jax.jacobian(ours)(z), jax.jacobian(theirs)(z), atol=1e-15)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axis(axis: int) -> None:
    shape = (4, 5, 6)
    z, y = RNG.normal(size=shape), RNG.integers(0, shape[axis], shape[:axis] + shape[axis + 1 :])
    t = np.moveaxis(RNG.dirichlet(np.ones(shape[axis]), y.shape), -1, axis)
    np.testing.assert_allclose(losses(z, y, axis=axis), losses(np.moveaxis(z, axis, -1), y))
    np.testing.assert_allclose(losses(z, t, axis=axis), optax.softmax_cross_entropy(z, t, axis=axis))


def test_several_axes_are_one_when_reshaped() -> None:
    """optax's axis=(2, 3) is a reshape here."""
    z = jnp.arange(24.0).reshape(1, 2, 3, 4)
    y = jnp.ravel_multi_index((jnp.array([[1, 2]]), jnp.array([[1, 3]])), (3, 4))
    theirs = optax.softmax_cross_entropy_with_integer_labels(z, y, axis=(2, 3))
    np.testing.assert_allclose(losses(z.reshape(1, 2, 12), y), theirs)


def test_where_is_the_mask() -> None:
    """Its `where` of the classes leaves a loss over the rest."""
    z, y = RNG.normal(size=(3, 10)), np.array([0, 3, 9])
    where = RNG.random((3, 10)) < 0.5
    where[np.arange(3), y] = True
    ours = losses(z, y, mask=where, support="finite")
    np.testing.assert_allclose(ours, optax.softmax_cross_entropy(z, jax.nn.one_hot(y, 10), where=where))
    smoothed = optax.smooth_labels(jax.nn.one_hot(y, 10), 0.1, where=where)
    ours = losses(z, y, mask=where, support="finite", label_smoothing=0.1)
    np.testing.assert_allclose(ours, optax.softmax_cross_entropy(z, smoothed, where=where))


def test_where_of_rows_is_the_row_weight() -> None:
    where = np.array([True, False])
    gradient = jax.grad(lambda z: cross_entropy(z, LABELS, row_weight=where, reduction="sum"))(LOGITS)
    theirs = jax.grad(lambda z: optax.softmax_cross_entropy_with_integer_labels(z, LABELS, where=where).sum())
    np.testing.assert_allclose(gradient, theirs(LOGITS), atol=1e-6)
    assert not gradient[1].any()


def test_impossible_classes_as_the_safe_loss() -> None:
    z = np.array([[-np.inf, 0, 0], [-np.inf, 0, 0], [-np.inf, 0, -np.inf]])
    t = np.array([[0, 0.5, 0.5], [0.4, 0.3, 0.3], [0, 1.0, 0]])
    np.testing.assert_allclose(losses(z, t), [0.693147, np.inf, 0.0], atol=1e-6)
    np.testing.assert_allclose(losses(z, t), optax.safe_softmax_cross_entropy(z, t))
