# SPDX-License-Identifier: MIT
"""The loss in JAX: the library's numbers, under JAX's transformations, and optax's where optax has them."""

import doctest
import os
import subprocess
import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import labelsmooth
import labelsmooth.jax
from labelsmooth.jax import cross_entropy

jax.config.update("jax_enable_x64", True)
EPSILON = float(np.finfo(np.float64).eps)

ROWS, CLASSES = 4, 5
RNG = np.random.default_rng(7)
Z = RNG.normal(size=(ROWS, CLASSES)) * 2
Y = np.array([1, 0, -100, 4])
DENSE = RNG.dirichlet(np.ones(CLASSES), ROWS)
PRIORS = RNG.dirichlet(np.ones(CLASSES), CLASSES)
MASK = np.array([True, True, False, True, True])
SMOOTH: dict[str, Any] = {"label_smoothing": 0.2}

# For each keyword: what it is added to, its value, and the labels.
KEYWORDS: dict[str, tuple[dict[str, Any], Any, np.ndarray]] = {
    "label_smoothing": ({}, 0.2, Y),
    "label_smoothing of rows": ({}, np.array([0.0, 0.1, 0.5, 1.0]), Y),
    "rule": (SMOOTH, "others", Y),
    "rule flip": (SMOOTH, "flip", Y),
    "rule additive": (SMOOTH, "additive", Y),
    "prior": (SMOOTH, PRIORS[0], Y),
    "prior of rows": (SMOOTH, PRIORS[:ROWS], Y),
    "matrix": (SMOOTH, PRIORS, Y),
    "class_smoothing": ({}, np.linspace(0, 1, CLASSES), Y),
    "weight": (SMOOTH, np.arange(1.0, CLASSES + 1), Y),
    "weighting": (SMOOTH | {"weight": np.arange(1.0, CLASSES + 1)}, "label", Y),
    "weighting expected": (SMOOTH | {"weight": np.arange(1.0, CLASSES + 1)}, "expected", Y),
    "row_weight": (SMOOTH, np.array([1.0, 0.0, 2.0, 3.0]), Y),
    "ignore_index": (SMOOTH, 4, np.array([1, 0, 2, 4])),
    "mixed": (SMOOTH, (np.array([2, 2, -100, 0]), np.array([0.7, 0.2, 0.5, 1.0])), Y),
    "hard_labels": (SMOOTH, Y, DENSE),
    "support": (SMOOTH, "finite", Y),
    "mask": (SMOOTH | {"support": "finite"}, MASK, Y),
    "mask of rows": (SMOOTH | {"support": "finite"}, np.tile(MASK, (ROWS, 1)), Y),
    "padded_classes": (SMOOTH | {"ignore_index": 4}, 1, np.array([1, 0, 2, 4])),
    "scale": (SMOOTH, 0.5, Y),
    "softcap": (SMOOTH, 2.0, Y),
    "lse_square_scale": (SMOOTH, 0.1, Y),
    "entropy_penalty": (SMOOTH, 0.1, Y),
    "max_suppression": (SMOOTH, 0.1, Y),
    "reduction": (SMOOTH, "sum", Y),
    "reduction none": (SMOOTH, "none", Y),
    "denominator": (SMOOTH | {"weight": np.arange(1.0, CLASSES + 1)}, "rows", Y),
    "denominator constant": (SMOOTH, 16.0, Y),
    "empty": (SMOOTH, "zero", np.full(ROWS, -100)),
}


def total(z: Any, y: Any, **keywords: Any) -> Any:
    return jnp.sum(cross_entropy(z, y, **keywords))


def close(found: Any, expected: Any, rtol: float = 32 * EPSILON, atol: float = 64 * EPSILON) -> None:
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(expected, float), rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", KEYWORDS)
def test_every_keyword_is_the_librarys_and_matters(case: str) -> None:
    base, value, y = KEYWORDS[case]
    keywords = base | {case.split()[0]: value}
    z = Z.copy()
    if case == "support":
        z[0, 3] = -np.inf
    loss, grad, parts = labelsmooth.cross_entropy(z, y, **keywords, return_grad=True, return_parts=True)
    found, ours = cross_entropy(z, y, **keywords, return_parts=True)
    close(found, loss)
    for one, other in zip(ours, parts, strict=True):
        close(one, other)
    close(jax.jit(jax.grad(partial(total, y=y, **keywords)))(z), grad)
    assert not np.allclose(
        np.asarray(loss).sum(), np.asarray(cross_entropy(z, y, **base)).sum(), equal_nan=True
    ) or (case == "hard_labels" and parts.correct is not None)


