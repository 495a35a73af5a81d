#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""convert against the frameworks' targets, written out in NumPy. LABELSMOOTH is the program's path.

LABELSMOOTH=build/release/labelsmooth python3 tests/program/convert_test.py
"""

import itertools
import math
import unittest

import numpy as np

from verb_case import Case


def uniform(y, e):
    return (1 - e) * y + e / len(y)


def others(y, e):
    return (1 - e) * y + e / (len(y) - 1) * (1 - y)


TARGETS = {
    "uniform": uniform,
    "others": others,
    "flip": lambda y, e: (1 - e) * y + e * (1 - y),
    "additive": lambda y, e: (1 - e) * y + e,
    "keras-binary": lambda y, e: y * (1 - e) + 0.5 * e,
    "classy-vision": lambda y, e: (y + e / len(y)) / (1 + e),
}
UNIFORM = """apex burn flash-attn flashlight flux huggingface jax keras liger marian mlx opennmt optax paddle pytorch
    tensorflow timm tinygrad transformer-engine""".split()
OTHERS = "fairseq lightseq megatron mxnet nemo sockeye t5x tensor2tensor wenet".split()


def target(name, e, classes, label=0):
    y = np.zeros(classes)
    y[label] = 1
    return TARGETS[name](y, e)


def uniform_part(q):
    """The amount of uniform smoothing that has q's optimum."""
    return 1 - (q[0] - q[1]) / q.sum()


def loss(q, z):
    return (q * (np.logaddexp.reduce(z) - z)).sum()


