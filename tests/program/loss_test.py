#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The verb loss with every option that a file can express, against the formulas written out in NumPy: p and q explicit,
no trick for large logits. LABELSMOOTH is the program's path."""

import itertools
import unittest

import numpy as np

from verb_case import Case

ROWS, K = 12, 5
RANDOM = np.random.default_rng(1)
Z = RANDOM.normal(0, 2, (ROWS, K))
Y = RANDOM.integers(0, K, ROWS)
Y2 = (Y + 1 + RANDOM.integers(0, K - 1, ROWS)) % K
WEIGHT = RANDOM.uniform(0, 1, ROWS)
W = np.array([1, 0.5, 2, 3, 0.25])
R = RANDOM.uniform(0.1, 3, ROWS)
PRIOR = np.array([0.5, 0.2, 0.1, 0.1, 0.1])
TEACHER = RANDOM.dirichlet(np.ones(K), ROWS)
MATRIX = RANDOM.dirichlet(np.ones(K), K)
BY_CLASS = np.array([0.1, 0, 0.3, 1, 0.5])
BY_ROW = RANDOM.uniform(0, 1, ROWS)
MASK = np.array([1, 1, 0, 1, 1], np.uint8)
MASKS = np.ones((ROWS, K), np.uint8)
MASKS[::2, 0] = 0
MASKS[np.arange(ROWS), Y] = 1
DENSE = RANDOM.uniform(-0.5, 2, (ROWS, K))


def reference(*, t=np.eye(K)[Y], e=0.0, u=np.full(K, 1 / K), w=None, weighting="per-term", r=np.ones(ROWS), mask=None,
              temperature=1.0, cap=0.0, z_loss=0.0, beta=0.0, alpha=0.0, reduction="mean", denominator="weights",
              label_weight=None, z=Z):
    """(loss, row losses, gradient of the reduced loss, hard-label nll)"""
    e = np.broadcast_to(np.asarray(e, float), ROWS)[:, None]
    slope = np.full_like(z, 1 / temperature)
    x = z / temperature
    if cap:
        x = cap * np.tanh(z / cap) / temperature
        slope = (1 - np.tanh(z / cap) ** 2) / temperature
    inside = np.broadcast_to(np.ones(K, bool) if mask is None else mask.astype(bool), z.shape)
    u = np.where(inside, np.broadcast_to(u, z.shape), 0)
    u = u / u.sum(1, keepdims=True)
    exps = np.where(inside, np.exp(np.where(inside, x, 0)), 0)
    p = exps / exps.sum(1, keepdims=True)
    lse = np.log(exps.sum(1))
    with np.errstate(divide="ignore"):
        log_p = np.where(inside, np.log(np.where(inside, p, 1)), -np.inf)
    q = (1 - e) * t + e * u
    q = np.where(inside, q, 0)  # the tests never mask a label
    weights = np.ones(K) if w is None else w
    if label_weight is None:
        label_weight = (t * weights).sum(1)
    if weighting == "per-term":
        wq = q * weights
    elif weighting == "label":
        wq = q * label_weight[:, None]
    else:
        label_weight = (q * weights).sum(1)
        wq = q * label_weight[:, None]
    finite_log = np.where(inside, log_p, 0)
    entropy = -(p * finite_log).sum(1)
    count = inside.sum(1)
    shifted = np.where(inside, x, 0)
    largest = np.where(inside, x, -np.inf).max(1)
    losses = r * (-(wq * finite_log).sum(1) + z_loss * lse**2 - beta * entropy + alpha * (largest - shifted.sum(1) / count))
    dx = p * wq.sum(1, keepdims=True) - wq + 2 * z_loss * lse[:, None] * p
    dx += beta * p * (finite_log + entropy[:, None])
    dx += alpha * (np.eye(K)[np.where(inside, x, -np.inf).argmax(1)] - inside / count[:, None])
    by = {"weights": (r * label_weight).sum(), "rows": ROWS}.get(denominator, denominator) if reduction == "mean" else 1
    gradient = dx * slope * r[:, None] / by
    return losses.sum() / by, losses, gradient, -(t * finite_log).sum(1).mean()


