# SPDX-License-Identifier: MIT
"""Wrong calls: PyTorch's exceptions, asked live, and our own where only we refuse."""

import pytest
import torch
import torch.nn.functional as F

import labelsmooth
import labelsmooth.torch as ours

Z, Y = torch.randn(2, 10), torch.tensor([1, 5])
Z3, Y3 = torch.randn(2, 10, 3), torch.ones(2, 3, dtype=torch.int64)
Z4, Y4 = torch.randn(2, 10, 3, 4), torch.ones(2, 3, 4, dtype=torch.int64)
SOFT = torch.rand(2, 10)

# name: (arguments, keywords, how many of the message's characters are PyTorch's)
AS_TORCH = {
    "label too large": ((Z, torch.tensor([1, 10])), {}, 200),
    "label negative": ((Z, torch.tensor([1, -1])), {}, 200),
    "label too large, smoothed": ((Z, torch.tensor([1, 10])), {"label_smoothing": 0.1}, 200),
    "label too large, weighted": ((Z, torch.tensor([1, 12])), {"weight": torch.ones(10)}, 200),
    "label too large, images": ((Z4, torch.full((2, 3, 4), 11)), {}, 200),
    "label too large, one row": ((Z[0], torch.tensor(10)), {}, 200),
    "rows": ((torch.randn(3, 10), Y), {}, 200),
    "rows, images": ((Z4, torch.ones(3, 3, 4, dtype=torch.int64)), {}, 200),
    "rows, no axis": ((Z, torch.tensor(1)), {}, 200),
    "smoothing": ((Z, Y), {"label_smoothing": 1.2}, 200),
    "smoothing, soft": ((Z, SOFT), {"label_smoothing": 1.5}, 200),
    "weight's length": ((Z, Y), {"weight": torch.ones(3)}, 200),
    "weight's shape": ((Z, Y), {"weight": torch.ones(1, 10)}, 200),
    "weight's length, soft": ((Z, SOFT), {"weight": torch.ones(3)}, 200),
    "weight's length, one row": ((Z[0], torch.tensor(1)), {"weight": torch.ones(3)}, 200),
    "weight's length, images": ((Z4, Y4), {"weight": torch.ones(3)}, 46),
    "weight's type": ((Z, Y), {"weight": torch.ones(10, dtype=torch.int64)}, 200),
    "weight no tensor": ((Z, Y), {"weight": [1.0] * 10}, 200),
    "floating labels": ((Z, Y.float()), {}, 200),
    "floating labels, images": ((Z4, Y4.float()), {}, 200),
    "bool labels": ((Z, torch.tensor([True, False])), {}, 200),
    "labels of two axes": ((Z, torch.tensor([[1], [2]])), {}, 200),
    "labels of two axes, one row": ((Z[0], torch.tensor([[0]])), {}, 200),
    "labels of two rows, one row": ((Z[0], Y), {}, 200),
    "targets of other classes": ((Z, torch.rand(2, 9)), {}, 200),
    "integers of the input's shape": ((Z, torch.ones(2, 10, dtype=torch.int64)), {}, 200),
    "bytes of the input's shape": ((Z, torch.zeros(2, 10, dtype=torch.uint8)), {}, 200),
    "complex targets": ((Z, torch.zeros(2, 10, dtype=torch.complex64)), {}, 200),
    "positions": ((Z3, torch.ones(2, 4, dtype=torch.int64)), {}, 200),
    "positions missing": ((Z3, Y), {}, 200),
    "positions of two axes": ((Z4, torch.ones(2, 3, 5, dtype=torch.int64)), {}, 45),
    "positions of one axis": ((Z4, torch.ones(2, 3, dtype=torch.int64)), {}, 200),
    "positions of three axes": ((Z4[..., None], torch.ones(2, 3, 4, 2, dtype=torch.int64)), {}, 200),
    "no axis": ((torch.tensor(1.0), torch.tensor(0.5)), {}, 200),
    "integer input": ((Z.long(), Y), {}, 0),
    "complex input": ((Z.to(torch.complex64), Y), {}, 0),
    "reduction": ((Z, Y), {"reduction": "batch"}, 200),
    "no reduction": ((Z, Y), {"reduction": None}, 200),
    "reduction before smoothing": ((Z, Y), {"reduction": "batch", "label_smoothing": 2.0}, 200),
    "ignored probabilities": ((Z, SOFT), {"ignore_index": 3}, 200),
    "input no tensor": (([[1.0, 2.0]], Y), {}, 200),
    "target no tensor": ((Z, [1, 2]), {}, 200),
    "another device": ((Z, Y.to("meta")), {}, 0),
}


