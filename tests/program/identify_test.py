#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""identify against losses made here by the definitions, element by element. LABELSMOOTH is the program's path.

LABELSMOOTH=build/release/labelsmooth python3 tests/program/identify_test.py
"""

import itertools
import math
import pathlib
import unittest

import numpy as np

from verb_case import Case

AMOUNT = 0.1
MASS_ONE = {"uniform", "others", "classy-vision"}


def targets(rule, e, classes, labels):
    """(rows, classes) by the rules' definitions."""
    hard = np.zeros((len(labels), classes))
    hard[np.arange(len(labels)), labels] = 1
    return {
        "none": lambda: hard,
        "uniform": lambda: (1 - e) * hard + e / classes,
        "others": lambda: np.where(hard == 1, 1 - e, e / max(classes - 1, 1)),
        "flip": lambda: np.where(hard == 1, 1 - e, e),
        "additive": lambda: (1 - e) * hard + e,
        "classy-vision": lambda: (hard + e / classes) / (1 + e),
    }[rule]()


def log_softmax(z):
    z = z.astype(np.float64)
    with np.errstate(invalid="ignore"):  # NaN and -inf are asked for
        return z - np.logaddexp.reduce(z, axis=1)[:, None]


def row_losses(z, y, rule="uniform", e=AMOUNT, weighting="none", w=None, ignore=None):
    counts = y != ignore
    labels = np.where(counts, y, 0)
    q = targets(rule, e, z.shape[1], labels)
    log_p = log_softmax(z)
    losses = {
        "none": lambda: -(q * log_p).sum(axis=1),
        "per-term": lambda: -(w * q * log_p).sum(axis=1),
        "label": lambda: -(q * log_p).sum(axis=1) * w[labels],
        "expected": lambda: -(q * log_p).sum(axis=1) * (q @ w),
    }[weighting]()
    return np.where(counts, losses, 0)


class Identify(Case):
    def data(self, rows=60, classes=10, seed=1, dtype=np.float64):
        random = np.random.default_rng(seed)
        z = random.normal(scale=3, size=(rows, classes)).astype(dtype)
        return z, random.integers(0, classes, rows), random.uniform(0.3, 3, classes)

    def identify(self, z, y, losses, *flags):
        files = self.save("z.npy", z), self.save("y.npy", y), self.save("l.npy", losses)
        return self.run_json("identify", *files, *flags)

    def candidate(self, result, rule, **expected):
        for c in result["candidates"]:
            if c["rule"] == rule and all(c[key] == value for key, value in expected.items()):
                return c
        return self.fail(f"no {rule} {expected} in {result}")

    def check_answer(self, result, rule, e, **expected):
        self.assertTrue(result["fits"], result)
        self.assertEqual((result["rule"], result["candidates"][0]["rule"]), (rule, rule), result)
        self.assertLessEqual(abs(result["smoothing"] - e), result["uncertainty"])
        self.assertLessEqual(result["residual"], result["rounding"])
        for key, value in expected.items():
            self.assertEqual(result[key], value, key)


