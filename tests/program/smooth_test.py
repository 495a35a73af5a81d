#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""smooth: target rows, sampled labels and class matrices against NumPy. LABELSMOOTH is the program's path."""

import itertools
import os
import pathlib
import resource
import signal
import subprocess
import time
import unittest

import numpy as np

from verb_case import PROGRAM, Case, parse

SANITIZED = "-fsanitize" in os.environ["LINK"]  # the flags that the build links with
EPS = {np.float32: 2.0**-24, np.float64: 2.0**-50}  # rounding to f32 is exact to half an ulp, f64 to some
RULES = ("none", "uniform", "others", "flip", "additive", "prior", "matrix")


def reference(rule, e, classes, labels, ignore=-100, prior=None, matrix=None):
    """Target rows by the definitions of the rules, element by element; zeros where ignored."""
    counts = labels != ignore
    y = np.where(counts, labels, 0)
    hard = np.eye(classes)[y]
    rows = {
        "none": lambda: hard,
        "uniform": lambda: (1 - e) * hard + e / classes,
        "others": lambda: (1 - e) * hard + e / (classes - 1) * (1 - hard),
        "flip": lambda: (1 - e) * hard + e * (1 - hard),
        "additive": lambda: (1 - e) * hard + e,
        "prior": lambda: (1 - e) * hard + e * prior / prior.sum(),
        "matrix": lambda: (1 - e) * hard + e * (matrix / matrix.sum(axis=1, keepdims=True))[y],
    }[rule]()
    return rows * counts[..., None]


def philox(seed, stream, index):
    """Philox4x32-10: the first two words of the counters (stream, 0, index)."""
    c = [np.full(len(index), word, "u8") for word in (stream, 0, 0, 0)]
    c[2], c[3] = index & 0xFFFFFFFF, index >> np.uint64(32)
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        low, high = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            high >> np.uint64(32) ^ c[1] ^ np.uint64(key[0]),
            high & np.uint64(0xFFFFFFFF),
            low >> np.uint64(32) ^ c[3] ^ np.uint64(key[1]),
            low & np.uint64(0xFFFFFFFF),
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c[0], c[1]


class SmoothCase(Case):
    def setUp(self):
        super().setUp()
        self.random = np.random.default_rng(1)

    def rule_files(self, classes, dtype=np.float64):
        """A prior and a matrix, each with impossible classes where there is room."""
        prior = self.random.dirichlet(np.ones(classes))
        matrix = self.random.dirichlet(np.full(classes, 0.5), classes)
        if classes > 2:
            prior[1] = 0
            matrix[np.arange(classes), (np.arange(classes) + 1) % classes] = 0
            prior, matrix = prior / prior.sum(), matrix / matrix.sum(axis=1, keepdims=True)
        prior, matrix = prior.astype(dtype), matrix.astype(dtype)
        self.prior, self.matrix = prior.astype(float), matrix.astype(float)
        self.save("prior.npy", prior)
        self.save("matrix.npy", matrix)

    def flags(self, rule, e, classes):
        flags = ["--classes", classes, "--rule", rule, "--smoothing", e]
        if rule in ("prior", "matrix"):
            flags += [f"--{rule}", self.path(f"{rule}.npy")]
        return flags

    def smooth(self, labels, *flags, **options):
        """The result's JSON and the file."""
        labels = labels if isinstance(labels, str) else self.save("y.npy", labels)
        result = self.run_json("smooth", labels, "-o", self.path("out.npy"), "--quiet", *flags, **options)
        self.assertEqual(result["out"], self.path("out.npy"))
        self.assertFalse(list(self.folder.glob(".*")))
        return result, np.load(self.path("out.npy"))