def raised(call, arguments, keywords):
    with pytest.raises(Exception) as caught:  # noqa: B017, PT011
        call(*arguments, **keywords)
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize("name", AS_TORCH)
def test_as_torch(name):
    arguments, keywords, same = AS_TORCH[name]
    their_type, their_words = raised(F.cross_entropy, arguments, keywords)
    our_type, our_words = raised(ours.cross_entropy, arguments, keywords)
    assert our_type is their_type, our_words
    assert our_words.startswith(their_words[:same])
    if name != "weight no tensor":  # which no module can register
        assert raised(ours.CrossEntropyLoss(**keywords), arguments, {}) == (our_type, our_words)


def test_the_row_is_named():
    with pytest.raises(
        IndexError, match=r"Target 10 is out of bounds. \(row 1 has 10, 0 to 9 and the ignored -100"
    ):
        ours.cross_entropy(Z, torch.tensor([1, 10]))


@pytest.mark.parametrize("amount", [-0.1, float("nan")])
def test_smoothing_that_torch_takes_for_none(amount):
    with pytest.raises(RuntimeError, match="label_smoothing must be between 0.0 and 1.0. Got: "):
        ours.cross_entropy(Z, Y, label_smoothing=amount)


OURS = {
    "rule": ({"rule": "sharp"}, "rule"),
    "prior": ({"prior": torch.ones(10), "label_smoothing": 0.1}, "prior"),
    "prior's rule": ({"prior": torch.full((10,), 0.1), "rule": "flip", "label_smoothing": 0.1}, "prior"),
    "two priors": ({"prior": torch.full((10,), 0.1), "matrix": torch.full((10, 10), 0.1)}, "matrix"),
    "mask": ({"mask": torch.ones(10, dtype=torch.bool)}, "mask"),
    "scale": ({"scale": 0.0}, "scale"),
    "softcap": ({"softcap": -1.0}, "softcap"),
    "hard_labels": ({"hard_labels": Y}, "hard_labels"),
    "row_weight": ({"row_weight": torch.ones(3)}, "row_weight"),
    "row_weight's shape": (
        {"row_weight": torch.ones(2, 1)},
        r"row_weight: shape \(2, 1\) found, that of the rows is \(2,\)",
    ),
    "mixed's shape": ({"mixed": (Y[:, None], torch.ones(2))}, "mixed: shape"),
    "mixed's weight": ({"mixed": (Y, torch.ones(1, 2))}, "mixed: shape"),
    "smoothing by row": ({"label_smoothing": torch.ones(3)}, "label_smoothing"),
    "smoothing by row above 1": ({"label_smoothing": torch.tensor([0.1, 1.5])}, "label_smoothing"),
    "denominator": ({"denominator": "rows", "reduction": "sum"}, "denominator"),
    "constant": ({"denominator": -1}, "denominator"),
    "padded_classes": ({"padded_classes": 11}, "padded_classes"),
    "empty": ({"empty": "nothing"}, "empty"),
    "mixed": ({"mixed": (torch.tensor([1, 20]), torch.ones(2))}, "out of bounds"),
    "label beyond the padding": ({"padded_classes": 5}, "Target 5 is out of bounds"),
}


@pytest.mark.parametrize("name", OURS)
def test_ours(name):
    keywords, says = OURS[name]
    with pytest.raises((labelsmooth.Error, IndexError), match=says):
        ours.cross_entropy(Z, Y, **keywords)


def test_hard_labels_of_another_shape():
    with pytest.raises(labelsmooth.Error, match="hard_labels: shape"):
        ours.cross_entropy(Z, SOFT, hard_labels=Y[:, None])


def test_no_tensor():
    with pytest.raises(TypeError, match="argument 'prior' must be Tensor, not list"):
        ours.cross_entropy(Z, Y, prior=[0.1] * 10)


def test_mixed_with_probabilities():
    with pytest.raises(labelsmooth.Error, match="mixed"):
        ours.cross_entropy(Z, SOFT, mixed=(Y, torch.ones(2)))


def test_ignore_index_of_probabilities_with_labels():
    """What PyTorch refuses has a meaning where labels say it."""
    found = ours.cross_entropy(Z, SOFT, ignore_index=5, hard_labels=Y, reduction="none")
    assert found[1] == 0 and found[0] == ours.cross_entropy(Z, SOFT, reduction="none")[0]