class Rules(Identify):
    def test_every_rule_type_and_number_of_classes(self):
        spread = {np.float64: 1e-12, np.float32: 1e-4, np.float16: 0.05}  # the uncertainty means something
        for rule, dtype, classes in itertools.product(
            ("none", "uniform", "others", "flip", "additive", "classy-vision"),
            (np.float64, np.float32, np.float16),
            (2, 3, 10, 1000),
        ):
            with self.subTest(rule=rule, dtype=dtype.__name__, classes=classes):
                e = 0 if rule == "none" else AMOUNT
                z, y, _ = self.data(classes=classes, dtype=np.float64 if dtype == np.float64 else np.float32)
                result = self.identify(z, y, row_losses(z, y, rule, e).astype(dtype))
                self.assertTrue(result["fits"], result)
                # In f16 with 1000 classes the per mille that flip and additive differ by is within rounding.
                masses = dtype == np.float16 and classes == 1000 and rule in ("flip", "additive")
                self.assertEqual(result["identified"], not masses, result)
                found = self.candidate(result, rule, scale=1, weighting="none", reduction="none", offset=0)
                self.assertLessEqual(abs(found["smoothing"] - e), found["uncertainty"])
                self.assertLess(found["uncertainty"], spread[dtype])
                self.assertEqual(result["precision"], {8: "f64", 4: "f32", 2: "f16"}[np.dtype(dtype).itemsize])
                # At K = 2 uniform 0.2 is the same loss as others and flip 0.1; f16 cannot tell 0.1001 from 0.1.
                ambiguous = classes == 2 and rule in ("others", "flip") or dtype == np.float16 and rule in MASS_ONE
                if not ambiguous:
                    self.check_answer(result, rule, e)
                # Only names of the same loss.
                allowed = {rule} if rule in ("none", "flip", "additive") else MASS_ONE
                if classes > 2 and not masses:
                    self.assertLessEqual({c["rule"] for c in result["candidates"]}, allowed)

    def test_the_rounder_amount_is_named_first(self):
        z, y, _ = self.data()
        self.check_answer(self.identify(z, y, row_losses(z, y, "others", 0.1)), "others", 0.1)
        self.check_answer(self.identify(z, y, row_losses(z, y, "uniform", 0.2)), "uniform", 0.2)
        self.check_answer(self.identify(z, y, row_losses(z, y, "classy-vision", 0.3)), "classy-vision", 0.3)

    def test_amounts_to_the_ends(self):
        z, y, _ = self.data(classes=4)
        for rule, e in itertools.product(("uniform", "others", "flip", "additive"), (1e-6, 0.05, 0.5, 0.9, 1)):
            with self.subTest(rule=rule, e=e):
                result = self.identify(z, y, row_losses(z, y, rule, e))
                found = self.candidate(result, rule, scale=1)
                self.assertLessEqual(abs(found["smoothing"] - e), found["uncertainty"])
                self.assertLess(found["uncertainty"], 1e-12)

    def test_two_classes_have_every_name(self):
        z, y, _ = self.data(classes=2)
        result = self.identify(z, y, row_losses(z, y, "flip", 0.1))
        amounts = {c["rule"]: c["smoothing"] for c in result["candidates"]}
        self.assertEqual(set(amounts), MASS_ONE | {"flip"})
        for rule, e in (("uniform", 0.2), ("others", 0.1), ("flip", 0.1), ("classy-vision", 0.25)):
            self.assertAlmostEqual(amounts[rule], e, delta=1e-12)

    def test_twice_is_once(self):
        z, y, _ = self.data()
        result = self.identify(z, y, row_losses(z, y, "uniform", 0.19))
        self.check_answer(result, "uniform", 0.19)
        self.assertIn("the same as uniform 0.1 applied twice", result["notes"])
        self.assertEqual(self.identify(z, y, row_losses(z, y, "uniform", 0.1))["notes"], [])

    def test_large_offsets_and_confident_rows(self):
        z, y, _ = self.data(dtype=np.float32)
        z = (z + np.float32(1000)).astype(np.float32)
        self.check_answer(self.identify(z, y, row_losses(z, y).astype(np.float32)), "uniform", 0.1)
        z, y, _ = self.data()
        z[np.arange(len(y)), y] += 40
        self.check_answer(self.identify(z, y, row_losses(z, y, "none", 0)), "none", 0)
        self.check_answer(self.identify(z, y, row_losses(z, y)), "uniform", 0.1)

    def test_a_sum_in_the_losses_own_type(self):
        """What a framework does in f32: log-softmax and its sum, without a wider accumulator."""
        for classes in (10, 32000):
            z, y, _ = self.data(rows=40, classes=classes, dtype=np.float32)
            shifted = z - z.max(axis=1, keepdims=True)
            log_p = shifted - np.log(np.exp(shifted).sum(axis=1, dtype=np.float32, keepdims=True))
            plain = np.zeros(len(y), np.float32)
            for k in range(classes):
                plain += log_p[:, k]
            label = log_p[np.arange(len(y)), y]
            losses = np.float32(-0.9) * label - np.float32(0.1 / classes) * plain
            self.check_answer(self.identify(z, y, losses), "uniform", 0.1, precision="f32")

    def test_bf16_values_in_an_f32_file(self):
        z, y, _ = self.data(dtype=np.float32)
        bits = row_losses(z, y, "flip", 0.1).astype(np.float32).view(np.uint32)
        losses = ((bits + 0x8000) & np.uint32(0xFFFF0000)).view(np.float32)
        result = self.identify(z, y, losses)
        self.assertEqual(result["precision"], "bf16")
        found = self.candidate(result, "flip", scale=1)
        self.assertLessEqual(abs(found["smoothing"] - 0.1), found["uncertainty"])

    def test_f64_losses_of_f32_arithmetic(self):
        z, y, _ = self.data(dtype=np.float32)
        losses = row_losses(z, y) * (1 + np.random.default_rng(3).uniform(-1e-7, 1e-7, len(y)))
        self.check_answer(self.identify(z, y, losses), "uniform", 0.1, precision="f64")
        self.assertFalse(self.identify(z.astype(np.float64), y, losses)["fits"])  # f64 has no such error


