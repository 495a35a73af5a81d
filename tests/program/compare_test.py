# SPDX-License-Identifier: MIT
"""compare: every number of its JSON made again with NumPy; every option tried; every refusal. LABELSMOOTH is the
program's path."""

import math
import pathlib
import re
import sys
import unittest

import numpy as np

from verb_case import Case

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "study"))
from recompute import t_quantile, two_sided_p  # Student's t, without SciPy

PRIMARY = ["accuracy", "nll", "nll_calibrated", "nll_against_calibrated", "augrc_calibrated"]
ENDPOINTS = PRIMARY[:4] + ["brier", "brier_calibrated", "augrc", "augrc_calibrated", "gap", "gap_calibrated"]
METRICS = ["accuracy", "nll", "brier", "augrc", "gap"]
FOLDS_STREAM = 8
MARGINS = {"accuracy": 0.005, "nll": 0.01, "nll_calibrated": 0.01, "nll_against_calibrated": 0.01}

# ---- The same again, in NumPy ----


def philox(seed, stream, epoch, index):
    """Philox4x32-10, four words."""
    c = [stream, epoch, index & 0xFFFFFFFF, index >> 32]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def folds_of(rows, seed):
    order = list(range(rows))
    for i in range(rows, 1, -1):
        j = philox(seed, FOLDS_STREAM, 0, i)[0] * i >> 32
        order[i - 1], order[j] = order[j], order[i - 1]
    folds = np.empty(rows, int)
    folds[order] = np.arange(rows) % 5
    return folds


def lse(z):
    top = z.max(axis=1, keepdims=True)
    return (top + np.log(np.exp(z - top).sum(axis=1, keepdims=True)))[:, 0]


def nll_at(log_t, z, y):
    z = z.astype(float) / math.exp(log_t)
    return (lse(z) - z[np.arange(len(y)), y]).mean()


def golden_section(z, y):
    low, high = math.log(1 / 20), math.log(20)
    ratio = (math.sqrt(5) - 1) / 2
    while high - low > 1e-9:
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if nll_at(a, z, y) < nll_at(b, z, y) else (a, high)
    return math.exp((low + high) / 2)


def augrc_of(score, correct):
    order = np.argsort(-score, kind="stable")
    return np.cumsum(1 - correct[order]).sum() / len(correct) ** 2


class Rows:
    """What a run said about each row, at a temperature for each row."""

    def __init__(self, z, y, t):
        z = z.astype(float) / np.broadcast_to(t, len(y))[:, None]
        rows = np.arange(len(y))
        log_p = z - lse(z)[:, None]
        p, top = np.exp(log_p), z.argmax(axis=1)
        others = z.copy()
        others[rows, top] = -np.inf
        self.correct = (top == y).astype(float)
        self.score = lse(z) - lse(others)
        self.confidence = p[rows, top]
        self.items = {
            "accuracy": self.correct,
            "nll": -log_p[rows, y],
            "brier": ((p - np.eye(z.shape[1])[y]) ** 2).sum(axis=1),
            "gap": self.confidence - self.correct,
        }
        theta = augrc_of(self.score, self.correct)
        n = len(y)
        without = [augrc_of(np.delete(self.score, i), np.delete(self.correct, i)) for i in range(n)]
        pseudo = n * theta - (n - 1) * np.array(without)
        self.items["augrc"] = pseudo - pseudo.mean() + theta
        self.chance = 1.96 * math.sqrt((self.confidence * (1 - self.confidence)).sum()) / n

    def value(self, metric):
        return self.items[metric].mean()


class Model:
    """All runs of a model; fits: their logits and labels of other rows, else cross-fitted."""

    def __init__(self, runs, y, seed=0, fits=None, fit_labels=None):
        folds = folds_of(len(y), seed)
        self.trained = [Rows(z, y, 1) for z in runs]
        if fits is None:
            self.temperatures = [[golden_section(z[folds != f], y[folds != f]) for f in range(5)] for z in runs]
            self.calibrated = [Rows(z, y, np.array(t)[folds]) for z, t in zip(runs, self.temperatures)]
        else:
            self.temperatures = [[golden_section(z, fit_labels)] for z in fits]
            self.calibrated = [Rows(z, y, t[0]) for z, t in zip(runs, self.temperatures)]

    def table(self, metric, with_t):
        return np.array([run.items[metric] for run in (self.calibrated if with_t else self.trained)])


def sides(endpoint):
    """The metric, and whether model and reference have their temperatures."""
    if endpoint == "nll_against_calibrated":
        return "nll", False, True
    metric, _, with_t = endpoint.partition("_")
    return metric, bool(with_t), bool(with_t)