class Targets(SmoothCase):
    def compare(self, labels, rule, e, classes, dtype=np.float32, ignore=-100):
        flags = [*self.flags(rule, e, classes), "--ignore-index", ignore]
        if dtype is np.float64:
            flags += ["--dtype", "f64"]
        result, found = self.smooth(labels, *flags)
        kwargs = {"prior": self.prior} if rule == "prior" else {"matrix": self.matrix} if rule == "matrix" else {}
        wide = labels.astype(np.int64)
        expected = reference(rule, e, classes, wide, ignore, **kwargs)
        counts = wide != ignore
        self.assertEqual(found.dtype, dtype)
        self.assertEqual(found.shape, (*labels.shape, classes))
        # a label's own 1 - e + ... may cancel down to nothing
        self.assertTrue((np.abs(found - expected) <= EPS[dtype] * expected + 2.0**-52).all())
        self.assertTrue((found >= 0).all())
        self.assertTrue((found[~counts] == 0).all())
        mass = {"flip": 1 + (classes - 2) * e, "additive": 1 + (classes - 1) * e}.get(rule, 1)
        sums = found.astype(float).sum(axis=-1)
        slack = (EPS[dtype] + classes * 2.0**-52) * mass
        self.assertTrue((np.abs(sums - mass * counts) <= slack).all())
        figures = {"rows": labels.size, "counted": counts.sum(), "classes": classes, "rule": rule, "smoothing": e}
        self.assertEqual({key: result[key] for key in figures}, figures)
        self.assertAlmostEqual(result["mass"], mass, delta=1e-12 * mass)
        return result, found

    def test_every_rule_type_and_ignored_rows(self):
        self.rule_files(7)
        for rule, dtype, label_type, ignore in itertools.product(
            RULES, (np.float32, np.float64), ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"), (-100, 4)
        ):
            with self.subTest(rule=rule, dtype=dtype, label_type=label_type, ignore=ignore):
                labels = self.random.integers(0, 7, 50).astype(label_type)
                if ignore == -100 and label_type.startswith("i"):
                    labels[[3, 49]] = -100
                self.compare(labels, rule, 0 if rule == "none" else 0.3, 7, dtype, ignore)

    def test_priors_and_matrices_of_f32(self):
        self.rule_files(7, np.float32)
        for rule in ("prior", "matrix"):
            self.compare(np.arange(7), rule, 0.3, 7, np.float64)

    def test_every_amount(self):
        labels = np.array([0, 1, 2, 3, 4, -100])
        self.rule_files(5)
        for rule, e in itertools.product(RULES[1:], (0, 1e-300, 1e-9, 0.1, 0.5, 0.8, 0.95, 1)):
            with self.subTest(rule=rule, e=e):
                self.compare(labels, rule, e, 5, np.float64)
                self.compare(labels, rule, e, 5)

    def test_few_classes(self):
        for classes, rule, e in itertools.product((1, 2), RULES[1:], (0, 0.1, 0.9)):
            if rule == "others" and classes == 1:
                continue
            with self.subTest(classes=classes, rule=rule, e=e):
                self.rule_files(classes)
                self.compare(np.arange(classes).repeat(3), rule, e, classes, np.float64)

    def test_every_shape(self):
        self.rule_files(3)
        for shape in ((), (1,), (0,), (5, 0), (4, 1), (2, 3, 4), (1, 2, 1, 2, 1, 2, 1)):
            for rule in ("uniform", "matrix"):
                with self.subTest(shape=shape, rule=rule):
                    self.compare(np.asarray(self.random.integers(0, 3, shape)), rule, 0.2, 3)

    def test_pieces(self):
        """Around the sizes at which the file is written piece by piece, and rows are no longer remembered."""
        for classes, rows in ((10, 26213), (10, 26214), (10, 26215), (10, 60000), (2049, 600), (300000, 5)):
            with self.subTest(classes=classes, rows=rows):
                labels = self.random.integers(0, classes, rows)
                labels[rows // 2] = -100
                _, found = self.smooth(labels, "--classes", classes, "--smoothing", 0.1)
                counts = labels != -100
                expected = np.zeros((rows, classes), np.float32)
                expected[counts] = np.float32(0.1 / classes)
                expected[np.flatnonzero(counts), labels[counts]] = np.float32(0.9 + 0.1 / classes)
                self.assertEqual(found.shape, expected.shape)
                self.assertLessEqual(np.abs(found - expected).max(), 2.0**-23)

    def test_rows_that_are_not_remembered(self):
        self.rule_files(1500)
        labels = self.random.integers(0, 1500, 40)
        labels[7] = -100
        for rule in ("prior", "matrix"):
            self.compare(labels, rule, 0.4, 1500, np.float64)

    def test_rule_is_uniform_by_default_and_the_hard_label_needs_no_amount(self):
        labels = np.array([2, 0])
        _, found = self.smooth(labels, "--classes", 4, "--smoothing", 0.2)
        self.assertTrue((found == reference("uniform", 0.2, 4, labels).astype("f4")).all())
        result, found = self.smooth(labels, "--classes", 4, "--rule", "none")
        self.assertTrue((found == np.eye(4)[labels]).all())
        self.assertEqual(result["smoothing"], 0)

    def test_mass_and_its_note(self):
        labels = self.save("y.npy", np.array([3]))
        for rule, mass, amount in (("flip", 1.3, 0.384615384615), ("additive", 1.4, 0.357142857143)):
            command = ["smooth", labels, "--classes", 5, "--smoothing", 0.1, "--rule", rule, "-o", "out.npy", "--json"]
            done = self.start(*command)
            result = parse(done.stdout)
            self.assertAlmostEqual(result["mass"], mass, delta=1e-12)
            self.assertAlmostEqual(result["effective_smoothing"], amount, delta=1e-12)
            note = f"labelsmooth: rows of {rule} sum to {result['mass']}, not 1: cross-entropy with them is "
            note += f"{result['mass']} times that of uniform smoothing {result['effective_smoothing']}\n"
            self.assertEqual(done.stderr.decode(), note)
            self.assertEqual(self.start(*command, "--quiet").stderr, b"")
        for rule, classes, amount in (("uniform", 5, 0.1), ("others", 5, 0.125), ("flip", 2, 0.2), ("others", 2, 0.2)):
            file = self.save("y.npy", np.array([1]))
            done = self.start(
                *("smooth", file, "--classes", classes, "--smoothing", 0.1, "--rule", rule, "-o", "out.npy", "--json")
            )
            self.assertEqual(done.stderr, b"")
            self.assertAlmostEqual(parse(done.stdout)["effective_smoothing"], amount, delta=1e-12)

    def test_the_loss_of_the_rule_is_the_loss_of_its_targets(self):
        classes, e = 11, 0.15
        z = self.random.normal(scale=4, size=(37, classes))
        labels = self.random.integers(0, classes, 37)
        labels[[3, 36]] = -100
        self.rule_files(classes)
        log_p = z - np.logaddexp.reduce(z, axis=1)[:, None]
        logits, file = self.save("z.npy", z), self.save("y.npy", labels)
        for rule, dtype in itertools.product(RULES[1:6], ("f32", "f64")):
            with self.subTest(rule=rule, dtype=dtype):
                flags = self.flags(rule, e, classes)
                _, targets = self.smooth(labels, *flags, "--dtype", dtype)
                self.run_json("loss", logits, file, *flags[2:], "--losses", self.path("l.npy"))
                terms = -targets.astype(float) * log_p
                epsilon = 2.0**-24 if dtype == "f32" else 2.0**-50
                slack = 2 * epsilon * (1 + np.abs(terms).sum(axis=1))
                self.assertTrue((np.abs(np.load(self.path("l.npy")) - terms.sum(axis=1)) <= slack).all())

    def test_standard_input(self):
        labels = self.save("y.npy", np.array([1, 0, 2]))
        flags = ["--classes", 3, "--smoothing", 0.1]
        expected = self.smooth(labels, *flags)[1]
        found = self.smooth("-", *flags, input=pathlib.Path(labels).read_bytes())[1]
        self.assertTrue((found == expected).all())

    def test_an_output_replaces_the_old_file_even_its_own_input(self):
        labels = self.save("y.npy", self.random.integers(0, 3, 100000))
        expected = self.smooth(labels, "--classes", 3, "--smoothing", 0.1)[1]
        done = self.start("smooth", labels, "--classes", 3, "--smoothing", 0.1, "-o", labels)
        self.assertEqual(done.returncode, 0)
        self.assertTrue((np.load(labels) == expected).all())

    def test_text(self):
        labels = self.save("y.npy", np.array([1, 0, 2]))
        command = ["smooth", labels, "--classes", 3, "--smoothing", 0.1, "-o", "a.npy"]
        done = self.start(*command)
        self.assertEqual(done.stderr, b"")
        words = dict(line.split() for line in done.stdout.decode().splitlines())
        self.assertEqual(words, {key: str(value) for key, value in self.run_json(*command).items()})

    def peak_bytes(self, *arguments):
        child = subprocess.Popen([PROGRAM, *map(str, arguments)], cwd=self.folder, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(child.returncode, 0)
        return usage.ru_maxrss * 1024

    @unittest.skipIf(SANITIZED, "a sanitizer's own memory is larger")
    def test_memory_does_not_grow_with_the_rows(self):
        base = self.peak_bytes("info")
        labels = self.save("y.npy", self.random.integers(0, 10, 5_000_000).astype("i1"))
        logits = np.lib.format.open_memmap(self.path("z.npy"), "w+", "f2", (5_000_000, 10))
        logits.flush()
        del logits
        for flags, most in (
            (["--smoothing", 0.1, "--dtype", "f64"], 5e6),  # the labels, which are mapped
            (["--smoothing", 0.1, "--sample"], 5e6),
            (["--matrix-from", "z.npy"], 105e6),  # and the logits
        ):
            peak = self.peak_bytes("smooth", labels, "--classes", 10, "-o", "out.npy", *flags)
            self.assertLess(peak - base, most + 32e6, flags)

    def is_writing(self, child):
        """Whether some of the output is in its file, which has a name or, where the file system allows, has none."""
        for descriptor in pathlib.Path(f"/proc/{child.pid}/fd").glob("*"):
            try:
                target, size = os.readlink(descriptor), descriptor.stat().st_size
            except FileNotFoundError:
                continue
            if target.startswith(str(self.folder.resolve())) and not target.endswith("y.npy") and size > 1e6:
                return True
        return False

    def test_a_kill_leaves_no_file_and_spoils_no_old_one(self):
        labels = self.save("y.npy", np.zeros(1_000_000, "i1"))
        old = self.folder / "old.npy"
        old.write_bytes(b"old")
        for name in ("new.npy", "old.npy"):
            command = ["smooth", labels, "--classes", "100", "--smoothing", ".1", "--dtype", "f64", "-o", name]
            child = subprocess.Popen([PROGRAM, *command], cwd=self.folder)
            while child.poll() is None and not self.is_writing(child):
                time.sleep(0.0005)
            child.send_signal(signal.SIGKILL)
            self.assertEqual(child.wait(), -signal.SIGKILL)
            for path in self.folder.glob(".*.tmp"):  # what nobody could remove
                path.unlink()
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["old.npy", "y.npy"])
        self.assertEqual(old.read_bytes(), b"old")

    def test_a_full_disk_leaves_nothing(self):
        labels = self.save("y.npy", np.zeros(1_000_000, "i1"))
        self.refuse(
            *(1, "out.npy: cannot be written: File too large"),
            *("smooth", labels, "--classes", 10, "--smoothing", 0.1, "-o", "out.npy"),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000)),
            restore_signals=False,  # Python ignores SIGXFSZ, and so then does the program
        )