class Weights(Identify):
    def test_every_weighting(self):
        z, y, w = self.data()
        weights = self.save("w.npy", w)
        for weighting, (rule, e), dtype in itertools.product(
            ("none", "per-term", "label", "expected"),
            (("none", 0), ("uniform", 0.1), ("others", 0.1), ("flip", 0.1), ("additive", 0.1)),
            (np.float64, np.float32),
        ):
            with self.subTest(weighting=weighting, rule=rule, dtype=dtype.__name__):
                losses = row_losses(z, y, rule, e, weighting, w).astype(dtype)
                result = self.identify(z, y, losses, "--class-weights", weights)
                if rule == "none" and weighting != "none":  # without smoothing they are one
                    self.check_answer(result, "none", 0, weighting="per-term")
                    self.candidate(result, "none", weighting=weighting)
                else:
                    self.check_answer(result, rule, e, weighting=weighting, scale=1)
                    self.assertTrue(result["identified"])

    def test_equal_weights_need_no_weighting(self):
        z, y, w = self.data()
        weights = self.save("w.npy", np.ones_like(w))
        result = self.identify(z, y, row_losses(z, y), "--class-weights", weights)
        self.check_answer(result, "uniform", 0.1, weighting="none")
        self.candidate(result, "uniform", weighting="expected")

    def test_weights_that_nobody_told(self):
        z, y, w = self.data(rows=200)
        for rule, e in (("none", 0), ("uniform", 0.1), ("others", 0.1)):
            for dtype, close in ((np.float64, 1e-12), (np.float32, 1e-5)):
                losses = row_losses(z, y, rule, e, "label", w).astype(dtype)
                result = self.identify(z, y, losses)
                self.check_answer(result, rule, e, weighting="label")
                self.assertLess(np.abs(np.array(result["class_weights"]) - w).max(), close)
                self.assertIn("a factor for each label", result["notes"][0])
        keep = y != 4
        result = self.identify(z[keep], y[keep], row_losses(z, y, "none", 0, "label", w)[keep])
        self.assertIsNone(result["class_weights"][4])

    def test_unknown_weights_per_term_are_none_of_these(self):
        z, y, w = self.data(rows=200)
        result = self.identify(z, y, row_losses(z, y, "uniform", 0.1, "per-term", w))
        self.assertFalse(result["fits"])
        self.assertIn("--class-weights", result["notes"][0])

    def test_weights_of_zero(self):
        z, y, w = self.data()
        w[3] = 0
        for weighting in ("per-term", "label", "expected"):
            losses = row_losses(z, y, "uniform", 0.1, weighting, w)
            result = self.identify(z, y, losses, "--class-weights", self.save("w.npy", w))
            self.check_answer(result, "uniform", 0.1, weighting=weighting)