def mean_squares(table):
    seeds, items = table.shape
    of_seed, of_item = table.mean(axis=1), table.mean(axis=0)
    rest = table - of_seed[:, None] - of_item + table.mean()
    return items * of_seed.var(ddof=1), seeds * of_item.var(ddof=1), (rest**2).sum() / ((seeds - 1) * (items - 1))


def with_t(value, variance, df):
    se = math.sqrt(variance)
    half, half90 = t_quantile(0.05, df) * se, t_quantile(0.1, df) * se
    return {"difference": value, "se": se, "df": df, "low": value - half, "high": value + half,
            "low90": value - half90, "high90": value + half90, "p": two_sided_p(value / se, df)}


def crossed(d):
    seeds, items = d.shape
    seed, item, rest = mean_squares(d)
    if item <= rest:
        return with_t(d.mean(), seed / (seeds * items), seeds - 1)
    spread = seed**2 / (seeds - 1) + item**2 / (items - 1) + rest**2 / ((seeds - 1) * (items - 1))
    df = max((seed + item - rest) ** 2 / spread, min(seeds, items) - 1)
    return with_t(d.mean(), (seed + item - rest) / (seeds * items), df)


def unpaired(model, reference):
    items = model.shape[1]
    d = model.mean(axis=0) - reference.mean(axis=0)
    parts, dfs = [], []
    for sign, table in ((1, model), (1, reference)):
        seeds = len(table)
        seed, _, rest = mean_squares(table)
        parts += [seed / seeds, -rest / seeds]
        dfs += [seeds - 1, (seeds - 1) * (items - 1)]
    item = d.var(ddof=1)
    if item + parts[1] + parts[3] <= 0:
        parts, dfs = parts[::2], dfs[::2]
    else:
        parts, dfs = parts + [item], dfs + [items - 1]
    df = sum(parts) ** 2 / sum(part**2 / one for part, one in zip(parts, dfs))
    return with_t(d.mean(), sum(parts) / items, max(df, min(len(model), len(reference)) - 1))


def mcnemar_p(gained, lost):
    gained, lost = int(gained), int(lost)  # NumPy's would overflow
    n = gained + lost
    return min(1, 2 * sum(math.comb(n, k) for k in range(min(gained, lost) + 1)) / 2**n)


def holm(p):
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, running = [0] * len(p), 0
    for step, i in enumerate(order):
        running = max(running, min(1, p[i] * (len(p) - step)))
        adjusted[i] = running
    return adjusted


def word(row, few, many):
    better = 1 if row["metric"] == "accuracy" else -1
    if not row["primary"] or (many > 1 and few < 5):
        return "screening"
    if row["p_holm"] < 0.05 and abs(row["difference"]) > row["margin"]:
        return "helps" if row["difference"] * better > 0 else "hurts"
    return "negligible" if -row["margin"] < row["low90"] and row["high90"] < row["margin"] else "inconclusive"


# ---- Data ----

ROWS, CLASSES = 160, 4


def world(seed, rows=ROWS, runs=(5, 5), better=0.5):
    """Labels, and the logits of two methods: over-confident, and cooler with less noise."""
    random = np.random.default_rng(seed)
    u = random.normal(0, 1.5, (rows, CLASSES))
    p = np.exp(u) / np.exp(u).sum(axis=1, keepdims=True)
    y = (random.random(rows)[:, None] > p.cumsum(axis=1)).sum(axis=1)

    def run(scale, noise):
        shift = 0.1 * random.normal(size=CLASSES)
        return (scale * (u + shift + noise * random.normal(size=u.shape))).astype(np.float32)

    return y, [run(2.5, 0.7) for _ in range(runs[0])], [run(0.8, better) for _ in range(runs[1])]


