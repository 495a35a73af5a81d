# SPDX-License-Identifier: MIT
"""Calibration errors against loops over the definition, statistics that add up, and what is refused."""

import doctest
import pickle
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

import labelsmooth
from labelsmooth import CalibrationStats, Error, calibration_error, reliability_curve

EPS = np.finfo(np.float64).eps
# c_i = (i + 1/2) / 1000 and a_i = [((7919 i) mod 1009) / 1009 < c_i^2]: no ties, no value on an edge.
F1_CONFIDENCE = (np.arange(1000) + 0.5) / 1000
F1_CORRECT = (7919 * np.arange(1000) % 1009 / 1009 < F1_CONFIDENCE**2).astype(int)


def bin_by_search(c: float, n_bins: int, edges: str) -> int:
    for b in range(n_bins):
        last, low, high = b == n_bins - 1, b / n_bins, (b + 1) / n_bins
        if edges == "left" and low <= c and (c < high or last):
            return b
        if edges == "right" and (low < c or b == 0) and (c <= high or last):
            return b
    raise AssertionError(c)


def groups_of(c: Any, n_bins: int, strategy: str, edges: str) -> list[list[int]]:
    """Rows of each bin that has some."""
    if strategy == "uniform":
        bins = defaultdict(list)
        for row, value in enumerate(c):
            bins[bin_by_search(value, n_bins, edges)].append(row)
        return [bins[b] for b in sorted(bins)]
    order = sorted(range(len(c)), key=lambda row: (c[row], row))
    groups, begin = [], 0
    for b in range(n_bins):
        size = len(c) // n_bins + (b < len(c) % n_bins)
        groups.append(order[begin : begin + size])
        begin += size
    return [rows for rows in groups if rows]


def reference_error(c: Any, a: Any, groups: list[list[int]], norm: str) -> float:
    gaps = [abs(sum(c[row] - a[row] for row in rows)) / len(rows) for rows in groups]
    shares = [len(rows) / len(c) for rows in groups]
    if norm == "max":
        return max(gaps)
    power = {"l1": 1, "l2": 2}[norm]
    return float(sum(s * g**power for s, g in zip(shares, gaps, strict=True)) ** (1 / power))


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def drawn(rows: int, classes: int, seed: int = 0) -> tuple[Any, Any]:
    """Logits, and labels that are the largest's more often than not."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.normal(size=(rows, classes))
    return z, np.where(rng.random(rows) < 0.6, z.argmax(1), rng.integers(0, classes, rows))


@pytest.mark.parametrize(
    "options, value",
    [
        ({}, 0.167),
        ({"edges": "right"}, 0.167),
        ({"norm": "max"}, 0.257575757576),
        ({"norm": "l2"}, 0.184636598943),
        ({"strategy": "quantile"}, 0.167),
        ({"strategy": "quantile", "norm": "l2"}, 0.184929571449),
    ],
)
def test_fixture(options: dict[str, Any], value: float) -> None:
    assert calibration_error(F1_CORRECT, F1_CONFIDENCE, **options) == pytest.approx(value, abs=1e-12)


# Ties, both ends, and every edge of 10 and 15 bins with its neighbours.
CONFIDENCES = st.one_of(
    st.sampled_from([0.0, 1.0, 0.3, 0.6, 0.7, np.nextafter(0.3, 1), np.nextafter(1, 0), 5e-324, 0.5]),
    st.integers(0, 15).map(lambda i: i / 15),
    st.floats(0, 1),
)


@given(
    st.lists(st.tuples(CONFIDENCES, st.booleans()), min_size=1, max_size=40),
    st.sampled_from([1, 2, 7, 10, 15, 49]),
    st.sampled_from(["uniform", "quantile"]),
    st.sampled_from(["left", "right"]),
    st.sampled_from(["l1", "l2", "max"]),
)
def test_definition(
    pairs: list[tuple[float, bool]], n_bins: int, strategy: Any, edges: Any, norm: Any
) -> None:
    c, a = np.array([p for p, _ in pairs]), np.array([y for _, y in pairs])
    groups = groups_of(c, n_bins, strategy, edges)
    options = {"n_bins": n_bins, "strategy": strategy, "edges": edges}
    curve = reliability_curve(a, c, **options)
    assert curve.count.tolist() == [len(rows) for rows in groups]
    assert curve.accuracy.tolist() == [a[rows].sum() / len(rows) for rows in groups]
    np.testing.assert_allclose(curve.confidence, [c[rows].mean() for rows in groups], rtol=40 * EPS)
    assert all(low <= c[rows].min() for low, rows in zip(curve.low, groups, strict=True))
    assert all(c[rows].max() <= high for high, rows in zip(curve.high, groups, strict=True))
    if strategy == "uniform":
        np.testing.assert_allclose(curve.high - curve.low, 1 / n_bins, rtol=1e-13)
    expected = reference_error(c, a, groups, norm)
    assert calibration_error(a, c, norm=norm, **options) == pytest.approx(expected, abs=100 * EPS)


@given(st.integers(0, 2**32), st.sampled_from([2, 3, 10]), st.sampled_from([10, 12, 15, 20]))
def test_three_ways_agree(seed: int, classes: int, n_bins: int) -> None:
    """From logits, from probabilities, and from the library's statistics."""
    z, y = drawn(60, classes, seed)
    stats = CalibrationStats()
    stats.add(z, y)
    for norm, value in (("l1", stats.ece), ("l2", stats.rms_error), ("max", stats.max_error)):
        found = calibration_error(y, z, n_bins=n_bins, norm=norm, logits=True)  # type: ignore[arg-type]
        assert value(n_bins) == pytest.approx(found, abs=100 * EPS)
        assert calibration_error(y, softmax(z), n_bins=n_bins, norm=norm) == pytest.approx(found, abs=1e-14)  # type: ignore[arg-type]
    curve = reliability_curve(y, z, n_bins=n_bins, logits=True)
    filled = [one for one in stats.reliability(n_bins) if one.count]
    for name in ("count", "low", "high", "confidence", "accuracy"):
        np.testing.assert_allclose(
            getattr(curve, name), [getattr(one, name) for one in filled], rtol=60 * EPS
        )