class Sampled(SmoothCase):
    SAMPLED = 5  # the stream

    def expected(self, labels, rule, e, classes, seed):
        first, second = philox(seed, self.SAMPLED, np.arange(labels.size, dtype="u8"))
        flat = labels.ravel()
        if rule == "uniform":
            drawn = (second * np.uint64(classes)) >> np.uint64(32)
        elif rule in ("others", "flip"):
            drawn = (second * np.uint64(classes - 1)) >> np.uint64(32)
            drawn += drawn >= flat.astype("u8")
        else:
            priors = self.matrix[flat] if rule == "matrix" else np.tile(self.prior, (flat.size, 1))
            edges = priors.cumsum(axis=1)
            drawn = (second * 2.0**-32 * edges[:, -1])[:, None] >= edges
            drawn = drawn.sum(axis=1)
        return np.where(first * 2.0**-32 < e, drawn.astype(np.int64), flat).reshape(labels.shape)

    def test_the_draws_are_the_document_s_process(self):
        for seed, (rule, classes) in itertools.product(
            (1, 7, 2**63 - 1),
            [("uniform", 6), ("others", 6), ("flip", 2), ("prior", 6), ("matrix", 6), ("uniform", 1), ("uniform", 2)],
        ):
            with self.subTest(rule=rule, classes=classes, seed=seed):
                self.rule_files(classes)
                labels = self.random.integers(0, classes, 20000)
                result, found = self.smooth(labels, *self.flags(rule, 0.3, classes), "--sample", "--seed", seed)
                self.assertTrue((found == self.expected(labels, rule, 0.3, classes, seed)).all())
                self.assertEqual(result["changed"], (found != labels).sum())
                self.assertEqual((result["seed"], result["rows"], result["counted"]), (seed, 20000, 20000))

    def test_frequencies_are_the_targets(self):
        """Within five standard errors; what is impossible never happens."""
        each = 60000
        for rule, classes, e in (
            ("uniform", 5, 0.1),
            ("uniform", 5, 1),
            ("others", 5, 0.1),
            ("others", 5, 0.9),
            ("others", 5, 1),
            ("flip", 2, 0.1),
            ("flip", 2, 0.9),
            ("prior", 5, 0.4),
            ("matrix", 5, 0.4),
            ("matrix", 5, 1),
        ):
            with self.subTest(rule=rule, e=e):
                self.rule_files(classes)
                labels = np.arange(classes).repeat(each)
                _, found = self.smooth(labels, *self.flags(rule, e, classes), "--sample")
                files = {"prior": {"prior": self.prior}, "matrix": {"matrix": self.matrix}}.get(rule, {})
                q = reference(rule, e, classes, np.arange(classes), **files)
                share = np.eye(classes)[found].reshape(classes, each, classes).mean(axis=1)
                self.assertTrue((np.abs(share - q) <= 5 * np.sqrt(q * (1 - q) / each) + 1e-9).all(), (share, q))
                self.assertTrue((share[q < 1e-9] == 0).all())

    def test_a_prior_that_sums_to_1_nearly(self):
        """What it lacks goes to no class: here ten of ten million draws would fall to the last."""
        prior = np.array([0.5, 0.499999, 1e-12])
        self.save("prior.npy", prior)
        self.assertTrue(5e-7 < 1 - prior.sum() < 1e-6)
        _, found = self.smooth(np.zeros(10**7, "u1"), *self.flags("prior", 1, 3), "--sample")
        self.assertTrue((found < 2).all())

    def test_the_least_draw_is_of_a_possible_class(self):
        seed = 1956065028
        self.assertEqual(philox(seed, self.SAMPLED, np.zeros(1, "u8"))[1], 0)  # found by search
        self.save("prior.npy", np.array([0, 0.4, 0.6]))
        _, found = self.smooth(np.array([2]), *self.flags("prior", 1, 3), "--sample", "--seed", seed)
        self.assertEqual(found, 1)

    def test_same_seed_same_labels(self):
        labels = self.random.integers(0, 10, 300000)  # more than two pieces
        flags = ["--classes", 10, "--smoothing", 0.5, "--sample"]
        default = self.smooth(labels, *flags)[1]
        self.assertTrue((self.smooth(labels, *flags, "--seed", 1)[1] == default).all())
        self.assertTrue((self.smooth(labels, *flags, "--threads", 2)[1] == default).all())
        other = self.smooth(labels, *flags, "--seed", 2)[1]
        self.assertGreater((other != default).mean(), 0.5)
        self.assertTrue((self.smooth(labels[:1000], *flags)[1] == default[:1000]).all())
        self.assertTrue((self.smooth(labels.reshape(30, 100, 100), *flags)[1].ravel() == default).all())

    def test_ignored_rows_types_and_shapes(self):
        for dtype, ignore in (("i1", -100), ("u1", 255), ("i8", -(2**63)), ("u8", 3)):
            labels = self.random.integers(0, 10, (40, 25)).astype(dtype)
            labels[::3, ::2] = ignore
            flags = ["--classes", 10, "--smoothing", 1, "--rule", "others", "--ignore-index", ignore]
            result, found = self.smooth(labels, *flags, "--sample")
            self.assertEqual((found.dtype, found.shape), (np.int64, (40, 25)))
            ignored = labels == ignore
            self.assertTrue((found[ignored] == ignore).all())
            self.assertTrue((found[~ignored] != labels[~ignored]).all())
            self.assertEqual(result["counted"], (~ignored).sum())
            self.assertEqual(result["changed"], (~ignored).sum())
        result, found = self.smooth(np.zeros((0, 4), int), "--classes", 3, "--smoothing", 0.1, "--sample")
        self.assertEqual((found.shape, result["changed"]), ((0, 4), 0))

    def test_no_amount_changes_nothing(self):
        labels = self.random.integers(0, 4, 1000)
        self.rule_files(4)
        for rule in RULES:
            result, found = self.smooth(labels, *self.flags(rule, 0, 4), "--sample")
            self.assertTrue((found == labels).all(), rule)
            self.assertEqual(result["changed"], 0)

    def test_rules_without_a_process(self):
        labels = self.save("y.npy", np.array([0]))
        for rule, classes, mass in (("flip", 3, "1.1"), ("additive", 3, "1.2"), ("additive", 2, "1.1"), ("flip", 1, "0.9")):
            self.refuse(
                *(2, ["--sample", rule, f"{classes} classes", f"mass {mass}", "no distribution"]),
                *("smooth", labels, "--classes", classes, "--smoothing", 0.1, "--rule", rule, "--sample", "-o", "o.npy"),
            )