class Compare(Case):
    def files(self, name, arrays):
        return ",".join(self.save(f"{name}{i}.npy", z) for i, z in enumerate(arrays))

    def world(self, *arguments, **options):
        """Writes a world; its arguments, labels and arrays."""
        y, hard, smooth = world(*arguments, **options)
        command = ["compare", "--labels", self.save("y.npy", y), "hard=" + self.files("h", hard),
                   "smooth=" + self.files("s", smooth)]
        return command, y, hard, smooth

    def assert_numbers(self, found, expected, tolerance=1e-6):
        for key, value in expected.items():
            self.assertAlmostEqual(found[key] / (value or 1), value / (value or 1), delta=tolerance, msg=key)

    def check_models(self, result, models):
        self.assertEqual([model["name"] for model in result["models"]], list(models))
        for found, model in zip(result["models"], models.values()):
            self.assertEqual(found["seeds"], len(model.trained))
            for key, runs in (("metrics", model.trained), ("calibrated", model.calibrated)):
                for metric in METRICS:
                    values = [run.value(metric) for run in runs]
                    self.assertAlmostEqual(found[key][metric], np.mean(values), delta=1e-6, msg=metric)
                    for one, value in zip(found["runs"], values):
                        self.assertAlmostEqual(one[key][metric], value, delta=1e-6)
                self.assertAlmostEqual(found[key]["gap_by_chance"], np.mean([run.chance for run in runs]), delta=1e-6)
            temperatures = np.array(model.temperatures)
            np.testing.assert_allclose([run["temperatures"] for run in found["runs"]], temperatures, rtol=1e-6)
            self.assertAlmostEqual(found["calibrated"]["temperature"], temperatures.mean(), delta=1e-5)

    def check_differences(self, differences, models, estimate):
        """estimate(endpoint, model, reference) -> the keys that it knows."""
        names = list(models)
        base = models[names[0]]
        self.assertEqual([(row["name"], row["metric"]) for row in differences],
                         [(name, endpoint) for name in names[1:] for endpoint in ENDPOINTS])
        for row in differences:
            model = models[row["name"]]
            metric, model_t, base_t = sides(row["metric"])
            own, reference = model.table(metric, model_t), base.table(metric, base_t)
            self.assertEqual(row["primary"], row["metric"] in PRIMARY)
            self.assertAlmostEqual(row["reference"], reference.mean(), delta=1e-6)
            self.assertAlmostEqual(row["value"], own.mean(), delta=1e-6)
            self.assertAlmostEqual(row["difference"], own.mean() - reference.mean(), delta=1e-6)
            self.assert_numbers(row, estimate(row["metric"], own, reference), 2e-5)
            margin = MARGINS.get(row["metric"], 0.05 * reference.mean() if metric == "augrc" else None)
            if margin is None:
                self.assertIsNone(row["margin"])
            else:
                self.assertAlmostEqual(row["margin"], margin, delta=1e-7)
            few, many = sorted((len(model.trained), len(base.trained)))
            self.assertEqual((row["seeds"], row["verdict"]), (few, word(row, few, many)), row)
        primary = [row for row in differences if row["primary"]]
        for row, p in zip(primary, holm([row["p"] for row in primary])):
            self.assertAlmostEqual(row["p_holm"], p, delta=1e-9)
        self.assertTrue(all(row["p_holm"] is None for row in differences if not row["primary"]))
        return len(primary)


