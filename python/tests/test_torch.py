# SPDX-License-Identifier: MIT
"""Against torch.nn.functional.cross_entropy over its argument space, in float64, and what it gets wrong."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import labelsmooth
import labelsmooth.torch as ours

EPS = torch.finfo(torch.float64).eps
SHAPES = [
    (5,),
    (3, 5),
    (1, 1),
    (4, 2),
    (2, 5, 3),
    (2, 4, 3, 2),
    (2, 3, 2, 1, 3),
    (0, 5),
    (2, 5, 0),
    (0, 3, 2, 4),
]
KINDS = ["labels", "ignored", "negative_ignore", "all_ignored", "soft"]


def rows_of(shape):
    return shape[:1] + shape[2:] if len(shape) > 1 else ()


def problem(shape, kind, seed=0):
    """Logits, target and ignore_index; labels at the first and the last class."""
    draw = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(shape, generator=draw, dtype=torch.float64)
    axis, rows = min(1, len(shape) - 1), rows_of(shape)
    if kind == "soft":
        return logits, torch.rand(shape, generator=draw, dtype=torch.float64), -100
    target = torch.randint(0, shape[axis], rows, generator=draw)
    flat = target.view(-1)
    flat[:1], flat[1:2] = shape[axis] - 1, 0
    ignore = {"labels": -100, "ignored": 0, "negative_ignore": -1, "all_ignored": 2}[kind]
    if kind == "negative_ignore":
        flat[1::2] = -1
    if kind == "all_ignored":
        flat[:] = 2
    return logits, target, ignore


def value_and_gradient(loss_of, logits, upstream=None):
    z = logits.detach().clone().requires_grad_()
    loss = loss_of(z)
    loss.backward(torch.ones_like(loss) if upstream is None else upstream)
    return loss.detach(), z.grad


def close(found, expected, scale):
    assert found.shape == expected.shape and found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=64 * EPS, atol=64 * EPS * scale, equal_nan=True)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_as_torch(shape, kind):
    logits, target, ignore = problem(shape, kind)
    classes = shape[1] if len(shape) > 1 else shape[0]
    weights = [
        None,
        torch.rand(classes, dtype=torch.float64) + 0.1,
        torch.zeros(classes, dtype=torch.float64),
    ]
    if kind == "all_ignored" and classes < 3:
        pytest.skip("no such class")
    for reduction, smoothing, weight in itertools.product(["mean", "sum", "none"], [0, 0.05, 1.0], weights):
        given = {
            "reduction": reduction,
            "label_smoothing": smoothing,
            "weight": weight,
            "ignore_index": ignore,
        }
        upstream = (
            torch.randn(target.shape if kind != "soft" else rows_of(shape)) if reduction == "none" else None
        )
        theirs = value_and_gradient(partial(F.cross_entropy, target=target, **given), logits, upstream)
        found = value_and_gradient(partial(ours.cross_entropy, target=target, **given), logits, upstream)
        close(found[0], theirs[0], 30 * classes)
        counted = torch.isfinite(theirs[1])  # a mean over nothing: theirs is NaN, ours 0 in ignored rows
        close(found[1][counted], theirs[1][counted], classes)
        with torch.no_grad():
            alone = ours.cross_entropy(logits, target, **given)
        assert torch.equal(alone.nan_to_num(), found[0].nan_to_num())


@pytest.mark.parametrize("shape", [(5, 0), (0, 0), (0,), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_probabilities_of_no_classes(shape, reduction):
    """Sums over nothing, differentiable in both."""
    for smoothing, weight in itertools.product([0.0, 0.1], [None, torch.rand(0)]):
        found = {}
        for name, call in (("ours", ours.cross_entropy), ("theirs", F.cross_entropy)):
            inputs = [torch.rand(shape, requires_grad=True) for _ in range(2)]
            loss = call(*inputs, weight, label_smoothing=smoothing, reduction=reduction)
            found[name] = [loss, *torch.autograd.grad(loss.sum(), inputs)]
        for one, other in zip(found["ours"], found["theirs"], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
            assert torch.equal(one.nan_to_num().signbit(), other.nan_to_num().signbit())


def test_no_classes_and_our_keywords():
    none = torch.rand(5, 0)
    assert ours.cross_entropy(none, none, empty="zero") == 0
    for given in ({"empty": "error"}, {"return_parts": True}):
        with pytest.raises(labelsmooth.Error, match="logits: 0 classes found"):
            ours.cross_entropy(none, none, **given)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_rounded_once(dtype, reduction):
    """Loss and gradient are the float64 ones of the same logits, within half an ulp for halves."""
    logits = (4 * torch.randn(64, 33, generator=torch.Generator().manual_seed(1))).to(dtype)
    target = torch.arange(64) % 33
    upstream = torch.full((64,) if reduction == "none" else (), 0.375, dtype=dtype)
    call = lambda z: ours.cross_entropy(z, target, label_smoothing=0.1, reduction=reduction)  # noqa: E731
    loss, gradient = value_and_gradient(call, logits, upstream)
    exact, exact_gradient = value_and_gradient(call, logits.double(), upstream.double())
    assert loss.dtype == dtype and gradient.dtype == dtype
    if dtype == torch.float32:
        torch.testing.assert_close(loss.double(), exact, rtol=4 * torch.finfo(dtype).eps, atol=0)
        torch.testing.assert_close(gradient.double(), exact_gradient, rtol=0, atol=8 * torch.finfo(dtype).eps)
    else:
        assert_half_ulp(loss, exact)
        assert_half_ulp(gradient, exact_gradient)


def assert_half_ulp(found, exact):
    """No neighbour of what was found is nearer, but for a thousandth of the way."""
    info = torch.finfo(found.dtype)
    found = found.double()
    ulp = info.eps * torch.maximum(
        2 ** torch.floor(torch.log2(found.abs())), torch.tensor(info.smallest_normal)
    )
    assert ((found - exact).abs() <= ulp * (0.5 + 2**-10)).all()


@pytest.mark.filterwarnings("error")
def test_losses_beyond_the_type():
    logits, target = torch.tensor([[3e38, -3e38], [3e38, -3e38]]), torch.tensor([1, 0])
    assert ours.cross_entropy(logits, target, reduction="none").tolist() == [float("inf"), 0]
    assert ours.cross_entropy(logits, target, reduction="sum") == float("inf")
    assert np.isclose(ours.cross_entropy(logits, target).item(), 3e38)


def test_gradient_of_a_confident_row():
    """The true class's p - 1 is not made of rounded halves."""
    logits = torch.zeros(2, 4096, dtype=torch.bfloat16)
    logits[:, 7] = torch.tensor([10.0, 20.0])
    target = torch.tensor([7, 7])
    for smoothing in (0.0, 0.1):
        call = lambda z: ours.cross_entropy(z, target, label_smoothing=smoothing, reduction="sum")  # noqa: B023, E731
        _, gradient = value_and_gradient(call, logits)
        _, exact = value_and_gradient(call, logits.double())
        assert_half_ulp(gradient, exact)


