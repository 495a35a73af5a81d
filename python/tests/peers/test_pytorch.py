# SPDX-License-Identifier: MIT
"""PyTorch, test/test_nn.py, its cross-entropy tests with NaN, empty batches and errors added.

PyTorch's own file runs against ours with run_pytorch_suite.py; here its properties are asked for harder: float64 to
1e-12, gradients as well, and PyTorch's own function as the reference.
"""

import itertools

import pytest
import torch
from torch.nn import functional as F

from .oracle import assert_agree, ours

REDUCTIONS = ["none", "mean", "sum"]
CLASSES = 4


def theirs(logits, target, upstream=1.0, **options):
    x = logits.detach().clone().requires_grad_()
    loss = F.cross_entropy(x, target, **options)
    loss.backward(torch.as_tensor(upstream, dtype=loss.dtype).expand(loss.shape))
    return loss.detach(), x.grad


def batch(more_axes, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(2, 5, (more_axes,), generator=generator).tolist()
    logits = torch.randn(10, CLASSES, *sizes, generator=generator, dtype=dtype)
    return logits, torch.randint(CLASSES, (10, *sizes), generator=generator), generator


def one_hot(target):
    rows = F.one_hot(target, CLASSES).double()
    return rows.movedim(-1, 1) if target.dim() else rows


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("more_axes", range(5))
@pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.15, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
class TestKDimensions:
    def test_index_targets(self, more_axes, reduction, smoothing, weighted):
        logits, target, generator = batch(more_axes)
        weight = torch.rand(CLASSES, generator=generator, dtype=torch.float64) if weighted else None
        target = torch.where(torch.rand(target.shape, generator=generator) < 0.3, -100, target)
        options = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}
        assert_agree(
            ours(logits, target, **options), theirs(logits, target, **options), rtol=1e-12, atol=1e-14
        )

    def test_soft_targets(self, more_axes, reduction, smoothing, weighted):
        """Targets are log-probabilities, as in PyTorch's test: negative and of any mass."""
        logits, _, generator = batch(more_axes)
        weight = torch.rand(CLASSES, generator=generator, dtype=torch.float64) if weighted else None
        target = torch.randn(logits.shape, generator=generator, dtype=torch.float64).log_softmax(1)
        options = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}
        assert_agree(
            ours(logits, target, **options), theirs(logits, target, **options), rtol=1e-12, atol=1e-13
        )

    def test_index_is_one_hot(self, more_axes, reduction, smoothing, weighted):
        """With weights and the mean they differ (pytorch#61309): index targets divide by the labels' weights, soft ones by
        the rows. The test of PyTorch leaves that out."""
        logits, target, generator = batch(more_axes)
        weight = torch.rand(CLASSES, generator=generator, dtype=torch.float64) if weighted else None
        options = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}
        index, soft = ours(logits, target, **options), ours(logits, one_hot(target), **options)
        factor = weight[target].mean() if weighted and reduction == "mean" else 1
        assert_agree([one * factor for one in index], soft, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("more_axes", range(5))
@pytest.mark.parametrize("soft", [False, True])
def test_unit_weights_are_none(more_axes, reduction, soft):
    logits, target, _ = batch(more_axes)
    target = one_hot(target) if soft else target
    weight = torch.ones(CLASSES, dtype=torch.float64)
    options = {"label_smoothing": 0.1, "reduction": reduction}
    assert_agree(
        ours(logits, target, weight=weight, **options),
        ours(logits, target, **options),
        rtol=1e-12,
        atol=1e-15,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_no_batch(reduction, weighted, soft):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, generator=generator, dtype=torch.float64)
    target = torch.rand(5, generator=generator, dtype=torch.float64) if soft else torch.tensor(3)
    weight = torch.rand(5, generator=generator, dtype=torch.float64) if weighted else None
    options = {"weight": weight, "label_smoothing": 0.1, "reduction": reduction}
    loss, gradient = ours(logits, target, **options)
    batched, of_batched = ours(logits[None], target[None], **options)
    assert loss.shape == () and loss == batched.reshape(()) and torch.equal(gradient, of_batched[0])
    assert_agree((loss, gradient), theirs(logits, target, **options), rtol=1e-12, atol=1e-15)


SHAPES = [(0, 3), (0, 3, 5, 7), (2, 3, 0, 7), (2, 3, 5, 0), (2, 3, 5, 7, 0)]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_empty(shape, reduction, soft, dtype):
    logits = torch.rand(shape).to(dtype)
    target = logits.clone() if soft else torch.zeros(shape[:1] + shape[2:], dtype=torch.long)
    options = {"label_smoothing": 0.1, "reduction": reduction}
    (loss, gradient), (expected, _) = ours(logits, target, **options), theirs(logits, target, **options)
    torch.testing.assert_close(loss, expected, equal_nan=True)
    assert gradient.shape == shape


@pytest.mark.parametrize("reduction, expected", [("none", 0.0), ("sum", 0.0), ("mean", float("nan"))])
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 5, 7), (2, 3, 5, 7, 9)])
@pytest.mark.parametrize("case", ["all ignored", "weights of 0"])
def test_nothing_counts(shape, case, reduction, expected):
    target = torch.zeros(shape[:1] + shape[2:], dtype=torch.long)
    options = {"ignore_index": 0} if case == "all ignored" else {"weight": torch.zeros(3)}
    loss, _ = ours(torch.ones(shape), target, reduction=reduction, **options)
    torch.testing.assert_close(loss, torch.full_like(loss, expected), equal_nan=True)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_byte_targets(reduction, weighted, smoothing):
    """Torch itself raises for byte targets with weights and smoothing."""
    logits, target, generator = batch(0, dtype=torch.float32)
    weight = torch.rand(CLASSES, generator=generator) if weighted else None
    options = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}
    for one, other in zip(
        ours(logits, target.byte(), **options), ours(logits, target, **options), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("ignore_index", [-100, -2, 2])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("weight", [None, torch.tensor([0.3, 0.6])])
@pytest.mark.parametrize("smoothing", [0.05, 0.15])
def test_ignored_rows_do_not_enter(ignore_index, reduction, weight, smoothing):
    target = torch.tensor([ignore_index, 1])
    options = {
        "weight": weight,
        "ignore_index": ignore_index,
        "label_smoothing": smoothing,
        "reduction": reduction,
    }
    one, _ = ours(torch.tensor([[0.3, 0.4], [1, 2]]), target, **options)
    other, _ = ours(torch.tensor([[0.3, 0.6], [1, 2]]), target, **options)
    alone, _ = ours(torch.tensor([[1.0, 2.0]]), target[1:], **options)
    assert one == other == alone


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_stand_ins_for_minus_infinity(reduction):
    """The least float32 in masked classes costs 1e37 a row under smoothing, where PyTorch's sum is already inf; a loss beyond
    float32 is inf, no error."""
    logits = torch.zeros(100, 8)
    logits[:, 5:] = torch.finfo(torch.float32).min
    options = {"label_smoothing": 0.1, "reduction": reduction}
    target = torch.zeros(100, dtype=torch.long)
    loss, _ = ours(logits, target, **options)
    expected, _ = theirs(logits.double(), target, **options)
    torch.testing.assert_close(loss, expected.float())
    assert loss.isinf().all() == (reduction == "sum")
    assert theirs(logits, target, **options)[0].isinf().all()


LOGITS, INDEX, SOFT = torch.randn(3, 4), torch.tensor([0, 1, 2]), torch.rand(3, 4)


@pytest.mark.parametrize(
    "logits, target, options",
    [
        *[(LOGITS, target, {"label_smoothing": 1.2}) for target in (INDEX, SOFT)],
        (LOGITS, INDEX, {"label_smoothing": float("inf")}),
        (LOGITS, torch.tensor([0, 4, 2]), {}),
        (LOGITS, torch.tensor([0, -1, 2]), {}),
        (LOGITS, torch.tensor([0, torch.iinfo(torch.int64).min, 2]), {"label_smoothing": 0.1}),
        (LOGITS, INDEX, {"weight": torch.ones(3)}),
        (LOGITS, SOFT, {"weight": torch.ones(3)}),
        (LOGITS, INDEX, {"weight": torch.ones(1, 4)}),
        (LOGITS, SOFT, {"ignore_index": 1}),
        (LOGITS, INDEX[:, None], {}),
        (LOGITS, torch.tensor([0, 1]), {}),
        (LOGITS, INDEX.double(), {}),
        (LOGITS, SOFT.long(), {}),
        (LOGITS.long(), INDEX, {}),
        (LOGITS, INDEX, {"reduction": "invalid"}),
        (LOGITS[0], torch.tensor([1, 2]), {}),
        (LOGITS[..., None, None], INDEX, {}),
    ],
)
def test_errors_are_of_pytorchs_types(logits, target, options):
    import labelsmooth.torch

    with pytest.raises(Exception) as found:
        F.cross_entropy(logits, target, **options)
    with pytest.raises(found.type):
        labelsmooth.torch.cross_entropy(logits, target, **options)


@pytest.mark.parametrize("amount", [-0.1, float("nan")])
def test_amounts_that_pytorch_takes_for_none(amount):
    import labelsmooth.torch

    assert torch.isfinite(F.cross_entropy(LOGITS, INDEX, label_smoothing=amount))
    with pytest.raises(RuntimeError, match="label_smoothing must be between 0.0"):
        labelsmooth.torch.cross_entropy(LOGITS, INDEX, label_smoothing=amount)


class TestWhereWeDiffer:
    """What docs/compatibility.md says of PyTorch and of us, both sides."""

    def test_nan_in_an_ignored_row(self):
        logits, target = LOGITS.clone(), torch.tensor([0, -100, 2])
        logits[1] = float("nan")
        assert theirs(logits, target)[1][1].isnan().all()
        assert not ours(logits, target)[1][1].any()

    def test_impossible_class_without_target_mass(self):
        logits, target = torch.tensor([[0.0, -torch.inf]]), torch.tensor([[1.0, 0.0]])
        assert theirs(logits, target)[0].isnan()
        loss, gradient = ours(logits, target)
        assert loss == 0 and not gradient.any()

    def test_impossible_class_under_smoothing(self):
        logits, target = torch.tensor([[1.0, 2, -torch.inf]]), torch.tensor([1])
        for found in (theirs, ours):
            assert found(logits, target, label_smoothing=0.1)[0] == torch.inf
        loss, _ = ours(logits, target, label_smoothing=0.1, support="finite")
        torch.testing.assert_close(loss, torch.tensor(0.363261687518))

    @pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.int8])
    def test_other_integer_types(self, dtype):
        with pytest.raises(RuntimeError, match="expected"):
            F.cross_entropy(LOGITS, INDEX.to(dtype))
        assert torch.equal(ours(LOGITS, INDEX.to(dtype))[0], ours(LOGITS, INDEX)[0])

    def test_bytes_with_weights_and_smoothing(self):
        options = {"weight": torch.ones(4), "label_smoothing": 0.1}
        with pytest.raises(RuntimeError):
            F.cross_entropy(LOGITS, INDEX.byte(), **options)
        assert ours(LOGITS, INDEX.byte(), **options)[0].isfinite()

    def test_soft_targets_with_ignored_rows(self):
        loss, gradient = ours(LOGITS, SOFT, hard_labels=torch.tensor([0, -100, 2]))
        kept = torch.tensor([0, 2])
        torch.testing.assert_close(loss, F.cross_entropy(LOGITS[kept], SOFT[kept]))
        assert not gradient[1].any()

    def test_float16_sums(self):
        """Outside autocast PyTorch keeps the sum over 50,257 classes in float16."""
        logits = torch.randn(4, 50257, generator=torch.Generator().manual_seed(2)).half()
        target = torch.tensor([0, 1, 2, 3])
        exact = F.cross_entropy(logits.double(), target, label_smoothing=0.1)
        assert F.cross_entropy(logits, target, label_smoothing=0.1).isinf()
        assert ours(logits, target, label_smoothing=0.1)[0] == exact.half()

    def test_labels_out_of_range_name_the_row(self):
        import labelsmooth.torch

        with pytest.raises(IndexError, match="Target 7 is out of bounds.*row 2"):
            labelsmooth.torch.cross_entropy(LOGITS, torch.tensor([0, 1, 7]))

    def test_class_weights_of_another_type(self):
        weight = torch.arange(1.0, 5)
        with pytest.raises(RuntimeError, match="expected scalar type"):
            F.cross_entropy(LOGITS, INDEX, weight.double())
        assert torch.equal(
            ours(LOGITS, INDEX, weight=weight.double())[0], ours(LOGITS, INDEX, weight=weight)[0]
        )

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_class_weights_that_are_not_finite(self, value):
        import labelsmooth.torch

        weight = torch.tensor([1.0, 1, value, 1])
        assert not F.cross_entropy(LOGITS, INDEX, weight, label_smoothing=0.1).isfinite()
        with pytest.raises(labelsmooth.Error, match="weight: class 2"):
            labelsmooth.torch.cross_entropy(LOGITS, INDEX, weight, label_smoothing=0.1)

    def test_no_classes_and_no_label_that_counts(self):
        import labelsmooth.torch

        logits, target = torch.rand(5, 0), torch.full((5,), -100)
        assert F.cross_entropy(logits, target).isnan()
        with pytest.raises(labelsmooth.Error, match="logits: 0 classes found"):
            labelsmooth.torch.cross_entropy(logits, target)


def test_positional_arguments_are_pytorchs():
    import inspect

    import labelsmooth.torch

    def names(function, kind):
        return [one.name for one in inspect.signature(function).parameters.values() if one.kind == kind]

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert names(labelsmooth.torch.cross_entropy, kind) == names(F.cross_entropy, kind)
    mine, of_torch = labelsmooth.torch.CrossEntropyLoss, torch.nn.CrossEntropyLoss
    assert names(mine.__init__, kind) == names(of_torch.__init__, kind)
    for name, reduction in itertools.product(("weight", "label_smoothing"), REDUCTIONS):
        assert hasattr(mine(reduction=reduction), name)