class Scales(Identify):
    def test_named_factors(self):
        z, y, w = self.data(rows=64)
        y[[3, 9, 33]] = -100
        counted = 61
        flags = ("--class-weights", self.save("w.npy", w))
        label_weights = w[y[y >= 0]].sum()
        for factor, name, reduction, denominator in (
            (1 / math.log(2), "in bits", "none", None),
            (1 / math.log(10), "in base 10", "none", None),
            (1 / 10, "divided by the classes", "none", None),
            (1 / counted, "divided by the counted rows", "mean", "counted"),
            (1 / 64, "divided by all rows", "mean", "rows"),
            (1 / label_weights, "divided by the labels' weights", "mean", "weights"),
        ):
            for rule, weighting in (("uniform", "per-term"), ("flip", "none"), ("others", "expected")):
                losses = factor * row_losses(z, y, rule, 0.1, weighting, w, ignore=-100)
                result = self.identify(z, y, losses, *flags)
                self.check_answer(result, rule, 0.1, weighting=weighting, scale_name=name)
                self.check_answer(result, rule, 0.1, reduction=reduction, denominator=denominator)
                self.assertAlmostEqual(result["scale"], factor, delta=1e-15)

    def test_any_factor(self):
        z, y, _ = self.data()
        for rule, factor in itertools.product(("none", "uniform", "others"), (0.37, 1e-6, 42)):
            e = 0 if rule == "none" else 0.1
            result = self.identify(z, y, (factor * row_losses(z, y, rule, e)).astype(np.float32))
            self.check_answer(result, rule, e, scale_name="a constant factor")
            self.assertAlmostEqual(result["scale"] / factor, 1, delta=1e-5)
            self.assertAlmostEqual(result["onehot"] / factor, np.ptp(targets(rule, e, 10, y)[0]), delta=1e-4)
            self.assertAlmostEqual(result["flat"] / factor, 10 * targets(rule, e, 10, y)[0].min(), delta=1e-4)
        # flip with a factor is uniform of b / (a + b) with another
        losses = 3 * row_losses(z, y, "flip", 0.1)
        self.candidate(self.identify(z, y, losses), "uniform", scale_name="a constant factor")

    def test_kl(self):
        z, y, _ = self.data()
        for rule, e, factor in itertools.product(("uniform", "others"), (0.1, 0.4), (1, 1 / math.log(2))):
            q = targets(rule, e, 10, y)
            losses = (row_losses(z, y, rule, e) + (q * np.log(q)).sum(axis=1)) * factor
            for dtype in (np.float64, np.float32):
                result = self.identify(z, y, losses.astype(dtype))
                self.check_answer(result, rule, e, offset_name="kl")
                self.assertAlmostEqual(result["offset"], (q[0] * np.log(q[0])).sum() * factor, delta=1e-4)
                self.assertAlmostEqual(result["scale"], factor, delta=1e-15)

    def test_a_constant_offset(self):
        z, y, _ = self.data()
        result = self.identify(z, y, row_losses(z, y) + 0.25)
        self.check_answer(result, "uniform", 0.1, offset_name="constant")
        self.assertAlmostEqual(result["offset"], 0.25, delta=1e-12)


