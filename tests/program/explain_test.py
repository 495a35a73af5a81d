#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""explain against the definitions in NumPy and figures worked out by hand. LABELSMOOTH is the program's path.

LABELSMOOTH=build/release/labelsmooth python3 tests/program/explain_test.py
"""

import json
import math
import pathlib
import re
import unicodedata
import unittest

import numpy as np

from verb_case import Case

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STRINGS = json.loads((ROOT / "program/explain/strings.json").read_text())
RULES = ["none", "uniform", "others", "flip", "additive"]
DOCUMENT = [0.1, 0.1, 0.1, 0.36, 0.34]


def target(rule, e, classes, label):
    """By the definitions, element by element."""
    y = np.zeros(classes)
    y[label] = 1
    return {
        "none": lambda: y,
        "uniform": lambda: (1 - e) * y + e / classes,
        "others": lambda: (1 - e) * y + e / (classes - 1) * (1 - y),
        "flip": lambda: (1 - e) * y + e * (1 - y),
        "additive": lambda: (1 - e) * y + e,
    }[rule]()


def finite(value):
    return value if math.isfinite(value) else None


def reference(rule, e, p, label):
    """The contract's figures from p and the target; p has no 0."""
    classes = len(p)
    q = target(rule, e, classes, label)
    mass, at_label, elsewhere = q.sum(), q[label], np.delete(q, label)
    positive = q[q > 0]
    with np.errstate(divide="ignore"):
        gap = np.log(at_label) - np.log(elsewhere.max())
    return {
        "target": q,
        "mass": mass,
        "loss": -(q * np.log(p)).sum(),
        "loss_minus_hard": -(q * np.log(p)).sum() + np.log(p[label]),
        "gradient": mass * p - q,
        "floor": -(positive * np.log(positive / mass)).sum(),
        "optimum_probability": at_label / mass,
        "optimum_gap": finite(gap),
        "effective_smoothing": (1 - at_label / mass) * classes / (classes - 1),
        "scale": mass,
    }


def words_of(numbers):
    return ",".join(repr(float(x)) for x in numbers)


