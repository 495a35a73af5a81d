# SPDX-License-Identifier: MIT
"""The formula in torch and in JAX says what the library says, over the product of the options."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import labelsmooth
from labelsmooth import formula
from labelsmooth.arrays import Arrays, check
from labelsmooth.settings import Settings, named_denominator

jax.config.update("jax_enable_x64", True)
EPSILON = float(np.finfo(np.float64).eps)
ROWS = 5

# One framework's arrays and their way back.
FRAMEWORKS = {
    "torch": (torch, lambda array: torch.tensor(array), lambda array: array.detach().numpy()),
    "jax": (jnp, jnp.asarray, np.asarray),
}
ARRAYS = {  # a keyword of the NumPy face -> a field of Arrays
    "hard_labels": "labels",
    "prior": "prior",
    "matrix": "matrix",
    "class_smoothing": "class_amounts",
    "weight": "weight",
    "row_weight": "row_weight",
    "mask": "mask",
}


def of_face(labels: Any, keywords: dict[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """The NumPy face's keywords as Settings and the fields of Arrays."""
    rest = {key: value for key, value in keywords.items() if key not in ARRAYS}
    fields = {ARRAYS[key]: value for key, value in keywords.items() if key in ARRAYS}
    fields["targets" if labels.dtype.kind == "f" else "labels"] = labels
    if "mixed" in rest:
        fields["second"], fields["mixing"] = rest.pop("mixed")
    if np.ndim(rest.get("label_smoothing", 0.0)) > 0:
        fields["amounts"] = rest.pop("label_smoothing")
    rest["denominator"], rest["denominator_value"] = named_denominator(rest.get("denominator", "weights"))
    return Settings(**rest), fields


def distributions(rng: np.random.Generator, *shape: int) -> np.ndarray:
    values = rng.gamma(0.5, size=shape) * (rng.random(shape) < 0.6)
    values[values.sum(-1) == 0, 0] = 1
    return values / values.sum(-1, keepdims=True)


@st.composite
def problems(draw: Any) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Logits, labels and keywords; now and then of a kind that is refused."""

    def sometimes(chance: int = 3) -> bool:
        return draw(st.integers(0, chance)) == 0

    def odd() -> bool:  # what is likely to be refused
        return sometimes(30)

    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    classes = draw(st.sampled_from([1, 2, 6, 6]))
    z = rng.normal(size=(ROWS, classes)) * draw(st.sampled_from([0.0, 1.0, 10.0, 100.0]))
    z[rng.random(z.shape) < draw(st.sampled_from([0.0, 0.2, 0.9]))] = -np.inf
    if sometimes():
        z[rng.integers(ROWS), rng.integers(classes)] = draw(st.sampled_from([np.nan, np.inf]))
    y = rng.integers(0, classes, ROWS)
    ignored = rng.random(ROWS) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    keywords: dict[str, Any] = {"ignore_index": draw(st.sampled_from([-100, 0, None]))}
    if keywords["ignore_index"] is not None:
        y[ignored] = keywords["ignore_index"]
    labels = y
    kind = draw(st.sampled_from(["labels", "labels", "mixed", "targets", "both"]))
    if kind == "mixed":
        second = np.where(ignored & (y < 0), y, rng.integers(0, classes, ROWS))
        keywords["mixed"] = (second, rng.choice([0.0, 0.3, 0.5, 1.0], ROWS))
    elif kind != "labels":
        labels = distributions(rng, ROWS, classes) * draw(st.sampled_from([1.0, 1.7]))
        keywords |= {"hard_labels": y} if kind == "both" else {}
    if odd() or draw(st.booleans()):
        keywords["rule"] = draw(st.sampled_from(["uniform", "others", "flip", "additive"]))
    uniform = keywords.get("rule", "uniform") == "uniform"
    amount = draw(st.sampled_from(["none", "one", "rows", "classes" if kind == "labels" or odd() else "one"]))
    if amount == "one":
        keywords["label_smoothing"] = draw(st.sampled_from([0.1, 0.7, 1.0]))
    elif amount != "none":
        size = ROWS if amount == "rows" else classes
        keywords["label_smoothing" if amount == "rows" else "class_smoothing"] = rng.choice(
            [0, 0.2, 1.0], size
        )
    if (uniform and sometimes()) or odd():
        shapes = {"prior": [(classes,), (ROWS, classes)], "matrix": [(classes, classes)]}
        key = draw(st.sampled_from(["prior", "matrix"]))
        keywords[key] = distributions(rng, *draw(st.sampled_from(shapes[key])))
    if sometimes(2):
        keywords["weight"] = rng.choice([0.0, 0.5, 2.0], classes)
    if kind == "labels" or odd():
        keywords["weighting"] = draw(st.sampled_from(["per_term", "label", "expected"]))
    if sometimes():
        keywords["row_weight"] = rng.choice([0.0, 0.5, 3.0], ROWS)
    if (uniform and keywords.get("weighting", "per_term") == "per_term" and sometimes(1)) or odd():
        keywords["support"] = "finite"
        if sometimes(1):
            keywords["mask"] = rng.random(draw(st.sampled_from([(classes,), z.shape]))) < 0.7
    for key, value in (
        ("scale", 0.7),
        ("softcap", 20.0),
        ("lse_square_scale", 0.01),
        ("entropy_penalty", 0.3),
        ("max_suppression", 0.2),
    ):
        plain = key != "max_suppression" or not keywords.keys() & {"weight", "prior", "matrix"}
        if (plain and sometimes()) or odd():
            keywords[key] = value
    keywords["reduction"] = draw(st.sampled_from(["mean", "mean", "sum", "none"]))
    if keywords["reduction"] == "mean" or odd():
        keywords["denominator"] = draw(st.sampled_from(["weights", "rows", 7.0]))
    keywords["empty"] = draw(st.sampled_from(["nan", "zero"]))
    return z, labels, keywords


def sizes(z: np.ndarray, parts: labelsmooth.Parts, keywords: dict[str, Any]) -> tuple[float, float]:
    """What a row's loss, and its gradient, are sums of at most: rounding is relative to that."""
    classes = z.shape[-1]
    finite = np.where(np.isfinite(z), z, 0.0) * keywords.get("scale", 1.0)
    span = float(np.ptp(finite)) + np.log(classes) + 1
    weight = float(np.max(keywords.get("weight", 1.0)))
    mass = 2 * (1 + classes)  # |a| + b of flip and additive
    mass *= max(weight, weight**2) if keywords.get("weighting") == "expected" else max(weight, 1)
    if keywords.get("weighting") == "expected":
        mass *= mass
    lse = float(np.nanmax(np.abs(parts.lse), initial=0.0, where=np.isfinite(parts.lse)))
    modifiers = 0.01 * (2 + lse) * lse + span
    row = float(np.max(keywords.get("row_weight", 1.0), initial=1.0))
    return row * (mass * span + modifiers), row * (mass + modifiers)


