# SPDX-License-Identifier: MIT
"""The NumPy face: every argument against the definition, alone and with others, and what it refuses."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Reference

import labelsmooth
from labelsmooth import cross_entropy

TYPES = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16]


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """A setting of everything that composes, as arguments of the function."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, classes = draw(st.integers(1, 5)), draw(st.sampled_from([2, 3, 7, 16, 17, 33]))
    kind = draw(st.sampled_from(["labels", "mixed", "dense"]))
    case: dict[str, Any] = {
        "logits": 3 * rng.normal(size=(rows, classes)),
        "rule": draw(st.sampled_from(["uniform"] * 3 + ["others", "flip", "additive"])),
    }
    case["labels"] = rng.integers(0, classes, rows)
    if kind == "mixed":
        case["mixed"] = (rng.integers(0, classes, rows), rng.random(rows))
    elif kind == "dense":
        case["labels"] = rng.random((rows, classes))
    elif draw(st.booleans()):
        case["labels"][0] = case["ignore_index"] = draw(st.sampled_from([-100, -1, 0, 255]))
    case["label_smoothing"] = draw(st.sampled_from([0.0, 0.1, 0.9, 1.0]))
    if draw(st.booleans()):
        case["label_smoothing"] = rng.random(rows)
    elif kind == "labels" and draw(st.booleans()):
        case["label_smoothing"], case["class_smoothing"] = 0.0, rng.random(classes)
    if case["rule"] == "uniform":
        prior = draw(st.sampled_from([None, "shared", "rows", "matrix"]))
        if prior == "shared":
            case["prior"] = rng.dirichlet(np.ones(classes))
        elif prior == "rows":
            case["prior"] = rng.dirichlet(np.ones(classes), rows)
        elif prior == "matrix" and kind == "labels":
            case["matrix"] = rng.dirichlet(np.ones(classes), classes)
        if draw(st.booleans()):
            case["support"] = "finite"
            case["mask"] = rng.random((rows, classes) if draw(st.booleans()) else classes) < 0.8
            # No target on what is excluded: its loss is inf.
            if kind == "dense":
                case["labels"] *= case["mask"]
            for labels in (
                (case["labels"], case.get("mixed", (case["labels"],))[0]) if kind != "dense" else ()
            ):
                case["mask"][..., labels[(labels >= 0) & (labels < classes)]] = True
    if draw(st.booleans()):
        case["weight"] = rng.random(classes) + 0.1
        if (
            kind == "labels"
            and "support" not in case
            and "matrix" not in case
            and np.ndim(case.get("prior", 0)) < 2
        ):
            case["weighting"] = draw(st.sampled_from(["per_term", "label", "expected"]))
    elif "prior" not in case and "matrix" not in case and "support" not in case and draw(st.booleans()):
        case["max_suppression"] = 0.2
    if draw(st.booleans()):
        case["row_weight"] = rng.random(rows)
    if draw(st.booleans()):
        case |= {"scale": 0.7, "softcap": 5.0}
    if draw(st.booleans()):
        case |= {"lse_square_scale": 0.01, "entropy_penalty": 0.1}
    return case


def expected(case: dict[str, Any]) -> Reference:
    dense = case["labels"].ndim == 2
    second, mixing = case.get("mixed", (None, None))
    names = (
        *("rule", "prior", "matrix", "class_smoothing", "weight", "weighting", "row_weight", "ignore_index"),
        *("mask", "scale", "softcap", "entropy_penalty", "max_suppression"),
    )
    return Reference(
        np.asarray(case["logits"], np.float64),
        labels=None if dense else case["labels"],
        targets=case["labels"] if dense else None,
        second=second,
        mixing=mixing,
        amounts=case["label_smoothing"],
        finite=case.get("support") == "finite",
        z_loss=case.get("lse_square_scale", 0.0),
        **{name: case[name] for name in names if name in case},
    )


