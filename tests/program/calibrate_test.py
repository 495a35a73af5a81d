#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The verb calibrate against a golden-section search in NumPy, what it writes, warns of and refuses. LABELSMOOTH is the
program's path."""

import unittest

import numpy as np

from verb_case import Case, tree


def log_softmax(z):
    z = z.astype(np.float64)
    shifted = z - z.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def nll(z, y, t=1.0):
    return -log_softmax(z.astype(np.float64) / t)[np.arange(len(y)), y].mean()


def golden(z, y, low=np.log(0.05), high=np.log(20)):
    ratio = (np.sqrt(5) - 1) / 2
    while high - low > 1e-9:
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if nll(z, y, np.exp(a)) < nll(z, y, np.exp(b)):
            high = b
        else:
            low = a
    return np.exp(low)


def drawn(rows, classes, temperature, seed):
    random = np.random.default_rng(seed)
    z = 2 * random.normal(size=(rows, classes))
    p = np.exp(log_softmax(z / temperature))
    return z, np.minimum((p.cumsum(1) < random.random((rows, 1))).sum(1), classes - 1)


class Calibrate(Case):
    def fit(self, z, y, *flags):
        self.save("z.npy", z), self.save("y.npy", y)
        return self.run_json("calibrate", "--fit", "z.npy", "y.npy", *flags)

    def test_the_optimum(self):
        for truth in (0.4, 1.0, 2.2):
            z, y = drawn(2000, 6, truth, 0)
            found = self.fit(z, y)
            self.assertEqual(found["method"], "temperature")
            self.assertAlmostEqual(found["temperature"], golden(z, y), delta=1e-6)
            self.assertTrue(found["low"] < truth < found["high"])
            self.assertAlmostEqual(found["nll_before"], nll(z, y), places=12)
            self.assertAlmostEqual(found["nll_after"], nll(z, y, found["temperature"]), places=12)
            p = np.exp(log_softmax(z / found["temperature"]))
            self.assertAlmostEqual(found["entropy_after"], -(p * np.log(p)).sum(1).mean(), places=12)
            self.assertAlmostEqual(found["nll_after"], found["entropy_after"], delta=1e-9)
            self.assertFalse(found["at_bound"])
            self.assertEqual(found["warnings"], [])

    def test_interval_is_the_sandwich(self):
        z, y = drawn(800, 4, 1.5, 2)
        found = self.fit(z, y)
        x, rows = np.log(found["temperature"]), np.arange(800)

        def slopes(x):  # d NLL / d log T, row by row, by differences
            return (-log_softmax(z / np.exp(x + 1e-4))[rows, y] + log_softmax(z / np.exp(x - 1e-4))[rows, y]) / 2e-4

        curvature = (slopes(x + 1e-3).mean() - slopes(x - 1e-3).mean()) / 2e-3
        half = 1.959964 * np.sqrt((slopes(x) ** 2).sum() / 799 / 800) / curvature
        self.assertAlmostEqual(np.log(found["high"]) - x, half, delta=1e-5 * half + 1e-7)
        self.assertAlmostEqual(x - np.log(found["low"]), half, delta=1e-5 * half + 1e-7)

    def test_types_axes_and_ignored_rows(self):
        z, y = drawn(600, 4, 1.5, 3)
        narrow = z.astype("f4")
        self.assertAlmostEqual(self.fit(narrow, y.astype("u1"))["temperature"], golden(narrow, y), delta=1e-6)
        halves = z.astype("f2")
        self.assertAlmostEqual(self.fit(halves, y)["temperature"], golden(halves, y), delta=1e-6)
        self.save("t.npy", z.reshape(20, 30, 4).transpose(0, 2, 1).copy()), self.save("ty.npy", y.reshape(20, 30))
        turned = self.run_json("calibrate", "--fit", "t.npy", "ty.npy", "--axis", 1)
        self.assertAlmostEqual(turned["temperature"], golden(z, y), delta=1e-6)
        kept = y != 3
        z[~kept] = np.nan
        found = self.fit(z, y, "--ignore-index", 3)
        self.assertEqual((found["rows"], found["counted"]), (600, kept.sum()))
        self.assertAlmostEqual(found["temperature"], golden(z[kept], y[kept]), delta=1e-6)

    def test_at_the_bounds(self):
        z = np.tile([4.0, 0, 1], (10, 1))
        right, wrong = self.fit(z, np.zeros(10, int)), self.fit(z, np.ones(10, int))
        self.assertAlmostEqual(right["temperature"], 0.05)
        self.assertAlmostEqual(wrong["temperature"], 20)
        for found in (right, wrong):
            self.assertTrue(found["at_bound"])
            self.assertIsNone(found["low"])
            self.assertIsNone(found["high"])
            self.assertIn("still falls", " ".join(found["warnings"]))
        flat = self.fit(np.zeros((9, 3)), np.zeros(9, int))
        self.assertEqual((flat["temperature"], flat["at_bound"], flat["low"]), (1, False, None))

    def test_warnings(self):
        z, y = drawn(499, 3, 1.5, 4)
        self.assertIn("499 rows", " ".join(self.fit(z, y)["warnings"]))
        z, y = drawn(500, 3, 1.5, 4)
        self.assertEqual(self.fit(z, y)["warnings"], [])
        # Right about the first class, but sure of the wrong order of the others: the NLL wants a T that the
        # largest probability does not.
        random = np.random.default_rng(5)
        z = np.tile(np.log([0.6, 0.398, 0.002]), (4000, 1))
        y = random.choice(3, 4000, p=[0.6, 0.1, 0.3])
        found = self.fit(z, y)
        self.assertGreater(found["ece_after"], found["ece_before"])
        self.assertLess(found["nll_after"], found["nll_before"])
        self.assertIn("ECE rose", " ".join(found["warnings"]))
        loud = self.start("calibrate", "--fit", "z.npy", "y.npy")
        self.assertIn(b"ECE rose", loud.stderr)
        self.assertEqual(self.start("calibrate", "--fit", "z.npy", "y.npy", "--quiet").stderr, b"")
        c, a = np.full(4000, 0.6), y == 0
        self.assertAlmostEqual(found["ece_before"], abs(c.mean() - a.mean()), places=12)
        self.assertAlmostEqual(found["gap_before"], c.mean() - a.mean(), places=12)

    def test_apply(self):
        z, y = drawn(600, 4, 1.5, 6)
        t = self.fit(z, y)["temperature"]
        other = 5 * np.random.default_rng(7).normal(size=(7, 3, 11))
        other[2, 1, 3] = -np.inf
        for dtype in ("f8", "f4", "f2"):
            self.save("other.npy", other.astype(dtype))
            found = self.fit(z, y, "--apply", "other.npy", "--out", "out.npy")
            self.assertEqual(found["out"], "out.npy")
            written = np.load(self.path("out.npy"))
            self.assertEqual(written.dtype, np.dtype(dtype))
            exact = other.astype(dtype).astype("f8") / t
            np.testing.assert_array_equal(written, (exact if dtype != "f2" else exact.astype("f4")).astype(dtype))
        halves = (other.astype("f4").view("u4") >> 16).astype("u2")
        self.save("other.npy", halves.view("V2"))
        self.fit(z, y, "--apply", "other.npy", "--out", "out.npy")
        wide = np.float32(((halves.astype("u4") << 16).view("f4")).astype("f8") / t).view("u4")
        rounded = ((wide + 0x7FFF + (wide >> 16 & 1)) >> 16).astype("u2")
        np.testing.assert_array_equal(np.load(self.path("out.npy")).view("u2"), rounded)
        # Fortran order in, C order out; and the calibrated set needs no temperature.
        self.save("other.npy", np.asfortranarray(z))
        self.fit(z, y, "--apply", "other.npy", "--out", "out.npy")
        np.testing.assert_array_equal(np.load(self.path("out.npy")), z / t)
        self.assertAlmostEqual(self.run_json("calibrate", "--fit", "out.npy", "y.npy")["temperature"], 1, delta=1e-9)

    def test_apply_reads_what_can_be_read(self):
        z, y = drawn(600, 4, 1.5, 8)
        t = self.fit(z, y)["temperature"]
        np.savez(self.path("all.npz"), z=z)
        self.fit(z, y, "--apply", "all.npz:z", "--out", "out.npy")
        np.testing.assert_array_equal(np.load(self.path("out.npy")), z / t)
        with open(self.path("z.npy"), "rb") as file:
            self.run_json("calibrate", "--fit", "z.npy", "y.npy", "--apply", "-", "--out", "in.npy", stdin=file)
        self.assertEqual((self.folder / "in.npy").read_bytes(), (self.folder / "out.npy").read_bytes())
        self.save("none.npy", np.empty((0, 4), "f4"))
        self.fit(z, y, "--apply", "none.npy", "--out", "out.npy")
        self.assertEqual(np.load(self.path("out.npy")).shape, (0, 4))
        self.fit(z, y, "--apply", "z.npy", "--out", "z.npy")  # over itself
        np.testing.assert_array_equal(np.load(self.path("z.npy")), z / t)

    def test_threads_do_not_matter(self):
        z, y = drawn(3000, 50, 1.5, 9)
        base = self.fit(z, y, "--threads", 1)
        self.assertEqual(base, self.fit(z, y, "--threads", 4))

    def test_text(self):
        z, y = drawn(600, 4, 1.5, 10)
        found = self.fit(z, y)
        text = self.start("calibrate", "--fit", "z.npy", "y.npy").stdout.decode()
        for key in ("temperature", "low", "high", "nll_before", "nll_after", "ece_before", "ece_after"):
            self.assertIn(f"{found[key]:.6g}", text)

    def test_refusals(self):
        z, y = drawn(20, 3, 1, 11)
        self.save("z.npy", z), self.save("y.npy", y), self.save("int.npy", y.reshape(20, 1))

        def refuse(fragments, x=z, labels=y):
            self.save("x.npy", x), self.save("l.npy", np.asarray(labels))
            self.refuse(1, fragments, "calibrate", "--fit", "x.npy", "l.npy", "--apply", "z.npy", "--out", "out.npy")

        bad = z.copy()
        bad[4, 1] = np.nan
        refuse(["x.npy", "row 4", "NaN"], bad)
        bad = z.copy()
        bad[3, y[3]] = -np.inf
        refuse(["x.npy", "row 3", "label"], bad)
        refuse(["l.npy", "row 2", "9"], z, np.where(np.arange(20) == 2, 9, y))
        refuse(["l.npy", "no row counts"], z, np.full(20, -100))
        refuse(["l.npy", "no row counts"], np.empty((0, 3)), np.empty(0, int))
        refuse(["l.npy", "(20,)"], z, y[:5])
        self.refuse(1, ["int.npy", "i64"], "calibrate", "--fit", "z.npy", "y.npy", "--apply", "int.npy", "--out", "o.npy")
        self.refuse(1, "none.npy", "calibrate", "--fit", "z.npy", "y.npy", "--apply", "none.npy", "--out", "o.npy")
        # Separable, so T = 1/20, which f16 cannot bear.
        self.save("sure.npy", np.tile([4.0, 0], (9, 1))), self.save("zeros.npy", np.zeros(9, int))
        self.save("large.npy", np.array([[1, 2], [3, 6e4]], "f2"))
        self.refuse(1, ["large.npy", "element 3", "f16"], "calibrate", "--quiet", "--fit", "sure.npy", "zeros.npy", "--apply",
                    "large.npy", "--out", "o.npy")
        self.refuse(2, "--out", "calibrate", "--fit", "z.npy", "y.npy", "--apply", "z.npy")
        self.refuse(2, "--out", "calibrate", "--fit", "z.npy", "y.npy", "--out", "o.npy")
        self.refuse(2, "--fit", "calibrate", "--apply", "z.npy", "--out", "o.npy")
        self.refuse(2, "standard input", "calibrate", "--fit", "-", "-")
        self.refuse(2, "--axis", "calibrate", "--fit", "z.npy", "y.npy", "--axis", "5")
        self.assertNotIn("out.npy", tree(self.folder))


if __name__ == "__main__":
    unittest.main()