def assert_close(found: Any, expected: Any, tolerance: float, what: str) -> None:
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(expected, float), rtol=8 * EPSILON, atol=tolerance, err_msg=what
    )


@settings(max_examples=300, deadline=None, derandomize=True)
@pytest.mark.parametrize("framework", FRAMEWORKS)
@given(problem=problems())
def test_agrees_with_the_library(
    framework: str, problem: tuple[np.ndarray, np.ndarray, dict[str, Any]]
) -> None:
    xp, to, back = FRAMEWORKS[framework]
    z, labels, keywords = problem
    options, fields = of_face(labels, keywords)
    arrays = Arrays(**{key: to(value) for key, value in fields.items()})
    try:
        per_row = "hard_labels" in keywords or labels.dtype.kind != "f"
        loss, grad, parts = labelsmooth.cross_entropy(
            z, labels, **keywords, return_grad=True, return_parts=True
        )
    except labelsmooth.Error as refused:
        with pytest.raises(labelsmooth.Error) as ours:
            check(options, z.shape, arrays)
        assert str(ours.value) == str(refused)
        return
    check(options, z.shape, arrays)

    rows = formula.forward(xp, options, to(z), arrays)
    of_loss, of_gradient = (64 * EPSILON * size for size in sizes(z, parts, keywords))
    for name in ("loss", "nll", "lse", "confidence", "entropy", "argmax", "correct"):
        if name != "correct" or per_row:
            assert_close(back(getattr(rows, name)), getattr(parts, name), of_loss, name)
    by = float(back(rows.share).sum() if options.denominator == "weights" else back(rows.counts).sum())
    by = options.denominator_value if options.denominator == "constant" else by
    by = by if options.reduction == "mean" else 1.0
    reduced = back(formula.reduce(xp, options, rows.loss, rows.share, rows.counts))
    share = 1.0 if by == 0 else abs(by)
    slack = ROWS * of_loss / share * (1 + (np.nan_to_num(np.max(np.abs(loss)), posinf=0.0) / share))
    assert_close(reduced, loss, slack, "reduced")
    if by != 0:
        found = back(formula.gradient(xp, options, to(z), arrays, 1 / by))
        assert_close(found, grad, of_gradient / share * (1 + 1 / share), "gradient")


def torch_problem() -> tuple[Settings, torch.Tensor, Arrays]:
    """An ignored row of NaN, a row of weight 0 that holds one, and a class at -inf."""
    z = torch.tensor(np.random.default_rng(1).normal(size=(5, 4)) * 2)
    z[:, 3] = -torch.inf
    z[1], z[2, 0] = torch.nan, torch.nan
    options = Settings(
        label_smoothing=0.2, support="finite", softcap=5.0, entropy_penalty=0.1, lse_square_scale=0.1
    )
    labels = torch.tensor([0, -100, 1, 2, 0])
    return options, z, Arrays(labels=labels, row_weight=torch.tensor([1.0, 2.0, 0.0, 3.0, 0.5]).double())


