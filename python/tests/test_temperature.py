# SPDX-License-Identifier: MIT
"""The temperature against SciPy and scikit-learn's own, what must hold at an optimum, and the estimator."""

import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from labelsmooth import Error, TemperatureScaler, calibration_error


def drawn(rows: int, classes: int, seed: int = 0, temperature: float = 2.0) -> tuple[Any, Any]:
    """Labels drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(seed)
    z = 3 * rng.normal(size=(rows, classes))
    return z, (z / temperature + rng.gumbel(size=z.shape)).argmax(1)


def nll(z: Any, y: Any, log_t: float) -> float:
    return float(-log_softmax(z / np.exp(log_t), axis=1)[np.arange(len(y)), y].mean())


@given(st.integers(0, 2**32), st.sampled_from([2, 3, 10]), st.sampled_from([0.5, 1.0, 3.0]))
def test_least_nll(seed: int, classes: int, temperature: float) -> None:
    z, y = drawn(300, classes, seed, temperature)
    scaler = TemperatureScaler().fit(z, y)
    if scaler.at_bound_:
        return
    # NLL is flat at its least: SciPy finds where to the root of epsilon only.
    best = minimize_scalar(lambda x: nll(z, y, x), bounds=(-3, 3), method="bounded", options={"xatol": 1e-10})
    assert np.log(scaler.temperature_) == pytest.approx(best.x, abs=1e-6)
    assert scaler.nll_after_ <= best.fun * (1 + 1e-14)
    assert scaler.nll_before_ == pytest.approx(nll(z, y, 0), rel=1e-13)
    p = scaler.predict_proba(z)
    assert -(p * np.log(p)).sum(1).mean() == pytest.approx(scaler.nll_after_, rel=1e-10)  # mean entropy
    twice = TemperatureScaler(least=0.1, most=40.0).fit(2 * z, y)
    assert twice.temperature_ == pytest.approx(2 * scaler.temperature_, rel=1e-12)


def test_interval_covers_as_it_says() -> None:
    fits = [TemperatureScaler().fit(*drawn(400, 5, seed, temperature=2.0)) for seed in range(300)]
    covered = sum(fit.low_ <= 2.0 <= fit.high_ for fit in fits)
    assert abs(covered - 285) < 3.5 * np.sqrt(300 * 0.95 * 0.05)
    assert all(fit.low_ < fit.temperature_ < fit.high_ for fit in fits)


def test_temperature_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 1500)
    x = np.eye(4)[y] + rng.normal(size=(1500, 4))
    model = LogisticRegression(C=1e6).fit(4 * x[:100], y[:100])
    peer = CalibratedClassifierCV(FrozenEstimator(model), method="temperature", ensemble=False)
    peer.fit(4 * x[100:800], y[100:800])
    beta = peer.calibrated_classifiers_[0].calibrators[0].beta_
    scaler = TemperatureScaler().fit(model.decision_function(4 * x[100:800]), y[100:800])
    assert 1 / scaler.temperature_ == pytest.approx(float(beta), rel=1e-7)
    z = model.decision_function(4 * x[800:])
    np.testing.assert_allclose(scaler.predict_proba(z), peer.predict_proba(4 * x[800:]), rtol=1e-6)
    before, after = (calibration_error(y[800:], q) for q in (softmax(z, axis=1), scaler.predict_proba(z)))
    assert after < before / 2


def test_two_classes_of_scikit_learn_are_twice_the_logits() -> None:
    """Its one decision value x stands for the logits (-x, x), whose difference is 2 x."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 600)
    x = y[:, None] + rng.normal(size=(600, 1))
    model = LogisticRegression(C=1e6).fit(x[:60], y[:60])
    peer = CalibratedClassifierCV(FrozenEstimator(model), method="temperature", ensemble=False)
    beta = peer.fit(x[60:], y[60:]).calibrated_classifiers_[0].calibrators[0].beta_
    decision = model.decision_function(x[60:])
    scaler = TemperatureScaler().fit(np.stack([0 * decision, decision], axis=1), y[60:])
    assert 1 / scaler.temperature_ == pytest.approx(2 * float(beta), rel=1e-7)


