# SPDX-License-Identifier: MIT
"""Liger-Kernel, test/transformers/test_cross_entropy.py: its matrix of options, tolerances and odd shapes.

Cut: 8,192 or 1,269 rows of 32,000 classes there, 24 or 21 rows of as many classes here. Compared with float64, where
Liger compares with the logits' type.
"""

import pytest
import torch

from .oracle import assert_agree, batch, exact, ignore_some, ours

SHAPES = [(24, 32000), (21, 32000), (63, 41), (4, 8)]
REDUCTIONS = ["mean", "sum", "none"]
TYPES = [
    pytest.param(torch.float32, {"rtol": 1e-6, "atol": 1e-8}, id="f32"),
    pytest.param(torch.bfloat16, {"rtol": 5e-2, "atol": 1e-8}, id="bf16"),
]


def agree(logits, target, tolerance, upstream=1.0, **options):
    assert_agree(
        ours(logits, target, upstream, **options), exact(logits, target, upstream, **options), **tolerance
    )


@pytest.mark.parametrize("dtype, tolerance", TYPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("rows, classes", SHAPES)
class TestMatrix:
    def test_plain(self, rows, classes, reduction, dtype, tolerance):
        logits, target = batch(rows, classes, dtype)
        agree(logits, target, tolerance, reduction=reduction)

    @pytest.mark.parametrize("ignore_index", [2, -123, -100])
    def test_ignore_index(self, rows, classes, reduction, dtype, tolerance, ignore_index):
        logits, target = batch(rows, classes, dtype)
        target = ignore_some(target, ignore_index)
        agree(logits, target, tolerance, ignore_index=ignore_index, reduction=reduction)

    @pytest.mark.parametrize("smoothing, ignore_index", [(0.1, 1), (0.2, -300)])
    def test_smoothing_and_ignore_index(
        self, rows, classes, reduction, dtype, tolerance, smoothing, ignore_index
    ):
        logits, target = batch(rows, classes, dtype)
        target = ignore_some(target, ignore_index)
        agree(
            logits,
            target,
            tolerance,
            label_smoothing=smoothing,
            ignore_index=ignore_index,
            reduction=reduction,
        )

    def test_softcap(self, rows, classes, reduction, dtype, tolerance):
        logits, target = batch(rows, classes, dtype)
        agree(logits, target, tolerance, softcap=30.0, reduction=reduction)

    def test_weight(self, rows, classes, reduction, dtype, tolerance):
        logits, target = batch(rows, classes, dtype)
        weight = torch.rand(classes, generator=torch.Generator().manual_seed(2)).to(dtype)
        agree(logits, target, tolerance, weight=weight, reduction=reduction)

    @pytest.mark.parametrize("scale, smoothing, ignore_index", [(1e-4, 0.1, 2), (1e-5, 0.2, -42)])
    def test_z_loss(self, rows, classes, reduction, dtype, tolerance, scale, smoothing, ignore_index):
        logits, target = batch(rows, classes, dtype)
        target = ignore_some(target, ignore_index)
        options = {"lse_square_scale": scale, "label_smoothing": smoothing, "ignore_index": ignore_index}
        agree(logits, target, tolerance, reduction=reduction, **options)

    @pytest.mark.parametrize(
        "ignore_index, scale, smoothing, softcap", [(-100, 1e-4, 0.1, 30.0), (2, 1e-5, 0.2, 40.0)]
    )
    def test_everything(
        self, rows, classes, reduction, dtype, tolerance, ignore_index, scale, smoothing, softcap
    ):
        """With class weights Liger divides the z-loss by the rows and the rest by their weights. We divide all by the
        weights, so that a mean has one denominator; a factor of the z-loss brings theirs."""
        logits, target = batch(rows, classes, dtype)
        target = ignore_some(target, ignore_index)
        weight = torch.rand(classes, generator=torch.Generator().manual_seed(2)) + 0.1
        options = {
            "weight": weight,
            "ignore_index": ignore_index,
            "label_smoothing": smoothing,
            "softcap": softcap,
            "reduction": reduction,
        }
        theirs = exact(logits, target, lse_square_scale=scale, **options)
        if reduction == "mean":
            scale *= weight[target[target != ignore_index]].double().mean().item()
        assert_agree(ours(logits, target, lse_square_scale=scale, **options), theirs, **tolerance)

    def test_not_the_last_layer(self, rows, classes, reduction, dtype, tolerance):
        """Random upstream gradients: equal ones would hide a kernel that ignores them."""
        logits, target = batch(rows, classes, dtype)
        generator = torch.Generator().manual_seed(3)
        upstream = 3 * torch.rand((rows,) if reduction == "none" else (), generator=generator)
        agree(
            logits,
            target,
            tolerance,
            upstream.to(dtype),
            reduction=reduction,
            label_smoothing=0.1,
            softcap=30.0,
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "dtype, tolerance", [(torch.float32, 1e-4), (torch.float16, 1e-2), (torch.bfloat16, 1e-2)]
)
@pytest.mark.parametrize("ignore_index", [-100, 2])
def test_forward_only(dtype, tolerance, reduction, ignore_index):
    import labelsmooth.torch

    logits, target = batch(21, 32000, dtype)
    target = ignore_some(target, ignore_index)
    with torch.no_grad():
        loss = labelsmooth.torch.cross_entropy(logits, target, ignore_index=ignore_index, reduction=reduction)
    assert not loss.requires_grad
    expected, _ = exact(logits, target, ignore_index=ignore_index, reduction=reduction)
    torch.testing.assert_close(loss.double(), expected, rtol=tolerance, atol=tolerance)
    with pytest.raises(RuntimeError, match="does not require grad"):
        loss.backward(torch.ones_like(loss))


def test_sums_of_half_types_are_made_in_float32():
    """Loss of 128,256 bf16 classes as of the same values in float32."""
    logits, target = batch(4, 128256, torch.bfloat16)
    half, of_half = ours(logits, target)
    full, of_full = ours(logits.float(), target)
    torch.testing.assert_close(half.double(), full.double(), rtol=5e-3, atol=0)
    torch.testing.assert_close(of_half, of_full.bfloat16(), rtol=2**-7, atol=0)


@pytest.mark.parametrize("ignore_index", [2, -123])
def test_labels_out_of_bounds(ignore_index):
    """Liger asserts with "out of bounds"; ours is an IndexError that names the row, as PyTorch's is an IndexError."""
    import labelsmooth.torch

    logits, target = batch(21, 320, torch.bfloat16)
    target = ignore_some(target, ignore_index)
    target[5] = 320 + 7
    with pytest.raises((IndexError, ValueError), match="5.*327"):
        labelsmooth.torch.cross_entropy(logits, target, ignore_index=ignore_index)


@pytest.mark.parametrize("z_loss", [False, True])
@pytest.mark.parametrize("token_accuracy", [False, True])
@pytest.mark.parametrize("predicted_tokens", [False, True])
def test_structured_output(z_loss, token_accuracy, predicted_tokens):
    import labelsmooth.torch

    logits = torch.tensor([[2.0, 0.5, -1.0], [0.1, 1.5, 0.3], [0.7, -0.2, 0.9]], requires_grad=True)
    target = torch.tensor([0, 1, 0])
    found = labelsmooth.torch.cross_entropy(
        logits,
        target,
        lse_square_scale=1e-2,
        return_z_loss=z_loss,
        return_token_accuracy=token_accuracy,
        return_predicted_tokens=predicted_tokens,
    )
    if not (z_loss or token_accuracy or predicted_tokens):
        assert isinstance(found, torch.Tensor)
        return
    assert found.loss.shape == ()
    expected = 1e-2 * torch.logsumexp(logits.detach(), -1).square().mean()
    assert (found.z_loss is not None) == z_loss
    if z_loss:
        torch.testing.assert_close(found.z_loss.detach(), expected)
    assert (found.token_accuracy is not None) == token_accuracy
    if token_accuracy:
        torch.testing.assert_close(
            found.token_accuracy, torch.tensor(2 / 3), atol=1e-6, rtol=0, check_dtype=False
        )
    assert (found.predicted_tokens is not None) == predicted_tokens
    if predicted_tokens:
        assert found.predicted_tokens.dtype == torch.int64
        assert found.predicted_tokens.tolist() == [0, 1, 2]
    found.loss.backward()
    assert logits.grad is not None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("ignore_index", [-100, 2])
@pytest.mark.parametrize("rows, classes", [(256, 512), (141, 31)])
def test_predicted_tokens(rows, classes, ignore_index, dtype):
    import labelsmooth.torch

    logits, target = batch(rows, classes, dtype)
    target = ignore_some(target, ignore_index)
    found = labelsmooth.torch.cross_entropy(
        logits, target, ignore_index=ignore_index, return_predicted_tokens=True
    )
    expected = torch.where(target == ignore_index, -1, logits.float().argmax(-1))
    assert torch.equal(found.predicted_tokens, expected)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype, ulp", [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_gradient_of_the_true_class_when_confident(dtype, ulp, smoothing, reduction):
    """p - 1 cancels where p is nearly 1. Liger asks for no more than 4 times the error of PyTorch's own half-precision
    backward; half an ulp of the half type is asked for here, and Liger's bound as well."""
    logits, target = batch(128, 4096, torch.float32)
    rows = torch.arange(128)
    logits[rows, target] = logits.max(-1).values + 10
    logits = logits.to(dtype)
    options = {"label_smoothing": smoothing, "reduction": reduction}
    _, expected = exact(logits, target, **options)
    _, found = ours(logits, target, **options)
    theirs = logits.clone().requires_grad_()
    torch.nn.functional.cross_entropy(theirs, target, **options).backward()
    expected, found, theirs = (
        expected[rows, target],
        found.double()[rows, target],
        theirs.grad.double()[rows, target],
    )
    smallest = torch.finfo(dtype).smallest_normal
    assert (found - expected).abs().max() <= max(4 * (theirs - expected).abs().max(), smallest)
    normal = expected.abs() >= smallest
    assert ((found - expected).abs()[normal] <= (ulp + 2e-6) * expected.abs()[normal]).all()