def test_double_rounding():
    from labelsmooth.torch.ops import rounded

    values = torch.tensor(
        [1 + 2**-8 + 2**-40, 1 + 2**-8, -(1 + 2**-8 + 2**-40), 1 + 3 * 2**-8 - 2**-40], dtype=torch.float64
    )
    assert rounded(values, torch.bfloat16).tolist() == [1 + 2**-7, 1.0, -(1 + 2**-7), 1 + 2**-7]
    assert values.to(torch.bfloat16)[0] == 1.0  # what a way by float32 gives
    special = torch.tensor(
        [float("inf"), float("-inf"), float("nan"), 0.0, 1e300, -1e-300], dtype=torch.float64
    )
    found = rounded(special, torch.float16).tolist()
    assert (
        found[:2] == [float("inf"), float("-inf")]
        and np.isnan(found[2])
        and found[3:] == [0, float("inf"), 0]
    )


@pytest.mark.parametrize(
    "view", ["transposed", "sliced", "expanded", "flipped_rows", "channels_last", "broken"]
)
def test_strides(view):
    base = torch.randn(4, 6, 5, 3, dtype=torch.float64)
    logits = {
        "transposed": lambda: base[:, :, 0, 0].t().contiguous().t(),
        "sliced": lambda: base[:, :-1, :, 0],
        "expanded": lambda: base[:1, :, 0, 0].expand(4, 6),
        "flipped_rows": lambda: base.transpose(0, 2)[..., 0],
        "channels_last": lambda: base.contiguous(memory_format=torch.channels_last),
        "broken": lambda: base[:, :, :-1, :-1],
    }[view]()
    rows = logits.shape[:1] + logits.shape[2:]
    target = torch.randint(0, logits.shape[1], rows)
    prior = torch.rand(logits.shape, dtype=torch.float64) + 0.1
    prior = prior / prior.sum(1, keepdim=True)
    kept, other_strides = logits.clone(), prior.transpose(0, 1).contiguous().transpose(0, 1)
    for given in ({}, {"prior": prior}, {"prior": other_strides}):
        call = partial(ours.cross_entropy, target=target, label_smoothing=0.2, **given)
        loss, gradient = value_and_gradient(call, logits.contiguous())
        z = logits.detach().requires_grad_()
        found = call(z)
        found.backward()
        assert torch.equal(logits, kept)
        assert torch.equal(found.detach(), loss) and torch.equal(z.grad, gradient)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_integer_types(dtype):
    logits, target, _ = problem((4, 7), "labels")
    assert torch.equal(ours.cross_entropy(logits, target.to(dtype)), ours.cross_entropy(logits, target))


