# SPDX-License-Identifier: MIT
"""flash-attention, tests/losses/test_cross_entropy.py, and its issue 1930.

Cut: 1,024 to 16,384 rows there, 12 here, of the same 50,257 and 128,256 classes. `logit_scale` is our `scale`. Its
`inplace_backward` and `precomputed_lse` are ways to save memory and time, and have no counterpart in the torch face.
"""

import itertools

import numpy as np
import pytest


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("lse_square_scale", [0.0, 1e-2])
@pytest.mark.parametrize("scale", [1.0, 0.7])
@pytest.mark.parametrize("smoothing", [0.0, 0.9])
@pytest.mark.parametrize("classes", [50257, 128256])
def test_cross_entropy_loss(classes, smoothing, scale, lse_square_scale, dtype):
    import torch

    from .oracle import batch, exact, ours

    half_or_full = getattr(torch, dtype)
    logits, target = batch(12, classes, half_or_full)
    target[3:5] = -100
    upstream = torch.randn((), generator=torch.Generator().manual_seed(4))
    options = {"label_smoothing": smoothing, "scale": scale, "lse_square_scale": lse_square_scale}
    with torch.autocast(
        "cpu", torch.bfloat16, enabled=half_or_full != torch.float32
    ):  # whose losses are float32
        loss, gradient = ours(logits, target, upstream, **options)
    expected, of_expected = exact(logits, target, upstream, **options)
    rtol, atol = (1e-5, 1e-6) if dtype == "float32" else (1e-3, 1e-4)
    torch.testing.assert_close(loss, expected.float(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, of_expected.to(half_or_full), rtol=rtol, atol=atol)


@pytest.mark.parametrize("scale", [1.0, 0.7])
@pytest.mark.parametrize("smoothing", [0.0, 0.9])
def test_returned_z_loss(smoothing, scale):
    import torch

    import labelsmooth.torch

    from .oracle import batch

    logits, target = batch(12, 50257, torch.float32)
    target[3:5] = -100
    options = {"label_smoothing": smoothing, "scale": scale, "lse_square_scale": 1e-2}
    found = labelsmooth.torch.cross_entropy(logits, target, **options, return_z_loss=True)
    squares = torch.logsumexp(logits.double()[target != -100] * scale, -1).square()
    torch.testing.assert_close(found.z_loss.double(), 1e-2 * squares.mean(), rtol=1e-5, atol=1e-6)


# The library works on 32,768 classes at a time: the first, the last, and both sides of each boundary.
PLACES = [0, 1, *itertools.chain(*((b - 1, b) for b in (32768, 65536, 98304))), 50000, 99999]


@pytest.mark.parametrize("place", PLACES)
def test_all_classes_but_one_impossible(ask, place):
    """Dao-AILab/flash-attention#1930: blocks of -inf alone made NaN."""
    logits = np.full((1, 100_000), -np.inf, np.float32)
    logits[0, place] = 10
    loss, gradient = ask(logits, [place])
    assert loss == 0 and not gradient.any()


@pytest.mark.parametrize("possible", [slice(0, 32768), slice(32768, 65536), slice(65536, None)])
def test_blocks_of_impossible_classes(ask, possible):
    random = np.random.default_rng(5)
    logits = np.full((1, 100_000), -np.inf, np.float32)
    logits[0, possible] = random.normal(size=logits[0, possible].shape)
    alone, of_alone = ask(logits[:, possible], [7])
    loss, gradient = ask(logits, [7 + possible.start])
    np.testing.assert_allclose(loss, alone, rtol=1e-6)
    np.testing.assert_allclose(gradient[0, possible], of_alone[0], rtol=1e-5, atol=1e-9)
    assert np.count_nonzero(gradient) == np.count_nonzero(of_alone)