MIXED = WEIGHT[:, None] * np.eye(K)[Y] + (1 - WEIGHT[:, None]) * np.eye(K)[Y2]
MIXED_WEIGHT = WEIGHT * W[Y] + (1 - WEIGHT) * W[Y2]
# Flags, with an array standing for the file it is saved to, and what they mean to the reference.
CASES = {
    "prior": (["--rule", "prior", "--prior", PRIOR, "--smoothing", 0.3], dict(e=0.3, u=PRIOR)),
    "teacher": (["--rule", "prior", "--prior", TEACHER, "--smoothing", 0.3], dict(e=0.3, u=TEACHER)),
    "matrix": (["--rule", "matrix", "--matrix", MATRIX, "--smoothing", 0.3], dict(e=0.3, u=MATRIX[Y])),
    "by class": (["--smoothing-by-class", BY_CLASS], dict(e=BY_CLASS[Y])),
    "by row": (["--smoothing-by-row", BY_ROW], dict(e=BY_ROW)),
    "class weights": (["--smoothing", 0.2, "--class-weights", W], dict(e=0.2, w=W)),
    "label weights": (["--smoothing", 0.2, "--class-weights", W, "--weighting", "label"], dict(e=0.2, w=W, weighting="label")),
    "expected weights": (
        ["--smoothing", 0.2, "--class-weights", W, "--weighting", "expected"],
        dict(e=0.2, w=W, weighting="expected"),
    ),
    "row weights": (["--smoothing", 0.2, "--row-weights", R], dict(e=0.2, r=R)),
    "both weights": (["--class-weights", W, "--row-weights", R], dict(w=W, r=R)),
    "mask": (["--smoothing", 0.2, "--support", "finite", "--mask", MASKS], dict(e=0.2, mask=MASKS)),
    "temperature": (["--smoothing", 0.2, "--temperature", 2.5], dict(e=0.2, temperature=2.5)),
    "soft cap": (["--smoothing", 0.2, "--softcap", 3], dict(e=0.2, cap=3)),
    "cap and temperature": (["--softcap", 3, "--temperature", 0.5], dict(cap=3, temperature=0.5)),
    "z-loss": (["--z-loss", 0.01], dict(z_loss=0.01)),
    "entropy penalty": (["--entropy-penalty", 0.3], dict(beta=0.3)),
    "max suppression": (["--max-suppression", 0.3], dict(alpha=0.3)),
    "all modifiers": (
        ["--smoothing", 0.1, "--z-loss", 0.01, "--entropy-penalty", 0.3, "--max-suppression", 0.2, "--softcap", 5],
        dict(e=0.1, z_loss=0.01, beta=0.3, alpha=0.2, cap=5),
    ),
    "sum": (["--smoothing", 0.1, "--reduction", "sum"], dict(e=0.1, reduction="sum")),
    "rows": (["--class-weights", W, "--denominator", "rows"], dict(w=W, denominator="rows")),
    "number": (["--class-weights", W, "--denominator", 7.5], dict(w=W, denominator=7.5)),
    "mixed": (["--smoothing", 0.1, "--mixed", Y2, WEIGHT], dict(e=0.1, t=MIXED)),
    "mixed weights": (
        ["--smoothing", 0.1, "--mixed", Y2, WEIGHT, "--class-weights", W],
        dict(e=0.1, t=MIXED, w=W, label_weight=MIXED_WEIGHT),
    ),
    "dense": (["--smoothing", 0.1], dict(e=0.1, t=DENSE)),
    "dense weights": (
        ["--smoothing", 0.1, "--class-weights", W, "--row-weights", R],
        dict(e=0.1, t=DENSE, w=W, r=R, label_weight=np.ones(ROWS)),
    ),
}