class Numbers(Compare):
    def test_seeds_of_equal_number_are_paired_and_crossed(self):
        command, y, hard, smooth = self.world(1)
        result = self.run_json(*command)
        models = {"hard": Model(hard, y), "smooth": Model(smooth, y)}
        self.assertEqual((result["baseline"], result["rows"], result["classes"]), ("hard", ROWS, CLASSES))
        self.check_models(result, models)
        size = self.check_differences(result["differences"], models, lambda _, own, base: crossed(own - base))
        self.assertEqual(result["family"], {"size": size, "correction": "Holm"})
        self.assertEqual(size, 5)
        self.assertEqual({row["method"] for row in result["differences"]}, {"crossed"})
        self.assertEqual({row["scope"] for row in result["differences"]}, {"method"})
        self.assertIn("helps", {row["verdict"] for row in result["differences"]})

    def test_other_numbers_of_seeds_are_not_paired(self):
        for runs in ((5, 7), (8, 5)):
            command, y, hard, smooth = self.world(2, runs=runs)
            result = self.run_json(*command)
            models = {"hard": Model(hard, y), "smooth": Model(smooth, y)}
            self.check_differences(result["differences"], models, lambda _, own, base: unpaired(own, base))
            self.assertEqual({row["method"] for row in result["differences"]}, {"crossed, unpaired"})

    def test_two_models_have_exact_tests_and_words_of_their_own(self):
        command, y, hard, smooth = self.world(3, rows=400, runs=(1, 1), better=0.3)
        result = self.run_json(*command)
        models = {"hard": Model(hard, y), "smooth": Model(smooth, y)}

        def estimate(endpoint, own, base):
            d = (own - base)[0]
            if endpoint == "accuracy":
                return {"p": mcnemar_p((d > 0.5).sum(), (d < -0.5).sum())}
            return {}

        self.check_models(result, models)
        self.check_differences(result["differences"], models, estimate)
        for row in result["differences"]:
            self.assertEqual(row["scope"], "these models")
            self.assertEqual(row["method"], "mcnemar" if row["metric"] == "accuracy" else "bootstrap")
            if row["method"] == "bootstrap":  # the normal theory that a bootstrap of a mean comes close to
                metric, model_t, base_t = sides(row["metric"])
                d = (models["smooth"].table(metric, model_t) - models["hard"].table(metric, base_t))[0]
                se = d.std(ddof=1) / math.sqrt(len(d))
                self.assertAlmostEqual(row["se"] / se, 1, delta=0.08)
                self.assertAlmostEqual((row["high"] - row["low"]) / (3.93 * se), 1, delta=0.12)
                self.assertLess(row["low"], row["low90"])
                self.assertGreater(row["high"], row["high90"])
        words = {row["metric"]: row["verdict"] for row in result["differences"]}
        self.assertEqual(words["nll"], "helps")
        text = self.start(*command).stdout.decode()
        self.assertIn("these models, not the method", text)

    def test_one_run_against_several_and_few_seeds_screen(self):
        for runs in ((1, 3), (3, 1), (2, 2), (4, 4), (4, 9)):
            command, y, hard, smooth = self.world(4, runs=runs)
            result = self.run_json(*command)
            self.assertEqual({row["verdict"] for row in result["differences"]}, {"screening"})
            method = "bootstrap" if 1 in runs else "crossed" if runs[0] == runs[1] else "crossed, unpaired"
            self.assertEqual({row["method"] for row in result["differences"]}, {method})

    def test_fit_files_fit_the_temperatures_of_each_run(self):
        command, y, hard, smooth = self.world(5, runs=(5, 5))
        fit_y, fit_hard, fit_smooth = world(6, rows=90)
        fit = ["--fit-labels", self.save("fy.npy", fit_y), "--fit", "smooth=" + self.files("fs", fit_smooth),
               "--fit", "hard=" + self.files("fh", fit_hard)]
        result = self.run_json(*command, *fit)
        models = {"hard": Model(hard, y, 0, fit_hard, fit_y), "smooth": Model(smooth, y, 0, fit_smooth, fit_y)}
        self.check_models(result, models)
        self.check_differences(result["differences"], models, lambda _, own, base: crossed(own - base))
        self.assertEqual(result["temperature"]["source"], "fitted on other rows")
        self.assertEqual(self.run_json(*command)["temperature"]["source"], "cross-fitted on the same rows")

    def test_three_models_are_one_family(self):
        command, y, hard, smooth = self.world(7)
        other = world(7)[1]
        for z in other:
            z += 0.3 * np.random.default_rng(0).normal(size=z.shape).astype(np.float32)
        result = self.run_json(*command, "other=" + self.files("o", other))
        models = {"hard": Model(hard, y), "smooth": Model(smooth, y), "other": Model(other, y)}
        size = self.check_differences(result["differences"], models, lambda _, own, base: crossed(own - base))
        self.assertEqual((size, result["family"]["size"]), (10, 10))

    def test_groups_are_compare_on_the_slice(self):
        command, y, hard, smooth = self.world(8)
        fit_y, fit_hard, fit_smooth = world(9, rows=80)
        fit = ["--fit-labels", self.save("fy.npy", fit_y), "--fit", "hard=" + self.files("fh", fit_hard),
               "--fit", "smooth=" + self.files("fs", fit_smooth)]
        group = np.arange(ROWS) * 7 % 3 - 1
        whole = self.run_json(*command, *fit)
        result = self.run_json(*command, *fit, "--groups", self.save("g.npy", group.astype(np.int8)))
        self.assertEqual(result["differences"], whole["differences"])
        self.assertEqual([one["group"] for one in result["groups"]], ["-1", "0", "1"])
        p = [row["p"] for one in result["groups"] for row in one["differences"] if row["primary"]]
        self.assertEqual((result["group_family"]["size"], len(p)), (15, 15))
        adjusted = iter(holm(p))
        for one in result["groups"]:
            rows = group == int(one["group"])
            part = self.run_json("compare", "--labels", self.save("py.npy", y[rows]),
                                 "hard=" + self.files("ph", [z[rows] for z in hard]),
                                 "smooth=" + self.files("ps", [z[rows] for z in smooth]), *fit)
            self.assertEqual(one["rows"], rows.sum())
            for mine, found in zip(part["differences"], one["differences"]):
                for key in mine.keys() - {"p_holm", "verdict"}:
                    self.assertEqual(mine[key], found[key], key)
                if found["primary"]:
                    self.assertAlmostEqual(found["p_holm"], next(adjusted), delta=1e-9)
                self.assertEqual(found["verdict"], word(found, 5, 5))
            for mine, found in zip(part["models"], one["models"]):
                self.assertEqual(mine["metrics"], found["metrics"])
                self.assertEqual(mine["calibrated"], found["calibrated"])
        # cross-fitted temperatures are those of all rows
        crossfit = self.run_json(*command, "--groups", self.path("g.npy"))
        self.assertEqual(crossfit["groups"][1]["models"][0]["runs"][0]["temperatures"],
                         crossfit["models"][0]["runs"][0]["temperatures"])

    def test_advice_rests_on_the_numbers_it_names(self):
        command, *_ = self.world(10)
        result = self.run_json(*command)
        self.assertGreater(len(result["advice"]), 3)
        models = {model["name"]: model for model in result["models"]}
        rows = {(row["name"], row["metric"]): row for row in result["differences"]}
        for one in result["advice"]:
            because = one["because"]
            if "verdict" in because:
                row = rows[because["name"], because["metric"]]
                self.assertEqual({key: because[key] for key in because.keys() & row.keys()},
                                 {key: row[key] for key in because.keys() & row.keys()})
                self.assertIn(f"{because['difference']:+.4f}", one["advice"])
            elif because["metric"] == "gap":
                self.assertEqual(because["value"], models[because["name"]]["metrics"]["gap"])
                self.assertIn(f"{because['value']:+.4f}", one["advice"])
        ids = [one["id"] for one in result["advice"]]
        self.assertEqual(ids[0], "gap.reference.over")
        self.assertTrue(any(one.startswith("nll_against_calibrated.") for one in ids))
        self.assertFalse(any(one.startswith("seeds.") for one in ids))
        # the other way round: the reference is not confident enough
        turned = self.run_json(*command[:3], command[4], command[3])
        self.assertEqual(turned["advice"][0]["id"].rsplit(".", 1)[0], "gap.reference")
        self.assertNotEqual(turned["advice"][0]["id"], "gap.reference.over")
        few = self.run_json(*self.world(10, runs=(2, 2))[0])
        self.assertIn("seeds.few", [one["id"] for one in few["advice"]])