class Rows(Identify):
    def test_ignored_rows(self):
        z, y, _ = self.data()
        y[[0, 7]] = -100
        z[7] = np.nan
        losses = row_losses(z, y, ignore=-100)
        result = self.identify(z, y, losses)
        self.check_answer(result, "uniform", 0.1, rows=60, counted=58, ignored_nonzero=0, notes=[])
        losses[7] = np.nan
        result = self.identify(z, y, losses)
        self.check_answer(result, "uniform", 0.1, ignored_nonzero=1)
        self.assertIn("1 of 2 ignored rows hold a loss other than 0", result["notes"])
        y = np.where(y == -100, 3, y)
        z[7] = 0
        ignored = (y == 3).sum()
        result = self.identify(z, y, row_losses(z, y, ignore=3), "--ignore-index", 3)
        self.check_answer(result, "uniform", 0.1, counted=60 - ignored, ignored_nonzero=0)

    def test_ignored_rows_that_were_not_told(self):
        z, y, _ = self.data()
        result = self.identify(z, y, row_losses(z, y, ignore=3))
        self.check_answer(result, "uniform", 0.1, weighting="label")
        self.assertIn("the factor of label 3 is 0: ignored where the losses were made?", result["notes"])
        losses = row_losses(z, y)
        losses[[4, 8]] = 0
        result = self.identify(z, y, losses)
        self.assertFalse(result["fits"])
        self.assertEqual((result["nearest"]["rule"], result["nearest"]["first_rows_off"]), ("uniform", [4, 8]))
        self.assertIn("every row that is off has loss 0: ignored where the losses were made?", result["notes"])

    def test_axis_and_order(self):
        random = np.random.default_rng(4)
        z = random.normal(size=(3, 5, 4))
        y = random.integers(0, 5, (3, 4))
        flat = np.moveaxis(z, 1, -1).reshape(-1, 5)
        losses = row_losses(flat, y.ravel(), "flip").reshape(3, 4)
        self.check_answer(self.identify(z, y, losses, "--axis", 1), "flip", 0.1)
        z, y, _ = self.data()
        self.check_answer(self.identify(np.asfortranarray(z), y, row_losses(z, y, "flip")), "flip", 0.1)

    def test_infinite_logits(self):
        z, y, _ = self.data()
        y = np.where(y == 9, 0, y)
        z[::3, 9] = -np.inf
        with np.errstate(invalid="ignore"):
            hard = -log_softmax(z)[np.arange(60), y]
            losses = row_losses(z, y)
        result = self.identify(z, y, hard)
        self.check_answer(result, "none", 0, infinite_rows=20)
        self.assertTrue(np.isinf(losses[::3]).all())
        self.check_answer(self.identify(z, y, losses), "uniform", 0.1, infinite_rows=20)
        # Smoothing over the finite classes is another loss where a class is ruled out.
        finite = np.isfinite(z)
        log_p = np.where(finite, log_softmax(np.where(finite, z, -1e300)), 0)
        losses = 0.9 * hard - 0.1 * log_p.sum(axis=1) / finite.sum(axis=1)
        result = self.identify(z, y, losses)
        self.assertFalse(result["fits"])
        self.assertEqual((result["nearest"]["rule"], result["nearest"]["rows_off"]), ("uniform", 20))
        self.assertTrue(any("-inf" in note for note in result["notes"]))

    def test_a_mask_in_every_row(self):
        z, y, _ = self.data()
        y = np.where(y == 9, 0, y)
        z[:, 9] = -np.inf
        hard = -log_softmax(z)[np.arange(60), y]
        self.check_answer(self.identify(z, y, hard), "none", 0, infinite_rows=60, identified=True)
        result = self.identify(z, y, hard * 1.1)
        self.assertEqual((result["fits"], result["nearest"]["rule"], result["nearest"]["rows_off"]), (False, "none", 60))

    def test_constant_losses_are_none_of_these(self):
        z, y, _ = self.data()
        for value in (0.0, 1.0, -1.0, 1e308, 5e-324):
            self.assertFalse(self.identify(z, y, np.full(60, value))["fits"], value)

    def test_nan_rows(self):
        z, y, _ = self.data()
        z[5] = np.nan
        losses = row_losses(z, y)
        self.check_answer(self.identify(z, y, losses), "uniform", 0.1, infinite_rows=1)
        losses[5] = 1
        result = self.identify(z, y, losses)
        self.assertEqual((result["fits"], result["nearest"]["first_rows_off"]), (False, [5]))


