# SPDX-License-Identifier: MIT
"""transformers: its LabelSmoother, as installed, beside ours; issues 10674 (fp16 sums) and 46731 (micro-batches)."""

import numpy as np
import pytest


@pytest.fixture
def label_smoother():
    from transformers.trainer_pt_utils import LabelSmoother

    return LabelSmoother


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("items", [None, 17])
@pytest.mark.parametrize("shift", [False, True])
def test_label_smoother(label_smoother, epsilon, items, shift):
    import torch

    import labelsmooth.torch

    generator = torch.Generator().manual_seed(71)
    logits = torch.randn(3, 6, 11, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(11, (3, 6), generator=generator)
    labels[0, 2:4], labels[2, 5] = -100, -100
    theirs = label_smoother(epsilon)({"logits": logits}, labels, shift, items)
    (of_theirs,) = torch.autograd.grad(theirs, logits)
    x, y = (logits[:, :-1], labels[:, 1:]) if shift else (logits, labels)
    denominator = "rows" if items is None else float(items)
    mine = labelsmooth.torch.cross_entropy(x, y, label_smoothing=epsilon, denominator=denominator, axis=-1)
    (of_mine,) = torch.autograd.grad(mine, logits)
    # Theirs sums over the classes in float32.
    torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=0)
    torch.testing.assert_close(of_mine, of_theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("classes", [50257, 128256])
def test_float16_sums_over_the_vocabulary(ask, classes):
    """transformers#10674: -sum log p is 5e5 and above, past float16's 65504."""
    logits = np.random.default_rng(72).normal(size=(4, classes)).astype(np.float16)
    loss, gradient = ask(logits, [0, 1, 2, classes - 1], label_smoothing=0.1, reduction="none")
    same, of_same = ask(
        logits.astype(np.float64), [0, 1, 2, classes - 1], label_smoothing=0.1, reduction="none"
    )
    assert np.isfinite(loss).all() and np.isfinite(gradient).all()
    np.testing.assert_allclose(loss, same, rtol=2**-11 + 1e-6)
    np.testing.assert_allclose(gradient, of_same, rtol=2**-10, atol=2**-24)


@pytest.mark.parametrize("weighted", [False, True])
def test_micro_batches_add_up(ask_library, weighted):
    """transformers#46731: with the denominator of the whole batch, losses and gradients of its parts sum to its own."""
    random = np.random.default_rng(73)
    logits, labels = random.normal(size=(12, 9)), random.integers(9, size=12)
    labels[[0, 1, 2, 7]] = -100
    weight = np.linspace(0.5, 2, 9) if weighted else None
    options = {"label_smoothing": 0.1, "weight": weight}
    whole, of_whole = ask_library(logits, labels, **options)
    counted = labels[labels != -100]
    total = float(len(counted) if weight is None else weight[counted].sum())
    parts = [
        ask_library(logits[i : i + 3], labels[i : i + 3], **options, denominator=total)
        for i in range(0, 12, 3)
    ]
    np.testing.assert_allclose(sum(loss for loss, _ in parts), whole, rtol=1e-12)
    np.testing.assert_allclose(np.concatenate([gradient for _, gradient in parts]), of_whole, atol=1e-15)
    means = np.mean(
        [
            loss
            for loss, _ in (ask_library(logits[i : i + 3], labels[i : i + 3], **options) for i in (3, 6, 9))
        ]
    )
    assert abs(means - whole) > 1e-3  # what was done before