@pytest.mark.parametrize("dense", [False, True])
def test_nothing_leaks_from_rows_that_do_not_count(dense: bool) -> None:
    options, z, arrays = torch_problem()
    if dense:
        targets = torch.full((5, 4), 0.25).double()
        targets[1] = torch.nan
        arrays = arrays._replace(targets=targets, prior=targets)
    z.requires_grad_()
    factor = torch.ones(5, dtype=torch.float64, requires_grad=True)
    dz = formula.gradient(torch, options, z, arrays, factor)
    assert torch.equal(dz[1:3], torch.zeros(2, 4)) and dz.isfinite().all()
    assert dense or not dz[:, 3].any()
    found = torch.autograd.grad((dz * torch.arange(20.0).reshape(5, 4)).sum(), (z, factor))
    assert all(one.isfinite().all() for one in found) and not found[0][1:3].any()


def test_the_gradient_is_the_derivative_and_has_one() -> None:
    options, z, arrays = torch_problem()
    rows = [0, 3, 4]
    arrays = Arrays(labels=arrays.labels[rows], row_weight=arrays.row_weight[rows])
    z = z[rows, :3].clone().requires_grad_()
    others = Settings(label_smoothing=0.3, rule="flip", scale=0.5, max_suppression=0.2)
    for one in (options, others):
        loss = formula.forward(torch, one, z, arrays).loss
        (by_autograd,) = torch.autograd.grad(loss.sum(), z)
        dz = partial(formula.gradient, torch, one, arrays=arrays, factor=1.0)
        assert_close(dz(logits=z).detach(), by_autograd, 64 * EPSILON, "gradient")
        assert torch.autograd.gradcheck(lambda z, dz=dz: dz(logits=z), z)


def test_a_factor_of_nan_does_not_reach_a_weight_of_0() -> None:
    options, z, arrays = torch_problem()
    z[2, 0] = 0.0
    dz = formula.gradient(torch, options, z, arrays, torch.nan)
    assert not dz[1:3].any() and dz[[0, 3, 4]].isnan().all()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_confident_rows_keep_their_digits(framework: str) -> None:
    """In float32 1 - p would be 0 from a gap of 17 on."""
    xp, to, back = FRAMEWORKS[framework]
    z = np.array([[60.0, 0.0], [20.0, 0.0], [0.0, 16.0]], np.float32)
    arrays = Arrays(labels=to(np.array([0, 0, 1])))
    exact = np.exp(-np.array([60.0, 20.0, 16.0])) / (1 + np.exp(-np.array([60.0, 20.0, 16.0])))
    loss = back(formula.forward(xp, Settings(), to(z), arrays).loss)
    grad = back(formula.gradient(xp, Settings(), to(z), arrays, 1.0))
    np.testing.assert_allclose(loss, np.log1p(exact / (1 - exact)), rtol=1e-6)
    np.testing.assert_allclose(grad, exact[:, None] * [[-1, 1], [-1, 1], [1, -1]], rtol=1e-6)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_halves_are_computed_in_float32(framework: str, dtype: str) -> None:
    xp, to, back = FRAMEWORKS[framework]
    half = formula._as(to(np.array([[1.0, 2.0, 3.0]])), getattr(xp, dtype))
    rows = formula.forward(xp, Settings(label_smoothing=0.1), half, Arrays(labels=to(np.array([2]))))
    assert rows.loss.dtype == xp.float32
    expected = labelsmooth.cross_entropy([[1.0, 2.0, 3.0]], [2], label_smoothing=0.1)
    np.testing.assert_allclose(back(rows.loss), expected, rtol=1e-6)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_rows_and_one_row_of_no_axis(framework: str) -> None:
    xp, to, back = FRAMEWORKS[framework]
    nothing = Arrays(labels=to(np.zeros(0, np.int64)))
    rows = formula.forward(xp, Settings(), to(np.zeros((0, 3))), nothing)
    mean = formula.reduce(xp, Settings(), rows.loss, rows.share, rows.counts)
    assert np.isnan(back(mean)) and tuple(rows.loss.shape) == (0,)
    one = formula.forward(xp, Settings(), to(np.array([1.0, 2.0])), Arrays(labels=to(np.array(1))))
    assert_close(back(one.loss), labelsmooth.cross_entropy([1.0, 2.0], 1), EPSILON, "loss")


def test_no_classes_are_refused() -> None:
    with pytest.raises(labelsmooth.Error, match="classes found, at least 1"):
        check(Settings(), (2, 0), Arrays(labels=np.zeros(2)))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_prior_outside_the_support_matters_only_to_what_is_smoothed(framework: str) -> None:
    xp, to, back = FRAMEWORKS[framework]
    z, y, amounts = np.array([[1.0, 2.0, -np.inf]] * 2), np.array([0, 1]), np.array([0.0, 0.5])
    keywords = {"label_smoothing": amounts, "prior": np.array([0.0, 0.0, 1.0]), "support": "finite"}
    expected = labelsmooth.cross_entropy(z, y, reduction="none", **keywords)
    options, fields = of_face(y, keywords | {"reduction": "none"})
    rows = formula.forward(xp, options, to(z), Arrays(**{key: to(value) for key, value in fields.items()}))
    assert_close(back(rows.loss), expected, 8 * EPSILON, "loss")
    assert np.isfinite(expected).tolist() == [True, False]