def test_curve_is_scikit_learns_with_right_edges() -> None:
    rng = np.random.default_rng(0)
    c = np.concatenate([rng.random(500), np.arange(16) / 15, np.full(20, 0.2)])
    a = (rng.random(c.size) < c).astype(int)
    accuracy, confidence = calibration_curve(a, c, n_bins=15)
    curve = reliability_curve(a, c, edges="right")
    np.testing.assert_array_equal(curve.accuracy, accuracy)
    np.testing.assert_array_equal(curve.confidence, confidence)
    assert np.any(reliability_curve(a, c).confidence != confidence)


def test_ignored_rows() -> None:
    z, y = drawn(50, 4)
    for marker in (-100, 255):
        some = np.where(np.arange(50) % 3 == 0, marker, y)
        kept = some != marker
        spoilt = np.where(kept[:, None], z, np.nan)
        for rows, logits in ((spoilt, True), (np.where(kept[:, None], softmax(z), 7.0), False)):
            found = calibration_error(some, rows, logits=logits, ignore_index=marker)
            assert found == calibration_error(y[kept], rows[kept], logits=logits)
        stats, expected = CalibrationStats(), CalibrationStats()
        stats.add(spoilt, some, ignore_index=marker)
        expected.add(z[kept], y[kept])
        assert stats.to_bytes() == expected.to_bytes()
    with pytest.raises(Error, match=r"^y_true: row 0 has no label from 0 to 3$"):
        calibration_error(np.full(50, -100), softmax(z), ignore_index=None)


P = np.full((3, 4), 0.25)