def test_axis_is_where_the_classes_are() -> None:
    z, y = RNG.normal(size=(2, CLASSES, 3)), RNG.integers(0, CLASSES, (2, 3))
    prior, row_weight = np.moveaxis(RNG.dirichlet(np.ones(CLASSES), (2, 3)), -1, 1), RNG.random((2, 3))
    keywords: dict[str, Any] = {"label_smoothing": 0.2, "axis": 1, "prior": prior, "row_weight": row_weight}
    loss, grad = labelsmooth.cross_entropy(z, y, return_grad=True, **keywords)
    close(cross_entropy(z, y, **keywords), loss)
    close(jax.grad(partial(total, y=y, **keywords))(z), grad)


# ---- transformations ----


def test_derivatives_of_two_orders_in_both_modes() -> None:
    keywords = {
        "softcap": 3.0,
        "scale": 0.7,
        "lse_square_scale": 0.01,
        "entropy_penalty": 0.2,
        "rule": "flip",
    }
    f = jax.jit(partial(total, y=Y[:2], max_suppression=0.3, **SMOOTH, **keywords))
    check_grads(f, (Z[:2],), order=2, modes=("fwd", "rev"))


def test_hessian_is_that_of_softmax() -> None:
    z, p = Z[0], np.exp(Z[0]) / np.exp(Z[0]).sum()
    for second in (jax.hessian, lambda f: jax.jacrev(jax.jacfwd(f)), lambda f: jax.jacrev(jax.jacrev(f))):
        found = jax.jit(second(partial(cross_entropy, labels=1, label_smoothing=0.3)))(z)
        close(found, np.diag(p) - np.outer(p, p))


def test_arrays_have_derivatives() -> None:
    w, r, e = np.arange(1.0, CLASSES + 1), np.array([1.0, 0.5, 2.0, 3.0]), np.linspace(0.1, 0.9, CLASSES)

    def by_row(z: Any, w: Any, r: Any, e: Any, prior: Any) -> Any:
        return cross_entropy(z, Y, weight=w, row_weight=r, label_smoothing=e[:ROWS], prior=prior)

    def by_class(z: Any, w: Any, e: Any, matrix: Any) -> Any:
        return cross_entropy(z, Y, weight=w, class_smoothing=e, matrix=matrix)

    def dense(z: Any, targets: Any, prior: Any) -> Any:
        return cross_entropy(z, targets, prior=prior, **SMOOTH)

    def mixed(z: Any, mixing: Any) -> Any:
        return cross_entropy(z, np.array([1, 0, 2, 4]), mixed=(np.array([2, 2, 3, 0]), mixing))

    for f, arrays in (
        (by_row, (w, r, e, PRIORS[:ROWS])),
        (by_class, (w, e, PRIORS)),
        (dense, (DENSE, PRIORS[0])),
        (mixed, (np.full(ROWS, 0.3),)),
    ):
        check_grads(jax.jit(f), (Z, *arrays), order=1, modes=("fwd", "rev"))


def test_a_target_of_0_has_its_derivative() -> None:
    one_hot = np.eye(CLASSES)[[1, 0, 2, 4]]
    close(jax.grad(partial(total, Z, reduction="sum"))(one_hot), -jax.nn.log_softmax(Z))


def test_a_weight_of_0_has_its_derivative() -> None:
    """As learning to reweigh examples needs it, whose weights start at 0."""
    keywords = {"reduction": "sum", "label_smoothing": 0.2}
    losses = labelsmooth.cross_entropy(Z, Y, reduction="none", label_smoothing=0.2)
    _, grads = labelsmooth.cross_entropy(Z, Y, return_grad=True, **keywords)
    gradient = jax.grad(lambda z, r: cross_entropy(z, Y, row_weight=r, **keywords))
    close(jax.grad(lambda r: cross_entropy(Z, Y, row_weight=r, **keywords))(np.zeros(ROWS)), losses)
    close(jnp.einsum("nkn->nk", jax.jacobian(gradient, 1)(Z, np.zeros(ROWS))), grads)