class Explain(Case):
    def rules(self, *arguments):
        found = self.run_json("explain", *arguments)
        self.assertEqual([rule["rule"] for rule in found["rules"]], RULES)
        return {rule["rule"]: rule for rule in found["rules"]}

    def holds(self, *arguments):
        return {one["statement"]: one["holds"] for one in self.run_json("explain", *arguments)["statements"]}

    def expect(self, verdicts, *arguments):
        """{statement: one letter a rule: y, n or - for nothing to decide}."""
        found = self.holds(*arguments)
        letters = {True: "y", False: "n", None: "-"}
        for statement, expected in verdicts.items():
            got = "".join(letters[found[statement][rule]] for rule in RULES)
            self.assertEqual(got, expected, f"{statement} {arguments}")

    def text(self, *arguments):
        done = self.start("explain", *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout.decode()

    def compare(self, rules, e, p, label, tolerance=1e-12):
        for rule in RULES:
            for key, expected in reference(rule, e, p, label).items():
                with self.subTest(rule=rule, key=key, e=e, classes=len(p)):
                    if expected is None:
                        self.assertIsNone(rules[rule][key])
                        continue
                    self.assertEqual(np.shape(rules[rule][key]), np.shape(expected))
                    np.testing.assert_allclose(
                        rules[rule][key], expected, rtol=tolerance, atol=tolerance * max(1, rules[rule]["mass"])
                    )

    # ---- the numbers

    def test_the_example_in_twelve_digits(self):
        rules = self.rules()
        golden = {  # loss, floor, probability, gap, effective smoothing, mass
            "none": (1.021651247532, 0, 1, None, 0, 1),
            "uniform": (1.099650446537, 0.389672920658, 0.92, math.log(46), 0.1, 1),
            "others": (1.119150246288, 0.463712410, 0.9, math.log(36), 0.125, 1),
            "flip": (1.718142616814, 1.356932045, 9 / 13, math.log(9), 5 / 13, 1.3),
            "additive": (1.820307741567, 1.392095168, 5 / 7, math.log(10), 5 / 14, 1.4),
        }
        for rule, (loss, floor, probability, gap, effective, mass) in golden.items():
            found = rules[rule]
            self.assertAlmostEqual(found["loss"], loss, delta=6e-13)
            self.assertAlmostEqual(found["floor"], floor, delta=6e-10)  # nine digits known
            self.assertAlmostEqual(found["optimum_probability"], probability, delta=1e-15)
            self.assertAlmostEqual(found["effective_smoothing"], effective, delta=1e-15)
            self.assertAlmostEqual(found["mass"], mass, delta=1e-15)
            self.assertAlmostEqual(found["scale"], mass, delta=1e-15)
            if gap is None:
                self.assertIsNone(found["optimum_gap"])
            else:
                self.assertAlmostEqual(found["optimum_gap"], gap, delta=1e-13)
        larger = {"uniform": 0.077999199005, "others": 0.097498998756, "flip": 0.696491369282}
        for rule, difference in {**larger, "additive": 0.798656494035}.items():
            self.assertAlmostEqual(rules[rule]["loss_minus_hard"], difference, delta=6e-13)
        gradients = {
            "none": [0.1, 0.1, 0.1, -0.64, 0.34],
            "uniform": [0.08, 0.08, 0.08, -0.56, 0.32],
            "others": [0.075, 0.075, 0.075, -0.54, 0.315],
            "flip": [0.03, 0.03, 0.03, -0.432, 0.342],
            "additive": [0.04, 0.04, 0.04, -0.496, 0.376],
        }
        for rule, gradient in gradients.items():
            np.testing.assert_allclose(rules[rule]["gradient"], gradient, atol=1e-15)
        np.testing.assert_allclose(rules["additive"]["target"], [0.1, 0.1, 0.1, 1, 0.1], atol=1e-16)
        # the hard loss is blind to how the wrong mass is split; the others are not
        self.assertAlmostEqual(rules["none"]["loss_even"], rules["none"]["loss"], delta=1e-15)
        even = np.array([0.16, 0.16, 0.16, 0.36, 0.16])
        for rule in RULES:
            self.assertAlmostEqual(
                rules[rule]["loss_even"], reference(rule, 0.1, even, 3)["loss"], delta=1e-14, msg=rule
            )

    def test_gaps_and_floors_in_closed_form(self):
        table = {  # (gap, floor) at 0.05, 0.1, 0.2
            2: [(3.663561646130, 0.116906849138), (2.944438979166, 0.198515243346), (2.197224577336, 0.325082973391)],
            5: [(4.564348191468, 0.223395922179), (3.828641396489, 0.389672920658), (3.044522437723, 0.661476977181)],
            10: [(5.252273428047, 0.282396242764), (4.510859506517, 0.500288035058), (3.713572066704, 0.866893910731)],
            100: [(7.550135342488, 0.424498816507), (6.803505257608, 0.777797041877), (5.993961427307, 1.407451033722)],
            1000: [
                (9.852246888343, 0.543360396266),
                (9.105090961257, 1.014847997749),
                (8.294299608857, 1.880094644408),
            ],
        }
        for classes, cells in table.items():
            for e, (gap, floor) in zip((0.05, 0.1, 0.2), cells):
                uniform = self.rules("--classes", classes, "--smoothing", e)["uniform"]
                self.assertAlmostEqual(uniform["optimum_gap"], gap, delta=1e-12)
                self.assertAlmostEqual(uniform["floor"], floor, delta=1e-12)
                self.assertLess(uniform["optimum_gradient"], 1e-14)

    def test_random_samples_by_the_definitions(self):
        random = np.random.default_rng(3)
        for classes in (2, 3, 10, 257):
            for e in (0, 0.1, 0.5, 0.97, 1):
                z = random.normal(scale=4, size=classes)
                label = int(random.integers(classes))
                p = np.exp(z - np.logaddexp.reduce(z))
                arguments = ["--label", label, "--smoothing", e]
                self.compare(self.rules("--logits", words_of(z), *arguments), e, p, label)
                self.compare(self.rules("--probs", words_of(p), *arguments), e, p, label)
                np.testing.assert_allclose(
                    self.run_json("explain", "--logits", words_of(z), *arguments)["probabilities"], p, rtol=1e-13
                )

    def test_two_classes(self):
        rules = self.rules("--probs", ".3,.7", "--label", 1, "--smoothing", 0.2)
        self.assertEqual({**rules["flip"], "rule": ""}, {**rules["others"], "rule": ""})
        doubled = self.rules("--probs", ".3,.7", "--label", 1, "--smoothing", 0.4)["uniform"]
        self.assertAlmostEqual(doubled["loss"], rules["flip"]["loss"], delta=1e-15)
        self.assertIn("flip and others are the same", self.text("--classes", 2))

    def test_one_class(self):
        rules = self.rules("--classes", 1, "--smoothing", 0.3)
        self.assertIn("one class", rules["others"]["reason"])
        for key in ("target", "mass", "loss", "gradient", "floor", "scale", "optimum_probability"):
            self.assertIsNone(rules["others"][key])
        for rule, mass in (("none", 1), ("uniform", 1), ("flip", 0.7), ("additive", 1)):
            self.assertIsNone(rules[rule]["reason"])
            self.assertAlmostEqual(rules[rule]["mass"], mass, delta=1e-15)
            self.assertEqual((rules[rule]["loss"], rules[rule]["gradient"]), (0, [0]))
        self.assertIsNone(self.rules("--classes", 1, "--smoothing", 0)["others"]["reason"])
        flip = self.rules("--classes", 1, "--smoothing", 1)["flip"]
        self.assertEqual((flip["mass"], flip["loss"]), (0, 0))
        self.assertIsNone(flip["effective_smoothing"])
        self.assertIn("no mass", flip["reason"])
        everything = {"label_only": "-----", "stops": "-----", "label_up": "-----", "wrong_down": "-----"}
        self.expect({**everything, "larger": "nn-nn"}, "--classes", 1)

    def test_impossible_classes(self):
        rules = self.rules("--probs", "0,.5,.5", "--label", 1, "--smoothing", 0.1)
        self.assertAlmostEqual(rules["none"]["loss"], math.log(2), delta=1e-15)
        for rule in RULES[1:]:
            self.assertIsNone(rules[rule]["loss"])  # infinite
            q = target(rule, 0.1, 3, 1)
            np.testing.assert_allclose(rules[rule]["gradient"], q.sum() * np.array([0, 0.5, 0.5]) - q, atol=1e-15)
        self.expect({"larger": "nyyyy"}, "--probs", "0,.5,.5", "--label", 1)
        self.assertIn("inf", self.text("--probs", "0,.5,.5", "--label", 1))
        self.assertEqual(rules, self.rules("--logits=-inf,0,0", "--label", 1))
        self.assertIsNone(self.rules("--probs", "0,.5,.5", "--label", 0)["none"]["loss"])
        self.expect({"larger": "-----", "returns": "yyyyy"}, "--probs", "0,.5,.5", "--label", 0)

    # ---- the document's statements

    def test_the_statements_about_the_example(self):
        self.expect(
            {
                "label_only": "ynnnn",
                "wrong_ignored": "nnnnn",
                "flipped": "nnnyn",
                "distribution": "yyynn",
                "stops": "nyyyy",
                "larger": "nyyyy",
                "counted": "nyyyy",
                "returns": "yyynn",
                "label_up": "yyyyy",
                "wrong_down": "yyyyy",
            }
        )
        found = self.run_json("explain")
        self.assertEqual({one["id"] for one in found["statements"]}, {"S1", "S11", "S14", "S16", "S17", "S18", "F8"})
        self.assertEqual((found["classes"], found["label"], found["smoothing"]), (5, 3, 0.1))
        self.assertEqual(found["prediction"], "document")
        np.testing.assert_allclose(found["probabilities"], DOCUMENT, rtol=1e-15)
        text = self.text()
        for fragment in ("loss_1 = -log 0.36 = 1.02165", "loss_2 = 1.82031", "[0.1, 0.1, 0.1, 1, 0.1]"):
            self.assertIn(fragment, text)
        self.assertIn("additive 1.3921. Rules that can get down to loss_1 = 1.02165: none, uniform, others;", text)
        self.assertIn("that cannot: flip, additive.", text)

    def test_when_the_smoothed_loss_is_larger(self):
        below = ["--probs", ".24,.24,.24,.04,.24", "--label", 3]  # under the geometric mean
        rules = self.rules(*below)
        self.assertAlmostEqual(rules["none"]["loss"], 3.218875824868, delta=6e-13)
        self.assertAlmostEqual(rules["uniform"]["loss"], 3.075535067330, delta=6e-13)
        self.expect({"larger": "nnnyy"}, *below)
        self.assertAlmostEqual(
            self.run_json("explain", *below)["geometric_mean"], (0.24**4 * 0.04) ** 0.2, delta=1e-15
        )
        tiny = ["--probs", ".25,.25,.25,1e-6,.249999", "--label", 3]
        rules = self.rules(*tiny)
        for rule, loss in (("none", 13.8155), ("flip", 12.9885), ("additive", 14.3700)):
            self.assertAlmostEqual(rules[rule]["loss"], loss, delta=6e-5)
        self.expect({"larger": "nnnny"}, *tiny)
        # at the mean itself, and without smoothing, nothing changes: rounding must not decide
        for classes in (2, 3, 7, 10, 1000):
            self.expect({"larger": "nnnyy" if classes > 2 else "nnnny"}, "--classes", classes)
        self.expect({"larger": "nnnnn", "returns": "yyyyy", "flipped": "yyyyy"}, "--smoothing", 0)

    def test_whom_the_gradient_pushes(self):
        sure = ["--probs", ".01,.01,.97,.01", "--label", 2]
        found = self.rules(*sure)
        for rule in RULES:
            expected = reference(rule, 0.1, np.array([0.01, 0.01, 0.97, 0.01]), 2)["gradient"]
            pushed = [k for k in (0, 1, 3) if expected[k] < 0]
            self.assertEqual(found[rule]["pushed_up"], pushed, rule)
        self.expect({"label_up": "ynnnn", "wrong_down": "ynnnn", "wrong_ignored": "nyyyy"}, *sure)
        self.assertIn("uniform (0, 1, 3)", self.text(*sure))
        some = ["--probs", ".01,.2,.75,.04", "--label", 2]
        self.assertEqual(self.rules(*some)["uniform"]["pushed_up"], [0])
        self.expect({"label_up": "yyyny", "wrong_down": "ynnnn", "wrong_ignored": "nnnnn"}, *some)
        # hard labels never stop
        self.expect({"label_up": "ynnnn", "wrong_down": "ynnnn"}, "--logits", "300,0,1", "--label", 0)
        # the output stops at the target: neither up nor down, whatever rounding says
        for rule, e in (("uniform", 0.1), ("others", 0.3), ("flip", 0.2), ("additive", 0.3)):
            for classes in (3, 5, 10):
                q = target(rule, e, classes, 1)
                at = ["--probs", words_of(q / q.sum()), "--label", 1, "--smoothing", e]
                self.assertEqual(self.rules(*at)[rule]["pushed_up"], [])
                index = RULES.index(rule)
                for statement in ("label_up", "wrong_down"):
                    self.assertIs(self.holds(*at)[statement][RULES[index]], False, (rule, classes))

    def test_smoothing_past_the_uniform_target(self):
        rules = self.rules("--smoothing", 0.9)
        self.assertAlmostEqual(rules["others"]["effective_smoothing"], 1.125, delta=1e-15)
        self.assertLess(rules["others"]["optimum_gap"], 0)
        self.assertIn("least likely class at the optimum of: others, flip", self.text("--smoothing", 0.9))
        for classes in (2, 3, 5, 10, 11, 49):  # at the edge, where every class is alike
            edge = self.text("--classes", classes, "--smoothing", repr(1 - 1 / classes))
            self.assertEqual("optimum of: flip." in edge, classes > 2, edge.splitlines()[1:3])
        self.expect({"stops": "nynny"}, "--classes", 2, "--smoothing", 1)
        self.assertIsNone(self.rules("--smoothing", 1)["others"]["optimum_gap"])  # -inf

    # ---- the command line

    def test_what_is_not_given(self):
        self.assertEqual(self.rules(), self.rules("--probs", "0.1,0.1,0.1,0.36,0.34", "--label", 3))
        self.assertNotEqual(self.rules(), self.rules("--smoothing", 0.2))
        self.assertNotEqual(self.rules(), self.rules("--label", 0))
        self.compare(self.rules("--smoothing", 0.2, "--label", 0), 0.2, np.array(DOCUMENT), 0)
        found = self.run_json("explain", "--classes", 7)
        self.assertEqual((found["prediction"], found["classes"], found["label"]), ("equal", 7, 0))
        self.compare(self.rules("--classes", 7, "--label", 6), 0.1, np.full(7, 1 / 7), 6)
        given = self.run_json("explain", "--classes", 2, "--logits", "1,2", "--label", 0)
        self.assertEqual(given["prediction"], "given")

    def test_both_forms_of_negative_numbers(self):
        expected = self.run_json("explain", "--logits=-1,2,3", "--label", 0)
        self.assertEqual(self.run_json("explain", "--logits", "-1,2,3", "--label", 0), expected)
        self.compare(
            {rule["rule"]: rule for rule in expected["rules"]},
            0.1,
            np.exp([-1, 2, 3]) / np.exp([-1, 2, 3]).sum(),
            0,
        )
        for text in ("-.5,2", "-inf,2", "-1e3,2", " -1, 2"):
            self.run_json("explain", "--logits", text, "--label", 1)

    def test_a_common_offset_changes_nothing(self):
        small = self.rules("--logits", "1,2,-3", "--label", 1)
        large = self.rules("--logits", "1048577,1048578,1048573", "--label", 1)
        for rule in RULES:
            self.assertAlmostEqual(small[rule]["loss"], large[rule]["loss"], delta=1e-15)

    def test_refusals(self):
        def refuse(fragments, *arguments):
            self.refuse(2, fragments, "explain", *arguments)

        refuse(["--classes", "3 found", "has 2"], "--classes", 3, "--probs", ".5,.5", "--label", 0)
        refuse(["--logits", "--probs"], "--probs", ".5,.5", "--logits", "1,2", "--label", 0)
        refuse(["--label", "missing", "0 to 1"], "--probs", ".5,.5")
        refuse(["--label", "2 found, 0 to 1"], "--logits", "1,2", "--label", 2)
        refuse(["--label", "5 found, 0 to 4"], "--label", 5)
        for label in (-1, "x", 1.5, 1 << 64):
            refuse("--label", "--label", label)
        for amount in (-0.1, 1.1, "nan", "x", ""):
            refuse("--smoothing", "--smoothing", amount)
        for classes in (0, -1, 1000001, 2.5, "x"):
            refuse("--classes", "--classes", classes)
        refuse(["--probs", "sum to 1.00001"], "--probs", ".5,.50001", "--label", 0)
        refuse(["--probs", "class 1 has -0.5"], "--probs", "1.5,-.5", "--label", 0)
        refuse(["--probs", "class 0 has nan"], "--probs", "nan,1", "--label", 0)
        refuse(["--probs", "sum to inf"], "--probs", "inf,1", "--label", 0)
        refuse(["--logits", "class 1 has nan"], "--logits", "1,nan", "--label", 0)
        refuse(["--logits", "class 0 has inf"], "--logits", "inf,1", "--label", 0)
        refuse(["--logits", "every class has -inf"], "--logits=-inf,-inf", "--label", 0)
        for flag in ("--logits", "--probs"):
            for text in ("", ",", "1,,0", "1,", ",1", "x", "1;2", "1e999,0", "1 2", "0x1,0"):
                refuse([flag, "numbers are allowed"], flag, text, "--label", 0)
        refuse("--lang", "--lang", "fr")
        self.run_json("explain", "--probs", ".5,.5000005", "--label", 0)  # within the tolerance

    # ---- the words

    def width(self, text):
        return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)

    def test_the_text_is_aligned_and_holds_the_numbers(self):
        for language in ("en", "zh"):
            text = self.text("--lang", language)
            lines = text.splitlines()
            heads = [line for line in lines if re.search(r"none +uniform +others +flip +additive$", line)]
            self.assertEqual(len(heads), 3)
            cell = r"(?:[-+]?[0-9.e-]+|inf|-|yes|no|是|否)"
            rows = [line for line in lines if re.search(rf"(?: +{cell}){{5}}$", line)]
            self.assertEqual(len(rows), 10 + 5 + 10)
            self.assertEqual({self.width(line) for line in heads + rows}, {44 + 5 * 13})
            for number in ("1.02165", "1.09965", "1.11915", "1.71814", "1.82031", "0.384615", "3.82864", "-0.432"):
                self.assertIn(number, text)
            self.assertNotIn("{", text)
            self.assertNotIn("null", text)

    def test_many_classes_do_not_flood_the_terminal(self):
        logits = np.zeros(10000)
        logits[[17, 4711]] = [9, 8]
        text = self.text("--logits", words_of(logits), "--label", 9999)
        self.assertLess(len(text.splitlines()), 60)
        self.assertLess(max(map(len, text.splitlines())), 400)
        for fragment in ("class 17,", "class 4711,", "class 9999,", "the label", "9990 more classes"):
            self.assertIn(fragment, text)
        sure = np.zeros(10000)
        sure[0] = 30
        self.assertIn("uniform (1, 2, 3, 4, 5 and 9994 more)", self.text("--logits", words_of(sure), "--label", 0))
        self.assertNotIn("more classes", self.text("--classes", 10))
        self.assertIn("1 more class", self.text("--classes", 11))

    def test_chinese(self):
        english, chinese = self.run_json("explain"), self.run_json("explain", "--lang", "zh")
        self.assertEqual(english["rules"], chinese["rules"])
        for one, other in zip(english["statements"], chinese["statements"]):
            self.assertEqual(one["holds"], other["holds"])
            for key in ("claim", "text"):
                self.assertNotRegex(one[key], r"[\u4e00-\u9fff]")
                self.assertRegex(other[key], r"[\u4e00-\u9fff]")
        reason = self.run_json("explain", "--classes", 1, "--lang", "zh")["rules"][2]["reason"]
        self.assertIn("只有一个类别", reason)
        terms = set(RULES) | {"loss", "logit", "PyTorch", "Keras", "optax", "json", "log", "p", "nat", "inf"}
        samples = [[], ["--classes", 1], ["--classes", 2, "--smoothing", 0], ["--classes", 20, "--smoothing", 0.99]]
        for arguments in samples:  # no English but names and terms
            words = re.findall(r"[A-Za-z]{2,}", self.text("--lang", "zh", *arguments))
            self.assertLessEqual(set(words), terms)

    def test_the_strings_are_complete(self):
        source = "".join(path.read_text() for path in (ROOT / "program/explain").glob("*.cc"))
        built = ("row.", "claim.", "remark.", "prediction.", "reason.")  # a key is put together from these
        for key, texts in STRINGS.items():
            if key == "license":
                continue
            self.assertEqual(set(texts), {"en", "zh"}, key)
            names = [set(re.findall(r"\{(\w+)\}", texts[language])) for language in ("en", "zh")]
            self.assertEqual(names[0], names[1], key)
            self.assertTrue(f'"{key}"' in source or key.startswith(built), key)

    def test_the_same_bytes_every_time(self):
        runs = {self.start("explain", "--json", "--classes", 1000).stdout for _ in range(3)}
        self.assertEqual(len(runs), 1)


if __name__ == "__main__":
    unittest.main()