@pytest.mark.parametrize(
    "y, p, options, argument, row",
    [
        ([0, 1, 4], P, {}, "y_true", 2),
        ([0, -1, 0], P, {}, "y_true", 1),
        ([0.0, 1.0, 2.0], P, {}, "y_true", -1),
        ([0, 1], P, {}, "y_true", -1),
        ([-100] * 3, P, {}, "y_true", -1),
        (np.zeros(0, int), P[:0], {}, "y_true", -1),
        (np.zeros(0, int), P[:0], {"logits": True}, "y_true", -1),
        (np.zeros(0, int), np.zeros(0), {}, "y_true", -1),
        ([0, 1, 2], P * [[1], [1.001], [1]], {}, "y_prob", 1),
        ([0, 1, 2], P + [[0, 0, 0, 0], [0, 0, 0, 0], [1, -1, 0, 0]], {}, "y_prob", 2),
        ([0, 1, 2], P * [[np.nan], [1], [1]], {}, "y_prob", 0),
        ([0, 1, 2], P * [[np.nan], [1], [1]], {"logits": True}, "y_prob", 0),
        ([0, 1, 2], P - [[0], [np.inf], [0]], {"logits": True}, "y_prob", 1),
        ([0, 1, 2], [0.5, 0.5, 0.5], {}, "y_true", 2),
        ([0, 1, 1], [0.5, 1.5, 0.5], {}, "y_prob", 1),
        ([0, 1, 1], [0.5, 0.5, 0.5], {"logits": True}, "y_prob", -1),
        (np.eye(3, 4, dtype=int), P, {}, "y_true", -1),
        (1, 0.5, {}, "y_true", -1),
        ([0, 1, 2], P, {"n_bins": 0}, "n_bins", -1),
        ([0, 1, 2], P, {"norm": "l3"}, "norm", -1),
        ([0, 1, 2], P, {"strategy": "kmeans"}, "strategy", -1),
        ([0, 1, 2], P, {"edges": "both"}, "edges", -1),
    ],
)
def test_refused(y: Any, p: Any, options: dict[str, Any], argument: str, row: int) -> None:
    with pytest.raises(Error) as caught:
        calibration_error(y, p, **options)
    assert (caught.value.argument, caught.value.row) == (argument, row)


def test_labels_of_any_integer_type_and_shape() -> None:
    z, y = drawn(60, 4)
    expected = calibration_error(y, z, logits=True)
    for labels in (y.astype(np.uint8), y.tolist(), y.astype(np.uint64)):
        assert calibration_error(labels, z, logits=True) == expected
    assert calibration_error(y.reshape(3, 20), z.reshape(3, 20, 4), logits=True) == expected
    assert calibration_error(y == 1, softmax(z)[:, 1]) == calibration_error(
        (y == 1).astype(int), softmax(z)[:, 1]
    )


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
def test_sums_may_round_as_their_type_does(dtype: Any) -> None:
    z, y = drawn(500, 100)
    assert 0 < calibration_error(y, softmax(z).astype(dtype)) < 1
    with pytest.raises(Error, match="does not sum to 1"):
        calibration_error(y, (softmax(z) * 1.02).astype(dtype))


# ---- CalibrationStats ----


def test_means_and_their_errors() -> None:
    z, y = drawn(400, 5)
    stats = CalibrationStats()
    stats.add(z, y, scale=0.8)
    p = softmax(0.8 * z)
    correct = p.argmax(1) == y
    columns = {
        "nll": -np.log(p[np.arange(400), y]),
        "brier": ((p - np.eye(5)[y]) ** 2).sum(1),
        "gap": p.max(1) - correct,
    }
    assert stats.counted == 400 and stats.accuracy == correct.mean()
    assert stats.confidence == pytest.approx(p.max(1).mean(), rel=1e-14)
    assert stats.entropy == pytest.approx(-(p * np.log(p)).sum(1).mean(), rel=1e-14)
    for name, values in columns.items():
        assert getattr(stats, name) == pytest.approx(values.mean(), rel=1e-13)
        assert getattr(stats, name + "_error") == pytest.approx(values.std(ddof=1) / 20, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_any_floating_array_as_it_lies(dtype: Any) -> None:
    z, y = drawn(30, 7)
    z = z.astype(dtype)
    expected = CalibrationStats()
    expected.add(z.astype(np.float64), y)
    wide = np.zeros((60, 14), dtype)
    wide[::2, ::2] = z
    for rows, labels in (
        (z, y.astype(np.uint8)),
        (np.asfortranarray(z), y),
        (wide[::2, ::2], y),
        (z.reshape(5, 6, 7), y.reshape(5, 6)),
    ):
        stats = CalibrationStats()
        stats.add(rows, labels)
        assert stats.to_bytes() == expected.to_bytes()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_tensors(dtype: torch.dtype) -> None:
    z, y = drawn(30, 7)
    tensor, labels = torch.tensor(z).to(dtype), torch.tensor(y)
    stats, expected = CalibrationStats(), CalibrationStats()
    stats.add(tensor, labels)
    expected.add(tensor.double().numpy(), y)
    assert stats.to_bytes() == expected.to_bytes()
    summed = CalibrationStats.from_flat(torch.from_numpy(stats.flat()) * 2)
    assert summed.counted == 60


@given(st.integers(0, 2**32), st.lists(st.integers(0, 200), max_size=4))
def test_merged_shards_are_the_whole(seed: int, cuts: list[int]) -> None:
    z, y = drawn(200, 3, seed)
    whole = CalibrationStats()
    whole.add(z, y)
    shards, merged, added = [], CalibrationStats(), CalibrationStats()
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 200], strict=True):
        shards.append(CalibrationStats())
        shards[-1].add(z[begin:end], y[begin:end])
        added.add(z[begin:end], y[begin:end])
    for shard in reversed(shards):
        merged.merge(pickle.loads(pickle.dumps(shard)))
    summed = CalibrationStats.from_flat(np.sum([shard.flat() for shard in shards], axis=0))
    counts = 2 * 3840
    for one in (merged, added, summed):
        np.testing.assert_array_equal(one.flat()[:counts], whole.flat()[:counts])
        assert (one.counted, one.accuracy) == (whole.counted, whole.accuracy)
        np.testing.assert_allclose(one.flat(), whole.flat(), rtol=200 * EPS, atol=200 * EPS)
    assert CalibrationStats.from_bytes(whole.to_bytes()).to_bytes() == whole.to_bytes()