@settings(max_examples=400)
@given(cases(), st.sampled_from(["mean", "sum", "none"]), st.sampled_from(["weights", "rows", 7.0]))
def test_composed_options(case: dict[str, Any], reduction: str, denominator: Any) -> None:
    truth = expected(case)
    options: dict[str, Any] = {"reduction": reduction}
    if reduction == "mean":
        options["denominator"] = denominator
    loss, gradient, parts = cross_entropy(**case, **options, return_grad=True, return_parts=True)
    losses = np.array(truth.losses)
    total = {"weights": sum(truth.divisors), "rows": sum(truth.counted)}.get(denominator, denominator)
    divisor = np.float64(total if reduction == "mean" else 1.0)
    if not any(truth.counted):  # a gradient of nothing is 0
        value = losses if reduction == "none" else 0.0 if total == 7.0 or reduction == "sum" else np.nan
        np.testing.assert_array_equal(loss, value)
        np.testing.assert_array_equal(gradient, 0 * truth.gradient)
        return
    value = losses if reduction == "none" else losses.sum() / divisor
    size = np.nansum(np.abs(losses)) / divisor
    np.testing.assert_allclose(loss, value, rtol=1e-12, atol=1e-13 * (1 + size))
    np.testing.assert_allclose(gradient, truth.gradient / divisor, rtol=1e-11, atol=1e-13 / min(1, divisor))
    np.testing.assert_allclose(parts.loss, losses, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", TYPES)
def test_types(dtype: Any) -> None:
    rng = np.random.default_rng(1)
    z = (3 * rng.normal(size=(5, 37))).astype(dtype)
    y = rng.integers(0, 37, 5)
    truth = Reference(z.astype(np.float64), labels=y, amounts=0.1)
    loss, gradient = cross_entropy(z, y, label_smoothing=0.1, return_grad=True)
    assert gradient.dtype == dtype
    half_ulp = {2: 2.0**-8 if dtype is ml_dtypes.bfloat16 else 2.0**-11, 4: 2.0**-21, 8: 2.0**-50}[z.itemsize]
    assert loss == pytest.approx(np.mean(truth.losses), rel=1e-13 if dtype is np.float64 else 1e-6)
    np.testing.assert_allclose(gradient.astype(np.float64), truth.gradient / 5, rtol=half_ulp, atol=2e-8)


@pytest.mark.parametrize(
    "label_type", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
)
def test_label_types(label_type: Any) -> None:
    z = np.random.default_rng(2).normal(size=(4, 6))
    assert cross_entropy(z, np.array([0, 5, 2, 3], label_type)) == cross_entropy(z, [0, 5, 2, 3])


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 5), (2, 3, 2, 5), (2, 2, 3, 2, 5)])
@pytest.mark.parametrize("order", ["contiguous", "transposed", "sliced", "reversed", "broadcast"])
def test_axes_and_strides(shape: tuple[int, ...], order: str) -> None:
    rng = np.random.default_rng(3)
    last = rng.normal(size=shape)
    labels = rng.integers(0, 5, shape[:-1])
    if order == "broadcast":
        last = np.broadcast_to(last[..., :1, :] if last.ndim > 1 else last, shape)
    losses, gradient = cross_entropy(
        last.copy(), labels, label_smoothing=0.1, reduction="none", return_grad=True
    )
    for axis in range(-last.ndim, last.ndim):
        z = np.moveaxis(last, -1, axis)
        if order == "contiguous":
            z = z.copy()
        elif order == "sliced":
            bigger = np.full([2 * size for size in z.shape], np.nan)
            bigger[tuple(slice(0, 2 * size, 2) for size in z.shape)] = z
            z = bigger[tuple(slice(0, 2 * size, 2) for size in z.shape)]
        elif order == "reversed":
            z = np.flip(np.flip(z).copy())
        found, moved = cross_entropy(
            z, labels, label_smoothing=0.1, reduction="none", axis=axis, return_grad=True
        )
        np.testing.assert_array_equal(found, losses)
        np.testing.assert_array_equal(np.moveaxis(moved, axis, -1), gradient)


def test_out_takes_the_gradient_and_may_be_the_logits() -> None:
    z = np.random.default_rng(4).normal(size=(3, 8)).astype(np.float32)
    y = [1, 2, 3]
    _, gradient = cross_entropy(z, y, label_smoothing=0.1, return_grad=True)
    out = np.full((8, 3), np.nan, np.float32).T  # strided
    loss, same = cross_entropy(z, y, label_smoothing=0.1, out=out)
    assert same is out
    np.testing.assert_array_equal(out, gradient)
    again, _ = cross_entropy(z, y, label_smoothing=0.1, out=z)
    assert again == loss
    np.testing.assert_array_equal(z, gradient)