class ClassMatrix(SmoothCase):
    def reference(self, z, labels, classes, ignore=-100):
        matrix = np.zeros((classes, classes))
        with np.errstate(under="ignore"):
            for y in range(classes):
                rows = z[labels == y].astype(float) if y != ignore else z[:0]
                p = np.exp(rows - np.logaddexp.reduce(rows, axis=1, keepdims=True))
                row = p.mean(axis=0) if len(p) else np.zeros(classes)
                row[y] = 0
                matrix[y] = row / row.sum() if row.sum() > 0 else (np.arange(classes) != y) / (classes - 1)
        return matrix

    def test_against_numpy(self):
        for shape, classes, logits_type, label_type in (
            ((500,), 7, "f8", "i8"),
            ((500,), 7, "f4", "u1"),
            ((20, 25), 7, "f2", "i4"),
            ((4, 5, 6), 2, "f8", "u8"),
            ((), 3, "f4", "i2"),
            ((400000,), 3, "f4", "i1"),  # more than one piece
        ):
            with self.subTest(shape=shape, logits_type=logits_type):
                z = (self.random.normal(scale=5, size=(*shape, classes)) + 30).astype(logits_type)
                labels = np.asarray(self.random.integers(0, classes, shape)).astype(label_type)
                flags = ["--classes", classes, "--matrix-from", self.save("z.npy", z), "--dtype", "f64"]
                result, found = self.smooth(labels, *flags)
                expected = self.reference(z.reshape(-1, classes), labels.ravel(), classes)
                self.assertEqual(found.dtype, np.float64)
                self.assertTrue((np.abs(found - expected) <= 1e-12 * expected).all())
                self.assertTrue((found.diagonal() == 0).all())
                unseen = [y for y in range(classes) if y not in labels]
                self.assertEqual(result["uniform_rows"], unseen)
                self.assertEqual((result["rows"], result["counted"]), (labels.size, labels.size))
                single = self.smooth(labels, *flags[:-2])[1]
                self.assertEqual(single.dtype, np.float32)
                self.assertTrue((single == found.astype("f4")).all())

    def test_bf16_logits(self):
        z = self.random.normal(size=(50, 3)).astype("f4").view("u4") & 0xFFFF0000
        halves = pathlib.Path(self.save("h.npy", (z >> 16).astype("u2")))
        halves.write_bytes(halves.read_bytes().replace(b"<u2", b"<V2"))  # as ml_dtypes writes them
        labels = self.random.integers(0, 3, 50)
        flags = ["--classes", 3, "--dtype", "f64", "--matrix-from"]
        found = self.smooth(labels, *flags, halves)[1]
        self.assertTrue((found == self.smooth(labels, *flags, self.save("z.npy", z.view("f4")))[1]).all())

    def test_by_hand_from_logits_to_targets(self):
        """Two rows of class 0 (.6 .3 .1), (.2 .5 .3); one of class 1 (.1 .8 .1); none of class 2."""
        p = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.5, 0.5, 0.0]])
        with np.errstate(divide="ignore"):
            logits = self.save("z.npy", np.log(p) + [[1000], [-5], [0], [0]])
        labels = self.save("y.npy", np.array([0, 0, 1, -100]))
        done = self.start("smooth", labels, "--classes", 3, "--matrix-from", logits, "-o", "matrix.npy")
        self.assertEqual(done.returncode, 0)
        note = "labelsmooth: 1 of 3 classes have no rows to learn from, theirs are uniform: 2\n"
        self.assertEqual(done.stderr.decode(), note)
        matrix = np.load(self.path("matrix.npy"))
        self.assertTrue(np.allclose(matrix, [[0, 2 / 3, 1 / 3], [0.5, 0, 0.5], [0.5, 0.5, 0]], rtol=1e-7, atol=0))
        flags = ["--classes", 3, "--rule", "matrix", "--matrix", "matrix.npy", "--smoothing", 0.3]
        _, targets = self.smooth(np.array([0, 1, 2, -100]), *flags)
        hand = [[0.7, 0.2, 0.1], [0.15, 0.7, 0.15], [0.15, 0.15, 0.7], [0, 0, 0]]
        self.assertTrue(np.allclose(targets, hand, rtol=2e-7, atol=0))

    def test_ignored_rows_are_never_read(self):
        z = self.random.normal(size=(60, 4))
        labels = self.random.integers(0, 4, 60)
        z[::5] = [[np.nan, np.inf, -np.inf, 0]]
        labels[::5] = -7
        flags = ["--classes", 4, "--dtype", "f64", "--ignore-index", "-7", "--matrix-from", self.save("z.npy", z)]
        result, found = self.smooth(labels, *flags)
        self.assertTrue(np.allclose(found, self.reference(z, labels, 4), rtol=1e-12, atol=0))
        self.assertEqual((result["rows"], result["counted"]), (60, 48))

    def test_ignored_class_has_no_rows(self):
        z = self.random.normal(size=(60, 4))
        labels = self.random.integers(0, 4, 60)
        flags = ["--classes", 4, "--dtype", "f64", "--ignore-index", 2, "--matrix-from", self.save("z.npy", z)]
        result, found = self.smooth(labels, *flags)
        self.assertEqual(result["uniform_rows"], [2])
        self.assertTrue(np.allclose(found, self.reference(z, labels, 4, ignore=2), rtol=1e-12, atol=0))

    def test_sure_and_impossible_classes(self):
        # off the label 4e-131 and less, 0 (underflow), and an impossible label, which is no error
        z = np.array([[0, -300, -301.0], [-9999, 0, -9999], [0, np.log(3), -np.inf]])
        labels = np.arange(3)
        result, found = self.smooth(labels, "--classes", 3, "--dtype", "f64", "--matrix-from", self.save("z.npy", z))
        a = 1 / (1 + np.exp(-1))
        self.assertTrue(np.allclose(found, [[0, a, 1 - a], [0.5, 0, 0.5], [0.25, 0.75, 0]], rtol=1e-10, atol=0))
        self.assertEqual(result["uniform_rows"], [1])

    def test_threads_change_nothing(self):
        z = self.save("z.npy", self.random.normal(size=(30000, 50)))
        labels = self.save("y.npy", self.random.integers(0, 50, 30000))
        flags = ["--classes", 50, "--matrix-from", z, "--dtype", "f64"]
        one = self.smooth(labels, *flags, "--threads", 1)[1]
        self.assertEqual(one.tobytes(), self.smooth(labels, *flags, "--threads", 4)[1].tobytes())

    def test_a_long_note_is_cut(self):
        labels = self.save("y.npy", np.array([0]))
        z = self.save("z.npy", np.zeros((1, 20)))
        command = ["smooth", labels, "--classes", 20, "--matrix-from", z, "-o", "m.npy"]
        self.assertTrue(self.start(*command).stderr.endswith(b"theirs are uniform: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...\n"))
        self.assertEqual(self.start(*command, "--quiet").stderr, b"")
        self.assertEqual(self.run_json(*command, "--quiet")["uniform_rows"], list(range(1, 20)))

    def test_refusals(self):
        labels = self.save("y.npy", np.array([0, 1, 2, -100]))
        command = ["smooth", labels, "--classes", 3, "-o", "out.npy", "--matrix-from"]
        for row in ([0, np.nan, 0], [0, np.inf, 0], [-np.inf] * 3):
            z = np.zeros((4, 3))
            z[2] = row
            self.refuse(1, ["z.npy", "row 2", "NaN"], *command, self.save("z.npy", z))
        self.refuse(1, ["z.npy", "(4, 2) found, (4, 3)"], *command, self.save("z.npy", np.zeros((4, 2))))
        self.refuse(1, ["z.npy", "(3, 3) found, (4, 3)"], *command, self.save("z.npy", np.zeros((3, 3))))
        self.refuse(1, ["z.npy", "i64, f32"], *command, self.save("z.npy", np.zeros((4, 3), int)))
        self.refuse(1, ["z.npy", "Fortran"], *command, self.save("z.npy", np.zeros((4, 3), order="F")))
        self.refuse(1, ["gone.npy", "cannot be opened"], *command, "gone.npy")
        z = self.save("z.npy", np.zeros((4, 3)))
        nothing = self.save("n.npy", np.full(4, -100))
        self.refuse(1, ["n.npy", "no row counts"], "smooth", nothing, *command[2:], z)
        empty = self.save("n.npy", np.zeros(0, int))
        self.refuse(1, ["n.npy", "no row counts"], "smooth", empty, *command[2:], z)
        one = self.save("o.npy", np.zeros(4, int))
        for classes in (1, 2**15 + 1):
            self.refuse(
                *(2, ["--classes", str(classes), "2 to 32768"]),
                *("smooth", one, "--classes", classes, "-o", "out.npy", "--matrix-from", z),
            )
        for flags in (
            *(["--smoothing", 0.1], ["--rule", "uniform"], ["--sample"], ["--seed", 1, "--sample"]),
            *(["--prior", "p.npy"], ["--matrix", "m.npy"]),
        ):
            self.refuse(2, ["--matrix-from", "excludes"], *command, z, *flags)