def test_threads_share_one() -> None:
    z, y = drawn(4, 10)
    shared, once = CalibrationStats(), CalibrationStats()
    once.add(z, y)
    threads = [threading.Thread(target=lambda: [shared.add(z, y) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(shared.flat()[:7680], 8000 * once.flat()[:7680])
    assert shared.nll == pytest.approx(once.nll, rel=1e-12)


WORKER = """
import sys, numpy as np, torch, torch.distributed as dist, labelsmooth
rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
z, y = np.load(folder + "/z.npy"), np.load(folder + "/y.npy")
stats = labelsmooth.CalibrationStats()
stats.add(torch.from_numpy(z[rank::2]), torch.from_numpy(y[rank::2].copy()))
flat = torch.from_numpy(stats.flat())
dist.all_reduce(flat)
print(labelsmooth.CalibrationStats.from_flat(flat).ece())
"""


def test_all_reduce_over_two_processes(tmp_path: Path) -> None:
    z, y = drawn(501, 4)
    np.save(tmp_path / "z.npy", z)
    np.save(tmp_path / "y.npy", y)
    command = [sys.executable, "-c", WORKER]
    ranks = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for process in ranks:
        printed, _ = process.communicate(timeout=120)
        assert float(printed) == pytest.approx(calibration_error(y, z, logits=True), abs=100 * EPS)


def test_statistics_refuse() -> None:
    stats = CalibrationStats()
    z, y = drawn(10, 3)
    before = stats.to_bytes()
    spoilt = z.copy()
    spoilt[7, 1] = np.nan
    refused: list[tuple[str, Any]] = [
        ("logits: row 7", lambda: stats.add(spoilt, y)),
        ("labels: ", lambda: stats.add(z, y + 1)),
        ("labels: another shape", lambda: stats.add(z, y[:9])),
        ("logits: no axes", lambda: stats.add(np.array(1.0), y)),
        ("logits: list found", lambda: stats.add(z.tolist(), y)),
        ("bins: 7 found", lambda: stats.ece(7)),
        ("flat: 3 values", lambda: CalibrationStats.from_flat(np.zeros(3))),
        ("flat: float64", lambda: CalibrationStats.from_flat(stats.flat().astype(np.float32))),
        ("flat: -1", lambda: CalibrationStats.from_flat(stats.flat() - 1)),
        ("bytes: ", lambda: CalibrationStats.from_bytes(before[1:])),
        ("bytes: ", lambda: CalibrationStats.from_bytes(b"x" + before[1:])),
    ]
    for message, call in refused:
        with pytest.raises(Error, match="^" + message):
            call()
    assert stats.to_bytes() == before
    assert np.isnan(stats.ece()) and np.isnan(stats.gap)


def test_docstring_of_the_statistics() -> None:
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder().find(CalibrationStats, "CalibrationStats", globs={}):
        runner.run(test)
    assert runner.tries > 5 and runner.failures == 0
    assert labelsmooth.CalibrationStats is CalibrationStats
