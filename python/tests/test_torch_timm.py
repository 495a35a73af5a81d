# SPDX-License-Identifier: MIT
"""timm's losses, against what timm does, written out in PyTorch's operators."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import labelsmooth.torch as ours

X = torch.randn(6, 5, dtype=torch.float64)
Y = torch.tensor([4, 0, 2, 2, 1, 3])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_label_smoothing(smoothing):
    logs = X.log_softmax(-1)
    expected = (-(1 - smoothing) * logs[torch.arange(6), Y] - smoothing * logs.mean(-1)).mean()
    torch.testing.assert_close(ours.LabelSmoothingCrossEntropy(smoothing)(X, Y), expected)
    with pytest.raises(AssertionError):
        ours.LabelSmoothingCrossEntropy(1.0)


def test_nothing_is_ignored():
    with pytest.raises(IndexError, match="Target -100 is out of bounds"):
        ours.LabelSmoothingCrossEntropy()(X, torch.full((6,), -100))


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5)], ids=str)
def test_soft_target(shape):
    x, target = (
        torch.randn(shape, dtype=torch.float64, requires_grad=True),
        torch.rand(shape, dtype=torch.float64),
    )
    loss = ours.SoftTargetCrossEntropy()(x, target)
    torch.testing.assert_close(loss, -(target * x.log_softmax(-1)).sum(-1).mean())
    loss.backward()
    assert x.grad.any()


def by_hand(target, smoothing=0.1, threshold=None, weight=None, pos_weight=None):
    """(6, 5), one loss an element."""
    if target.dim() == 1:
        target = (1 - smoothing) * F.one_hot(target, 5) + smoothing / 5
    target = target if threshold is None else (target > threshold).double()
    positive = 1.0 if pos_weight is None else pos_weight
    loss = -positive * target * F.logsigmoid(X) - (1 - target) * F.logsigmoid(-X)
    return loss if weight is None else loss * weight


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("threshold", [None, 0.0, 0.5])
@pytest.mark.parametrize("weighted", [False, True])
def test_binary(soft, threshold, weighted):
    target = torch.rand(6, 5, dtype=torch.float64) if soft else Y
    given = {"weight": torch.rand(5).double(), "pos_weight": torch.rand(5).double() + 1} if weighted else {}
    expected = by_hand(target, 0.2, threshold, **given)
    for reduction, reduce in (("mean", torch.mean), ("sum", torch.sum), ("none", lambda one: one)):
        loss = ours.BinaryCrossEntropy(0.2, threshold, reduction=reduction, **given)
        torch.testing.assert_close(loss(X, target), reduce(expected))
    summed = ours.BinaryCrossEntropy(0.2, threshold, sum_classes=True, reduction="sum", **given)
    torch.testing.assert_close(summed(X, target), expected.sum(-1).mean())


def test_binary_of_numbers_and_copies():
    loss = ours.BinaryCrossEntropy(pos_weight=2.0)
    torch.testing.assert_close(loss(X, Y), by_hand(Y, pos_weight=2.0).mean())
    assert copy.deepcopy(loss)(X, Y) == loss(X, Y) and list(loss.state_dict()) == ["pos_weight"]
    assert np.isclose(loss(X.float(), Y.int()).item(), loss(X, Y).item(), rtol=1e-5)
    with pytest.raises(AssertionError):
        ours.BinaryCrossEntropy(1.0)
    with pytest.raises(AssertionError):
        loss(X, Y[:3])