class Loss(Case):
    def arguments(self, words):
        files = itertools.count()
        return [self.save(f"file{next(files)}.npy", word) if isinstance(word, np.ndarray) else word for word in words]

    def check(self, name, flags, expected, z=Z, tolerance=1e-12):
        labels = expected.get("t", Y) if name.startswith("dense") else Y
        loss, losses, gradient, nll = expected["answer"]
        answer = self.run_json(
            "loss", self.save("z.npy", z), self.save("y.npy", labels), *self.arguments(flags), "--grad",
            self.path("g.npy"), "--losses", self.path("l.npy"),
        )
        self.assertLess(abs(answer["loss"] - loss), tolerance * max(1, abs(loss)) * 10)
        np.testing.assert_allclose(np.load(self.path("l.npy")), losses, atol=tolerance * 10, rtol=tolerance)
        np.testing.assert_allclose(np.load(self.path("g.npy")), gradient, atol=tolerance, rtol=tolerance * 10)
        return answer, nll

    def test_every_option_follows_its_formula_and_matters(self):
        plain = reference()[0]
        for name, (flags, meaning) in CASES.items():
            with self.subTest(name):
                if name.startswith("dense") and "label_weight" not in meaning:
                    meaning = dict(meaning, label_weight=np.ones(ROWS))
                expected = dict(meaning, answer=reference(**meaning))
                self.assertGreater(abs(expected["answer"][0] - plain), 1e-3)
                answer, nll = self.check(name, flags, expected)
                if "w" not in meaning:
                    self.assertAlmostEqual(answer["nll"], nll, places=11)

    def test_shared_mask_and_minus_infinity_are_the_same(self):
        y = np.where(Y == 2, 1, Y)
        masked = np.where(MASK == 0, -np.inf, Z)
        files = self.save("y.npy", y), "--smoothing", 0.2, "--support", "finite"
        one = self.run_json("loss", self.save("z.npy", Z), *files, "--mask", self.save("m.npy", MASK))
        two = self.run_json("loss", self.save("z2.npy", masked), *files)
        self.assertEqual(one, two)
        expected = reference(t=np.eye(K)[y], e=0.2, mask=MASK)[0]
        self.assertAlmostEqual(one["loss"], expected, places=12)

    def test_padding_takes_no_part_and_has_no_gradient(self):
        padded = np.concatenate([Z, np.full((ROWS, 3), 1e30)], axis=1)
        answer = self.run_json("loss", self.save("z.npy", padded), self.save("y.npy", Y), "--classes", K, "--smoothing", 0.1,
                               "--grad", self.path("g.npy"))
        loss, _, gradient, _ = reference(e=0.1)
        self.assertAlmostEqual(answer["loss"], loss, places=12)
        written = np.load(self.path("g.npy"))
        self.assertEqual(written.shape, padded.shape)
        np.testing.assert_allclose(written[:, :K], gradient, atol=1e-13)
        self.assertTrue((written[:, K:] == 0).all())

    def test_half_precision(self):
        z = Z.astype(np.float16)
        loss, _, gradient, _ = reference(e=0.1, z=z.astype(float))
        answer = self.run_json("loss", self.save("z.npy", z), self.save("y.npy", Y), "--smoothing", 0.1, "--grad",
                               self.path("g.npy"))
        self.assertAlmostEqual(answer["loss"], loss, places=6)
        written = np.load(self.path("g.npy"))
        self.assertEqual(written.dtype, np.float16)
        np.testing.assert_allclose(written.astype(float), gradient, rtol=2**-11 * 1.001, atol=1e-7)

    def test_dense_rows_are_ignored_by_their_largest(self):
        one_hot = np.eye(K)[Y]
        dense = self.run_json("loss", self.save("z.npy", Z), self.save("d.npy", one_hot), "--ignore-index", int(Y[0]))
        index = self.run_json("loss", self.save("z.npy", Z), self.save("y.npy", Y), "--ignore-index", int(Y[0]))
        self.assertLess(dense["counted"], ROWS)
        for key in ("counted", "accuracy", "rows"):
            self.assertEqual(dense[key], index[key])
        self.assertAlmostEqual(dense["loss"], index["loss"], places=13)

    def test_what_does_not_go_together_is_refused_by_name(self):
        z, y, d = self.save("z.npy", Z), self.save("y.npy", Y), self.save("d.npy", DENSE)
        w, m, mask = self.save("w.npy", W), self.save("m.npy", MATRIX), self.save("mask.npy", MASK)
        refusals = [
            (2, "--weighting: label", [z, d, "--class-weights", w, "--weighting", "label"]),
            (2, "--weighting: expected needs the support", [z, y, "--weighting", "expected", "--support", "finite"]),
            (2, "--support: finite is for the rule uniform", [z, y, "--support", "finite", "--rule", "flip"]),
            (2, "--max-suppression: takes no class weights", [z, y, "--max-suppression", ".1", "--class-weights", w]),
            (2, "--mask: needs --support finite", [z, y, "--mask", mask]),
            (2, "--denominator: only the reduction mean", [z, y, "--denominator", "3", "--reduction", "sum"]),
            (2, "--denominator: 'x' found", [z, y, "--denominator", "x"]),
            (2, "--denominator: -1", [z, y, "--denominator", "-1"]),
            (2, "--mixed: goes with integer", [z, d, "--mixed", y, w]),
            (2, "--classes: 9 found", [z, y, "--classes", "9"]),
            (2, "--temperature: 0 found", [z, y, "--temperature", "0"]),
            (2, "--temperature", [z, y, "--temperature", "inf"]),
            (2, "--smoothing: one of", [z, y, "--smoothing", ".1", "--smoothing-by-class", w]),
            (1, "m.npy: by label needs one label", [z, d, "--rule", "matrix", "--matrix", m, "--smoothing", ".1"]),
            (1, "w.npy: class 2 has 2", [z, y, "--smoothing-by-class", w]),
            (1, "w.npy: 5 found, there are 12 rows", [z, y, "--row-weights", w]),
            (1, "w.npy: has type f64, u8", [z, y, "--support", "finite", "--mask", w]),
            (1, "w.npy: shape (5,) of f64 found", [z, w]),
        ]
        for code, fragment, arguments in refusals:
            with self.subTest(fragment):
                self.refuse(code, fragment, "loss", *arguments)


if __name__ == "__main__":
    unittest.main()