def test_upstream_scales_the_gradient() -> None:
    z = np.random.default_rng(5).normal(size=(3, 4))
    _, gradient = cross_entropy(z, [0, 1, 2], reduction="none", return_grad=True)
    _, scaled = cross_entropy(z, [0, 1, 2], reduction="none", return_grad=True, upstream=[2.0, 0.0, -1.0])
    np.testing.assert_allclose(scaled, gradient * [[2], [0], [-1]], rtol=1e-15)
    _, scaled = cross_entropy(z, [0, 1, 2], upstream=3, return_grad=True)
    np.testing.assert_allclose(scaled, gradient, rtol=1e-15)


def test_padded_classes() -> None:
    rng = np.random.default_rng(6)
    z, y = rng.normal(size=(4, 10)), rng.integers(0, 7, 4)
    padded = z.copy()
    padded[:, 7:] = np.nan
    loss, gradient = cross_entropy(
        padded, y, label_smoothing=0.2, padded_classes=3, weight=np.arange(1.0, 8), return_grad=True
    )
    real, real_gradient = cross_entropy(
        z[:, :7], y, label_smoothing=0.2, weight=np.arange(1.0, 8), return_grad=True
    )
    assert loss == real
    np.testing.assert_array_equal(gradient[:, :7], real_gradient)
    assert not gradient[:, 7:].any()
    assert cross_entropy(padded, y, padded_classes=3) != cross_entropy(z, y)


def test_hard_labels_of_dense_targets() -> None:
    z = np.random.default_rng(7).normal(size=(3, 4))
    t = np.full((3, 4), 0.25)
    loss, parts = cross_entropy(z, t, hard_labels=[0, -100, 1], return_parts=True)
    assert loss == pytest.approx(cross_entropy(z[[0, 2]], t[:2]), rel=1e-14)
    np.testing.assert_array_equal(parts.correct, (z.argmax(1) == [0, -100, 1]))
    assert cross_entropy(z, t, return_parts=True)[1].correct is None


def test_parts() -> None:
    z = np.random.default_rng(8).normal(size=(2, 3, 5))
    y = np.array([[0, 1, -100], [4, 4, 2]])
    _, parts = cross_entropy(z, y, label_smoothing=0.1, return_parts=True)
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    counted = y != -100
    for name, value in {
        "nll": -np.log(np.take_along_axis(p, np.maximum(y, 0)[..., None], -1)[..., 0]),
        "lse": np.log(np.exp(z).sum(-1)),
        "confidence": p.max(-1),
        "entropy": -(p * np.log(p)).sum(-1),
    }.items():
        np.testing.assert_allclose(getattr(parts, name), np.where(counted, value, 0), rtol=1e-13)
    np.testing.assert_array_equal(parts.argmax, np.where(counted, z.argmax(-1), -1))
    np.testing.assert_array_equal(parts.correct, counted & (z.argmax(-1) == y))


@pytest.mark.parametrize(("empty", "value"), [("nan", np.nan), ("zero", 0.0)])
@pytest.mark.parametrize("rows", [0, 2])
def test_nothing_counted(empty: Any, value: float, rows: int) -> None:
    z = np.full((rows, 3), np.nan)
    loss, gradient = cross_entropy(z, np.full(rows, -100), label_smoothing=0.1, empty=empty, return_grad=True)
    np.testing.assert_equal(loss, value)
    np.testing.assert_array_equal(gradient, np.zeros((rows, 3)))
    with pytest.raises(labelsmooth.Error):
        cross_entropy(z, np.full(rows, -100), empty="error")


def test_nan_and_infinity() -> None:
    z = np.array([[np.nan, 1, 2], [1, -np.inf, 2], [1, 2, 3]])
    losses, gradient = cross_entropy(z, [0, 0, 2], reduction="none", return_grad=True)
    assert np.isnan(losses[0]) and np.isnan(gradient[0]).all()
    assert losses[1] == pytest.approx(np.log1p(np.e)) and gradient[1, 1] == 0
    assert np.isfinite(losses[2]) and np.isfinite(gradient[2]).all()
    assert cross_entropy(z[1:2], [0], label_smoothing=0.1) == np.inf
    assert np.isfinite(cross_entropy(z[1:2], [0], label_smoothing=0.1, support="finite"))


def test_one_class_and_one_dimension() -> None:
    assert cross_entropy([[5.0]], [0], label_smoothing=0.5) == 0
    assert cross_entropy([1.0, 2.0], 1, label_smoothing=0.1) == cross_entropy(
        [[1.0, 2.0]], [1], label_smoothing=0.1
    )