class Doubt(Identify):
    def test_one_class(self):
        result = self.identify(np.ones((5, 1)), np.zeros(5, int), np.zeros(5))
        self.assertEqual((result["fits"], result["identified"]), (True, False))
        self.assertIn("with one class every loss is 0, whatever the rule", result["notes"])

    def test_equal_logits_do_not_tell_uniform(self):
        y = np.arange(30) % 10
        result = self.identify(np.zeros((30, 10)), y, np.full(30, np.log(10)))
        self.assertEqual((result["fits"], result["identified"]), (True, False))
        self.assertIsNone(self.candidate(result, "uniform", scale=1)["smoothing"])
        self.assertIn("these logits do not tell the amount", result["notes"])
        result = self.identify(np.zeros((30, 10)), y, np.full(30, 1.8 * np.log(10)))  # but the mass
        self.assertAlmostEqual(self.candidate(result, "flip", scale=1)["smoothing"], 0.1, delta=1e-12)

    def test_equal_rows_do_not_tell_the_rule(self):
        z, y, _ = self.data(rows=1)
        z, y = np.repeat(z, 20, axis=0), np.repeat(y, 20)
        result = self.identify(z, y, row_losses(z, y, "flip", 0.1))
        self.assertEqual((result["fits"], result["identified"]), (True, False))
        self.assertAlmostEqual(self.candidate(result, "flip", scale=1)["smoothing"], 0.1, delta=1e-10)

    def test_losses_of_zero(self):
        z = np.zeros((6, 3))
        z[:, 1] = 1000
        result = self.identify(z, np.ones(6, int), np.zeros(6))
        self.check_answer(result, "none", 0)

    def test_amounts_that_no_rule_takes(self):
        z, y, _ = self.data()
        log_p = log_softmax(z)
        label, mean = -log_p[np.arange(60), y], -log_p.mean(axis=1)
        result = self.identify(z, y, 1.1 * label - 0.1 * mean)
        self.assertFalse(result["fits"])
        self.assertIsNone(result["rule"])
        self.assertAlmostEqual(result["nearest"]["smoothing"], -0.1, delta=1e-12)
        self.assertIn("the nearest fits to rounding, but no rule takes its amount: 0 to 1 is allowed", result["notes"])

    def test_none_of_these(self):
        z, y, _ = self.data()
        log_p = log_softmax(z)
        label = -log_p[np.arange(60), y]
        lse = np.logaddexp.reduce(z, axis=1)
        p = np.exp(log_p)
        for name, losses in (
            ("focal", (1 - np.exp(-label)) ** 2 * label),
            ("z-loss", row_losses(z, y) + 1e-4 * lse**2),
            ("a penalty on the entropy", label + 0.1 * (p * log_p).sum(axis=1)),
            ("noise", label * np.random.default_rng(5).uniform(0.9, 1.1, 60)),
            ("a temperature", row_losses(z / 2, y)),
            ("squared", label**2),
            ("max", row_losses(z, y) + 0.1 * (z.max(axis=1) - z.mean(axis=1))),
        ):
            for dtype in (np.float64, np.float32):
                with self.subTest(name=name, dtype=dtype.__name__):
                    result = self.identify(z, y, losses.astype(dtype))
                    self.assertFalse(result["fits"])
                    self.assertIsNone(result["rule"])
                    self.assertEqual(result["candidates"], [])
                    self.assertGreater(result["nearest"]["worst"], 1)
                    self.assertGreater(result["residual"], result["rounding"])

    def test_a_few_wrong_labels(self):
        z, y, _ = self.data(rows=200)
        losses = row_losses(z, y, "others", 0.1)
        wrong = y.copy()
        wrong[[5, 17, 123]] = (wrong[[5, 17, 123]] + 1) % 10
        result = self.identify(z, wrong, losses)
        self.assertFalse(result["fits"])
        nearest = result["nearest"]
        self.assertEqual((nearest["rule"], nearest["first_rows_off"]), ("others", [5, 17, 123]))
        self.assertAlmostEqual(nearest["smoothing"], 0.1, delta=1e-12)
        self.assertIn("197 of 200", result["notes"][0])

    def test_rows_that_are_off_in_step(self):
        """Every fourth row of many: a sample in step with them would see nothing else."""
        z, y, _ = self.data(rows=20000, classes=3)
        losses = row_losses(z, y)
        losses[::4] *= 1.01
        nearest = self.identify(z, y, losses)["nearest"]
        self.assertEqual((nearest["rule"], nearest["rows_off"]), ("uniform", 5000))
        self.assertAlmostEqual(nearest["smoothing"], 0.1, delta=1e-12)

    def test_one_label_that_is_off(self):
        z, y, _ = self.data(rows=200)
        losses = row_losses(z, y) + (y == 4) * z[:, 0] ** 2
        result = self.identify(z, y, losses)
        self.assertEqual(result["nearest"]["rows_off"], (y == 4).sum())
        self.assertIn("the rows that are off are those of label 4", result["notes"])

    def test_a_single_changed_bit_pattern(self):
        """The verdict is about every row: one loss off by a few roundings is none of these."""
        z, y, _ = self.data(rows=500)
        losses = row_losses(z, y)
        self.assertTrue(self.identify(z, y, losses)["fits"])
        losses[123] *= 1 + 1e-12
        result = self.identify(z, y, losses)
        self.assertEqual((result["fits"], result["nearest"]["first_rows_off"]), (False, [123]))