class Convert(Case):
    def convert(self, source, to, classes, e):
        return self.run_json("convert", "--from", source, "--to", to, "--classes", classes, repr(float(e)))

    def refuse_conversion(self, fragments, source, to, classes, e):
        self.refuse(2, fragments, "convert", "--from", source, "--to", to, "--classes", classes, e)

    def test_the_document_example(self):
        found = self.convert("additive", "uniform", 5, 0.1)
        self.assertAlmostEqual(found["smoothing"], 0.357142857142857, delta=1e-15)
        self.assertAlmostEqual(found["scale"], 1.4, delta=1e-15)
        found = self.convert("flip", "uniform", 5, 0.1)
        self.assertAlmostEqual(found["smoothing"], 0.384615384615385, delta=1e-15)
        self.assertAlmostEqual(found["scale"], 1.3, delta=1e-15)
        self.assertAlmostEqual(self.convert("others", "uniform", 5, 0.1)["smoothing"], 0.125, delta=1e-15)
        back = self.convert("uniform", "additive", 5, 5 / 14)
        self.assertAlmostEqual(back["smoothing"], 0.1, delta=1e-15)
        self.assertAlmostEqual(back["scale"], 1 / 1.4, delta=1e-15)

    def test_the_loss_of_every_pair(self):
        """loss under the first = scale * loss under the second, whatever the logits."""
        random = np.random.default_rng(5)
        for source, to in itertools.product(TARGETS, TARGETS):
            binary = "keras-binary" in (source, to)
            for classes, e in itertools.product((2,) if binary else (2, 3, 1000), (0, 0.1, 0.45)):
                if to == "classy-vision" and uniform_part(target(source, e, classes)) > 0.5 + 1e-9:
                    self.refuse_conversion("no amount in 0 to 1", source, to, classes, e)
                    continue
                found = self.convert(source, to, classes, e)
                for label in {0, classes - 1}:
                    z = random.normal(scale=5, size=classes)
                    mine = loss(target(source, e, classes, label), z)
                    other = loss(target(to, found["smoothing"], classes, label), z)
                    self.assertAlmostEqual(
                        mine, found["scale"] * other, delta=1e-12 * (1 + mine), msg=f"{source} {to} {classes} {e}"
                    )
                self.assertAlmostEqual(
                    self.convert(to, source, classes, found["smoothing"])["smoothing"], e, delta=1e-12
                )

    def test_the_loss_as_the_library_computes_it(self):
        """The same of the verb loss, so that the two verbs cannot disagree."""
        random = np.random.default_rng(6)
        files = [self.save("z.npy", random.normal(size=(7, 4))), self.save("y.npy", random.integers(0, 4, 7))]
        for source, to in itertools.product(("uniform", "others", "flip", "additive"), repeat=2):
            found = self.convert(source, to, 4, 0.2)
            losses = [
                self.run_json("loss", *files, "--rule", rule, "--smoothing", repr(e))["loss"]
                for rule, e in ((source, 0.2), (to, found["smoothing"]))
            ]
            self.assertAlmostEqual(losses[0], found["scale"] * losses[1], delta=1e-14)

    def test_every_framework(self):
        for name, rule in [(name, "uniform") for name in UNIFORM] + [(name, "others") for name in OTHERS]:
            found = self.convert(name, "flip", 10, 0.1)
            same = self.convert(rule, "flip", 10, 0.1)
            self.assertEqual((found["smoothing"], found["scale"]), (same["smoothing"], same["scale"]), name)
            self.assertEqual((found["from"]["name"], found["from"]["rule"]), (name, rule))
            back = self.convert("additive", name, 10, 0.02)
            self.assertEqual(back["smoothing"], self.convert("additive", rule, 10, 0.02)["smoothing"])
        # and nothing else is listed
        text = self.start("convert", "--help").stdout.decode()
        names = [name for line in text.split("stand for them:")[1].splitlines() for name in line.split(":")[-1].split(",")]
        self.assertEqual(
            {name.strip() for name in names if name.strip()}, set(UNIFORM) | set(OTHERS) | set(TARGETS)
        )

    def test_known_figures(self):
        self.assertAlmostEqual(self.convert("pytorch", "fairseq", 32000, 0.1)["smoothing"], 0.1 * 31999 / 32000, 15)
        self.assertAlmostEqual(self.convert("keras-binary", "flip", 2, 0.2)["smoothing"], 0.1, 15)
        self.assertAlmostEqual(self.convert("keras-binary", "pytorch", 2, 0.2)["smoothing"], 0.2, 15)
        classy = self.convert("classy-vision", "uniform", 5, 0.1)
        self.assertAlmostEqual(classy["to"]["target_label"], 0.927272727273, delta=6e-13)
        self.assertAlmostEqual(classy["to"]["target_other"], 0.018181818182, delta=6e-13)
        self.assertEqual(classy["scale"], 1)

    def test_the_ends_of_the_range(self):
        for classes in (2, 3, 5, 7, 10, 49, 1000, 1000000):
            self.assertAlmostEqual(self.convert("uniform", "others", classes, 1)["smoothing"], 1 - 1 / classes, 14)
            self.assertEqual(self.convert("uniform", "additive", classes, 1)["smoothing"], 1)
            self.assertAlmostEqual(self.convert("others", "flip", classes, 1)["smoothing"], 1, delta=1e-9)
            self.assertLessEqual(self.convert("others", "flip", classes, 1)["smoothing"], 1)
            for rule in ("uniform", "additive"):
                self.refuse_conversion([f"others 1 to {rule}", "no amount in 0 to 1"], "others", rule, classes, 1)
                self.refuse_conversion([f"flip 0.6 to {rule}", "no amount in 0 to 1"], "flip", rule, classes, 0.6)
        self.assertEqual(self.convert("uniform", "classy-vision", 5, 0.5)["smoothing"], 1)
        for rule, classes, e in (("others", 10, 0.45), ("additive", 19, 0.05), ("flip", 9, 1 / 11)):
            self.assertEqual(self.convert(rule, "classy-vision", classes, e)["smoothing"], 1)  # 0.5, or an ulp more
        self.refuse_conversion("no amount in 0 to 1", "uniform", "classy-vision", 5, 0.51)
        self.refuse_conversion("no amount in 0 to 1", "uniform", "classy-vision", 5, 1)

    def test_smoothed_twice(self):
        for source, to, classes in itertools.product(("uniform", "others", "classy-vision"), TARGETS, (2, 3, 10)):
            if to == "keras-binary" and classes != 2:
                continue
            for e in (0, 0.1, 0.3):
                q = target(source, e, classes)
                again = sum(q[k] * target(source, e, classes, k) for k in range(classes))  # a mixture of labels
                limit = 0.5 + 1e-9 if to == "classy-vision" else 2
                if uniform_part(q) > limit:
                    continue
                found = self.convert(source, to, classes, e)["twice"]
                if uniform_part(again) > limit:
                    self.assertIsNone(found)
                    continue
                mine = target(to, found["smoothing"], classes) * found["scale"]
                np.testing.assert_allclose(mine, again, rtol=1e-13, atol=1e-15, err_msg=f"{source} {to} {e}")
        self.assertAlmostEqual(self.convert("pytorch", "timm", 7, 0.1)["twice"]["smoothing"], 0.19, 15)
        self.assertIsNone(self.convert("additive", "uniform", 5, 0.1)["twice"])  # no distribution
        self.assertIsNone(self.convert("flip", "uniform", 5, 0.1)["twice"])
        self.assertAlmostEqual(self.convert("flip", "uniform", 2, 0.1)["twice"]["smoothing"], 0.36, 15)
        once = self.convert("uniform", "classy-vision", 5, 0.4)
        self.assertIsNone(once["twice"])  # 0.64 uniform is more than it can be

    def test_one_and_two_classes(self):
        for source, to in itertools.product(("uniform", "additive"), repeat=2):
            self.assertEqual(self.convert(source, to, 1, 0.3)["scale"], 1)
        self.assertEqual(self.convert("uniform", "uniform", 1, 0.3)["from"]["target_other"], None)
        self.assertAlmostEqual(self.convert("flip", "uniform", 1, 0.3)["scale"], 0.7, 15)
        self.assertEqual(self.convert("others", "uniform", 1, 0)["smoothing"], 0)
        for source, to in (("others", "uniform"), ("uniform", "others"), ("others", "others")):
            self.refuse_conversion("at least 2 classes", source, to, 1, 0.3)
        self.refuse_conversion("leaves no mass", "flip", "uniform", 1, 1)
        self.assertAlmostEqual(self.convert("others", "flip", 2, 0.1)["smoothing"], 0.1, 15)
        self.assertAlmostEqual(self.convert("uniform", "flip", 2, 0.1)["smoothing"], 0.05, 15)

    def test_the_text(self):
        def text(*arguments):
            done = self.start("convert", *arguments)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            return done.stdout.decode()

        found = text("--from", "additive", "--to", "uniform", "--classes", 5, 0.1)
        self.assertIn("additive 0.1 is uniform 0.357142857143 with 5 classes", found)
        self.assertIn("loss(additive 0.1) = 1.4 loss(uniform 0.357142857143)", found)
        self.assertNotIn("twice", found)
        found = text("--from", "pytorch", "--to", "t5x", "--classes", 10, 0.1)
        self.assertTrue(found.startswith("pytorch 0.1 is t5x 0.09 with 10 classes\n"))
        for fragment in ("t5x: subtracts the target's entropy", "Smoothed twice", "it is t5x 0.171."):
            self.assertIn(fragment, found)
        self.assertNotIn("learning rate", found)
        self.assertIn("flip and others are the same", text("--from", "flip", "--to", "others", "--classes", 2, 0.1))
        self.assertIn("With 1 class", text("--from", "uniform", "--to", "uniform", "--classes", 1, 0.1))
        lines = [line for line in text("--from", "mlx", "--to", "flip", "--classes", 4, 0.3).splitlines()[2:8]]
        self.assertEqual({len(line) for line in lines}, {68})

    def test_refusals(self):
        for e in (-0.1, 1.0001, "nan", "inf", "x", ""):
            self.refuse_conversion("E", "uniform", "others", 5, e)
        for classes in (0, -3, 2.5, "x", 1000001):
            self.refuse_conversion("--classes", "uniform", "others", classes, 0.1)
        for name in ("", "Torch", "none", "prior", "uniform "):
            self.refuse_conversion(["--from", f"'{name}' found"], name, "others", 5, 0)
            self.refuse_conversion(["--to", f"'{name}' found"], "others", name, 5, 0)
        self.refuse_conversion(["--classes", "5 found, keras-binary has 2"], "keras-binary", "uniform", 5, 0.1)
        self.refuse_conversion(["--classes", "3 found, keras-binary has 2"], "uniform", "keras-binary", 3, 0.1)
        everything = {"--from": "uniform", "--to": "others", "--classes": 5}
        for missing in everything:
            rest = [word for flag, value in everything.items() if flag != missing for word in (flag, value)]
            self.refuse(2, missing, "convert", *rest, 0.1)
        self.refuse(2, "E", "convert", "--from", "uniform", "--to", "others", "--classes", 5)
        self.refuse(2, "0.2", "convert", "--from", "uniform", "--to", "others", "--classes", 5, 0.1, 0.2)


if __name__ == "__main__":
    unittest.main()
