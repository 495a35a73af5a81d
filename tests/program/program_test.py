#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The program as its user meets it: verbs, files, exit codes, errors. LABELSMOOTH is its path.

LABELSMOOTH=build/release/labelsmooth python3 tests/program/program_test.py
"""

import itertools
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

import numpy as np

from verb_case import PROGRAM, Case, parse, tree

SANITIZED = "-fsanitize" in os.environ["LINK"]  # the flags that the build links with
RECOMPUTE = pathlib.Path(__file__).parent.parent / "study" / "recompute.py"


# ---- loss


def target_rows(rule, e, classes, labels, prior):
    """(rows, classes) by the definitions of the rules, element by element."""
    hard = np.zeros((len(labels), classes))
    hard[np.arange(len(labels)), labels] = 1
    return {
        "none": lambda: hard,
        "uniform": lambda: (1 - e) * hard + e / classes,
        "others": lambda: (1 - e) * hard + e / (classes - 1) * (1 - hard),
        "flip": lambda: (1 - e) * hard + e * (1 - hard),
        "additive": lambda: (1 - e) * hard + e,
        "prior": lambda: (1 - e) * hard + e * prior,
    }[rule]()


def reference(z, y, rule="uniform", e=0.0, weights=None, ignore=-100, prior=None):
    """Row losses, gradient of their sum, hard losses, weights of the labels, which rows count."""
    z = z.astype(float)
    rows, classes = z.shape
    counts = y != ignore
    labels = np.where(counts, y, 0)
    w = np.ones(classes) if weights is None else weights.astype(float)
    q = w * target_rows(rule, e, classes, labels, prior)
    log_p = z - np.logaddexp.reduce(z, axis=1)[:, None]
    losses = np.where(counts, -(q * log_p).sum(axis=1), 0)
    gradient = np.where(counts[:, None], np.exp(log_p) * q.sum(axis=1)[:, None] - q, 0)
    size = np.exp(log_p) * np.abs(q).sum(axis=1)[:, None] + np.abs(q)
    hard = np.where(counts, -log_p[np.arange(rows), labels], 0)
    return losses, gradient, size, hard, np.where(counts, w[labels], 0), counts


RULES = [("none", 0.0), ("uniform", 0.1), ("others", 0.1), ("flip", 0.1), ("additive", 0.1), ("prior", 0.3)]


class Loss(Case):
    def setUp(self):
        super().setUp()
        random = np.random.default_rng(1)
        self.z = random.normal(scale=4, size=(37, 11))
        self.y = random.integers(0, 11, 37)
        self.y[[3, 36]] = -100
        self.prior = random.dirichlet(np.ones(11))
        self.weights = random.uniform(0.2, 3, 11)

    def compare(self, z, y, rule, e, weighted, reduction, z_file=None, flags=(), epsilon=None):
        """One call against the formulas: all of its figures and both of its files."""
        epsilon = epsilon or float(np.finfo(z.dtype).eps)
        weights = self.weights.astype(z.dtype) if weighted else None
        arguments = ["loss", z_file or self.save("z.npy", z), self.save("y.npy", y)]
        arguments += ["--rule", rule, "--smoothing", e, "--reduction", reduction, *flags]
        if rule == "prior":
            arguments += ["--prior", self.save("prior.npy", self.prior)]
        if weighted:
            arguments += ["--class-weights", self.save("w.npy", weights)]
        result = self.run_json(*arguments, "--grad", self.path("g.npy"), "--losses", self.path("l.npy"))
        losses, gradient, size, hard, label_weights, counts = reference(
            z, y, rule, e, weights, prior=self.prior
        )

        divisor = label_weights.sum() if reduction == "mean" else 1.0
        # every term is exact to a few epsilon of the largest logit
        bound = 8 * epsilon * (1 + np.abs(z).max()) * (1 if weights is None else weights.max()) * 3
        if reduction == "none":
            self.assertIsNone(result["loss"])
        else:
            self.assertAlmostEqual(result["loss"], losses.sum() / divisor, delta=bound * len(y) / divisor)
        self.assertAlmostEqual(result["nll"], hard.sum() / counts.sum(), delta=bound)
        self.assertEqual((result["rows"], result["counted"]), (len(y), counts.sum()))
        right = (z.argmax(axis=1) == y) & counts
        self.assertAlmostEqual(result["accuracy"], right.sum() / counts.sum(), delta=1e-15)

        found_losses, found_gradient = np.load(self.path("l.npy")), np.load(self.path("g.npy"))
        self.assertEqual(found_losses.dtype, np.float64)
        self.assertEqual(found_losses.shape, y.shape)
        self.assertLessEqual(np.abs(found_losses - losses).max(), bound)
        self.assertTrue((found_losses[~counts] == 0).all())
        self.assertEqual(found_gradient.dtype, z.dtype)
        self.assertEqual(found_gradient.shape, z.shape)
        slack = 16 * epsilon * (1 + np.abs(z).max()) * size / divisor
        self.assertTrue((np.abs(found_gradient - gradient / divisor) <= slack).all())
        self.assertTrue((found_gradient[~counts] == 0).all())

    def test_every_rule_weighting_reduction_and_type(self):
        for (rule, e), weighted, reduction in itertools.product(
            RULES, (False, True), ("mean", "sum", "none")
        ):
            dtype = np.float32 if reduction == "sum" else np.float64
            with self.subTest(rule=rule, weighted=weighted, reduction=reduction):
                self.compare(self.z.astype(dtype), self.y, rule, e, weighted, reduction)

    def test_every_label_type(self):
        y = np.abs(self.y) % 11
        first = None
        for dtype in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"):
            result = self.run_json("loss", self.save("z.npy", self.z), self.save("y.npy", y.astype(dtype)))
            first = first or result
            self.assertEqual(result, first)
            self.assertEqual(result["counted"], 37)

    def test_fortran_order(self):
        for dtype in (np.float32, np.float64):
            z = self.z.astype(dtype)
            file = self.save("f.npy", np.asfortranarray(z))
            self.assertIn(b"'fortran_order': True", pathlib.Path(file).read_bytes())
            self.compare(z, self.y, "uniform", 0.1, True, "mean", z_file=file)

    def test_axis(self):
        z = np.random.default_rng(2).normal(size=(3, 5, 4)).astype(np.float32)
        for axis in (0, 1, 2, -1, -2, -3):
            moved = np.moveaxis(z, axis, -1)
            y = np.random.default_rng(3).integers(0, moved.shape[-1], moved.shape[:-1])
            arguments = [
                "loss",
                self.save("z.npy", z),
                self.save("y.npy", y),
                "--axis",
                axis,
                "--smoothing",
                0.2,
            ]
            result = self.run_json(*arguments, "--grad", self.path("g.npy"), "--losses", self.path("l.npy"))
            flat = moved.reshape(-1, moved.shape[-1])
            losses, gradient, *_ = reference(flat, y.ravel(), e=0.2)
            self.assertAlmostEqual(result["loss"], losses.mean(), delta=1e-6)
            self.assertLessEqual(np.abs(np.load(self.path("l.npy")) - losses.reshape(y.shape)).max(), 1e-6)
            expected = np.moveaxis(gradient.reshape(moved.shape), -1, axis) / y.size
            self.assertLessEqual(np.abs(np.load(self.path("g.npy")) - expected).max(), 1e-7)

    def test_one_row(self):
        result = self.run_json(
            "loss", self.save("z.npy", np.array([1.0, 2.0])), self.save("y.npy", np.array(1))
        )
        self.assertAlmostEqual(result["loss"], math.log1p(math.exp(-1)), delta=1e-15)

    def test_standard_input(self):
        z, y = self.save("z.npy", self.z), self.save("y.npy", self.y)
        expected = self.run_json("loss", z, y)
        self.assertEqual(self.run_json("loss", "-", y, input=pathlib.Path(z).read_bytes()), expected)
        self.assertEqual(self.run_json("loss", z, "-", input=pathlib.Path(y).read_bytes()), expected)
        with open(z, "rb") as file:
            self.assertEqual(self.run_json("loss", "-", y, stdin=file), expected)

    def test_negative_numbers_are_words_too(self):
        z = self.save("z.npy", self.z)
        y = self.save("y.npy", np.where(self.y == -100, -7, self.y))
        word = self.run_json("loss", z, y, "--ignore-index", "-7", "--axis", "-1")
        sign = self.run_json("loss", z, y, "--ignore-index=-7", "--axis=-1")
        self.assertEqual(word, sign)
        self.assertEqual(word["counted"], 35)

    def test_ignore_index_may_be_a_class(self):
        y = np.abs(self.y) % 11
        z, file = self.save("z.npy", self.z), self.save("y.npy", y)
        result = self.run_json("loss", z, file, "--ignore-index", "4")
        self.assertEqual(result["counted"], (y != 4).sum())
        self.assertAlmostEqual(
            result["loss"], reference(self.z, y, ignore=4)[0].sum() / (y != 4).sum(), delta=1e-13
        )

    def test_empty_means(self):
        z, y = self.save("z.npy", self.z), self.save("y.npy", np.full(37, -100))
        result = self.run_json("loss", z, y)
        self.assertEqual(
            [result[key] for key in ("loss", "nll", "accuracy", "counted")], [None, None, None, 0]
        )
        result = self.run_json("loss", z, y, "--empty", "nan")
        self.assertIsNone(result["loss"])
        result = self.run_json("loss", z, y, "--empty", "zero")
        self.assertEqual((result["loss"], result["nll"]), (0, 0))
        self.refuse(1, ["y.npy", "no row counts"], "loss", z, y, "--empty", "error")
        self.assertEqual(self.run_json("loss", z, y, "--reduction", "sum")["loss"], 0)

    def test_nan_and_infinity_are_null(self):
        z = self.z.copy()
        z[5, self.y[5]] = -np.inf
        result = self.run_json("loss", self.save("z.npy", z), self.save("y.npy", self.y))
        self.assertIsNone(result["loss"])
        self.assertEqual(result["first_impossible_row"], 5)
        z[5] = np.nan
        self.assertIsNone(self.run_json("loss", self.save("z.npy", z), self.path("y.npy"))["loss"])

    def test_overflow_is_none(self):
        z = np.array([[1000.0, 0, -1000], [-1e30, 0, 1e30]])
        result = self.run_json("loss", self.save("z.npy", z), self.save("y.npy", np.array([0, 2])))
        self.assertEqual(result["loss"], 0)

    def test_text(self):
        done = self.start("loss", self.save("z.npy", self.z), self.save("y.npy", self.y))
        words = dict(line.split() for line in done.stdout.decode().splitlines())
        self.assertEqual(set(words), {"loss", "nll", "accuracy", "rows", "counted"})
        self.assertEqual(
            float(words["loss"]), self.run_json("loss", self.path("z.npy"), self.path("y.npy"))["loss"]
        )
        self.assertEqual(done.stderr, b"")

    def test_threads_change_nothing(self):
        z, y = self.save("z.npy", self.z), self.save("y.npy", self.y)
        one = self.run_json("loss", z, y, "--threads", 1, "--grad", self.path("1.npy"))
        four = self.run_json("loss", z, y, "--threads", 4, "--grad", self.path("4.npy"))
        self.assertEqual(one, four)
        self.assertEqual((self.folder / "1.npy").read_bytes(), (self.folder / "4.npy").read_bytes())

    def test_an_output_replaces_the_old_file_as_a_whole(self):
        z, y = self.save("z.npy", self.z), self.save("y.npy", self.y)
        self.start("loss", z, y, "--grad", self.path("g.npy"))
        gradient = np.load(self.path("g.npy"))
        self.assertEqual(self.start("loss", z, y, "--grad", z).returncode, 0)  # even its own input
        self.assertTrue((np.load(z) == gradient).all())


class LossErrors(Case):
    def setUp(self):
        super().setUp()
        self.z = self.save("z.npy", np.arange(12.0).reshape(4, 3))
        self.y = self.save("y.npy", np.array([0, 1, 2, 0]))

    def test_files(self):
        z, y = self.z, self.y
        whole = pathlib.Path(z).read_bytes()
        (self.folder / "empty.npy").touch()
        (self.folder / "cut.npy").write_bytes(whole[:-1])
        (self.folder / "cut_header.npy").write_bytes(whole[:40])
        (self.folder / "long.npy").write_bytes(whole + b"\0")
        (self.folder / "text.npy").write_text("1 2 3\n")
        for bad, what in (
            ("missing.npy", "cannot be opened: No such file"),
            (".", "is a directory"),
            ("empty.npy", "no .npy file"),
            ("cut.npy", "95 bytes of data, shape (4, 3) of f64 needs 96"),
            ("cut_header.npy", "ends within the .npy header"),
            ("long.npy", "97 bytes of data"),
            ("text.npy", "no .npy file"),
        ):
            self.refuse(1, [bad, what], "loss", bad, y)
            self.refuse(1, [bad, what], "loss", z, bad)
            self.refuse(1, [bad, what], "loss", z, y, "--class-weights", bad)
            self.refuse(1, [bad, what], "loss", z, y, "--rule", "prior", "--prior", bad)
        self.refuse(1, "standard input: no .npy file", "loss", "-", y, input=b"")

    def test_shapes_and_types(self):
        z, y = self.z, self.y
        self.refuse(1, ["y.npy", "i64", "f64"], "loss", y, y)
        self.refuse(1, ["y2.npy", "(3,) of f64", "integers"], "loss", z, self.save("y2.npy", np.zeros(3)))
        self.refuse(1, ["b.npy", "boolean"], "loss", z, self.save("b.npy", np.zeros(4, bool)))
        self.refuse(
            1, ["s.npy", "(3,) found", "(4,) is needed"], "loss", z, self.save("s.npy", np.zeros(3, int))
        )
        self.refuse(1, ["t.npy", "(4, 1) found"], "loss", z, self.save("t.npy", np.zeros((4, 1), int)))
        self.refuse(1, "n.npy", "loss", self.save("n.npy", np.array(1.0)), self.save("m.npy", np.array(0)))
        self.refuse(2, ["--axis", "2 found", "-2 to 1"], "loss", z, y, "--axis", "2")
        self.refuse(2, ["--axis", "-3 found"], "loss", z, y, "--axis", "-3")

    def test_labels_out_of_range_are_named_with_their_row(self):
        for labels, what in (
            ([0, 1, 3, 0], "row 2 has 3, 0 to 2"),
            ([0, -1, 3, 0], "row 1 has -1"),
            ([0, 1, 2, -101], "row 3 has -101"),
        ):
            file = self.save("bad.npy", np.array(labels))
            self.refuse(1, ["bad.npy", what], "loss", self.z, file)
            self.refuse(1, ["bad.npy", what], "loss", self.z, file, "--grad", self.path("g.npy"))
        big = self.save("big.npy", np.array([0, 2**63, 0, 0], "u8"))
        self.refuse(1, ["big.npy", "row 1"], "loss", self.z, big)
        self.refuse(1, ["y.npy", "row 1 has 1"], "loss", self.save("k1.npy", np.zeros((4, 1))), self.y)

    def test_weights_and_priors(self):
        z, y = self.z, self.y
        for weights, what in (
            ([1, np.nan, 1], "class 1 has nan"),
            ([1, 1, np.inf], "class 2 has inf"),
            ([1.0, 1], "2 found, there are 3 classes"),
            ([], "no values"),
            ([[1.0, 1, 1]], "shape (1, 3) found"),
        ):
            file = self.save("w.npy", np.array(weights, float))
            self.refuse(1, ["w.npy", what], "loss", z, y, "--class-weights", file)
        self.refuse(1, ["y.npy", "i64"], "loss", z, y, "--class-weights", y)
        for prior, what in (
            ([0.5, 0.5, 0.1], "sums to 1.1"),
            ([0.5, 0.5, 2e-6], "sums to"),
            ([1.5, -0.5, 0], "class 1 has -0.5"),
            ([np.nan, 0.5, 0.5], "class 0 has nan"),
            ([0.5, 0.5], "2 entries, there are 3 classes"),
        ):
            file = self.save("p.npy", np.array(prior))
            self.refuse(
                1, ["p.npy", what], "loss", z, y, "--rule", "prior", "--prior", file, "--smoothing", ".1"
            )
        good = self.save("q.npy", np.array([0.5, 0.5, 9e-7]))
        self.assertEqual(self.start("loss", z, y, "--rule", "prior", "--prior", good).returncode, 0)

    def test_command_line(self):
        z, y = self.z, self.y
        prior = self.save("p.npy", np.full(3, 1 / 3))
        self.refuse(2, "--prior", "loss", z, y, "--rule", "prior")
        self.refuse(2, "--prior", "loss", z, y, "--prior", prior)
        for bad in ("-0.1", "1.1", "nan", "inf", "x", ""):
            self.refuse(2, "--smoothing", "loss", z, y, "--smoothing", bad)
            self.refuse(2, "--smoothing", "loss", z, y, f"--smoothing={bad}")
        self.refuse(2, ["rule", "'foo' found"], "loss", z, y, "--rule", "foo")
        self.refuse(2, "0 only", "loss", z, y, "--rule", "none", "--smoothing", ".1")
        self.refuse(2, "--reduction", "loss", z, y, "--reduction", "max")
        self.refuse(2, "--empty", "loss", z, y, "--empty", "skip")
        self.refuse(2, "--ignore-index", "loss", z, y, "--ignore-index", "one")
        self.refuse(2, "--ignore-index", "loss", z, y, "--ignore-index", "99999999999999999999")
        self.refuse(2, "--threads", "loss", z, y, "--threads", "0")
        self.refuse(2, "--wrong", "loss", z, y, "--wrong")
        self.refuse(2, "LABELS", "loss", z)
        self.refuse(2, "LOGITS", "loss")
        self.refuse(2, "--grad", "loss", z, y, "--grad")
        self.refuse(2, "z.npy", "loss", z, y, z)
        self.refuse(2, "lose", "lose", z, y)
        self.refuse(2, "", "--wrong")
        self.refuse(2, "")

    def test_outputs_that_cannot_be_written(self):
        z, y = self.z, self.y
        (self.folder / "folder").mkdir()
        for flag in ("--grad", "--losses"):
            self.refuse(1, ["no/g.npy", "cannot be written"], "loss", z, y, flag, "no/g.npy")
            self.refuse(1, [y + "/g.npy", "cannot be written"], "loss", z, y, flag, y + "/g.npy")
            self.refuse(1, ["folder", "is a directory"], "loss", z, y, flag, "folder")
            self.refuse(1, ["/dev/full", "cannot be written"], "loss", z, y, flag, "/dev/full")
        with open("/dev/full", "wb") as full:
            done = subprocess.run([PROGRAM, "loss", z, y, "--json"], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.decode(), r"\Alabelsmooth: [^\n]+\n\Z")


class Info(Case):
    def test_json(self):
        info = self.run_json("info")
        self.assertRegex(info["version"], r"^\d+\.\d+\.\d+$")
        self.assertIn(info["isa"]["chosen"], info["isa"]["usable"])
        self.assertLessEqual(set(info["isa"]["usable"]), set(info["isa"]["compiled"]))
        self.assertGreaterEqual(info["threads"], 1)
        self.assertTrue(info["blas"])
        self.assertIn("fashion-mnist", info["data"])
        self.assertEqual(self.run_json("info", "--threads", "3")["threads"], 3)

    def test_text(self):
        done = self.start("info")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        for word in ("labelsmooth", "isa", "threads", "BLAS", "fashion-mnist"):
            self.assertIn(word, done.stdout.decode())

    def test_help_and_version(self):
        for arguments in (
            ["--help"],
            ["--version"],
            ["loss", "--help"],
            ["study", "--help"],
            ["train", "--help"],
        ):
            done = self.start(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertTrue(done.stdout)


# ---- train and study, on small clouds


def changed(arguments, *flags):
    """The arguments with other values for some flags, or with those flags."""
    arguments = list(arguments)
    for flag, value in zip(flags[::2], flags[1::2]):
        if flag in arguments:
            arguments[arguments.index(flag) + 1] = value
        else:
            arguments += [flag, value]
    return arguments


def write_data(folder, train=300, test=80, classes=3):
    random = np.random.default_rng(5)
    folder.mkdir()
    for name, rows in (("train", train), ("test", test)):
        labels = random.integers(0, classes, rows)
        values = random.normal(size=(rows, 5)) + 1.5 * np.eye(classes, 5)[labels]
        np.save(folder / f"{name}.npy", values.astype("f4"))
        np.save(folder / f"{name}_labels.npy", labels.astype("u1"))


RUN_FILES = {
    "metrics.jsonl",
    "test_logits.npy",
    "early_logits.npy",
    "test_labels.npy",
    "validation_logits.npy",
    "early_validation_logits.npy",
    "validation_labels.npy",
    "validation_clean_labels.npy",
    "validation_half.npy",
    "run.json",
}
FIGURES = {"accuracy", "nll", "brier", "ece", "gap", "aurc", "augrc", "auroc"}


class Train(Case):
    def setUp(self):
        super().setUp()
        write_data(self.folder / "data")
        self.arguments = ["train", "--data", "data", "--train-size", 100, "--epochs", 3, "--hidden", "8,4"]

    def test_files_and_json(self):
        run = self.run_json(*self.arguments, "--out", "a", "--smoothing", 0.1, "--noise", 0.2, "--quiet")
        self.assertEqual({path.name for path in (self.folder / "a").iterdir()}, RUN_FILES)
        self.assertEqual(run, parse((self.folder / "a" / "run.json").read_text()))
        self.assertEqual((run["smoothing"], run["noise"], run["hidden"]), (0.1, 0.2, [8, 4]))
        self.assertLessEqual(FIGURES, set(run["test"]))
        self.assertLessEqual({"memorised", "recovered"}, set(run["noise_fit"]))
        self.assertEqual(np.load(self.path("a/test_logits.npy")).shape, (80, 3))
        self.assertEqual(np.load(self.path("a/validation_labels.npy")).shape, (20,))
        self.assertEqual(np.load(self.path("a/validation_labels.npy")).dtype, np.int64)
        lines = [parse(line) for line in (self.folder / "a/metrics.jsonl").read_text().splitlines()]
        self.assertEqual([line["epoch"] for line in lines], [1, 2, 3])

    def test_every_option_counts(self):
        base = self.run_json(*self.arguments)["test"]
        self.assertEqual(self.run_json(*self.arguments)["test"], base)
        for change in (
            ["--smoothing", 0.3],
            ["--smoothing", 0.3, "--rule", "flip"],
            ["--noise", 0.3],
            ["--seed", 2],
            ["--weight-decay", 0.5],
        ):
            self.assertNotEqual(self.run_json(*self.arguments, *change)["test"], base, change)
        self.assertNotEqual(
            self.run_json(*self.arguments, "--smoothing", 0.3)["test"],
            self.run_json(*self.arguments, "--smoothing", 0.3, "--rule", "others")["test"],
        )

    def test_text(self):
        done = self.start(*self.arguments, "--noise", 0.2, "--quiet")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        for word in ("accuracy", "nll", "ece", "augrc", "temperature", "early-stopped", "wrong labels"):
            self.assertIn(word, done.stdout.decode())
        self.assertEqual({path.name for path in self.folder.iterdir()}, {"data"})  # no --out, no files

    def test_errors(self):
        for flag, bad in (
            ("--smoothing", "2"),
            ("--smoothing", "nan"),
            ("--noise", "-1"),
            ("--weight-decay", "-1"),
            ("--weight-decay", "nan"),
            ("--epochs", "0"),
            ("--hidden", "8,0"),
            ("--train-size", "19"),
            ("--epochs", "1.5"),
            ("--seed", "-1"),
            ("--seed", "99999999999999999999"),
            ("--epochs", "9" * 20),
        ):
            self.refuse(2, flag, *changed(self.arguments, flag, bad))
        self.refuse(2, "rule", *self.arguments, "--rule", "foo")
        self.refuse(2, "--train-size", *changed(self.arguments, "--train-size", 251))
        self.refuse(2, "--train-size", *changed(self.arguments, "--train-size", 2**63 - 1))
        self.refuse(1, "nowhere", "train", "--data", "nowhere")
        (self.folder / "file").touch()
        self.refuse(1, "file/a", *self.arguments, "--out", "file/a", "--quiet")

    def test_fashion_mnist_fits_in_a_gibibyte(self):
        if self.run_json("info")["data"]["fashion-mnist"] is None:
            self.skipTest("Fashion-MNIST is not installed")
        command = [PROGRAM, "train", "--train-size", "100", "--epochs", "1", "--json", "--quiet"]
        with open(self.path("run.json"), "wb") as output:
            child = subprocess.Popen(command, stdout=output, cwd=self.folder)
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(child.returncode, 0)
        self.assertGreater(parse((self.folder / "run.json").read_text())["test"]["accuracy"], 0.2)
        if not SANITIZED:
            self.assertLess(usage.ru_maxrss, 1 << 20)  # KiB


class Study(Case):
    def setUp(self):
        super().setUp()
        write_data(self.folder / "data")
        self.grid = ["study", "--data", "data", "--train-size", 200, "--epochs", 2, "--seeds", 2]
        self.grid += ["--smoothings", "0,.05,.1", "--noises", "0,.3", "--quiet", "--threads", 1]

    def study(self, out, *flags):
        return self.run_json(*changed(self.grid, "--out", out, *flags))

    def test_results(self):
        printed = self.study("a")
        results = parse((self.folder / "a/results.json").read_text())
        self.assertEqual(printed, results)
        self.assertEqual(results["schema"], 1)
        command = (
            "labelsmooth study --smoothings 0,0.05,0.1 --noises 0,0.3 --seeds 2 --train-size 200 --epochs 2"
        )
        self.assertEqual(results["command"], command + " --data data")
        self.assertEqual((results["data"]["name"], results["data"]["classes"]), ("custom", 3))
        self.assertEqual(len(results["runs"]), 3 * 2 * 2)
        arms = {(run["smoothing"], run["noise"], run["seed"]) for run in results["runs"]}
        self.assertEqual(arms, set(itertools.product((0, 0.05, 0.1), (0, 0.3), (1, 2))))
        for run in results["runs"]:
            self.assertEqual(run["dir"], "runs/" + run["name"])
            self.assertEqual({path.name for path in (self.folder / "a" / run["dir"]).iterdir()}, RUN_FILES)
            for part in ("test", "calibrated", "early"):
                self.assertLessEqual(FIGURES, set(run[part]))
            self.assertIn("temperature", run["calibrated"])
            self.assertLessEqual({"memorised", "recovered"}, set(run["noise_fit"]))
            self.assertEqual(run["noise_fit"]["memorised"] is None, run["noise"] == 0)
        keys = {"setting", "metric", "noise", "smoothing", "difference", "low", "high", "p_holm", "verdict"}
        for row in results["comparisons"]:
            self.assertLessEqual(keys, set(row))
            self.assertEqual(row["verdict"], "screening")
        self.assertEqual(
            {claim["id"] for claim in results["claims"]}, {"S6", "S8", "S19", "S20", "S21", "S21b"}
        )
        for claim in results["claims"]:
            self.assertEqual(set(claim), {"id", "claim", "verdict", "evidence"})

    def test_no_file_says_where_or_when(self):
        self.study("a")
        for name, content in tree(self.folder / "a").items():
            text = content.decode("latin-1")
            self.assertNotIn(str(self.folder), text, name)
            if name.endswith((".json", ".jsonl")):
                self.assertNotRegex(text, r"[\"' =]/\w", name)
                self.assertNotRegex(text, r"20\d\d-\d\d-\d\d|\d\d:\d\d", name)

    def test_the_same_bytes(self):
        self.study("a")
        self.study("elsewhere/b", "--threads", 2)
        first = tree(self.folder / "a")
        self.assertEqual(tree(self.folder / "elsewhere/b"), first)
        self.study("a")  # begun again
        self.assertEqual(tree(self.folder / "a"), first)
        shutil.move(self.folder / "data", self.folder / "moved")
        (self.folder / "other").mkdir()
        shutil.move(self.folder / "moved", self.folder / "other/data")
        self.grid[2] = "other/data/"
        self.study("c")
        self.assertEqual(tree(self.folder / "c"), first)

    def test_recompute_agrees(self):
        self.study("a", "--weight-decay", 0.01)
        done = subprocess.run([sys.executable, RECOMPUTE, self.path("a")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"\A(\d{4,}) of \1 numbers agree: 12 runs, 156 comparisons\n\Z")

    def test_a_killed_study_goes_on(self):
        self.grid[self.grid.index("--epochs") + 1] = 30
        self.study("whole")
        command = [PROGRAM, *map(str, self.grid), "--out", "killed"]
        child = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL)
        while child.poll() is None and len(list(self.folder.glob("killed/runs/*/run.json"))) < 2:
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        child.wait()
        done = {path: path.stat().st_mtime_ns for path in self.folder.glob("killed/runs/*/run.json")}
        self.assertTrue(2 <= len(done) < 12, len(done))
        self.assertFalse((self.folder / "killed/results.json").exists())
        # what a kill in the middle of a file leaves
        half = (
            self.folder
            / "killed/runs"
            / parse((self.folder / "whole/results.json").read_text())["runs"][11]["name"]
        )
        half.mkdir(exist_ok=True)
        (half / ".labelsmooth-1-0.tmp").write_bytes(b"half")
        self.run_json(*self.grid, "--out", "killed", "--resume")
        self.assertEqual(tree(self.folder / "killed"), tree(self.folder / "whole"))
        for path, modified in done.items():  # those runs were not trained again
            self.assertEqual(path.stat().st_mtime_ns, modified)

    def test_another_study_is_never_overwritten(self):
        self.study("a")
        for change in (
            ["--epochs", 3],
            ["--seeds", 3],
            ["--seed", 5],
            ["--rule", "flip"],
            ["--weight-decay", 0.1],
        ):
            other = changed(self.grid, "--out", "a", *change)
            self.refuse(1, ["a: ", "another study"], *other)
            self.refuse(1, ["a: ", "another study"], *other, "--resume")
        np.save(self.folder / "data/train.npy", np.load(self.folder / "data/train.npy") + 1)
        self.refuse(1, ["a: ", "another study", "mean"], *self.grid, "--out", "a")
        (self.folder / "b/runs/mine").mkdir(parents=True)
        (self.folder / "b/runs/mine/file").touch()
        self.refuse(1, "b: holds runs of no study", *self.grid, "--out", "b")

    def test_a_folder_that_is_damaged(self):
        self.study("a")
        run = next(self.folder.glob("a/runs/*/run.json"))
        run.write_text("{}")
        self.refuse(1, "run.json", *self.grid, "--out", "a", "--resume")
        (self.folder / "a/study.json").write_text("{")
        self.refuse(1, ["study.json", "not JSON"], *self.grid, "--out", "a", "--resume")

    def test_a_run_asked_for_twice(self):
        self.refuse(2, "asked for twice", *changed(self.grid, "--smoothings", "0,.1,0.10", "--out", "a"))
        self.refuse(2, "asked for twice", *changed(self.grid, "--noises", "0,0", "--out", "a"))
        self.assertFalse((self.folder / "a").exists())

    def test_errors(self):
        for flag, bad in (
            ("--preset", "fast"),
            ("--smoothings", "0,2"),
            ("--smoothings", "0,nan"),
            ("--smoothings", "-.1"),
            ("--smoothings", "x"),
            ("--noises", "1.5"),
            ("--seeds", "0"),
            ("--epochs", "-1"),
            ("--train-size", "1"),
            ("--weight-decay", "inf"),
            ("--threads", "0"),
            ("--rule", "none"),
            ("--seed", "-1"),
        ):
            self.refuse(2, flag, *changed(self.grid, "--out", "a", flag, bad))
        self.refuse(2, "rule", *self.grid, "--out", "a", "--rule", "foo")
        self.refuse(2, "--train-size", *changed(self.grid, "--out", "a", "--train-size", 251))
        self.refuse(1, "nowhere", *changed(self.grid, "--out", "a", "--data", "nowhere"))
        self.refuse(2, "--train-size", "study", "--data", "data", "--out", "a")  # too few for the preset
        (self.folder / "file").touch()
        self.refuse(1, "file", *self.grid, "--out", "file")
        self.refuse(1, "file/a", *self.grid, "--out", "file/a")
        labels = np.load(self.folder / "data/test_labels.npy")
        labels[7] = 3
        np.save(self.folder / "data/test_labels.npy", labels)
        self.refuse(1, ["test_labels.npy", "row 7 has 3, 0 to 2"], *self.grid, "--out", "a")

    def test_progress_and_text(self):
        quiet = [word for word in self.grid if word != "--quiet"]
        done = self.start(*changed(quiet, "--seeds", 1, "--out", "a"))
        self.assertEqual(done.returncode, 0)
        self.assertIn("6/6 runs", done.stderr.decode())
        self.assertNotIn("\r", done.stderr.decode())  # no live line but on a terminal
        text = done.stdout.decode()
        for word in ("Did label smoothing (uniform) help?", "no interval", "screening", "a/results.json"):
            self.assertIn(word, text)
        self.assertNotIn("nan", text)
        self.assertEqual(self.start(*self.grid, "--out", "b").stderr, b"")


if __name__ == "__main__":
    unittest.main()