class OneNumber(Identify):
    def test_every_reduction_is_listed(self):
        z, y, w = self.data(rows=64)
        y[[3, 9, 33]] = -100
        counts = y >= 0
        for weighting, (rule, e) in itertools.product(
            ("none", "per-term", "label", "expected"), (("none", 0), ("uniform", 0.1), ("others", 0.1), ("flip", 0.1))
        ):
            total = row_losses(z, y, rule, e, weighting, w, ignore=-100).sum()
            expected = (targets(rule, e, 10, np.where(counts, y, 0)) @ w)[counts].sum()
            denominators = {"": 1, "counted": 61, "rows": 64}
            if weighting != "none":
                denominators["weights"] = w[y[counts]].sum()
            if weighting == "expected":
                denominators["expected weights"] = expected
            for denominator, value in denominators.items():
                for dtype in (np.float64, np.float32):
                    with self.subTest(weighting=weighting, rule=rule, denominator=denominator):
                        result = self.identify(
                            z, y, np.array(total / value, dtype), "--class-weights", self.save("w.npy", w)
                        )
                        found = self.candidate(
                            result,
                            rule,
                            weighting=weighting,
                            reduction="mean" if denominator else "sum",
                            denominator=denominator or None,
                            scale_name=None,
                        )
                        self.assertLessEqual(abs(found["smoothing"] - e), found["uncertainty"])
                        self.assertEqual((result["fits"], result["identified"]), (True, False))

    def test_every_candidate_gives_the_number(self):
        z, y, _ = self.data()
        value = row_losses(z, y, "others", 0.1).mean()
        result = self.identify(z, y, np.array([value]))
        self.assertGreater(len(result["candidates"]), 2)
        for c in result["candidates"]:
            losses = row_losses(z, y, c["rule"], c["smoothing"]) * c["scale"]
            self.assertTrue(0 <= c["smoothing"] <= 1)
            self.assertAlmostEqual({"mean": losses.mean(), "sum": losses.sum()}[c["reduction"]], value, delta=1e-12)
        self.assertEqual((result["rule"], result["reduction"]), ("others", "mean"))  # its amount is round
        self.assertIn("one number cannot tell", result["notes"][0])
        self.assertIn("others stands first", result["notes"][1])

    def test_a_mean_over_ignored_rows_too(self):
        """A round amount stands before fewer assumptions."""
        z, y, _ = self.data(rows=64)
        y = z.argmax(axis=1)
        y[[3, 9, 33]] = -100
        result = self.identify(z, y, np.array(row_losses(z, y, "uniform", 0.3, ignore=-100).sum() / 64))
        self.assertEqual((result["rule"], result["denominator"]), ("uniform", "rows"))
        self.candidate(result, "uniform", denominator="counted")

    def test_no_round_amount_is_not_said_to_be(self):
        z, y, _ = self.data()
        result = self.identify(z, y, np.array(row_losses(z, y, "uniform", 0.123456789).mean()))
        self.assertEqual(len(result["notes"]), 1)

    def test_one_row(self):
        z, y, _ = self.data(rows=1)
        result = self.identify(z, y, row_losses(z, y, "flip", 0.1))
        self.assertEqual((result["fits"], result["identified"]), (True, False))
        self.candidate(result, "flip", reduction="none", scale=1)
        result = self.identify(z[0], y[0], row_losses(z, y, "flip", 0.1)[0])
        self.candidate(result, "flip", reduction="none", scale=1)

    def test_a_number_out_of_reach(self):
        z, y, _ = self.data()
        result = self.identify(z, y, np.array(-1.0))
        self.assertEqual((result["fits"], result["rule"], result["nearest"]), (False, None, None))
        self.assertIn("no rule gives this number with an amount in [0, 1]", result["notes"])


