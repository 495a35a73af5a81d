#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The verb evaluate against the definitions written out in NumPy, and what it must refuse. LABELSMOOTH is the
program's path."""

import os
import json
import re
import resource
import subprocess
import unittest

import numpy as np

from verb_case import PROGRAM, Case, parse

NAMES = """accuracy nll brier ece mce rmsce ece_equal_mass ece_classwise ece_debiased ks smece gap entropy confidence
  aurc eaurc augrc auroc""".split()
BIASED = "ece ece_equal_mass ece_classwise mce rmsce ks smece".split()


def softmax(z):
    z = z.astype(np.float64)
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def bin_numbers(c, bins, edges="left"):
    """By search among the exact edges."""
    inner = np.arange(1, bins) / bins
    return np.searchsorted(inner, c, side="right" if edges == "left" else "left")


def gaps(c, a, groups):
    """(share, confidence - accuracy) of every group that has rows."""
    return [(np.mean(groups == g), c[groups == g].mean() - a[groups == g].mean()) for g in np.unique(groups)]


def smooth_at(c, a, sigma, points=4000):
    """smECE_sigma by images of the Gaussian, by the midpoint rule."""
    t = (np.arange(points) + 0.5) / points
    total = np.zeros(points)
    for center, r in zip(c, c - a):
        for j in range(-3, 4):
            for x in (2 * j + center, 2 * j - center):
                total += r * np.exp(-((t - x) ** 2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
    return np.abs(total / len(c)).mean()


def smooth(c, a):
    low, high = 0.0, 1.0
    for _ in range(10):
        middle = (low + high) / 2
        if middle < 0.001 or middle < smooth_at(c, a, middle):
            low = middle
        else:
            high = middle
    return smooth_at(c, a, high)


def reference(p, y, bins=15, edges="left", score=None):
    n, k = p.shape
    c, top = p.max(1), p.argmax(1)
    a = (top == y).astype(float)
    one_hot = np.eye(k)[y]
    width = gaps(c, a, bin_numbers(c, bins, edges))
    order = np.lexsort((np.arange(n), c))
    groups = np.empty(n, int)
    for g, part in enumerate(np.array_split(order, bins)):
        groups[part] = g
    mass = gaps(c, a, groups)
    debiased = 0
    for g in np.unique(groups):
        at = groups == g
        m, acc = at.sum(), a[at].mean()
        if m > 1:
            debiased += m / n * ((c[at].mean() - acc) ** 2 - acc * (1 - acc) / (m - 1))
    classwise = np.mean([sum(w * abs(d) for w, d in gaps(p[:, j], one_hot[:, j], bin_numbers(p[:, j], bins, edges)))
                         for j in range(k)])
    if score is None:
        score = c
    ranked = 1 - a[np.lexsort((np.arange(n), -score))]
    errors = ranked.cumsum()
    aurc = np.mean(errors / np.arange(1, n + 1))
    best = np.mean(np.sort(ranked).cumsum() / np.arange(1, n + 1))
    right, wrong = score[a == 1], score[a == 0]
    auroc = None
    if len(right) and len(wrong):
        auroc = np.mean((right[:, None] > wrong) + 0.5 * (right[:, None] == wrong))
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(p > 0, p * np.log(p), 0).sum(1).mean()
        nll = -np.log(p[np.arange(n), y]).mean()
    return {"accuracy": a.mean(), "nll": nll, "brier": ((p - one_hot) ** 2).sum(1).mean(),
            "ece": sum(w * abs(d) for w, d in width), "mce": max(abs(d) for _, d in width),
            "rmsce": np.sqrt(sum(w * d * d for w, d in width)), "ece_equal_mass": sum(w * abs(d) for w, d in mass),
            "ece_classwise": classwise, "ece_debiased": debiased,
            "ks": np.abs((c - a)[order].cumsum()).max() / n, "gap": c.mean() - a.mean(), "entropy": entropy,
            "confidence": c.mean(), "aurc": aurc, "eaurc": aurc - best, "augrc": np.sum(errors) / n**2, "auroc": auroc}


def two_classes(c, a):
    """Probabilities and labels whose top-label confidences are c >= .5 and right where a."""
    c = np.asarray(c, float)
    return np.stack([c, 1 - c], 1), 1 - np.asarray(a)


class Evaluate(Case):
    def evaluate(self, x, y, *flags, name="x.npy", **options):
        self.save(name, x)
        self.save("y.npy", np.asarray(y))
        return self.run_json("evaluate", name, "y.npy", "--bootstrap", "20", "--quiet", *flags, **options)

    def compare(self, found, expected, tolerance):
        for key, value in expected.items():
            if value is None:
                self.assertIsNone(found["metrics"][key]["value"], key)
            else:
                self.assertAlmostEqual(found["metrics"][key]["value"], value, delta=tolerance, msg=key)

    # ---- Values ----

    def test_fixture_f1(self):
        i = np.arange(1000)
        c, a = (i + 0.5) / 1000, ((7919 * i) % 1009) / 1009 < ((i + 0.5) / 1000) ** 2
        p = np.full((1000, 2001), 0.0)
        p[:] = ((1 - c) / 2000)[:, None]
        p[:, 0] = c
        metrics = self.evaluate(p, np.where(a, 0, 1), "--probs")["metrics"]
        expected = {"accuracy": 0.333, "confidence": 0.5, "ece": 0.167, "mce": 0.257575757576, "rmsce": 0.184636598943,
                    "ece_equal_mass": 0.167, "ece_debiased": 0.0321831825583, "ks": 0.167648, "aurc": 0.386957512546,
                    "eaurc": 0.0857952937833, "smece": 0.167, "gap": 0.167}
        for key, value in expected.items():
            self.assertAlmostEqual(metrics[key]["value"], value, delta=5e-13, msg=key)
        self.assertEqual(metrics["mce"]["rows_of_worst_bin"], 66)
        # the trapezoid over coverages 1/N..1, as other tools have it
        self.assertAlmostEqual((1000 * metrics["augrc"]["value"] - 0.667 / 2) / 999, 0.250263763764, delta=5e-13)
        right = self.run_json("evaluate", "x.npy", "y.npy", "--probs", "--edges", "right", "--bootstrap", "20")
        self.assertAlmostEqual(right["metrics"]["ece"]["value"], 0.167, delta=5e-13)

    def test_every_metric_of_random_logits(self):
        random = np.random.default_rng(3)
        for rows, classes, dtype, tolerance in ((400, 7, "f8", 1e-12), (400, 7, "f4", 1e-12), (400, 7, "f2", 1e-12),
                                                (300, 2, "f8", 1e-12), (50, 40, "f8", 1e-12)):
            z = (3 * random.normal(size=(rows, classes))).astype(dtype)
            y = random.integers(0, classes, rows)
            found = self.evaluate(z, y)
            self.assertEqual(list(found["metrics"]), NAMES)
            self.assertEqual((found["rows"], found["counted"], found["classes"]), (rows, rows, classes))
            self.compare(found, reference(softmax(z), y), tolerance)

    def test_bf16(self):
        random = np.random.default_rng(4)
        z = random.normal(size=(60, 3)).astype("f4")
        halves = (z.view("u4") >> 16).astype("u2")
        self.compare(self.evaluate(halves.view("V2"), random.integers(0, 3, 60)),
                     reference(softmax((halves.astype("u4") << 16).view("f4")), np.load(self.path("y.npy"))), 1e-12)

    def test_ties_and_values_on_edges(self):
        # Edges of 10 bins and of 15, twice and more, and p exactly 1.
        c = np.array([0.5, 0.6, 0.6, 0.7, 0.8, 0.8, 0.8, 0.9, 1.0, 1.0, 0.6, 0.5] * 3)
        a = np.array([1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 0, 1] * 3)
        p, y = two_classes(c, a)
        for bins in (10, 15, 5, 49):
            for edges in ("left", "right"):
                found = self.evaluate(p, y, "--probs", "--bins", bins, "--edges", edges)
                expected = reference(p, y, bins, edges, score=-np.log(np.maximum(p.min(1), 1e-300)))
                # p.argmax prefers class 0 at .5, as we do
                expected.pop("nll")
                self.compare(found, expected, 1e-12)
                self.assertEqual(len(found["bins"]), bins)
        left = self.evaluate(p, y, "--probs", "--bins", 10)["bins"]
        right = self.evaluate(p, y, "--probs", "--bins", 10, "--edges", "right")["bins"]
        self.assertEqual([bin["count"] for bin in left], [0, 0, 0, 0, 0, 6, 9, 3, 9, 9])
        self.assertEqual([bin["count"] for bin in right], [0, 0, 0, 0, 6, 9, 3, 9, 3, 6])

    def test_confidence_one_has_no_bin_of_its_own(self):
        p, y = two_classes([0.95, 1.0], [1, 0])  # torchmetrics#3510
        self.assertAlmostEqual(self.evaluate(p, y, "--probs", "--bins", 10)["metrics"]["ece"]["value"], 0.475, delta=1e-15)

    def test_smooth_ece(self):
        random = np.random.default_rng(5)
        c = np.clip(0.5 + 0.5 * random.beta(4, 1, 150), 0.5, 1)
        c[:40] = 1  # half of the Gaussian would lie beyond the end
        a = (random.random(150) < c**2).astype(int)
        p, y = two_classes(c, a)
        found = self.evaluate(p, y, "--probs")["metrics"]["smece"]["value"]
        self.assertAlmostEqual(found, smooth(c, a), delta=2e-5)
        # all right, half of it sure: a one-sided gap of .25 is smECE .25 (mass at the end is not halved)
        p, y = two_classes([1.0] * 500 + [0.5] * 500, [1] * 1000)
        self.assertAlmostEqual(self.evaluate(p, y, "--probs")["metrics"]["smece"]["value"], 0.25, delta=1e-9)

    def test_saturated_networks_are_ranked(self):
        # All confidences round to 1; the gaps of the logits do not.
        gap = np.array([760, 900, 800, 1000, 1500, 50.0])  # beyond 745 their exponentials are 0 in f64
        z = np.stack([gap, np.zeros(6), np.full(6, -20.0)], 1)
        y = np.array([1, 0, 0, 0, 0, 1])
        found = self.evaluate(z, y)
        self.assertEqual(found["metrics"]["confidence"]["value"], 1)
        self.assertEqual(found["metrics"]["auroc"]["value"], 1)
        self.assertAlmostEqual(found["metrics"]["eaurc"]["value"], 0, delta=1e-15)
        self.assertEqual(self.evaluate(z.astype("f4"), y)["metrics"]["auroc"]["value"], 1)

    def test_hard_logits(self):
        z = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 9999], [-np.inf, 3, 3], [0, -np.inf, -np.inf], [5, 5, 5]])
        y = np.array([0, 2, 1, 0, 2])
        self.compare(self.evaluate(z, y), reference(softmax(z), y, score=np.array([1e4, 1, 0.7, 1e5, 0.4])), 1e-12)

    def test_a_label_of_probability_zero(self):
        z = np.array([[0, 1.0], [-np.inf, 1], [-np.inf, 0]])
        found = self.evaluate(z, [1, 1, 0])
        self.assertIsNone(found["metrics"]["nll"]["value"])
        self.assertIn("row 2", " ".join(found["warnings"]))
        self.assertAlmostEqual(found["metrics"]["brier"]["value"], (2 * softmax(z)[0, 0] ** 2 + 0 + 2) / 3, delta=1e-12)

    def test_small_sets(self):
        for rows, classes in ((1, 1), (1, 3), (2, 2), (3, 1), (7, 4), (14, 2), (16, 3)):
            random = np.random.default_rng(rows)
            z, y = random.normal(size=(rows, classes)), random.integers(0, classes, rows)
            found = self.evaluate(z, y)
            self.compare(found, reference(softmax(z), y), 1e-12)
            self.assertIsNone(found["metrics"]["ece_debiased"]["low"])
            self.assertEqual(found["metrics"]["brier"]["low"] is None, rows == 1 or classes == 1)

    def test_ignored_rows_and_label_types(self):
        random = np.random.default_rng(6)
        z, y = random.normal(size=(90, 4)), random.integers(0, 4, 90)
        kept = y != 2
        expected = reference(softmax(z[kept]), y[kept])
        for dtype in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"):
            found = self.evaluate(z, y.astype(dtype), "--ignore-index", 2)
            self.assertEqual((found["rows"], found["counted"]), (90, kept.sum()))
            self.compare(found, expected, 1e-12)
        z[y == 2] = np.nan  # which nobody reads
        self.compare(self.evaluate(z, y, "--ignore-index", 2), expected, 1e-12)
        y[y == 2] = -100
        self.compare(self.evaluate(z, y), expected, 1e-12)

    def test_axes_and_orders(self):
        random = np.random.default_rng(7)
        z, y = random.normal(size=(5, 3, 8)), random.integers(0, 3, (5, 8))
        flat = np.moveaxis(z, 1, 2).reshape(40, 3)
        self.compare(self.evaluate(z, y, "--axis", 1), reference(softmax(flat), y.reshape(40)), 1e-12)
        self.compare(self.evaluate(np.asfortranarray(flat), y.reshape(40)), reference(softmax(flat), y.reshape(40)), 1e-12)

    def test_formats_and_standard_input(self):
        random = np.random.default_rng(8)
        z, y = random.normal(size=(40, 3)), random.integers(0, 3, 40)
        plain = self.evaluate(z, y)
        np.savetxt(self.path("x.csv"), z, delimiter=",", fmt="%.17g")
        np.savetxt(self.path("y.csv"), y, fmt="%d")
        np.savez(self.path("both.npz"), z=z, y=y)
        for first, second in (("x.csv", "y.csv"), ("both.npz:z", "both.npz:y")):
            found = self.run_json("evaluate", first, second, "--bootstrap", "20")
            self.assertEqual(found["metrics"], plain["metrics"])
        with open(self.path("x.npy"), "rb") as file:
            found = self.run_json("evaluate", "-", "y.npy", "--bootstrap", "20", stdin=file)
        self.assertEqual(found["metrics"], plain["metrics"])

    def test_probabilities_are_taken_as_they_are(self):
        p = np.random.default_rng(9).dirichlet([0.3] * 5, 200)
        y = np.random.default_rng(10).integers(0, 5, 200)
        self.compare(self.evaluate(p, y, "--probs"), reference(p, y, score=-np.log(np.sort(p, 1)[:, :-1].sum(1))), 1e-12)
        single = p.astype("f4")  # rows sum to 1 within their own rounding
        self.compare(self.evaluate(single, y, "--probs"), reference(single.astype("f8"), y), 1e-6)
        self.assertEqual(self.evaluate(p, y, "--probs")["conventions"]["input"], "probabilities")

    # ---- Pictures and tables ----

    def test_bins_groups_and_curves(self):
        random = np.random.default_rng(11)
        z = 2 * random.normal(size=(500, 4))
        y = (softmax(z).cumsum(1) > random.random((500, 1))).argmax(1)
        found = self.evaluate(z, y, "--bins", "7")
        p = softmax(z)
        c, a = p.max(1), p.argmax(1) == y
        numbers = bin_numbers(c, 7)
        for b, one in enumerate(found["bins"]):
            at = numbers == b
            self.assertEqual((one["from"], one["to"], one["count"]), (b / 7, (b + 1) / 7, at.sum()))
            self.assertAlmostEqual(one["share"], at.mean())
            if at.any():
                self.assertAlmostEqual(one["confidence"], c[at].mean(), places=12)
                self.assertAlmostEqual(one["accuracy"], a[at].mean(), places=12)
                half = 2 * np.sqrt((c[at] * (1 - c[at])).sum()) / at.sum()
                self.assertAlmostEqual(one["band_low"], max(0, c[at].mean() - half), places=12)
                self.assertAlmostEqual(one["band_high"], min(1, c[at].mean() + half), places=12)
            else:
                self.assertIsNone(one["accuracy"])
        for one, part in zip(found["groups"], np.array_split(np.sort(c), 7)):
            self.assertEqual(one["count"], len(part))
            self.assertAlmostEqual(one["from"], part[0], places=12)
            self.assertAlmostEqual(one["to"], part[-1], places=12)
        ranked = 1 - a[np.argsort(-c, kind="stable")]
        self.assertEqual(len(found["risk_coverage"]), 100)
        for point in found["risk_coverage"]:
            kept = round(point["coverage"] * 500)
            self.assertAlmostEqual(point["risk"], ranked[:kept].mean(), places=12)
        for one in found["selective"]["accuracy"]:
            self.assertAlmostEqual(one["accuracy"], 1 - ranked[: int(np.ceil(one["coverage"] * 500 - 1e-9))].mean())
        risks = ranked.cumsum() / np.arange(1, 501)
        for one in found["selective"]["coverage"]:
            good = np.flatnonzero(risks <= one["risk"])
            self.assertAlmostEqual(one["coverage"], (good[-1] + 1) / 500 if len(good) else 0)
        sigma = found["smooth"]["sigma"]
        for point in found["smooth"]["points"]:
            self.assertEqual(point["accuracy"] is None, not c.min() <= point["confidence"] <= c.max())
            if point["accuracy"] is None:
                continue
            t = point["confidence"]
            weights = sum(np.exp(-((t - x) ** 2) / (2 * sigma**2)) for j in (-1, 0, 1) for x in (2 * j + c, 2 * j - c))
            expected = np.clip(t - (weights * (c - a)).sum() / weights.sum(), 0, 1)
            self.assertAlmostEqual(point["accuracy"], expected, delta=2e-3)
            self.assertAlmostEqual(point["density"], weights.mean() / (sigma * np.sqrt(2 * np.pi)), delta=2e-3)
            self.assertLessEqual(point["band_low"], point["band_high"])

    def test_classes(self):
        random = np.random.default_rng(12)
        z, y = random.normal(size=(100, 5)), random.integers(0, 4, 100)  # class 4 is absent
        names = "plane\nship \r\nhaut de forme\n帽子\nfifth\n\n"
        (self.folder / "names.txt").write_text(names)
        found = self.evaluate(z, y, "--class-names", "names.txt")
        p, top = softmax(z), softmax(z).argmax(1)
        self.assertEqual([row["name"] for row in found["by_class"]], ["plane", "ship", "haut de forme", "帽子", "fifth"])
        for k, row in enumerate(found["by_class"]):
            self.assertEqual((row["rows"], row["predicted"]), ((y == k).sum(), (top == k).sum()))
            self.assertAlmostEqual(row["mean_probability"], p[:, k].mean(), places=12)
            self.assertAlmostEqual(row["frequency"], np.mean(y == k), places=12)
            ece = sum(w * abs(d) for w, d in gaps(p[:, k], (y == k).astype(float), bin_numbers(p[:, k], 15)))
            self.assertAlmostEqual(row["ece"], ece, places=12)
            if (y == k).any():
                self.assertAlmostEqual(row["recall"], np.mean(top[y == k] == k), places=12)
            else:
                self.assertIsNone(row["recall"])
        self.assertEqual(self.evaluate(z, y)["by_class"][0]["name"], None)

    # ---- Intervals and null levels ----

    def test_which_metrics_have_what(self):
        random = np.random.default_rng(13)
        z = 2 * random.normal(size=(300, 4))
        y = (softmax(z).cumsum(1) > random.random((300, 1))).argmax(1)
        for name, metric in self.evaluate(z, y)["metrics"].items():
            if name in BIASED:
                self.assertIsNone(metric["low"])
                self.assertIsNone(metric["high"])
                self.assertTrue(0 < metric["null_mean"] <= metric["null_p95"], name)
                self.assertTrue(0 < metric["p"] <= 1, name)
                self.assertAlmostEqual(metric["excess"], metric["value"] - metric["null_mean"], places=15)
            else:
                self.assertLessEqual(metric["low"], max(metric["value"], 0))
                self.assertGreaterEqual(metric["high"], metric["value"])
                self.assertNotIn("null_mean", metric)

    def test_intervals_of_means(self):
        random = np.random.default_rng(14)
        z, y = random.normal(size=(61, 3)), random.integers(0, 3, 61)
        found = self.evaluate(z, y)["metrics"]
        p = softmax(z)
        nll = -np.log(p[np.arange(61), y])
        half = 2.0002978 * nll.std(ddof=1) / np.sqrt(61)  # t, 60 degrees of freedom
        self.assertAlmostEqual(found["nll"]["low"], nll.mean() - half, places=6)
        self.assertAlmostEqual(found["nll"]["high"], nll.mean() + half, places=6)
        gap = p.max(1) - (p.argmax(1) == y)
        half = 2.0002978 * gap.std(ddof=1) / np.sqrt(61)
        self.assertAlmostEqual(found["gap"]["high"], gap.mean() + half, places=6)
        share, q = np.mean(p.argmax(1) == y), 1.959964**2
        middle = (share + q / 122) / (1 + q / 61)
        half = 1.959964 * np.sqrt(share * (1 - share) / 61 + q / (4 * 61**2)) / (1 + q / 61)
        self.assertAlmostEqual(found["accuracy"]["low"], middle - half, places=6)
        self.assertAlmostEqual(found["accuracy"]["high"], middle + half, places=6)

    def test_null_levels_against_numpy(self):
        """The same distribution, drawn by another generator: means within their errors."""
        random = np.random.default_rng(15)
        z = 2 * random.normal(size=(400, 3))
        p = softmax(z)
        y = (p.cumsum(1) > random.random((400, 1))).argmax(1)
        self.save("x.npy", z), self.save("y.npy", y)
        found = self.run_json("evaluate", "x.npy", "y.npy", "--quiet")["metrics"]
        drawn = {name: [] for name in BIASED if name != "smece"}
        for _ in range(300):
            labels = (p.cumsum(1) > random.random((400, 1))).argmax(1)
            values = reference(p, labels)
            for name in drawn:
                drawn[name].append(values[name])
        for name, values in drawn.items():
            error = np.std(values) * np.sqrt(1 / 300 + 1 / 1000)
            self.assertAlmostEqual(found[name]["null_mean"], np.mean(values), delta=4.5 * error, msg=name)
            self.assertAlmostEqual(found[name]["null_p95"], np.quantile(values, 0.95), delta=9 * error, msg=name)
        c, a = p.max(1), (p.argmax(1) == y).astype(float)
        self.assertAlmostEqual(found["smece"]["value"], smooth(c, a), delta=1e-4)

    def test_seed_and_redraws_matter_and_threads_do_not(self):
        random = np.random.default_rng(16)
        z, y = random.normal(size=(3000, 40)), random.integers(0, 40, 3000)
        base = self.evaluate(z, y, "--threads", 1)
        self.assertEqual(base, self.evaluate(z, y, "--threads", 5))
        other = self.evaluate(z, y, "--seed", 2)
        for name in BIASED:
            self.assertEqual(base["metrics"][name]["value"], other["metrics"][name]["value"])
            self.assertNotEqual(base["metrics"][name]["null_mean"], other["metrics"][name]["null_mean"], name)
        self.assertEqual(base["metrics"]["ece"]["p"], 1 / 21)  # labels at random: no redraw comes near
        self.assertEqual(self.run_json("evaluate", "x.npy", "y.npy", "--bootstrap", 99)["metrics"]["ece"]["p"], 1 / 100)

    def test_many_rows_are_redrawn_by_cells(self):
        random = np.random.default_rng(17)
        z = 2 * random.normal(size=(210_000, 3)).astype("f4")
        y = (softmax(z).cumsum(1) > random.random((210_000, 1))).argmax(1)
        self.save("x.npy", z), self.save("y.npy", y)
        many = self.run_json("evaluate", "x.npy", "y.npy", "--bootstrap", 400, "--quiet")
        self.assertEqual(many["conventions"]["redrawn_by"], "cells")
        self.assertIsNone(many["metrics"]["ece_classwise"]["null_mean"])
        self.assertRegex(" ".join(many["warnings"]), "by cells.*|ece_classwise is left out")
        self.compare(many, {"ece": reference(softmax(z[:10]), y[:10])["ece"]}, 1)  # it is there
        # The same model by rows, on fewer of them: noise falls with the square root.
        self.save("x.npy", z[:100_000]), self.save("y.npy", y[:100_000])
        few = self.run_json("evaluate", "x.npy", "y.npy", "--bootstrap", 400, "--quiet")
        self.assertEqual(few["conventions"]["redrawn_by"], "rows")
        for name in ("ece", "ece_equal_mass", "rmsce", "ks"):
            ratio = few["metrics"][name]["null_mean"] / many["metrics"][name]["null_mean"]
            self.assertAlmostEqual(ratio, np.sqrt(2.1), delta=0.1, msg=name)

    # ---- Memory ----

    @unittest.skipIf("-fsanitize" in os.environ["LINK"], "a sanitizer's own memory is past any limit")
    def test_memory_beyond_the_file(self):
        """40 bytes a row and the blocks, whatever the size of the logits: here 160 MB of them."""
        rows, classes = 100_000, 400
        z = np.lib.format.open_memmap(self.path("x.npy"), "w+", "f4", (rows, classes))
        z[:] = np.linspace(-3, 3, classes, dtype="f4")
        z[np.arange(rows), np.arange(rows) % classes] += 6
        z.flush()
        del z
        self.save("y.npy", (np.arange(rows) % classes).astype("i4"))
        text = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
        done = subprocess.run(["/usr/bin/python3", "-c", text, PROGRAM, "evaluate", "x.npy", "y.npy", "--bootstrap", "4",
                               "--quiet"], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        beyond = int(done.stdout) * 1024 - 4 * rows * classes
        self.assertLess(beyond, 64 << 20)

    # ---- Text and page ----

    def test_text_has_every_number_and_convention(self):
        random = np.random.default_rng(18)
        z, y = random.normal(size=(200, 3)), random.integers(0, 3, 200)
        found = self.evaluate(z, y, "--edges", "right")
        text = self.start("evaluate", "x.npy", "y.npy", "--bootstrap", "20", "--edges", "right").stdout.decode()
        self.assertIn("(lo, hi], the first closed", text)
        for name, metric in found["metrics"].items():
            line = re.search(rf"^{name} .*$", text, re.M)[0]
            for key in ("value", "low", "high", "null_mean", "null_p95", "p"):
                if metric.get(key) is not None and abs(metric[key]) > 1e-3:
                    self.assertIn(f"{metric[key]:.4f}", line, (name, key))

    def test_page(self):
        random = np.random.default_rng(19)
        z, y = random.normal(size=(200, 3)), random.integers(0, 3, 200)
        (self.folder / "names.txt").write_text("<b>a</b>\nb&c\n'\n")
        found = self.evaluate(z, y, "--report", "page.html", "--class-names", "names.txt")
        page = (self.folder / "page.html").read_text()
        self.assertNotIn("<b>a</b>", page)
        self.assertIn("&lt;b&gt;a&lt;/b&gt;", page)
        self.assertNotRegex(page, r'(src|href)="(?!#)')
        self.traceable(page, found)
        zh = self.start("evaluate", "x.npy", "y.npy", "--bootstrap", "20", "--report", "zh.html", "--lang", "zh", "--quiet")
        self.assertEqual(zh.returncode, 0)
        text = (self.folder / "zh.html").read_text()
        self.assertIn('lang="zh-CN"', text)
        self.assertIn("校准", text)
        again = (self.folder / "page.html").read_bytes()
        self.evaluate(z, y, "--report", "page.html", "--class-names", "names.txt", "--threads", 3)
        self.assertEqual(again, (self.folder / "page.html").read_bytes())

    def traceable(self, page, found):
        """Every number of a table is the one that its path and key name."""
        numbers = 0
        for table in re.findall(r"<table.*?</table>", page, re.S):
            keys = re.findall(r'<th scope="col" data-key="([^"]*)"', table)
            for path, row in re.findall(r'<tr data-path="([^"]*)">(.*?)</tr>', table, re.S):
                value = found
                for key in path.strip("/").split("/"):
                    value = value[int(key) if isinstance(value, list) else key]
                for key, cell in zip(keys, re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)):
                    if key in ("metric", "name"):
                        continue
                    shown = [float(x.replace("−", "-")) for x in re.findall(r"−?\d+\.?\d*", cell.replace("&lt;", ""))]
                    wanted = [value.get(one) for one in key.split()]
                    if None in wanted or "&lt;0.0001" in cell:
                        continue
                    for x, y in zip(shown, wanted, strict=True):
                        self.assertAlmostEqual(x, y, delta=5.1e-5, msg=(path, key))
                        numbers += 1
        self.assertGreater(numbers, 300)
        data = parse(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
        self.assertEqual(set(data["charts"]), {"width", "width-beneath", "mass", "mass-beneath", "smooth", "smooth-beneath",
                                               "risk-coverage"})

    # ---- Refusals ----

    def test_refusals(self):
        random = np.random.default_rng(20)
        z, y = random.normal(size=(6, 3)), np.array([0, 1, 2, 0, 1, 2])
        self.save("x.npy", z), self.save("y.npy", y)

        def refuse(fragments, x=z, labels=y, *flags, code=1):
            self.save("x.npy", np.asarray(x)), self.save("y.npy", np.asarray(labels))
            self.refuse(code, fragments, "evaluate", "x.npy", "y.npy", "--report", "page.html", *flags)

        bad = z.copy()
        bad[4, 1] = np.nan
        refuse(["x.npy", "row 4", "NaN"], bad)
        bad[4, 1] = np.inf
        refuse(["x.npy", "row 4", "inf"], bad)
        bad[4] = -np.inf
        refuse(["x.npy", "row 4"], bad)
        refuse(["y.npy", "row 3", "7"], z, [0, 1, 2, 7, 1, 2])
        refuse(["y.npy", "row 2", "-1"], z, [0, 1, -1, 7, 1, 2])
        refuse(["y.npy", "no row counts"], z, [-100] * 6)
        refuse(["y.npy", "no row counts"], np.empty((0, 3)), np.empty(0, int))
        refuse(["x.npy"], np.empty((6, 0)), y)
        refuse(["y.npy", "(6,)"], z, y[:5])
        refuse(["y.npy", "f64"], z, y.astype("f8"))
        refuse(["x.npy", "i64"], y.reshape(6, 1), y)
        p = softmax(z)
        p[3] *= 1.001
        refuse(["x.npy", "row 3", "sums to 1.001"], p, y, "--probs")
        p = softmax(z)
        p[2] = [1.1, -0.1, 0]
        refuse(["x.npy", "row 2"], p, y, "--probs")
        p[2] = [np.nan, 0.5, 0.5]
        refuse(["x.npy", "row 2", "nan"], p, y, "--probs")
        refuse(["x.npy", "row 0"], z, y, "--probs")
        (self.folder / "names.txt").write_text("a\nb\n")
        refuse(["names.txt", "2 names", "3"], z, y, "--class-names", "names.txt")
        (self.folder / "names.txt").write_text("a\n\nc\n")
        refuse(["names.txt", "line 2"], z, y, "--class-names", "names.txt")
        (self.folder / "names.txt").write_bytes(b"a\nb\xff\nc\n")
        refuse(["names.txt", "line 2", "UTF-8"], z, y, "--class-names", "names.txt")
        self.refuse(1, "none.npy", "evaluate", "none.npy", "y.npy")
        self.refuse(1, "no/page.html", "evaluate", "x.npy", "y.npy", "--report", "no/page.html")
        for flags in (["--bins", "0"], ["--bins", "2.5"], ["--edges", "both"], ["--bootstrap", "0"], ["--seed", "-1"],
                      ["--lang", "fr"], ["--ignore-index", "x"]):
            self.refuse(2, flags[0], "evaluate", "x.npy", "y.npy", *flags)
        self.refuse(2, "--axis", "evaluate", "x.npy", "y.npy", "--axis", "2")
        self.refuse(2, "standard input", "evaluate", "-", "-")
        self.refuse(2, "LABELS", "evaluate", "x.npy")


if __name__ == "__main__":
    unittest.main()