class Options(Compare):
    def test_probabilities_and_formats_say_the_same(self):
        command, y, hard, smooth = self.world(11, runs=(2, 2))
        expected = self.run_json(*command)
        probs = [np.exp(z.astype(float) - lse(z.astype(float))[:, None]) for z in hard + smooth]
        paths = [self.save(f"p{i}.npy", p) for i, p in enumerate(probs)]
        arms = ["hard=" + ",".join(paths[:2]), "smooth=" + ",".join(paths[2:])]
        found = self.run_json("compare", "--labels", self.path("y.npy"), *arms, "--probs")
        wide = ["hard=" + self.files("wh", [z.astype(float) + 1e5 for z in hard]),
                "smooth=" + self.files("ws", [np.asfortranarray(z.astype(float)) for z in smooth])]
        np.savez(self.path("all.npz"), a=hard[0], b=hard[1])
        archive = [f"hard={self.path('all.npz')}:a,{self.path('all.npz')}:b", command[4]]
        for result in (found, self.run_json("compare", "--labels", self.save("y8.npy", y.astype(np.uint8)), *wide),
                       self.run_json("compare", "--labels", self.path("y.npy"), *archive)):
            for mine, other in zip(expected["differences"], result["differences"]):
                self.assertAlmostEqual(mine["difference"], other["difference"], delta=1e-6)
        self.assertNotEqual(self.run_json("compare", "--labels", self.path("y.npy"), *arms)["differences"],
                            found["differences"])

    def test_ignored_rows_do_not_count(self):
        command, y, hard, smooth = self.world(12, runs=(2, 2))
        keep = np.arange(ROWS) % 5 != 2
        holed = np.where(keep, y, -100)
        ignored = self.run_json("compare", "--labels", self.save("holed.npy", holed), *command[3:])
        other = self.run_json("compare", "--labels", self.save("nines.npy", np.where(keep, y, 99)), *command[3:],
                              "--ignore-index", 99)
        plain = self.run_json("compare", "--labels", self.save("kept.npy", y[keep]),
                              "hard=" + self.files("kh", [z[keep] for z in hard]),
                              "smooth=" + self.files("ks", [z[keep] for z in smooth]))
        self.assertEqual((ignored["rows"], ignored["ignored"]), (keep.sum(), (~keep).sum()))
        for result in (ignored, other):
            self.assertEqual(result["differences"], plain["differences"])
        hard[0][~keep] = np.nan  # never looked at
        self.save("h0.npy", hard[0])
        again = self.run_json("compare", "--labels", self.path("holed.npy"), *command[3:])
        self.assertEqual(again["differences"], plain["differences"])

    def test_seed_and_resamples(self):
        command, *_ = self.world(13, runs=(1, 1))
        one = self.run_json(*command)
        self.assertEqual(one, self.run_json(*command, "--seed", 0, "--bootstrap", 2000))
        for option in (("--seed", 1), ("--bootstrap", 500)):
            other = self.run_json(*command, *option)
            rows = [{row["metric"]: row["low"] for row in result["differences"]} for result in (one, other)]
            self.assertNotEqual(rows[0]["nll"], rows[1]["nll"])
            self.assertEqual(rows[0]["accuracy"], rows[1]["accuracy"])
        seeded = self.run_json(*command, "--seed", 1)
        self.assertNotEqual(one["models"][0]["runs"][0]["temperatures"],
                            seeded["models"][0]["runs"][0]["temperatures"])

    def test_any_number_of_threads(self):
        for runs in ((1, 1), (3, 3)):
            command, *_ = self.world(14, rows=3000, runs=runs)
            made = {(self.start(*command, "--json", "--threads", n, "--report", self.path("r.html")).stdout,
                     (self.folder / "r.html").read_bytes()) for n in (1, 2, 5)}
            self.assertEqual(len(made), 1)

    def test_groups_by_name(self):
        command, *_ = self.world(15, runs=(2, 2))
        names = ["north" if i % 3 else "far, south" for i in range(ROWS)]
        numbers = self.save("g.npy", np.array([0 if i % 3 == 0 else 1 for i in range(ROWS)]))
        quoted = "\r\n".join(f'"{name}"' for name in names)
        for text in (quoted, "region\n" + quoted + "\n", "\ufeff" + quoted + "\n\n"):
            (self.folder / "g.csv").write_text(text, newline="")
            by_name = self.run_json(*command, "--groups", self.path("g.csv"))
            by_number = self.run_json(*command, "--groups", numbers)
            self.assertEqual([group["group"] for group in by_name["groups"]], ["far, south", "north"])
            for mine, other in zip(by_name["groups"], by_number["groups"]):
                self.assertEqual(mine["differences"], other["differences"])
        small = self.save("small.npy", (np.arange(ROWS) < 19).astype(int))
        groups = self.run_json(*command, "--groups", small)["groups"]
        self.assertEqual([len(group["differences"]) for group in groups], [10, 0])
        self.assertIn("group north", self.start(*command, "--groups", self.path("g.csv")).stdout.decode())

    def test_report_is_the_json_in_two_languages(self):
        command, *_ = self.world(16, runs=(5, 5))
        result = self.run_json(*command, "--report", self.path("en.html"))
        self.assertEqual(result, self.run_json(*command, "--report", self.path("zh.html"), "--lang", "zh"))
        english, chinese = ((self.folder / name).read_text() for name in ("en.html", "zh.html"))
        self.assertIn('lang="en"', english)
        self.assertIn('lang="zh-CN"', chinese)
        self.assertIn("一个温度参数", chinese)
        for page in (english, chinese):
            self.assertNotIn("{{", page)
            shown = re.sub(r"<[^>]+>", " ", page.partition("<main>")[2].partition("</main>")[0]).replace("\u2212", "-")
            for row in result["differences"]:
                self.assertIn(f"{row['difference']:+.4f}".replace("+0.0000", "0.0000"), shown)

    def test_the_same_file_twice_is_warned_of(self):
        command, *_ = self.world(17, runs=(2, 1))
        done = self.start("compare", "--labels", self.path("y.npy"), f"a={self.path('h0.npy')},{self.path('h1.npy')}",
                          f"b={self.path('s0.npy')},{self.folder}/./h1.npy", "--json")
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"given twice, for a and for b", done.stderr)
        self.assertNotIn(b"twice", self.start(*command).stderr)
        # a model against itself: no difference, no false certainty
        same = self.run_json("compare", "--labels", self.path("y.npy"), f"a={self.path('h0.npy')}",
                             f"b={self.path('h0.npy')}")
        for row in same["differences"]:
            if row["metric"] not in ("nll_against_calibrated",):
                self.assertEqual((row["difference"], row["p"]), (0, 1))
        self.assertEqual(len(same["warnings"]), 1)
        again = ["--fit-labels", self.path("y.npy"), "--fit", command[3].replace("h1", "h0"), "--fit", command[4]]
        self.assertIn(b"rows that judge them", self.start(*command, *again).stderr)
        many = [f"m{i}={self.path('s0.npy')}" for i in range(3)]
        one = self.start("compare", "--labels", self.path("y.npy"), f"a={self.path('h0.npy')}", *many, "--bootstrap", 500)
        self.assertIn(b"raise --bootstrap above 600", one.stderr)

    def test_what_never_varies_has_no_interval(self):
        y = np.arange(40) % 2
        right, wrong = np.eye(2)[y].astype(np.float32), np.eye(2)[1 - y].astype(np.float32)
        labels = self.save("y.npy", y)
        arms = {name: [self.save(f"{name}{i}.npy", (1 + i) * z) for i in range(5)]
                for name, z in (("right", right), ("wrong", wrong))}
        several = self.run_json("compare", "--labels", labels, *(f"{name}={','.join(f)}" for name, f in arms.items()))
        accuracy = several["differences"][0]
        self.assertAlmostEqual(accuracy["difference"], -1, delta=1e-12)
        self.assertEqual(accuracy["verdict"], "inconclusive")
        self.assertEqual([accuracy[key] for key in ("low", "high", "p", "p_holm")], [None] * 4)
        self.assertTrue(all(model["at_bound"] for model in several["models"]))
        self.assertIn("bound", [one["id"] for one in several["advice"]])
        single = self.run_json("compare", "--labels", labels, *(f"{name}={f[0]}" for name, f in arms.items()))
        accuracy = single["differences"][0]  # whose interval does not rest on a variance
        self.assertEqual((accuracy["difference"], accuracy["verdict"]), (-1, "hurts"))
        self.assertAlmostEqual(accuracy["low"], -1, delta=1e-12)
        self.assertLess(accuracy["high"], -0.8)
        one_row = self.run_json("compare", "--labels", labels, *(f"{name}={f[0]}" for name, f in arms.items()),
                                "--groups", self.save("g.npy", (np.arange(40) == 3).astype(np.uint8)))
        self.assertEqual([group["rows"] for group in one_row["groups"]], [39, 1])

    def test_text_has_every_line(self):
        command, *_ = self.world(18)
        done = self.start(*command)
        text = done.stdout.decode()
        for fragment in ("smooth against hard", "both with T", "against T", "Holm over 5 tests", "cross-fitted",
                         "Advice", "paired by position", "verdict"):
            self.assertIn(fragment, text)
        self.assertEqual(self.start(*command, "--quiet").stderr, b"")


