#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""verify: the contract of its JSON, and its evidence computed again from the definitions.

LABELSMOOTH=build/release/labelsmooth python3 tests/program/verify_test.py
"""

import itertools
import math
import os
import unittest

import numpy as np

from verb_case import Case

P = np.array([0.1, 0.1, 0.1, 0.36, 0.34])  # the document's example: K = 5, label 3, e = 0.1
LABEL, E = 3, 0.1
RULES = ("uniform", "others", "flip", "additive")

# What holds of each sentence, in the document's order: ids may repeat.
VERDICTS = [
    ("S1", "true"), ("S1", "false"), ("S2", "not tested"), ("S3", "not tested"), ("S4", "true"),
    ("S5", "not tested"), ("S6", "not tested"), ("S7", "true"), ("S8", "not tested"), ("S9", "true"),
    ("S9", "true"), ("S9", "conditional"), ("S10", "true"), ("F1", "false"), ("S11", "conditional"),
    ("S12", "true"), ("S13", "true"), ("S13", "conditional"), ("S14", "true"), ("S14", "true"),
    ("S14", "conditional"), ("S15", "conditional"), ("S16", "false"), ("F8", "conditional"),
    ("S17", "true"), ("S17", "conditional"), ("S18", "true"), ("S18", "true"), ("S18", "false"),
    ("S18", "true"), ("S18", "false"), ("S18", "conditional"), ("code", "true"), ("code", "false"),
    ("S19", "not tested"), ("S20", "not tested"), ("S21", "not tested"), ("S21", "not tested"),
]  # fmt: skip


def target(rule, e=E, classes=5, label=LABEL):
    hard = np.eye(classes)[label]
    return {
        "none": hard,
        "uniform": (1 - e) * hard + e / classes,
        "others": (1 - e) * hard + e / (classes - 1) * (1 - hard),
        "flip": (1 - e) * hard + e * (1 - hard),
        "additive": (1 - e) * hard + e,
    }[rule]


def loss(q, p=P):
    return -(q * np.log(p)).sum()


def gradient(q, p=P):
    return q.sum() * p - q


def floor(q):
    return -(q * np.log(q / q.sum())).sum()


class Verify(Case):
    def setUp(self):
        super().setUp()
        self.result = self.run_json("verify")
        self.checks = self.result["checks"]

    def evidence(self, name, place=0):
        return [check for check in self.checks if check["id"] == name][place]["evidence"]

    def close(self, found, expected, tolerance=1e-12):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)

    # ---- the contract

    def test_json(self):
        self.assertEqual([(check["id"], check["verdict"]) for check in self.checks], VERDICTS)
        for check in self.checks:
            self.assertEqual(
                set(check), {"id", "quote", "claim", "verdict", "finding", "evidence", "passed"}, check["id"]
            )
            self.assertIs(check["passed"], True)
            self.assertIsInstance(check["evidence"], dict)
            for key in ("quote", "claim", "finding"):
                self.assertTrue(check[key] and "\n" not in check[key])
        self.assertEqual(len({check["claim"] for check in self.checks}), len(self.checks))
        self.assertEqual((self.result["seed"], self.result["failed"]), (1, 0))

    def test_untested_claims_say_where_they_are_tested(self):
        nowhere = [check["claim"] for check in self.checks if check["evidence"].get("tested_by", 0) is None]
        self.assertEqual(len(nowhere), 2)  # history, and shift
        self.assertIn("under shift", nowhere[1])
        for check in self.checks:
            self.assertEqual(check["verdict"] == "not tested", "tested_by" in check["evidence"])
            if check["evidence"].get("tested_by"):
                self.assertIn(check["evidence"]["tested_by"], check["finding"])

    def test_text(self):
        done = self.start("verify")
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        lines = done.stdout.decode().splitlines()
        for check, first, second in zip(self.checks, lines[1::2], lines[2::2]):
            self.assertEqual(first, f"{check['id']:6}{check['verdict']:13}{check['claim']}")
            self.assertEqual(second, " " * 19 + check["finding"])
        self.assertEqual(lines[-1], "38 checks: 15 true, 8 conditional, 6 false, 9 not tested; 0 failed")

    def test_the_seed_alone_decides(self):
        first = self.start("verify", "--json").stdout
        for flags in (("--seed", 1), ("--threads", 1), ("--threads", 7)):
            self.assertEqual(self.start("verify", "--json", *flags).stdout, first, flags)
        changed = set()
        for seed in (2, 3, 4, 5):  # one alone may round alike
            other = self.run_json("verify", "--seed", seed)
            self.assertEqual(other["seed"], seed)
            for ours, theirs in zip(self.checks, other["checks"]):
                if ours["evidence"] != theirs["evidence"]:
                    changed.add(ours["id"])
        # what measures on random rows
        self.assertEqual(changed, {"S1", "S4", "S7", "S9", "S10", "S14", "S16", "S17", "S18", "F8", "code"})

    def test_many_seeds(self):
        for seed in (0, 3, 4, 5, 2**31, 2**63 - 1):
            checks = self.run_json("verify", "--seed", seed)["checks"]
            self.assertEqual([(check["id"], check["verdict"]) for check in checks], VERDICTS)
            self.assertTrue(all(check["passed"] for check in checks))

    def test_every_instruction_set(self):
        for isa in self.run_json("info")["isa"]["usable"]:
            environment = {**os.environ, "LABELSMOOTH_ISA": isa}
            self.assertEqual(self.run_json("verify", env=environment)["failed"], 0, isa)

    def test_refusals(self):
        for seed in ("-1", "1.5", "x", "", "99999999999999999999"):
            self.refuse(2, "seed", "verify", f"--seed={seed}")
        self.refuse(2, "threads", "verify", "--threads", 0)
        self.refuse(2, "extra", "verify", "extra")

    # ---- the evidence

    def test_hard_labels(self):
        splits = self.evidence("S1")
        for p, hard, smoothed in zip(splits["splits"], splits["hard"], splits["smoothed"]):
            self.close(sum(p), 1)
            self.close([hard, smoothed], [loss(target("none"), p), loss(target("uniform"), p)])
        self.close(self.evidence("S1", 1)["gradient"], [0.1, 0.1, 0.1, -0.64, 0.34])
        self.close(self.evidence("S16")["label_gradient"], -0.64)
        self.close(self.evidence("S16")["wrong_gradient_sum"], 0.64)

    def test_draws(self):
        binary = np.array([0.64, 0.36])
        cases = [
            (self.evidence("S7"), target("flip", classes=2, label=1), binary, 0.1),
            (self.evidence("S9", 1)["uniform"], target("uniform"), P, 0.08),
            (self.evidence("S9", 1)["others"], target("others"), P, 0.1),
        ]
        for found, q, p, changed in cases:
            variance = (q * np.log(p) ** 2).sum() - loss(q, p) ** 2
            n = found["draws"]
            self.close([found["smoothed_loss"], found["variance"]], [loss(q, p), variance])
            self.assertLess(abs(found["mean_loss"] - loss(q, p)), 5 * math.sqrt(variance / n))
            self.assertNotEqual(found["mean_loss"], found["smoothed_loss"])  # really drawn
            self.assertLess(abs(found["changed"] - changed), 5 * math.sqrt(changed * (1 - changed) / n))
            self.assertLess(abs(found["sampled_variance"] - variance), 0.01)
            z_of_loss = abs(found["mean_loss"] - loss(q, p)) / math.sqrt(variance / n)
            self.assertLess(z_of_loss - 1e-6, found["largest_z"])
            self.assertLess(found["largest_z"], 5)
        for rule, found in self.evidence("S9", 2)["variance"].items():
            self.close(found, (target(rule) * np.log(P) ** 2).sum() - loss(target(rule)) ** 2)

    def test_printed_loss(self):
        found = self.evidence("F1")
        self.close([found["f1_at_0.9"], found["f5_at_0.9"]], [-0.9, -0.82])
        self.assertEqual(found["printed_optimum_logit"], found["grid_end"])
        self.close(found["cross_entropy_optimum_logit"], math.log(9), 0.005)

    def test_targets(self):
        for rule in RULES:
            binary = [target(rule, classes=2, label=label)[1] for label in (0, 1)]
            self.close(self.evidence("S11")["targets"][rule], binary)
            self.close(self.evidence("S15")["targets"][rule], target(rule))
        self.close(self.evidence("F8")["softmax_mass"], 1.3)
        self.close(self.evidence("F8")["softmax_target"], target("flip"))
        code = self.evidence("code", 1)
        self.close(code["code_target"], [0.02, 0.02, 0.02, 0.92, 0.02])
        self.close([code["code_loss"], code["example_loss"]], [1.099650446537, 1.820307741567], 1e-11)
        self.close(code["equivalent_scale"] * loss(target("uniform", code["equivalent_amount"])), code["example_loss"])

    def test_optima(self):
        self.close(self.evidence("S12")["smoothed_cost"], [0.1, 0.1])
        self.close(self.evidence("S12")["hard_cost"], [0, 0])
        turn = self.evidence("S14")
        for side, found in ((-0.1, turn["below"]), (0.1, turn["above"])):
            self.close(found, -1 / (1 + math.exp(math.log(9) + side)) + 0.1)
        reached = self.evidence("S14", 1)
        for row in reached["binary"]:
            self.close(row["logit"], math.log((1 - row["amount"]) / row["amount"]), 1e-9)
        for row in reached["softmax"]:
            q = target(row["rule"], classes=row["classes"], label=0)
            self.close(row["gap"], math.log(q[0] / q[1]), 1e-9)
        self.assertEqual(len(reached["softmax"]), 12)
        grid = [(row["classes"], row["amount"]) for row in reached["uniform_floors"]]
        self.assertEqual(grid, list(itertools.product((2, 5, 10, 100, 1000), (0.05, 0.1, 0.2))))
        for row in reached["uniform_floors"]:
            q = target("uniform", row["amount"], row["classes"], 0)
            self.close([row["gap"], row["floor"]], [math.log(q[0] / q[1]), floor(q)])
        self.close([reached["uniform_floors"][4]["gap"], reached["uniform_floors"][4]["floor"]],
                   [3.828641396489, 0.389672920658], 1e-11)  # fmt: skip
        for row in self.evidence("S14", 2)["optima"]:
            e = row["amount"]
            self.close(row["probability"], (1 - 2 * e) * row["share"] + e, 1e-9)

    def test_training(self):
        separable = ([-2, -0.5, 1, 3], [0, 0, 1, 1])
        overlapping = ([-2, -0.5, 1, 3, -1, 2], [0, 0, 1, 1, 1, 0])
        for place, (x, y) in enumerate((separable, overlapping)):
            for arm, e in (("hard", 0), ("smoothed", 0.1)):
                features, labels = np.stack([x, np.ones(len(x))], 1), np.abs(np.array(y) - e)
                w, norms = np.zeros(2), {}
                for step in range(1, 4001):
                    outputs = 1 / (1 + np.exp(-features @ w))
                    w -= features.T @ (outputs - labels) / len(x)
                    norms[step] = np.linalg.norm(w)
                found = self.evidence("S13", place)[arm]
                self.close(found["norms"], [norms[1000], norms[2000], norms[4000]], 1e-9)
                self.close(found["largest_output"], (1 / (1 + np.exp(-features @ w))).max(), 1e-9)

    def test_example(self):
        losses = {rule: loss(target(rule)) for rule in ("none", *RULES)}
        self.assertEqual(set(self.evidence("S17")["losses"]), set(losses))
        for rule, found in self.evidence("S17")["losses"].items():
            self.close(found, losses[rule])
        general = self.evidence("S17", 1)
        p = np.array([0.24, 0.24, 0.24, 0.04, 0.24])
        self.close(general["counter_example_uniform"], 3.075535067330 - 3.218875824868, 1e-11)
        self.close(general["counter_example_uniform"], loss(target("uniform") - target("none"), p), 1e-11)
        p = np.array([0.25, 0.25, 0.25, 1e-6, 0.249999])
        self.close(general["counter_example_flip"], loss(target("flip") - target("none"), p), 1e-11)
        for rule, counts in general["rules"].items():
            self.assertEqual(counts["exceptions_to_condition"], 0)
            self.assertEqual(counts["larger"] + counts["not_larger"], general["random_rows"])
            self.assertEqual(counts["not_larger"] == 0, rule == "additive")
        self.close(self.evidence("S18")["terms"], -target("additive") * np.log(P))
        self.close(self.evidence("S18", 1)["increase"], 0.798656494035, 1e-11)
        back = self.evidence("S18", 2)
        for rule, found in back["floors"].items():
            self.close(found, floor(target(rule)))
            self.assertEqual(found > back["first_loss"], rule in ("flip", "additive"))
        for rule, found in self.evidence("S18", 3)["gradients"].items():
            self.close(found, gradient(target(rule)))
        for rule, found in self.evidence("S18", 4)["pulls"].items():
            self.close(found, -gradient(target(rule))[LABEL])
        self.assertEqual(self.evidence("S18", 4)["stronger_pulls"], 0)
        self.assertEqual(set(self.evidence("S18", 5)["rules"]), set(RULES))


if __name__ == "__main__":
    unittest.main()
