# SPDX-License-Identifier: MIT
"""TransformerEngine, tests/pytorch/test_parallel_cross_entropy.py: (batch, tokens, classes) and (tokens, batch, classes),
non-contiguous rows, bf16, z-loss, log-sum-exp returned, upstream gradients applied before rounding.

Cut: 64 to 256 rows of 64,000 or 128,000 classes there, 10 of 64,000 here. TE's mean over nothing is 0: empty="zero".
"""

import numpy as np
import pytest
import torch

from .oracle import assert_agree, exact, ours

CLASSES = 64000
TYPES = [
    pytest.param(torch.float32, {"rtol": 1.3e-6, "atol": 1e-5}, id="f32"),
    pytest.param(torch.bfloat16, {"rtol": 1.6e-2, "atol": 1e-5}, id="bf16"),
]


def batch(dtype, swapped=False, ignoring=False):
    generator = torch.Generator().manual_seed(61)
    shape = (5, 2) if swapped else (2, 5)
    logits = torch.rand(*shape, CLASSES, generator=generator).to(dtype)
    target = torch.randint(CLASSES, shape, generator=generator)
    if ignoring:
        target[0] = -100
    return logits, target


def flat(found):
    loss, gradient = found
    return loss.reshape(-1) if loss.dim() else loss, gradient.reshape(-1, CLASSES)


@pytest.mark.parametrize("dtype, tolerance", TYPES)
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize(
    "smoothing, z_loss, ignoring", [(0, 0, False), (0.1, 0, True), (0, 1e-3, True), (0.1, 1e-3, False)]
)
def test_matrix(dtype, tolerance, swapped, reduction, smoothing, z_loss, ignoring):
    logits, target = batch(dtype, swapped, ignoring)
    options = {"label_smoothing": smoothing, "lse_square_scale": z_loss, "reduction": reduction}
    theirs = exact(logits.reshape(-1, CLASSES), target.reshape(-1), **options)
    assert_agree(flat(ours(logits, target, axis=-1, **options)), theirs, **tolerance)


def test_no_z_loss_is_the_default_in_bits():
    logits, target = batch(torch.float32)
    for one, other in zip(
        ours(logits, target, axis=-1), ours(logits, target, axis=-1, lse_square_scale=0.0), strict=True
    ):
        assert torch.equal(one, other)


def test_log_sum_exp_returned():
    import labelsmooth.torch

    logits, target = batch(torch.float32, ignoring=True)
    found = labelsmooth.torch.cross_entropy(logits, target, axis=-1, lse_square_scale=1e-2, return_parts=True)
    counted = target != -100
    expected = torch.logsumexp(logits.double(), -1)
    torch.testing.assert_close(found.parts.lse[counted], expected[counted], rtol=1e-6, atol=0)
    assert not found.parts.lse[~counted].any()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_transposed_rows(smoothing):
    logits = torch.randn(4, 2, 8, generator=torch.Generator().manual_seed(42)).transpose(0, 1)
    target = torch.randint(8, (2, 4), generator=torch.Generator().manual_seed(43))
    assert logits.stride(-2) != logits.shape[-1]
    options = {"axis": -1, "label_smoothing": smoothing, "reduction": "none"}
    upstream = torch.rand(2, 4)
    for one, other in zip(
        ours(logits, target, upstream, **options),
        ours(logits.contiguous(), target, upstream, **options),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_upstream_before_rounding():
    """The bf16 gradient is that in float32 rounded once, in bits."""
    logits = torch.zeros(2, 2, 3, dtype=torch.bfloat16)
    target = torch.tensor([[0, 1], [2, -100]])
    upstream = torch.tensor([[0.01, 0.03], [0.1, 0.7]]).bfloat16()
    _, half = ours(logits, target, upstream, axis=-1, reduction="none")
    _, full = ours(logits.float(), target, upstream.float(), axis=-1, reduction="none")
    assert torch.equal(half, full.bfloat16())
    assert not logits.any()


def test_bf16_loss_is_that_of_the_same_values():
    """Within 2 ulp of float32; asked of NumPy's face, whose losses are float64."""
    from ml_dtypes import bfloat16

    import labelsmooth

    random = np.random.default_rng(62)
    half = random.normal(size=(1, 16, CLASSES)).astype(bfloat16)
    labels = random.integers(CLASSES, size=(1, 16))
    loss = labelsmooth.cross_entropy(half, labels, reduction="none")
    same = labelsmooth.cross_entropy(half.astype(np.float32), labels, reduction="none")
    np.testing.assert_allclose(loss, same, rtol=2**-22)


def test_a_mean_over_nothing():
    loss, gradient = ours(torch.randn(2, 3), torch.full((2,), -100), empty="zero")
    assert loss == 0 and not gradient.any()