def test_threads_do_not_change_bits() -> None:
    rng = np.random.default_rng(9)
    z, y = rng.normal(size=(300, 1000)).astype(np.float32), rng.integers(0, 1000, 300)
    results = []
    for count in (1, 2, 5):
        labelsmooth.set_threads(count)
        results.append(cross_entropy(z, y, label_smoothing=0.1, return_grad=True))
    labelsmooth.set_threads(0)
    for loss, gradient in results[1:]:
        assert loss == results[0][0]
        np.testing.assert_array_equal(gradient, results[0][1])


@pytest.mark.parametrize(
    ("changed", "argument", "row"),
    [
        ({"labels": [0, 1, 5]}, "labels", 2),
        ({"labels": [0, -1, 2]}, "labels", 1),
        ({"labels": [0, 1]}, "labels", -1),
        ({"labels": [0.0, 1.0, 2.0]}, "labels", -1),
        ({"labels": [[0, 1, 2]]}, "labels", -1),
        ({"logits": np.zeros((3, 4), complex)}, "logits", -1),
        ({"logits": [["text"] * 4] * 3}, "logits", -1),
        ({"logits": np.float64(1)}, "axis", -1),
        ({"axis": 2}, "axis", -1),
        ({"label_smoothing": 1.5}, "label_smoothing", -1),
        ({"label_smoothing": float("nan")}, "label_smoothing", -1),
        ({"label_smoothing": [0.1, 0.1]}, "label_smoothing", -1),
        ({"label_smoothing": [0.1, 2.0, 0.1]}, "label_smoothing", 1),
        ({"class_smoothing": [0.1]}, "class_smoothing", -1),
        ({"rule": "unifrom"}, "rule", -1),
        ({"rule": "others", "prior": [0.25] * 4}, "prior", -1),
        ({"prior": [0.5] * 4}, "prior", -1),
        ({"matrix": np.eye(3)}, "prior", -1),
        ({"matrix": np.eye(4)[0]}, "matrix", -1),
        ({"matrix": np.eye(4), "prior": [0.25] * 4}, "matrix", -1),
        ({"weight": [1.0] * 3}, "weight", -1),
        ({"weight": [1.0, np.nan, 1.0, 1.0]}, "weight", -1),
        ({"weighting": "Label"}, "weighting", -1),
        ({"row_weight": [1.0]}, "row_weight", -1),
        ({"mask": [True] * 4}, "mask", -1),
        ({"mask": np.ones((3, 4)), "support": "finite"}, "mask", -1),
        ({"support": "finite", "rule": "flip"}, "support", -1),
        ({"padded_classes": 5}, "padded_classes", -1),
        ({"padded_classes": -1}, "padded_classes", -1),
        ({"softcap": -1.0}, "softcap", -1),
        ({"scale": float("inf")}, "scale", -1),
        ({"lse_square_scale": -1.0}, "lse_square_scale", -1),
        ({"reduction": "average"}, "reduction", -1),
        ({"reduction": "sum", "denominator": "rows"}, "denominator", -1),
        ({"denominator": 0.0}, "denominator", -1),
        ({"denominator": "tokens"}, "denominator", -1),
        ({"empty": "null"}, "empty", -1),
        ({"upstream": [1.0] * 3, "return_grad": True}, "upstream", -1),
        ({"upstream": [1.0] * 2, "return_grad": True, "reduction": "none"}, "upstream", -1),
        ({"out": np.zeros((3, 5))}, "out", -1),
        ({"out": np.zeros((3, 4), np.float32)}, "out", -1),
        ({"mixed": ([0, 1, 2], [0.5, 2.0, 0.5])}, "mixed", 1),
        ({"labels": np.full((3, 4), 0.25), "mixed": ([0, 1, 2], [0.5] * 3)}, "mixed", -1),
        ({"hard_labels": [0, 1, 2]}, "hard_labels", -1),
    ],
)
def test_refusals(changed: dict[str, Any], argument: str, row: int) -> None:
    good = {"logits": np.zeros((3, 4)), "labels": [0, 1, 2]}
    with pytest.raises(labelsmooth.Error) as refused:
        cross_entropy(**(good | changed))
    assert (refused.value.argument, refused.value.row) == (argument, row), str(refused.value)


def test_read_only_arrays_serve_but_not_as_out() -> None:
    z = np.zeros((2, 3))
    z.flags.writeable = False
    assert cross_entropy(z, [0, 1]) == pytest.approx(np.log(3))
    with pytest.raises(labelsmooth.Error, match="out: .*written"):
        cross_entropy(np.ones((2, 3)), [0, 1], out=z)
