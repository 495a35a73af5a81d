# SPDX-License-Identifier: MIT
"""Our keywords in PyTorch: the NumPy face's bits, what each changes, and the same by PyTorch's operators."""

import itertools

import numpy as np
import pytest
import torch
from torch_cases import CASES, NEUTRAL, case

import labelsmooth
import labelsmooth.torch as ours
from labelsmooth.torch import functional

REDUCTIONS = ["mean", "sum", "none"]


def call(name, reduction="mean", dtype=torch.float64, **more):
    """Loss and gradient with an upstream that tells rows apart."""
    logits, target, given = case(name, dtype)
    loss = ours.cross_entropy(logits.requires_grad_(), target, reduction=reduction, **given | more)
    loss.backward(upstream(loss))
    return loss.detach(), logits.grad


def upstream(loss):
    return torch.linspace(0.5, 2, max(loss.numel(), 1), dtype=loss.dtype).reshape(loss.shape)


PAIRS = [
    (name, reduction)
    for name, reduction in itertools.product(CASES, REDUCTIONS)
    if reduction == "mean" or "denominator" not in CASES[name][2]
]


@pytest.mark.parametrize("name, reduction", PAIRS)
def test_as_numpy(name, reduction):
    logits, target, given = CASES[name]
    loss, gradient = call(name, reduction)
    factor = upstream(loss).numpy()
    expected, expected_gradient = labelsmooth.cross_entropy(
        logits, target, reduction=reduction, upstream=factor, return_grad=True, **given
    )
    np.testing.assert_array_equal(loss, expected)
    np.testing.assert_array_equal(gradient, expected_gradient)


@pytest.mark.parametrize("name", CASES)
def test_matters(name):
    loss, _ = call(name)
    for key in CASES[name][2]:
        if key == "mask" or (key == "support" and "mask" in CASES[name][2]):
            continue  # together
        neutral = {key: NEUTRAL.get(key)}
        assert not torch.equal(call(name, **neutral)[0], loss), key
    if "mask" in CASES[name][2]:
        assert not torch.equal(call(name, mask=None, support="all")[0], loss)


def test_axis():
    logits, target = torch.randn(2, 3, 4, dtype=torch.float64), torch.tensor([[0, 3, 1], [2, 2, 0]])
    for axis in (-1, 2):
        found = ours.cross_entropy(logits, target, label_smoothing=0.1, axis=axis)
        assert found == ours.cross_entropy(logits.flatten(0, 1), target.flatten(), label_smoothing=0.1)
    with pytest.raises(labelsmooth.Error, match="axis: 3 found, the logits have 3 axes"):
        ours.cross_entropy(logits, target, axis=3)


def test_empty():
    logits, target = torch.randn(2, 3, requires_grad=True), torch.tensor([-100, -100])
    assert ours.cross_entropy(logits, target).isnan()
    zero = ours.cross_entropy(logits, target, empty="zero")
    zero.backward()
    assert zero == 0 and not logits.grad.any()
    with pytest.raises(labelsmooth.Error, match="mean"):
        ours.cross_entropy(logits, target, empty="error")


# ---- by PyTorch's operators, as on a GPU ----


@pytest.fixture
def by_formula(monkeypatch):
    monkeypatch.setattr(functional, "_is_reached", lambda _: False)


EPS = torch.finfo(torch.float64).eps


@pytest.mark.parametrize("name, reduction", PAIRS)
def test_formula_as_library(name, reduction, monkeypatch):
    expected = call(name, reduction)
    monkeypatch.setattr(functional, "_is_reached", lambda _: False)
    found = call(name, reduction)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=64 * EPS, atol=64 * EPS)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        monkeypatch.setattr(functional, "_is_reached", lambda _: True)
        expected = call(name, reduction, dtype)
        monkeypatch.setattr(functional, "_is_reached", lambda _: False)
        for one, other in zip(call(name, reduction, dtype), expected, strict=True):
            assert one.dtype == dtype
            wide = {"rtol": 2 * torch.finfo(dtype).eps, "atol": 64 * torch.finfo(torch.float32).eps}
            torch.testing.assert_close(one, other, **wide)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 5, 3), (2, 4, 3, 2)], ids=str)
def test_formula_of_any_rank(shape, monkeypatch):
    logits = torch.randn(shape, dtype=torch.float64)
    rows = shape[:1] + shape[2:] if len(shape) > 1 else ()
    target = torch.randint(0, shape[min(1, len(shape) - 1)], rows)
    expected = ours.cross_entropy(logits, target, label_smoothing=0.1, reduction="none", return_parts=True)
    monkeypatch.setattr(functional, "_is_reached", lambda _: False)
    found = ours.cross_entropy(logits, target, label_smoothing=0.1, reduction="none", return_parts=True)
    torch.testing.assert_close(found.loss, expected.loss)
    for one, other in zip(found.parts, expected.parts, strict=True):
        torch.testing.assert_close(one, other)


def test_formula_returns_under_ligers_names(by_formula, monkeypatch):
    logits, target = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 2, -100, 1])
    wanted = dict(
        return_z_loss=True, return_token_accuracy=True, return_predicted_tokens=True, lse_square_scale=0.1
    )
    found = ours.cross_entropy(logits, target, **wanted)
    monkeypatch.setattr(functional, "_is_reached", lambda _: True)
    for one, other in zip(found, ours.cross_entropy(logits, target, **wanted), strict=True):
        if other is not None:
            torch.testing.assert_close(one, other)


def test_formula_refuses(by_formula):
    logits, target = torch.randn(2, 3), torch.tensor([0, 1])
    with pytest.raises(labelsmooth.Error, match="support"):
        ours.cross_entropy(logits, target, rule="others", support="finite", label_smoothing=0.1)
    with pytest.raises(labelsmooth.Error, match="row_weight"):
        ours.cross_entropy(logits, target, row_weight=torch.ones(3))