def test_ignored_rows_are_not_read():
    logits = torch.tensor([[1.0, 2.0, 3.0], [np.nan, np.inf, 0.0]], requires_grad=True)
    loss = ours.cross_entropy(logits, torch.tensor([2, -100]), label_smoothing=0.1)
    loss.backward()
    assert np.isclose(loss.item(), 0.507605964444) and torch.equal(logits.grad[1], torch.zeros(3))


def test_minus_infinity():
    logits = torch.tensor([[1.0, 2.0, -np.inf]], requires_grad=True)
    loss = ours.cross_entropy(logits, torch.tensor([1]), label_smoothing=0.1, support="finite")
    loss.backward()
    assert np.isclose(loss.item(), 0.363261687518)
    np.testing.assert_allclose(logits.grad[0], [0.218941421370, -0.218941421370, 0], rtol=1e-6)
    assert ours.cross_entropy(logits, torch.tensor([1]), label_smoothing=0.1) == float("inf")
    assert np.isclose(ours.cross_entropy(logits, torch.tensor([1])).item(), 0.313261687518)


def test_accumulated_gradients_are_the_batch():
    logits, target, _ = problem((7, 5), "labels")
    target[3] = -100
    _, whole = value_and_gradient(lambda z: ours.cross_entropy(z, target, label_smoothing=0.1), logits)
    z = logits.clone().requires_grad_()
    for part in (slice(0, 2), slice(2, 7)):
        ours.cross_entropy(z[part], target[part], label_smoothing=0.1, denominator=6).backward()
    torch.testing.assert_close(z.grad, whole, rtol=4 * EPS, atol=EPS)


def test_liger_names():
    logits, target, _ = problem((6, 5), "labels")
    target[2] = -100
    given = dict(label_smoothing=0.1, lse_square_scale=0.01)
    found = ours.cross_entropy(
        logits,
        target,
        **given,
        return_z_loss=True,
        return_token_accuracy=True,
        return_predicted_tokens=True,
        return_parts=True,
    )
    loss, parts = labelsmooth.cross_entropy(logits, target, **given, return_parts=True)
    counted = target != -100
    assert found.loss.item() == loss
    assert np.isclose(
        found.z_loss.item(), 0.01 * (logits.logsumexp(1)[counted] ** 2).mean().item(), rtol=1e-14
    )
    predicted = torch.where(counted, logits.argmax(1), -1)
    assert torch.equal(found.predicted_tokens, predicted)
    assert np.isclose(
        found.token_accuracy.item(), (predicted[counted] == target[counted]).float().mean().item()
    )
    for name, part in parts._asdict().items():
        np.testing.assert_array_equal(getattr(found.parts, name), part, err_msg=name)
    alone = ours.cross_entropy(logits, target, return_token_accuracy=True, reduction="none")
    assert alone.z_loss is None and alone.parts is None and alone.token_accuracy.shape == (6,)
    weighted = ours.cross_entropy(
        logits, target, **given, row_weight=counted.double(), return_z_loss=True, reduction="none"
    )
    assert torch.equal(weighted.z_loss, 0.01 * found.parts.lse**2)
    doubled = 2 * torch.ones(6, dtype=torch.float64)
    found = ours.cross_entropy(
        logits, target, **given, row_weight=doubled, return_z_loss=True, reduction="none"
    )
    torch.testing.assert_close(found.z_loss, 2 * weighted.z_loss)
    soft = ours.cross_entropy(logits, logits.softmax(1), return_parts=True)
    assert soft.parts.correct is None
    with pytest.raises(labelsmooth.Error, match="hard_labels"):
        ours.cross_entropy(logits, logits.softmax(1), return_token_accuracy=True)


def test_z_loss_of_nothing():
    logits, target = torch.randn(2, 3), torch.tensor([-100, -100])
    found = ours.cross_entropy(logits, target, lse_square_scale=0.1, empty="zero", return_z_loss=True)
    assert found.loss == 0 and found.z_loss == 0
    assert ours.cross_entropy(logits, target, lse_square_scale=0.1, return_z_loss=True).z_loss.isnan()