def test_vmap_scan_and_traced_amounts() -> None:
    amounts = np.array([0.0, 0.1, 1.0])
    each = np.array([labelsmooth.cross_entropy(Z, Y, label_smoothing=e) for e in amounts])
    one = jax.jit(lambda e: cross_entropy(Z, Y, label_smoothing=e))
    close(jax.vmap(one)(amounts), each)
    close(jax.lax.scan(lambda carry, e: (carry, one(e)), 0, amounts)[1], each)
    _, grad = labelsmooth.cross_entropy(Z, Y, return_grad=True, reduction="sum", **SMOOTH)
    by_row = jax.jit(jax.vmap(jax.grad(lambda z, y: cross_entropy(z, y, empty="zero", **SMOOTH))))
    close(by_row(Z, Y), grad)
    steps = jax.lax.scan(
        lambda z, _: (z - jax.grad(partial(total, y=Y, **SMOOTH))(z), None), Z, None, length=3
    )[0]
    z = Z
    for _ in range(3):
        z = z - labelsmooth.cross_entropy(z, Y, return_grad=True, **SMOOTH)[1]
    close(steps, z)


def test_parts_are_auxiliary_and_constant() -> None:
    (loss, parts), grad = jax.jit(
        jax.value_and_grad(lambda z: cross_entropy(z, Y, return_parts=True), has_aux=True)
    )(Z)
    expected, by_library = labelsmooth.cross_entropy(Z, Y, return_grad=True)
    close(loss, expected)
    close(grad, by_library)
    assert isinstance(parts, labelsmooth.Parts)
    assert cross_entropy(Z, DENSE, return_parts=True)[1].correct is None
    assert not jax.grad(lambda z: cross_entropy(z, Y, return_parts=True)[1].lse.sum())(Z).any()


def test_a_traced_denominator_makes_micro_batches_the_batch() -> None:
    whole = jax.grad(partial(total, y=Y, **SMOOTH))(Z)
    part = jax.jit(jax.grad(lambda z, y, count: cross_entropy(z, y, denominator=count, **SMOOTH)))
    close(jnp.concatenate([part(Z[:2], Y[:2], 3.0), part(Z[2:], Y[2:], 3.0)]), whole)


SHARDED = """
import contextlib, sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from labelsmooth.jax import cross_entropy
assert jax.device_count() == 4
kind = AxisType[sys.argv[1]]
mesh = jax.make_mesh((2, 2), ("rows", "classes"), axis_types=(kind, kind))
z = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
y = np.array([0, 1, 2, 3, 4, 5, -100, 0], np.int32)
step = jax.jit(jax.value_and_grad(lambda z, y: cross_entropy(z, y, label_smoothing=0.1)))
loss, grad = (np.asarray(one) for one in step(z, y))
def local(z, y):
    count = jax.lax.psum(jnp.sum(y != -100), "rows").astype(float)
    loss, grad = jax.value_and_grad(lambda z: cross_entropy(z, y, label_smoothing=0.1, denominator=count))(z)
    return jax.lax.psum(loss, "rows"), grad
with jax.set_mesh(mesh) if kind == AxisType.Explicit else contextlib.nullcontext():
    for spec in (P("rows", None), P(None, "classes"), P("rows", "classes")):
        specs = (spec, P(spec[0]))
        there = [jax.device_put(one, NamedSharding(mesh, its)) for one, its in zip((z, y), specs)]
        found, slope = step(*there)
        assert abs(found - loss) < 1e-6 and np.abs(slope - grad).max() < 1e-6
        assert slope.sharding.is_equivalent_to(there[0].sharding, 2)
    there = [jax.device_put(one, NamedSharding(mesh, P("rows"))) for one in (z, y)]
    run = jax.shard_map(local, mesh=mesh, in_specs=(P("rows"), P("rows")), out_specs=(P(), P("rows")))
    found, slope = jax.jit(run)(*there)
    assert abs(found - loss) < 1e-6 and np.abs(slope - grad).max() < 1e-6
print("ok")
"""