@pytest.mark.parametrize("right, bound", [(True, 0.05), (False, 20.0)])
def test_bounds(right: bool, bound: float) -> None:
    z, _ = drawn(100, 3)
    y = z.argmax(1) if right else z.argmin(1)
    scaler = TemperatureScaler().fit(z, y)
    assert scaler.at_bound_ and scaler.temperature_ == pytest.approx(bound) and np.isnan(scaler.low_)
    narrow = TemperatureScaler(least=0.5, most=2.0).fit(z, y)
    assert narrow.temperature_ == pytest.approx(0.5 if right else 2.0)


def test_ignored_rows_and_types() -> None:
    z, y = drawn(200, 6)
    some = np.where(np.arange(200) % 4 == 0, 255, y)
    spoilt = np.where(some[:, None] == 255, np.nan, z)
    expected = TemperatureScaler().fit(z[some != 255], y[some != 255])
    assert TemperatureScaler(ignore_index=255).fit(spoilt, some).temperature_ == expected.temperature_
    for dtype in (np.float32, np.float16, ml_dtypes.bfloat16):
        short = z.astype(dtype)
        wide = TemperatureScaler().fit(short.astype(np.float64), y)
        assert TemperatureScaler().fit(short, y).temperature_ == pytest.approx(wide.temperature_, rel=1e-12)
        assert wide.transform(short).dtype == dtype
    tensor = torch.tensor(z, dtype=torch.bfloat16)
    fitted = TemperatureScaler().fit(tensor, torch.tensor(y))
    assert fitted.temperature_ == TemperatureScaler().fit(tensor.double().numpy(), y).temperature_
    assert fitted.transform(tensor).dtype == torch.bfloat16
    integers = np.round(z).astype(int)
    whole = TemperatureScaler().fit(integers.tolist(), y.tolist())
    assert whole.temperature_ == TemperatureScaler().fit(integers.astype(float), y).temperature_


def test_transform_and_probabilities() -> None:
    z, y = drawn(60, 5)
    scaler = TemperatureScaler().fit(z, y)
    np.testing.assert_array_equal(scaler.transform(z), z / scaler.temperature_)
    hard = np.concatenate([z, 1e4 * z, np.where(z == z.min(1, keepdims=True), -np.inf, z), 0 * z])
    expected = softmax(hard / scaler.temperature_, axis=1)
    np.testing.assert_allclose(scaler.predict_proba(hard), expected, rtol=1e-12, atol=1e-300)
    shaped = scaler.predict_proba(hard.reshape(12, 20, 5))
    np.testing.assert_array_equal(shaped.reshape(-1, 5), scaler.predict_proba(hard))


def test_estimator() -> None:
    z, y = drawn(120, 3)
    scaler = TemperatureScaler(least=0.1, most=10.0, ignore_index=None)
    assert clone(scaler).get_params() == {"least": 0.1, "most": 10.0, "ignore_index": None}
    assert scaler.set_params(most=30.0) is scaler and scaler.most == 30.0
    with pytest.raises(Error, match="^leats: no parameter"):
        scaler.set_params(leats=1)
    with pytest.raises(AttributeError, match="temperature_"):
        scaler.transform(z)
    check_is_fitted(scaler.fit(z, y))
    assert pickle.loads(pickle.dumps(scaler)).temperature_ == scaler.temperature_
    halved = FunctionTransformer(lambda rows: rows / 2)
    last = Pipeline([("halve", halved), ("scale", TemperatureScaler())]).fit(z, y)
    np.testing.assert_allclose(last.predict_proba(z), TemperatureScaler().fit(z, y).predict_proba(z))
    first = Pipeline([("scale", TemperatureScaler()), ("softmax", FunctionTransformer(softmax))]).fit(z, y)
    assert first.transform(z).sum() == pytest.approx(1)
    assert first.set_params(scale__most=5.0).named_steps["scale"].most == 5.0


@pytest.mark.parametrize(
    "z, y, options, message",
    [
        ([[0.0, np.nan]], [0], {}, "logits: row 0 "),
        ([[0.0, 1.0], [0.0, -np.inf]], [0, 1], {}, "logits: row 1 has -inf for its label"),
        ([[0.0, 1.0]], [2], {}, "labels: "),
        ([[0.0, 1.0]], [-100], {}, "labels: no row counts"),
        ([[0.0, 1.0]], [[0]], {}, "labels: another shape"),
        ([[0.0, 1.0]], [0], {"least": 2.0, "most": 1.0}, "least: "),
        ([[0.0, 1.0]], [0], {"least": 0.0}, "least: "),
    ],
)
def test_refused(z: Any, y: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(Error, match="^" + message):
        TemperatureScaler(**options).fit(z, y)
