# SPDX-License-Identifier: MIT
"""Side by side with other libraries on the same arrays: agreement where the definitions agree, and where a
peer is wrong, its number beside ours. A test of a defect fails when the peer mends it: then
docs/calibration.md is out of date."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from labelsmooth import CalibrationStats, Error, calibration_error, evaluate, reliability_curve

with warnings.catch_warnings():  # of their own imports
    warnings.simplefilter("ignore")
    import calibration as verified
    import relplot
    from netcal.metrics import ACE, ECE, MCE
    from relplot.metrics import binnedECE, smECE, smECE_sigma

CONFIDENCE = (np.arange(1000) + 0.5) / 1000
CORRECT = (7919 * np.arange(1000) % 1009 / 1009 < CONFIDENCE**2).astype(int)


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def drawn(rows: int = 3001, classes: int = 10) -> tuple[Any, Any]:
    """Logits and labels; confidences from 0.2 to 0.999, none on an edge, none twice."""
    rng = np.random.default_rng(0)
    z = 2 * rng.normal(size=(rows, classes))
    return z, np.where(rng.random(rows) < 0.6, z.argmax(1), rng.integers(0, classes, rows))


Z, Y = drawn()
P = softmax(Z)


def torch_error(y: Any, p: Any, n_bins: int = 15, norm: Any = "l1") -> float:
    target, preds = torch.as_tensor(y), torch.as_tensor(p)
    if preds.ndim == 1:
        return float(binary_calibration_error(preds, target, n_bins=n_bins, norm=norm))
    return float(multiclass_calibration_error(preds, target, preds.shape[1], n_bins=n_bins, norm=norm))


# ---- Agreement ----


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_torchmetrics(norm: Any) -> None:
    assert torch_error(CORRECT, CONFIDENCE, norm=norm) == pytest.approx(
        calibration_error(CORRECT, CONFIDENCE, norm=norm), abs=1e-14
    )
    found = torch_error(Y, P, norm=norm)  # of many classes: confidences and sums of 3001 in float32
    assert found == pytest.approx(calibration_error(Y, P, norm=norm), abs=2**-21)


def test_netcal() -> None:
    for y, p in ((CORRECT, CONFIDENCE), (Y, P)):
        assert ECE(15).measure(p, y) == pytest.approx(calibration_error(y, p), abs=1e-14)
        assert MCE(15).measure(p, y) == pytest.approx(calibration_error(y, p, norm="max"), abs=1e-14)
        curve = reliability_curve(y, p)  # its ACE is a mean over the bins, not over equal masses
        assert ACE(15).measure(p, y) == pytest.approx(
            np.abs(curve.confidence - curve.accuracy).mean(), abs=1e-14
        )
    # Quantiles by interpolation cut elsewhere than groups by rank: near, not equal.
    by_rank = calibration_error(Y, P, strategy="quantile")
    by_quantile = ECE(15, equal_intervals=False).measure(P, Y)
    assert 1e-6 < abs(by_quantile - by_rank) < 2e-3


def test_relplot() -> None:
    confidence, correct = relplot.multiclass_logits_to_confidences(Z, Y)
    assert binnedECE(CONFIDENCE, CORRECT, 15) == pytest.approx(0.167, abs=1e-14)
    assert binnedECE(confidence, correct, 15) == pytest.approx(
        calibration_error(Y, Z, logits=True), abs=1e-14
    )
    smooth = evaluate(Z, Y, bootstrap=1)["metrics"]["smece"]["value"]
    assert smECE(confidence, correct) == pytest.approx(smooth, abs=5e-4)  # of its 200 points
    assert smECE(CONFIDENCE, CORRECT, return_width=True) == pytest.approx(
        (0.167014314158, 0.16796875), abs=1e-11
    )
    assert smECE_sigma(CONFIDENCE, CORRECT, 0.05) == pytest.approx(0.166626182351, abs=1e-11)


def test_verified_calibration() -> None:
    for y, p in ((CORRECT, CONFIDENCE), (Y, P)):
        assert verified.get_ece(p, y) == pytest.approx(calibration_error(y, p, edges="right"), abs=1e-14)
        by_rank = calibration_error(y, p, strategy="quantile")
        assert verified.get_ece_em(p, y) == pytest.approx(by_rank, abs=1e-14)
        plugin = verified.lower_bound_scaling_ce(
            p, y, p=2, debias=False, num_bins=15, binning_scheme=verified.get_equal_bins, mode="top-label"
        )
        assert plugin == pytest.approx(calibration_error(y, p, strategy="quantile", norm="l2"), abs=1e-14)
    # (low, high] is its interval, at the edges themselves too.
    c, a = np.arange(11) / 10, np.array([0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0])
    assert verified.get_ece(c, a, num_bins=10) == pytest.approx(
        calibration_error(a, c, n_bins=10, edges="right"), abs=1e-14
    )
    debiased = verified.lower_bound_scaling_ce(P, Y, p=2, debias=True, num_bins=15, mode="top-label")
    found = evaluate(Z, Y, bootstrap=1)["metrics"]
    assert found["ece_debiased"]["value"] == pytest.approx(debiased**2, rel=1e-10)
    area, _ = verified.utils.get_selective_stats(P.max(1), P.argmax(1) == Y)
    assert found["aurc"]["value"] == pytest.approx(1 - area, rel=1e-12)


def test_scikit_learn() -> None:
    for a, c in ((CORRECT, CONFIDENCE), (P.argmax(1) == Y, P.max(1))):
        accuracy, confidence = calibration_curve(a, c, n_bins=15)
        curve = reliability_curve(a, c, edges="right")
        np.testing.assert_array_equal(curve.accuracy, accuracy)
        np.testing.assert_array_equal(curve.confidence, confidence)
    stats = CalibrationStats()
    stats.add(Z, Y)
    assert stats.nll == pytest.approx(log_loss(Y, P), rel=1e-13)
    assert stats.brier == pytest.approx(brier_score_loss(Y, P, scale_by_half=False), rel=1e-13)
    auroc = evaluate(Z, Y, bootstrap=1)["metrics"]["auroc"]["value"]
    assert auroc == pytest.approx(roc_auc_score(P.argmax(1) == Y, P.max(1)), rel=1e-12)


# ---- Defects ----

PHANTOM = np.array([1, 0]), np.array([0.95, 1.0])  # one bin: mean confidence 0.975, accuracy 0.5


def test_confidence_of_1_has_a_bin_of_its_own_in_torchmetrics_and_relplot() -> None:
    y, c = PHANTOM
    assert calibration_error(y, c, n_bins=10) == pytest.approx(0.475)
    assert verified.get_ece(c, y, num_bins=10) == pytest.approx(0.475)
    assert ECE(10).measure(c, y) == pytest.approx(0.475)
    assert torch_error(y, c, 10) == pytest.approx(0.525)
    assert binnedECE(c, y, 10) == pytest.approx(0.525)
    assert calibration_error(y, c, n_bins=10, norm="max") == pytest.approx(0.475)
    assert torch_error(y, c, 10, "max") == pytest.approx(1.0)


def test_torchmetrics_rounds_a_saturated_confidence_into_that_bin() -> None:
    y, z = np.array([1, 0]), np.array([[25.0, 0.0, 0.0], [3.2, 0.0, 0.0]])
    assert 0.92 < softmax(z).max(1)[1] < softmax(z).max(1)[0] < 1
    ours = calibration_error(y, z, n_bins=10, logits=True)
    assert ours == pytest.approx(0.462310, abs=1e-6)
    assert torch_error(y, z, 10) == torch_error(y, softmax(z), 10) == pytest.approx(0.537690, abs=1e-6)


def test_torchmetrics_takes_small_logits_for_probabilities() -> None:
    z, y = np.array([[0.9, 0.1, 0.2], [0.1, 0.8, 0.7]]), np.array([0, 1])
    assert calibration_error(y, z, logits=True) == pytest.approx(torch_error(y, softmax(z)), abs=1e-7)
    assert torch_error(y, z) == pytest.approx(0.15)
    with pytest.raises(Error, match="^y_prob: row 0 does not sum to 1"):
        calibration_error(y, z)


def test_netcal_guesses_that_two_labels_are_a_binary_problem() -> None:
    p = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8]])
    y = np.array([0, 1, 1, 1, 2])
    assert ECE(10).measure(p, y) == pytest.approx(calibration_error(y, p, n_bins=10))
    with pytest.raises(RuntimeError, match="binary classification"):
        ECE(10).measure(p[:4], y[:4])  # the same rows without the one of class 2
    assert calibration_error(y[:4], p[:4], n_bins=10) == pytest.approx((2 * 0.4 + 0.3 + 0.8) / 4)
    # Of two columns it silently takes the second: not the confidence of the prediction.
    p, y = np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([0, 0])
    assert calibration_error(y, p, n_bins=10) == pytest.approx(0.4)
    assert ECE(10).measure(p, y) == calibration_error(y, p[:, 1], n_bins=10) == pytest.approx(0.5)


def test_netcal_quantile_bins_fail_on_ties() -> None:
    c, y = np.append(np.linspace(0.5, 0.9, 50), np.ones(50)), np.arange(100) % 2
    with pytest.raises(ValueError, match="smallest edge difference"):
        ECE(10, equal_intervals=False).measure(c, y)
    assert 0 < calibration_error(y, c, n_bins=10, strategy="quantile") < 1


def test_an_edge_that_is_rounded_moves_a_confidence() -> None:
    """0.3 lies in [0.3, 0.4): linspace's edge is 0.30000000000000004, and 0.3 / 0.1 is 2.9999999999999996."""
    c, y = np.array([0.3, 0.25]), np.array([0, 1])
    assert calibration_error(y, c, n_bins=10) == pytest.approx((0.3 + 0.75) / 2)
    together = abs(0.275 - 0.5)
    assert ECE(10).measure(c, y) == pytest.approx(together)
    assert binnedECE(c, y, 10) == pytest.approx(together)
    assert verified.get_ece(c, y, num_bins=10) == pytest.approx(together)  # and rightly: (0.2, 0.3]
    assert calibration_error(y, c, n_bins=10, edges="right") == pytest.approx(together)


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_relplot_counts_a_confidence_of_0_or_1_by_half(end: float) -> None:
    """Half the rows at the end, calibrated; half at 1/2, off by 1/2: the error is 1/4."""
    c, y = np.append(np.full(500, end), np.full(500, 0.5)), np.full(1000, end)
    assert smECE(c, y) == pytest.approx(1 / 3, abs=5e-4)
    assert smECE(np.clip(c, 0.001, 0.999), y) == pytest.approx(1 / 4, abs=5e-4)
    if end == 1.0:
        p = np.stack([c, 1 - c], axis=1)
        ours = evaluate(p, np.zeros(1000, int), probs=True, bootstrap=1)["metrics"]["smece"]["value"]
        assert ours == pytest.approx(1 / 4, abs=5e-4)


