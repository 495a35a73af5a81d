# SPDX-License-Identifier: MIT
"""evaluate and compare: every argument reaches the program, and complaints come back under its name."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from labelsmooth import CalibrationStats, Error, TemperatureScaler, calibration_error, compare, evaluate


def drawn(rows: int = 300, classes: int = 4, seed: int = 0, scale: float = 1.0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    y = np.random.default_rng(99).integers(0, classes, rows)
    return scale * (rng.normal(size=(rows, classes)) + 2 * np.eye(classes)[y]), y


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def value(found: dict[str, Any], name: str) -> float:
    return float(found["metrics"][name]["value"])


def test_evaluate_counts_as_the_library_does() -> None:
    z, y = drawn()
    found = evaluate(z, y, bootstrap=20)
    stats = CalibrationStats()
    stats.add(z, y)
    for name, expected in {
        "accuracy": stats.accuracy,
        "nll": stats.nll,
        "brier": stats.brier,
        "gap": stats.gap,
        "ece": stats.ece(),
        "mce": stats.max_error(),
        "rmsce": stats.rms_error(),
        "ece_equal_mass": calibration_error(y, z, logits=True, strategy="quantile"),
    }.items():
        assert value(found, name) == pytest.approx(expected, rel=1e-12)
    assert found["command"].startswith("labelsmooth evaluate logits.npy labels.npy")  # no path


def test_every_argument_of_evaluate(tmp_path: Path) -> None:
    z, y = drawn()
    p = softmax(z)
    p[:40] = [0.6, 0.2, 0.1, 0.1]  # on an edge
    for n_bins in (5, 7):
        for edges in ("left", "right"):
            found = evaluate(p, y, probs=True, bins=n_bins, edges=edges, bootstrap=1)
            assert value(found, "ece") == pytest.approx(
                calibration_error(y, p, n_bins=n_bins, edges=edges), rel=1e-12
            )
            assert value(found, "ece_equal_mass") == pytest.approx(
                calibration_error(y, p, n_bins=n_bins, strategy="quantile"), rel=1e-12
            )
    some = np.where(np.arange(300) < 100, 7, y)
    assert evaluate(z, some, ignore_index=7, bootstrap=1)["counted"] == 200
    assert evaluate(z.T, y, axis=0, bootstrap=1)["metrics"] == evaluate(z, y, bootstrap=1)["metrics"]
    nulls = [evaluate(z, y, bootstrap=50, seed=seed)["metrics"]["ece"]["null_mean"] for seed in (1, 1, 2)]
    assert nulls[0] == nulls[1] != nulls[2]
    evaluate(z, y, bootstrap=1, report=tmp_path / "page.html")
    assert "</html>" in (tmp_path / "page.html").read_text()
    assert str(tmp_path) not in (tmp_path / "page.html").read_text()


def test_fixture_of_many_classes() -> None:
    """Confidences from 0.0005 on as the largest of 2100 probabilities; values by other libraries."""
    i = np.arange(1000)
    c = (i + 0.5) / 1000
    y = (7919 * i % 1009 / 1009 >= c**2).astype(int)  # class 0, the predicted one, where it is right
    p = np.repeat((1 - c)[:, None] / 2099, 2100, axis=1)
    p[:, 0] = c
    found = evaluate(p, y, probs=True, bootstrap=1)
    for name, expected in {
        "accuracy": 0.333,
        "confidence": 0.5,
        "ece": 0.167,
        "mce": 0.257575757576,
        "rmsce": 0.184636598943,
        "ece_equal_mass": 0.167,
        "ece_debiased": 0.0321831825583,
        "ks": 0.167648,
        "aurc": 0.386957512546,
        "eaurc": 0.0857952937833,
    }.items():
        assert value(found, name) == pytest.approx(expected, abs=2e-12), name
    assert value(found, "smece") == pytest.approx(0.167, abs=1e-4)
    stats = CalibrationStats()
    stats.add(np.log(p), y)
    assert stats.ece() == pytest.approx(0.167, abs=1e-12)
    assert stats.max_error() == pytest.approx(0.257575757576, abs=1e-12)
    assert stats.rms_error() == pytest.approx(0.184636598943, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_evaluate_reads_every_floating_type(dtype: Any) -> None:
    z, y = drawn()
    short = z.astype(dtype)
    found = evaluate(short, y, bootstrap=1)
    assert value(found, "nll") == pytest.approx(
        value(evaluate(short.astype(np.float64), y, bootstrap=1), "nll"), rel=1e-12
    )


@pytest.mark.parametrize(
    "change, argument",
    [
        ({"labels": [5] * 300}, "labels"),
        ({"labels": [0]}, "labels"),
        ({"labels": [0.5] * 300}, "labels"),
        ({"logits": [["a"]]}, "logits"),
        ({"logits": [[None]]}, "logits"),
        ({"logits": np.full((300, 4), np.nan)}, "logits"),
        ({"probs": True}, "logits"),
        ({"bins": 0}, "bins"),
        ({"edges": "both"}, "edges"),
        ({"bootstrap": 0}, "bootstrap"),
        ({"seed": -1}, "seed"),
    ],
)
def test_evaluate_refuses(change: dict[str, Any], argument: str) -> None:
    z, y = drawn()
    with pytest.raises(Error) as caught:
        evaluate(**{"logits": z, "labels": y, **change})
    assert caught.value.argument == argument and caught.value.found


def test_report_that_cannot_be_written(tmp_path: Path) -> None:
    z, y = drawn()
    with pytest.raises(Error, match="no_folder"):
        evaluate(z, y, bootstrap=1, report=tmp_path / "no_folder" / "page.html")
    assert not list(tmp_path.iterdir())


def difference(found: dict[str, Any], metric: str) -> Any:
    (one,) = [one for one in found["differences"] if one["metric"] == metric and not one.get("group")]
    return one


def test_compare_one_run_a_model() -> None:
    (a, y), (b, _) = drawn(), drawn(seed=1, scale=0.5)
    found = compare({"a": a, "b b": b}, y, bootstrap=200)
    assert [model["name"] for model in found["models"]] == ["a", "b b"] and found["baseline"] == "a"
    nll = difference(found, "nll")
    assert nll["difference"] == pytest.approx(calibration_nll(b, y) - calibration_nll(a, y), abs=1e-8)
    assert all("/" not in word for word in found.get("command", "").split())


def calibration_nll(z: Any, y: Any) -> float:
    stats = CalibrationStats()
    stats.add(z, y)
    return float(stats.nll)


def test_every_argument_of_compare(tmp_path: Path) -> None:
    (a, y), (b, _), (c, _), (d, _) = (drawn(seed=seed, scale=1 + seed) for seed in range(4))
    several = compare({"a": [a, b], "c": (c, d)}, y)
    means = [np.mean([calibration_nll(z, y) for z in runs]) for runs in ((c, d), (a, b))]
    assert difference(several, "nll")["difference"] == pytest.approx(means[0] - means[1], abs=1e-8)

    fitted = compare({"a": a, "b": b}, y, fit={"b": d, "a": c}, fit_labels=y, bootstrap=200)
    found = {model["name"]: model["calibrated"] for model in fitted["models"]}
    for name, rows, fit in (("a", a, c), ("b", b, d)):
        t = TemperatureScaler().fit(fit, y).temperature_
        nll = found[name]["nll"]
        nll = nll["value"] if isinstance(nll, dict) else nll
        assert nll == pytest.approx(calibration_nll(rows / t, y), rel=1e-6)

    some = np.where(np.arange(300) < 100, 7, y)
    ignored = compare({"a": a, "b": b}, some, ignore_index=7, bootstrap=200)
    assert difference(ignored, "nll")["difference"] == pytest.approx(
        calibration_nll(b[100:], y[100:]) - calibration_nll(a[100:], y[100:]), abs=1e-8
    )
    probs = compare({"a": softmax(a), "b": softmax(b)}, y, probs=True, bootstrap=200)
    plain = compare({"a": a, "b": b}, y, bootstrap=200)
    for metric in ("nll", "accuracy"):
        assert difference(probs, metric)["difference"] == pytest.approx(
            difference(plain, metric)["difference"], abs=1e-8
        )
    seeds = [
        difference(compare({"a": a, "b": b}, y, bootstrap=200, seed=seed), "nll")["low"] for seed in (0, 0, 5)
    ]
    assert seeds[0] == seeds[1] != seeds[2]
    assert (
        difference(plain, "nll")["low"]
        != difference(compare({"a": a, "b": b}, y, bootstrap=300), "nll")["low"]
    )
    for groups in (np.arange(300) % 2, np.where(np.arange(300) % 2, "odd", "even, they say")):
        by_group = compare({"a": a, "b": b}, y, groups=groups, bootstrap=200)
        assert len(by_group["groups"]) == 2
    compare({"a": a, "b": b}, y, bootstrap=200, report=tmp_path / "page.html")
    assert "</html>" in (tmp_path / "page.html").read_text()


Z, Y = drawn()


@pytest.mark.parametrize(
    "arguments, argument",
    [
        ({"models": {"a": Z}}, "models"),
        ({"models": {"a": Z, "b": np.hstack([Z, Z])}}, "models['b']"),
        ({"models": {"a": Z, "b": np.full_like(Z, np.nan)}}, "models['b']"),
        ({"models": {"a": Z, "b": Z[:5]}}, "models['b']"),
        ({"models": {"a": Z, "b=c": Z}}, "models"),
        ({"models": {"a": Z, "--json": Z}}, "models"),
        ({"models": {"a": Z, "b": Z}, "labels": Y + 1}, "labels"),
        ({"models": {"a": Z, "b": Z}, "fit": {"a": Z, "b": Z}}, "fit"),
        ({"models": {"a": Z, "b": Z}, "fit": {"a": Z}, "fit_labels": Y}, "fit"),
        ({"models": {"a": Z, "b": Z}, "fit": {"a": Z, "b": Z}, "fit_labels": Y[:9]}, "fit['a']"),
        ({"models": {"a": Z, "b": Z}, "groups": Y[:9]}, "groups"),
        ({"models": {"a": Z, "b": Z}, "bootstrap": 1}, "bootstrap"),
    ],
)
def test_compare_refuses(arguments: dict[str, Any], argument: str) -> None:
    with pytest.raises(Error) as caught:
        compare(**{"labels": Y, **arguments})
    assert caught.value.argument == argument and caught.value.found