@pytest.mark.parametrize("axes", ["Auto", "Explicit"])
def test_sharded_over_rows_and_classes(axes: str) -> None:
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", SHARDED, axes]
    done = subprocess.run(command, env=os.environ | flags, capture_output=True, text=True, check=False)
    assert done.stdout == "ok\n", done.stderr


# ---- types, and rows that are not numbers ----


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_halves_are_computed_in_float32_and_rounded_once(dtype: Any) -> None:
    z = jnp.asarray(RNG.normal(size=(3, 1000)) * 3, dtype)
    y = np.array([5, 999, 0])
    loss, grad = jax.value_and_grad(partial(cross_entropy, labels=y, label_smoothing=0.1))(z)
    expected, slope = labelsmooth.cross_entropy(
        np.asarray(z, np.float64), y, label_smoothing=0.1, return_grad=True
    )
    assert loss.dtype == jnp.float32 and grad.dtype == dtype
    close(loss, expected, rtol=1e-6)
    half_ulp = float(jnp.finfo(dtype).eps) / 2 if dtype != jnp.float32 else 0.0
    smallest = float(jnp.finfo(dtype).smallest_subnormal)
    close(grad, slope, rtol=half_ulp * 1.001 + 1e-6, atol=1e-6 * 1.1 / 3 + smallest)


def test_ignored_rows_have_no_gradient_whatever_they_hold() -> None:
    z = Z.copy()
    z[2] = [np.nan, np.inf, -np.inf, 0, 1e300]
    dense = DENSE.copy()
    dense[2] = np.nan
    for y, keywords in ((Y, {}), (Y, {"row_weight": np.ones(ROWS)}), (dense, {"hard_labels": Y})):
        f = partial(total, y=y, softcap=30.0, entropy_penalty=0.1, lse_square_scale=0.1, **SMOOTH, **keywords)
        assert not jax.grad(f)(z)[2].any()
        assert np.isfinite(jax.grad(f)(z)).all() and np.isfinite(jax.jit(jax.hessian(f))(z)).all()
    nothing = jax.grad(partial(total, y=np.full(ROWS, -100)))(z)
    assert not nothing.any()  # though the mean over nothing is NaN


def test_impossible_classes_and_zero_weights_have_no_gradient() -> None:
    z = Z.copy()
    z[:, 2] = -np.inf
    f = partial(total, y=Y, support="finite", entropy_penalty=0.1, **SMOOTH)
    assert not jax.grad(f)(z)[:, 2].any() and np.isfinite(jax.jit(jax.hessian(f))(z)).all()
    z[1] = np.nan
    weighed = jax.value_and_grad(partial(total, y=Y, row_weight=np.array([1.0, 0, 1, 1])))
    assert np.isfinite(weighed(z)[0]) and not weighed(z)[1][1].any()


def test_what_is_known_is_checked_and_what_is_traced_is_nan() -> None:
    wrong = np.array([1, 7, 0, 0])
    with pytest.raises(
        labelsmooth.Error, match=r"labels: row 1 has 7, 0 to 4 and the ignored -100 are allowed"
    ) as one:
        cross_entropy(Z, wrong)
    assert one.value.row == 1
    losses = jax.jit(partial(cross_entropy, reduction="none"))(Z, wrong)
    assert np.isnan(losses).tolist() == [False, True, False, False]
    gradient = jax.jit(jax.grad(partial(total, reduction="sum")))(Z, wrong)
    assert np.isnan(gradient).all(1).tolist() == [False, True, False, False]
    assert np.isnan(cross_entropy(Z, Y, label_smoothing=jnp.array(1.5)))
    assert cross_entropy(Z, Y, label_smoothing=np.array(0.1)) == cross_entropy(Z, Y, label_smoothing=0.1)
    assert cross_entropy(Z, Y, scale=jnp.array(0.5)) == cross_entropy(Z, Y, scale=0.5)
    amounts = jnp.array([0.0, -0.1, 0.1, 0.2])
    found = cross_entropy(Z, Y, label_smoothing=amounts, reduction="none")
    assert np.isnan(found).tolist() == [False, True, False, False]