class Refusals(Compare):
    def test_command_line(self):
        command, *_ = self.world(20, runs=(1, 1))
        labels, hard, smooth = command[1:3], self.path("h0.npy"), self.path("s0.npy")
        for fragments, arguments in (
            ("one model found", [f"a={hard}"]),
            ("'a' found twice", [f"a={hard}", f"a={smooth}"]),
            ("NAME=LOGITS", [hard, f"b={smooth}"]),
            ("NAME=LOGITS", [f"={hard}", f"b={smooth}"]),
            ("lacks a file", [f"a={hard},", f"b={smooth}"]),
            ("lacks a file", ["a=", f"b={smooth}"]),
            ("no comma", [f"a,b={hard}", f"c={smooth}"]),
            ("control character", [f"a\x1b[31m={hard}", f"c={smooth}"]),
            ("belong together", [f"a={hard}", f"b={smooth}", "--fit", f"a={hard}"]),
            ("belong together", [f"a={hard}", f"b={smooth}", "--fit-labels", self.path("y.npy")]),
            ("none for 'b'", [f"a={hard}", f"b={smooth}", "--fit-labels", self.path("y.npy"), "--fit", f"a={hard}"]),
            ("no model", [f"a={hard}", f"b={smooth}", "--fit-labels", self.path("y.npy"), "--fit", f"a={hard}", "--fit",
                          f"b={smooth}", "--fit", f"c={hard}"]),
            ("2 files for 'b'", [f"a={hard}", f"b={smooth}", "--fit-labels", self.path("y.npy"), "--fit", f"a={hard}",
                                 "--fit", f"b={smooth},{hard}"]),
            ("standard input", ["a=-", "b=-"]),
            ("--bootstrap", [f"a={hard}", f"b={smooth}", "--bootstrap", "10"]),
            ("--lang", [f"a={hard}", f"b={smooth}", "--lang", "fr"]),
            ("--seed", [f"a={hard}", f"b={smooth}", "--seed", "-1"]),
        ):
            self.refuse(2, fragments, "compare", *labels, *arguments, "--report", self.path("never.html"))
        self.refuse(2, "--labels", "compare", f"a={hard}", f"b={smooth}")

    def test_data(self):
        command, y, hard, smooth = self.world(21, runs=(1, 1))
        h, s = self.path("h0.npy"), self.path("s0.npy")

        def spoilt(row, value, k=1):
            z = hard[0].copy()
            z[row, k] = value
            return self.save("bad.npy", z)

        def refuse(fragments, bad, *more, labels="y.npy"):
            self.refuse(1, fragments, "compare", "--labels", self.path(labels), f"a={s}", f"b={bad}", *more, "--quiet")

        refuse(["bad.npy", "nan in row 7 "], spoilt(7, np.nan))
        refuse(["bad.npy", "inf in row 8 "], spoilt(8, np.inf))
        refuse(["bad.npy", "row 9 has logit -inf"], spoilt(9, -np.inf, int(y[9])))
        refuse(["bad.npy", "shape (159, 4) found"], self.save("bad.npy", hard[0][1:]))
        refuse(["bad.npy", "shape (4,)"], self.save("bad.npy", hard[0][0]))
        refuse(["bad.npy", "5 classes found"], self.save("bad.npy", np.pad(hard[0], ((0, 0), (0, 1)))))
        refuse(["bad.npy", "i64"], self.save("bad.npy", np.ones((ROWS, CLASSES), int)))
        refuse(["bad.npy"], self.path("bad.npy") + ".missing")
        ones = self.save("one.npy", np.zeros((ROWS, 1), np.float32))
        zeros = self.save("zeros.npy", np.zeros(ROWS, int))
        self.refuse(1, "1 classes found", "compare", "--labels", zeros, f"a={ones}", f"b={ones}")
        self.save("float.npy", y.astype(float))
        refuse(["float.npy", "f64", "integers"], h, labels="float.npy")
        self.save("ignored.npy", np.full(ROWS, -100))
        refuse(["ignored.npy", "every label is -100"], h, labels="ignored.npy")
        out = y.copy()
        out[3] = CLASSES
        self.save("out.npy", out)
        refuse(["out.npy", "4 in row 3"], h, labels="out.npy")
        few = np.full(ROWS, -100)
        few[:19] = y[:19]
        self.save("few.npy", few)
        refuse(["few.npy", "19 rows", "20 are needed"], h, labels="few.npy")
        self.save("empty.npy", np.zeros(0, int))
        refuse(["empty.npy", "no rows"], h, labels="empty.npy")
        refuse(["g.npy", "shape (5,)"], h, "--groups", self.save("g.npy", np.zeros(5, int)))
        refuse(["g.npy", "f64"], h, "--groups", self.save("g.npy", np.zeros(ROWS)))
        (self.folder / "g.csv").write_text("a\nb\n")
        refuse(["g.csv", "2 lines"], h, "--groups", self.path("g.csv"))
        (self.folder / "g.csv").write_text("a,b\n" * ROWS)
        refuse(["g.csv", "two columns in line 1"], h, "--groups", self.path("g.csv"))
        (self.folder / "g.csv").write_text("a\n" * (ROWS - 2) + "\na\n")
        refuse(["g.csv", "no name for row"], h, "--groups", self.path("g.csv"))
        refuse("nowhere", h, "--report", self.path("nowhere/r.html"))

    def test_probabilities(self):
        command, y, hard, smooth = self.world(22, runs=(1, 1))
        p = np.exp(hard[0].astype(float) - lse(hard[0].astype(float))[:, None])
        good = self.save("p.npy", p)
        for row, change, fragments in ((5, lambda q: q * 1.01, "row 5 sums to 1.01"),
                                       (6, lambda q: q - 2 * q[1] * np.eye(4)[1] + 2 * q[1] * np.eye(4)[0], "in row 6"),
                                       (7, lambda q: q * np.nan, "nan in row 7"),
                                       (8, lambda q: np.eye(4)[(y[8] + 1) % 4], "row 8 has probability 0")):
            bad = p.copy()
            bad[row] = change(p[row])
            self.refuse(1, ["bad.npy", fragments], "compare", "--labels", self.path("y.npy"), f"a={good}",
                        f"b={self.save('bad.npy', bad)}", "--probs", "--quiet")
        half = self.save("half.npy", p.astype(np.float16))
        self.run_json("compare", "--labels", self.path("y.npy"), f"a={good}", f"b={half}", "--probs")


if __name__ == "__main__":
    unittest.main()