class Program(Identify):
    def test_the_library_s_own_losses(self):
        z, y, _ = self.data(dtype=np.float32)
        files = self.save("z.npy", z), self.save("y.npy", y)
        for rule in ("uniform", "others", "flip", "additive"):
            self.start("loss", *files, "--rule", rule, "--smoothing", 0.3, "--losses", self.path("l.npy"))
            self.check_answer(self.run_json("identify", *files, self.path("l.npy")), rule, 0.3)

    def test_text(self):
        z, y, _ = self.data()
        self.identify(z, y, row_losses(z, y))
        done = self.start("identify", "z.npy", "y.npy", "l.npy")
        text = done.stdout.decode()
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertRegex(text.splitlines()[0], r"\Auniform 0\.10+ \+- \de-1\d: per row\Z")
        for word in ("60 rows of 10 classes, 60 counted, losses as exact as f64", "rounding alone allows", "PyTorch"):
            self.assertIn(word, text)
        self.identify(z, y, row_losses(z, y) ** 2)
        text = self.start("identify", "z.npy", "y.npy", "l.npy").stdout.decode()
        self.assertEqual(text.splitlines()[0], "none of these")
        self.assertIn("nearest:", text)
        self.identify(z, y, np.array(row_losses(z, y).mean()))
        text = self.start("identify", "z.npy", "y.npy", "l.npy").stdout.decode()
        self.assertIn("or another candidate: mean over the counted rows", text)

    def test_threads_change_nothing(self):
        z, y, _ = self.data(rows=3000)
        one = self.identify(z, y, row_losses(z, y), "--threads", 1)
        self.assertEqual(one, self.identify(z, y, row_losses(z, y), "--threads", 4))

    def test_standard_input(self):
        z, y, _ = self.data()
        expected = self.identify(z, y, row_losses(z, y))
        bytes_in = pathlib.Path(self.path("l.npy")).read_bytes()
        self.assertEqual(self.run_json("identify", "z.npy", "y.npy", "-", input=bytes_in), expected)

    def test_refusals(self):
        z, y, w = self.data()
        losses = row_losses(z, y)
        files = [self.save("z.npy", z), self.save("y.npy", y), self.save("l.npy", losses)]

        def refuse(code, fragments, name, array, *flags):
            changed = list(files)
            changed[{"z": 0, "y": 1, "l": 2}[name]] = self.save("bad.npy", array)
            self.refuse(code, ["bad.npy", *fragments], "identify", *changed, *flags)

        refuse(1, ["shape (59,) found, (60,) or a single number is needed"], "l", losses[:59])
        refuse(1, ["shape (60, 1) found"], "l", losses[:, None])
        refuse(1, ["has type i64, f32, f64, f16 and bf16 are allowed"], "l", y)
        refuse(1, ["has type f64, integers are allowed"], "y", losses)
        refuse(1, ["shape (10, 60) found"], "y", y[:10, None] + np.zeros(60, int))
        refuse(1, ["row 4 has 10, 0 to 9"], "y", np.where(np.arange(60) == 4, 10, y))
        refuse(1, ["no row counts"], "y", np.full(60, -100))
        refuse(1, ["a single number found"], "z", np.array(1.0))
        refuse(1, ["has type i64"], "z", y[:, None])
        refuse(1, ["no counted row has a finite loss"], "z", np.full((60, 10), np.nan))
        for bad in (np.nan, np.inf, -np.inf):
            changed = losses.copy()
            changed[17] = bad
            refuse(1, ["row 17 has", "a finite loss is needed"], "l", changed)
            refuse(1, ["a finite number is needed"], "l", np.array(bad))
        infinite = z.copy()
        infinite[8, 2] = -np.inf
        self.refuse(
            1,
            ["one.npy", "row 8 has infinite logits"],
            *("identify", self.save("inf.npy", infinite), files[1], self.save("one.npy", np.array(1.0))),
        )
        (self.folder / "cut.npy").write_bytes(pathlib.Path(files[2]).read_bytes()[:-1])
        for i in range(3):
            for bad in ("missing.npy", ".", "cut.npy"):
                changed = list(files)
                changed[i] = bad
                self.refuse(1, bad, "identify", *changed)
        for bad, what in (
            (w[:9], "9 found, there are 10 classes"),
            (np.where(np.arange(10) == 2, np.nan, w), "class 2 has nan"),
            (w[None], "(classes,) is needed"),
            (w[:0], "no weights found"),
        ):
            flags = ("--class-weights", self.save("w.npy", bad))
            self.refuse(1, ["w.npy", what], "identify", *files, *flags)
        self.refuse(2, "--axis", "identify", *files, "--axis", 2)
        self.refuse(2, "--ignore-index", "identify", *files, "--ignore-index", "x")
        self.refuse(2, "LOSSES", "identify", *files[:2])


if __name__ == "__main__":
    unittest.main()