class Errors(SmoothCase):
    def setUp(self):
        super().setUp()
        self.y = self.save("y.npy", np.array([0, 1, 2, 0]))
        self.flag = ["--classes", 3, "--smoothing", 0.1, "-o", "out.npy"]

    def test_files(self):
        whole = pathlib.Path(self.y).read_bytes()
        (self.folder / "empty.npy").touch()
        (self.folder / "cut.npy").write_bytes(whole[:-1])
        (self.folder / "long.npy").write_bytes(whole + b"\0")
        (self.folder / "text.npy").write_text("1 2 3\n")
        huge = whole.replace(b"(4,), }", b"(1152921504606846975,), }", 1)
        (self.folder / "huge.npy").write_bytes(huge[:118] + b"\n" + huge[119:])
        for bad, what in (
            ("missing.npy", "cannot be opened: No such file"),
            (".", "is a directory"),
            ("empty.npy", "no .npy file"),
            ("cut.npy", "31 bytes of data"),
            ("long.npy", "33 bytes of data"),
            ("text.npy", "no .npy file"),
            ("huge.npy", ""),
        ):
            self.refuse(1, [bad, what], "smooth", bad, *self.flag)
            self.refuse(1, [bad, what], "smooth", self.y, *self.flag, "--rule", "prior", "--prior", bad)
            self.refuse(1, [bad, what], "smooth", self.y, *self.flag, "--rule", "matrix", "--matrix", bad)
        self.refuse(1, "standard input: no .npy file", "smooth", "-", *self.flag, input=b"")

    def test_labels(self):
        self.refuse(1, ["f.npy", "f64, integers"], "smooth", self.save("f.npy", np.zeros(3)), *self.flag)
        self.refuse(1, ["b.npy", "boolean"], "smooth", self.save("b.npy", np.zeros(3, bool)), *self.flag)
        fortran = self.save("f.npy", np.zeros((2, 3), int, order="F"))
        self.refuse(1, ["f.npy", "Fortran"], "smooth", fortran, *self.flag)
        for labels, what in (
            ([0, 1, 3, 0], "row 2 has 3, 0 to 2 and the ignored -100 are allowed"),
            ([0, -1, 3, 0], "row 1 has -1"),
            ([0, 1, 2, -101], "row 3 has -101"),
            ([[0, 1], [2, 7]], "row 3 has 7"),
        ):
            bad = self.save("bad.npy", np.array(labels))
            self.refuse(1, ["bad.npy", what], "smooth", bad, *self.flag)
            self.refuse(1, ["bad.npy", what], "smooth", bad, *self.flag, "--sample")
        self.refuse(1, ["bad.npy", "row 1"], "smooth", self.save("bad.npy", np.array([0, 2**63], "u8")), *self.flag)
        last = np.zeros(300000, "u1")
        last[-1] = 3
        self.refuse(1, ["bad.npy", "row 299999 has 3"], "smooth", self.save("bad.npy", last), *self.flag)

    def test_priors_and_matrices(self):
        for prior, what in (
            ([0.5, 0.5, 0.1], "sums to 1.1"),
            ([0.5, 0.5, 2e-6], "sums to"),
            ([1.5, -0.5, 0], "class 1 has -0.5"),
            ([np.nan, 0.5, 0.5], "class 0 has nan"),
            ([0.5, np.inf, 0.5], "class 1 has inf"),
            ([0, 1, 0], "i64, f32"),
        ):
            command = ["smooth", self.y, *self.flag]
            file = self.save("p.npy", np.array(prior))
            self.refuse(1, ["p.npy", what], *command, "--rule", "prior", "--prior", file)
            matrix = np.full((3, 3), 1 / 3)
            matrix = matrix.astype(np.array(prior).dtype)
            matrix[1] = prior
            row = "row 0: " if matrix.dtype.kind == "i" else "row 1: "
            file = self.save("m.npy", matrix)
            self.refuse(1, ["m.npy", row, what], *command, "--rule", "matrix", "--matrix", file)
        self.refuse(
            1, ["p.npy", "(2,) found, (3,)"], *command, "--rule", "prior", "--prior", self.save("p.npy", np.ones(2) / 2)
        )
        for matrix, what in (
            (np.full((2, 3), 1 / 3), "(2, 3) found, (3, 3)"),
            (np.full(9, 1 / 3), "(9,) found, (3, 3)"),
            (np.zeros((0, 3)), "(0, 3) found, (3, 3)"),
            (np.asfortranarray(np.eye(3)[[1, 2, 0]]), "Fortran order found"),
        ):
            file = self.save("m.npy", matrix)
            self.refuse(1, ["m.npy", what], *command, "--rule", "matrix", "--matrix", file)
        good = np.eye(3)
        good[1, 2] = 9e-7
        file = self.save("m.npy", good)
        self.assertEqual(self.start(*command, "--rule", "matrix", "--matrix", file).returncode, 0)

    def test_command_line(self):
        file = self.save("p.npy", np.full(3, 1 / 3))
        command = ["smooth", self.y, "-o", "out.npy"]
        classes = ["--classes", 3]
        self.refuse(2, "--classes", *command, "--smoothing", 0.1)
        for bad in ("0", "-1", "x", "", "16777217", "99999999999999999999", "nan"):
            self.refuse(2, "--classes", *command, "--smoothing", 0.1, "--classes", bad)
        self.refuse(2, ["--smoothing", "missing"], *command, *classes)
        for bad in ("-0.1", "1.1", "nan", "inf", "x", ""):
            self.refuse(2, "--smoothing", *command, *classes, "--smoothing", bad)
        command += [*classes, "--smoothing", 0.1]
        self.refuse(2, "--rule", *command, "--rule", "foo")
        self.refuse(2, "0 only", *command, "--rule", "none")
        self.refuse(2, "--prior", *command, "--rule", "prior")
        self.refuse(2, "--prior", *command, "--prior", file)
        self.refuse(2, "--matrix", *command, "--rule", "matrix")
        self.refuse(2, "--matrix", *command, "--matrix", file)
        self.refuse(2, "--matrix", *command, "--rule", "prior", "--prior", file, "--matrix", file)
        self.refuse(2, "--seed", *command, "--seed", 1)
        for bad in ("-1", "1.5", "99999999999999999999"):
            self.refuse(2, "--seed", *command, "--sample", "--seed", bad)
        self.refuse(2, "--dtype", *command, "--dtype", "f16")
        self.refuse(2, "--dtype", *command, "--dtype", "f32", "--sample")
        self.refuse(2, "--ignore-index", *command, "--ignore-index", "one")
        self.refuse(2, "--threads", *command, "--threads", 0)
        self.refuse(2, "--wrong", *command, "--wrong")
        self.refuse(2, "LABELS", "smooth", *self.flag)
        self.refuse(2, "--out", "smooth", self.y, *classes, "--smoothing", 0.1)

    def test_rules_that_need_classes(self):
        one = self.save("one.npy", np.zeros(2, int))
        command = ["smooth", one, "--classes", 1, "-o", "out.npy", "--rule"]
        self.refuse(2, ["--smoothing", "others needs at least 2 classes"], *command, "others", "--smoothing", 0.1)
        self.refuse(2, ["--smoothing", "leaves no mass"], *command, "flip", "--smoothing", 1)

    def test_outputs_that_cannot_be_written(self):
        (self.folder / "folder").mkdir()
        z = self.save("z.npy", np.zeros((4, 3)))
        for flags in (
            ["--smoothing", 0.1],
            ["--smoothing", 0.1, "--rule", "flip"],
            ["--smoothing", 0.1, "--sample"],
            ["--matrix-from", z],
        ):
            command = ["smooth", self.y, "--classes", 3, *flags, "-o"]
            self.refuse(1, ["no/g.npy", "cannot be written"], *command, "no/g.npy")
            self.refuse(1, [self.y + "/g.npy", "cannot be written"], *command, self.y + "/g.npy")
            self.refuse(1, ["folder", "is a directory"], *command, "folder")
            self.refuse(1, ["/dev/full", "cannot be written"], *command, "/dev/full")


if __name__ == "__main__":
    unittest.main()