def test_labels_of_any_integer_type() -> None:
    expected = cross_entropy(Z, np.array([1, 0, 2, 4]))
    for dtype in (np.int8, np.uint8, np.int16, np.uint32, np.int64, np.uint64):
        assert cross_entropy(Z, np.array([1, 0, 2, 4], dtype)) == expected
    with pytest.raises(labelsmooth.Error, match="row 2 has 156"):
        cross_entropy(Z, np.array([1, 0, 156, 4], np.uint8))
    assert cross_entropy(Z[:, :2], np.array([True, False, False, True])) == cross_entropy(
        Z[:, :2], [1, 0, 0, 1]
    )


# ---- refusals ----


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"label_smoothing": 1.5}, "label_smoothing: 1.5"),
        ({"label_smoothing": np.zeros(3)}, "label_smoothing: shape (3,) found, (4,) or () is needed"),
        ({"label_smoothing": 0.1, "class_smoothing": np.zeros(CLASSES)}, "one of"),
        ({"rule": "other"}, "rule: 'other' found"),
        ({"rule": "flip", "prior": PRIORS[0]}, "prior: only the rule uniform"),
        ({"prior": PRIORS[0], "matrix": PRIORS}, "matrix: is a prior too"),
        ({"weight": np.ones(4)}, "weight: shape (4,) found, (5,) is needed"),
        ({"row_weight": np.ones(CLASSES)}, "row_weight: shape"),
        ({"mask": MASK}, "mask: needs the support finite"),
        ({"mask": MASK[1:], "support": "finite"}, "mask: shape"),
        ({"weighting": "label", "support": "finite"}, "weighting: label needs the support all"),
        ({"max_suppression": 0.1, "weight": np.ones(CLASSES)}, "max_suppression: takes no class weights"),
        ({"denominator": "rows", "reduction": "sum"}, "denominator: only the reduction mean"),
        ({"denominator": jnp.ones(()), "reduction": "sum"}, "denominator: only the reduction mean"),
        ({"softcap": -1.0}, "softcap"),
        ({"scale": 0.0}, "scale: 0"),
        ({"axis": 2}, "axis: 2 found"),
        ({"ignore_index": 2**40}, "ignore_index: 1099511627776 found"),
        ({"padded_classes": 6}, "padded_classes: 6 found"),
        ({"hard_labels": Y}, "hard_labels: go with floating targets"),
        ({"mixed": (Y[:2], np.ones(ROWS))}, "mixed: shape"),
    ],
)
def test_refusals_name_the_argument(keywords: dict[str, Any], said: str) -> None:
    for call in (cross_entropy, jax.jit(partial(cross_entropy, **keywords))):
        with pytest.raises(labelsmooth.Error) as refused:
            call(Z, Y, **(keywords if call is cross_entropy else {}))
        assert said in str(refused.value)


def test_refuses_what_tracing_cannot_do() -> None:
    with pytest.raises(labelsmooth.Error, match="scale: a traced value"):
        jax.jit(lambda s: cross_entropy(Z, Y, scale=s))(2.0)
    with pytest.raises(labelsmooth.Error, match="empty: 'error' found where values are traced"):
        jax.jit(lambda y: cross_entropy(Z, y, empty="error"))(Y)
    with pytest.raises(labelsmooth.Error, match="labels: no row counts"):
        cross_entropy(Z, np.full(ROWS, -100), empty="error")
    with pytest.raises(labelsmooth.Error, match="labels: have type float64"):
        cross_entropy(Z, np.zeros(ROWS))
    with pytest.raises(labelsmooth.Error, match="logits: have type complex128"):
        cross_entropy(Z.astype(complex), Y)


def test_without_jax_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "try: import labelsmooth.jax\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "labelsmooth.jax needs JAX: pip install labelsmooth[jax]\n", done.stderr
    code = "import sys, labelsmooth; print('jax' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )


def test_docstring_holds() -> None:
    assert doctest.testmod(labelsmooth.jax).failed == 0


def test_several_class_axes_are_refused_with_the_recipe() -> None:
    with pytest.raises(labelsmooth.Error, match="axis: .*reshape"):
        cross_entropy(jnp.zeros((2, 3, 4)), jnp.zeros(2, jnp.int32), axis=(1, 2))