def test_verified_calibration_asks_for_99_9_percent_where_90_are_meant() -> None:
    """alpha = 0.1 reaches a function of per cent: of 100 resamples, near the least and the greatest."""
    rows = slice(0, 400)

    def interval(**options: float) -> list[float]:
        np.random.seed(0)  # noqa: NPY002  # theirs
        found = verified.get_calibration_error_uncertainties(CONFIDENCE[rows], CORRECT[rows], p=1, **options)
        return [float(value) for value in found]

    default, ninety = interval(), interval(alpha=10.0)
    assert default == interval(alpha=0.1) and default[1] == ninety[1]
    assert (default[2] - default[0]) / (ninety[2] - ninety[0]) > 1.4  # of a normal distribution: 2


def test_groups_of_equal_size_cut_ties_in_the_order_of_rows() -> None:
    """Ours, as NumPy's array_split: not invariant where confidences tie. verified_calibration keeps ties."""
    c = np.append(np.full(7, 0.6), np.full(3, 0.8))
    y = np.array([1, 1, 1, 1, 0, 0, 0, 1, 0, 1])
    assert calibration_error(y, c, n_bins=5, strategy="quantile") == pytest.approx(0.38)
    other = np.array([1, 0, 1, 0, 1, 0, 1, 1, 0, 1])
    assert calibration_error(other, c, n_bins=5, strategy="quantile") != pytest.approx(0.38)
    assert verified.get_ece_em(c, y, num_bins=5) == pytest.approx(verified.get_ece_em(c, other, num_bins=5))
    assert verified.get_ece_em(c, y, num_bins=5) == pytest.approx(calibration_error(y, c, n_bins=5))
