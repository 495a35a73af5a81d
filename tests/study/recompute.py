#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Recomputes every number of a study from its logits, sharing nothing with the program.

    recompute.py STUDY_FOLDER

Reads results.json and the runs' .npy files. Prints each disagreement and exits 1, or a count and exits 0.
Needs NumPy alone. Tolerances come from the rounding of the sums, not from experience.
"""

import json
import math
import pathlib
import sys

import numpy as np

EPSILON = np.finfo(float).eps
BINS = 15
ITEM_METRICS = ("accuracy", "nll", "brier", "gap", "aurc", "augrc", "auroc")
HIGHER_IS_BETTER = {"accuracy", "auroc"}
PRIMARY_AMOUNT = 0.1

agreed = 0
disagreements = []


def check(what, found, expected, tolerance):
    """One number; None is what JSON has in place of NaN."""
    global agreed
    if found is None or expected is None or not math.isfinite(expected):
        good = found is None and (expected is None or not math.isfinite(expected))
    else:
        good = abs(found - expected) <= tolerance
    if good:
        agreed += 1
    else:
        disagreements.append(f"{what}: {found}, recomputed {expected} +- {tolerance:.2g}")


def check_equal(what, found, expected):
    global agreed
    if found == expected:
        agreed += 1
    else:
        disagreements.append(f"{what}: {found}, recomputed {expected}")


# ---- One model's rows


def log_sum_exp(z):
    top = z.max(axis=1)
    return top + np.log(np.exp(z - top[:, None]).sum(axis=1))


class Rows:
    """What softmax(z / T) says of each row."""

    def __init__(self, logits, labels, temperature=1.0):
        z = logits.astype(float) / temperature
        n = len(labels)
        rows = np.arange(n)
        lse = log_sum_exp(z)
        p = np.exp(z - lse[:, None])
        top = z.argmax(axis=1)
        one_hot = np.zeros_like(p)
        one_hot[rows, labels] = 1
        others = np.sort(z, axis=1)[:, :-1]  # log(1 - c) as the others' share, so that c = 1 still ranks
        self.probabilities = p
        self.correct = (top == labels).astype(float)
        self.nll = lse - z[rows, labels]
        self.brier = ((p - one_hot) ** 2).sum(axis=1)
        self.confidence = p[rows, top]
        self.score = lse - log_sum_exp(others)
        # two evaluations of the score may differ by this much
        self.score_error = 16 * EPSILON * (1 + np.abs(z).max(axis=1) + np.abs(self.score))

    def ranked(self):
        """Rows by score, the highest first, equal scores by row; and the pairs too close to call."""
        order = np.lexsort((np.arange(len(self.score)), -self.score))
        score, error = self.score[order], self.score_error[order]
        close = np.flatnonzero(score[:-1] - score[1:] <= error[:-1] + error[1:])
        return order, close


def ece(rows):
    edges = np.arange(BINS + 1) / BINS
    bins = np.minimum(np.searchsorted(edges, rows.confidence, side="right") - 1, BINS - 1)
    total = 0.0
    for b in range(BINS):
        inside = bins == b
        if inside.any():
            total += abs(rows.confidence[inside].mean() - rows.correct[inside].mean()) * inside.mean()
    return total


def rank_metric(name, score, correct):
    """AURC and AUGRC of rows in order: errors among the n first, over n or over N."""
    order = np.lexsort((np.arange(len(score)), -score))
    errors = np.cumsum(1 - correct[order])
    n = np.arange(1, len(score) + 1)
    return (errors / (n if name == "aurc" else len(score))).mean()


def auroc(score, correct):
    """From the mid-ranks of the right rows."""
    right, wrong = correct.sum(), len(correct) - correct.sum()
    if right == 0 or wrong == 0:
        return math.nan
    values, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    mid_rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return (mid_rank[correct == 1].sum() - right * (right + 1) / 2) / (right * wrong)


def metric_of(name, rows):
    if name == "gap":
        return rows.confidence.mean() - rows.correct.mean()
    if name == "ece":
        return ece(rows)
    if name in ("aurc", "augrc"):
        return rank_metric(name, rows.score, rows.correct)
    if name == "auroc":
        return auroc(rows.score, rows.correct)
    return {"accuracy": rows.correct, "nll": rows.nll, "brier": rows.brier, "confidence": rows.confidence}[
        name
    ].mean()


def rounding_of(name, rows):
    """How far two honest evaluations of the metric may lie apart."""
    n = len(rows.correct)
    scale = {"nll": np.abs(rows.nll).mean() + np.abs(rows.score).mean(), "brier": 2.0}.get(name, 1.0)
    tolerance = 4 * n * EPSILON * scale
    if name == "ece":  # a confidence on an edge may fall on either side
        edges = np.arange(1, BINS) / BINS
        near = np.abs(rows.confidence[:, None] - edges).min(axis=1) < 16 * EPSILON
        tolerance += 2 * near.sum() / n
    if name in ("aurc", "augrc", "auroc"):  # two rows too close to call may change places
        _, close = rows.ranked()
        right = rows.correct.sum()
        if name == "aurc":
            tolerance += (1 / (close + 1)).sum() / n
        elif name == "augrc":
            tolerance += len(close) / n**2
        else:
            tolerance += len(close) / max(1.0, right * (n - right))
    return tolerance


def leave_one_out(name, rows):
    """The metric without each row in turn: of the errors at their ranks, not of the running curve."""
    n = len(rows.correct)
    if name == "auroc":
        right, wrong = rows.score[rows.correct == 1], rows.score[rows.correct == 0]
        if min(len(right), len(wrong)) < 2:
            return np.full(n, math.nan)
        theta = auroc(rows.score, rows.correct) * len(right) * len(wrong)
        right.sort()
        wrong.sort()
        below = (np.searchsorted(wrong, rows.score, "left") + np.searchsorted(wrong, rows.score, "right")) / 2
        above = (
            len(right)
            - (np.searchsorted(right, rows.score, "left") + np.searchsorted(right, rows.score, "right")) / 2
        )
        is_right = rows.correct == 1
        return np.where(
            is_right,
            (theta - below) / ((len(right) - 1) * len(wrong)),
            (theta - above) / (len(right) * (len(wrong) - 1)),
        )
    order, _ = rows.ranked()
    wrong = 1 - rows.correct[order]
    rank = np.arange(1, n + 1)
    if name == "augrc":
        # a wrong row of rank r among N - 1 counts in N - r points of the curve
        weight = lambda r: (n - r) / (n - 1) ** 2
    else:
        harmonic = np.concatenate([[0.0], np.cumsum(1.0 / rank)])
        weight = lambda r: (harmonic[n - 1] - harmonic[r - 1]) / (n - 1)
    stays = np.concatenate([[0.0], np.cumsum(wrong[:-1] * weight(rank[:-1]))])  # ranks before the missing row
    moves = np.concatenate(
        [np.cumsum((wrong[1:] * weight(rank[1:] - 1))[::-1])[::-1], [0.0]]
    )  # those after it
    theta = np.empty(n)
    theta[order] = stays + moves
    return theta


def items_of(name, rows):
    """One value per row whose mean is the metric; pseudo-values of the jackknife where it is no mean."""
    if name in ("accuracy", "nll", "brier"):
        return {"accuracy": rows.correct, "nll": rows.nll, "brier": rows.brier}[name]
    if name == "gap":
        return rows.confidence - rows.correct
    n = len(rows.correct)
    theta, without = metric_of(name, rows), leave_one_out(name, rows)
    spot_check(name, rows, without)
    pseudo = n * theta - (n - 1) * without
    return pseudo - pseudo.mean() + theta


def spot_check(name, rows, without):
    """The formulas above against the definition, for a few rows."""
    n = len(without)
    for i in {0, n // 3, n - 1}:
        score, correct = np.delete(rows.score, i), np.delete(rows.correct, i)
        brute = auroc(score, correct) if name == "auroc" else rank_metric(name, score, correct)
        if not math.isnan(without[i]) and abs(brute - without[i]) > 4 * n * EPSILON:
            raise SystemExit(
                f"recompute.py itself is wrong: {name} without row {i}: {without[i]}, {brute} by hand"
            )


# ---- Temperature


def fit_temperature(logits, labels):
    """By bisection on the slope of the NLL in 1 / T between T = 1/20 and 20; with its own uncertainty."""
    z = logits.astype(float)
    z_label = z[np.arange(len(labels)), labels]

    def moments(beta):
        p = np.exp(beta * z - log_sum_exp(beta * z)[:, None])
        mean = (p * z).sum(axis=1)
        return (mean - z_label).mean(), (p * (z - mean[:, None]) ** 2).sum(axis=1).mean()

    low, high = 1 / 20, 20.0
    if moments(low)[0] == moments(high)[0] == 0:
        return 1.0, 0.0
    if moments(low)[0] >= 0:
        return 20.0, 0.0
    if moments(high)[0] <= 0:
        return 1 / 20, 0.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if moments(middle)[0] < 0 else (low, middle)
    curvature = moments(low)[1]
    slope_error = 4 * len(labels) * EPSILON * np.abs(z).mean()
    return 1 / low, (slope_error / curvature + 16 * EPSILON * low) / low**2


# ---- Student's t


def incomplete_beta(a, b, x):
    """Regularised, by its continued fraction (Lentz)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    fraction = d
    for m in range(1, 100000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + term * d
            c = 1 + term / c
            d = 1 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            fraction *= c * d
        if abs(c * d - 1) < EPSILON:
            break
    return front * fraction / a


def two_sided_p(t, df):
    return incomplete_beta(df / 2, 0.5, df / (df + t * t))


def t_quantile(two_sided, df):
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, df) > two_sided else (low, middle)
    return low


# ---- Contrasts


class Crossed:
    """The mean of (seeds, items), both random: SE^2 = s2_seed / S + s2_item / N."""

    def __init__(self, table, noise):
        seeds, items = table.shape
        self.value, self.noise = table.mean(), noise
        self.se = self.df = self.p = self.low = self.high = self.low90 = self.high90 = None
        if not math.isfinite(self.value):
            self.value = None
            return
        if seeds == 1:
            return
        seed_variance = table.mean(axis=1).var(ddof=1)
        ms_seed = items * seed_variance
        ms_item = seeds * table.mean(axis=0).var(ddof=1) if items > 1 else 0.0
        residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + self.value
        ms_residual = (residual**2).sum() / ((seeds - 1) * (items - 1)) if items > 1 else 0.0
        item_variance = max(0.0, (ms_item - ms_residual) / seeds)
        self.se = math.sqrt(seed_variance / seeds + item_variance / items)
        self.df = seeds - 1.0
        if item_variance > 0:
            spread = (
                ms_seed**2 / (seeds - 1)
                + ms_item**2 / (items - 1)
                + ms_residual**2 / ((seeds - 1) * (items - 1))
            )
            self.df = max((ms_seed + ms_item - ms_residual) ** 2 / spread, min(seeds, items) - 1.0)
        if self.se <= noise:  # no variance but that of rounding
            self.se = 0.0
            self.p = 1.0 if abs(self.value) <= noise else 0.0
            self.low = self.high = self.low90 = self.high90 = self.value
            return
        self.p = two_sided_p(self.value / self.se, self.df)
        for names, level in ((("low", "high"), 0.05), (("low90", "high90"), 0.1)):
            half = t_quantile(level, self.df) * self.se
            setattr(self, names[0], self.value - half)
            setattr(self, names[1], self.value + half)


def compare(what, row, mine):
    noise = mine.noise
    check(what + " difference", row["difference"], mine.value, noise)
    if mine.se is None or mine.se == 0:
        check(what + " se", row["se"], mine.se, noise)
        if mine.se is None:
            for key in ("low", "high", "low90", "high90", "p"):
                check(f"{what} {key}", row[key], None, 0)
        else:  # p is that of rounding errors where the value is not 0
            for key in ("low", "high"):
                check(f"{what} {key}", row[key], mine.value, 16 * noise)
            if row["se"] == 0:
                check(what + " p", row["p"], mine.p, 0)
        return
    # The squares lose half the digits of a standard error that is small beside the values: noise^2 / se.
    error = 8 * noise * (1 + noise / mine.se) + 1e-11 * mine.se
    check(what + " se", row["se"], mine.se, error)
    check(what + " df", row["df"], mine.df, mine.df * (8 * error / mine.se + 1e-10))
    for key in ("low", "high", "low90", "high90"):
        half = abs(getattr(mine, key) - mine.value)
        check(f"{what} {key}", row[key], getattr(mine, key), noise + half * (16 * error / mine.se + 1e-9))
    # p between those of the t that the errors allow
    t, width = abs(mine.value) / mine.se, error / mine.se
    far, near = (t + noise / mine.se) / (1 - min(width, 0.5)), max(0.0, t - noise / mine.se) / (1 + width)
    bound = max(mine.p - two_sided_p(far, mine.df), two_sided_p(near, mine.df) - mine.p)
    check(what + " p", row["p"], mine.p, bound + mine.p * 1e-8)


def holm(p):
    known = sorted((value, i) for i, value in enumerate(p) if value is not None)
    adjusted, largest = [None] * len(p), 0.0
    for step, (value, i) in enumerate(known):
        largest = max(largest, min(1.0, value * (len(p) - step)))
        adjusted[i] = largest
    return adjusted


def word_of(row, mine, p_holm, margin):
    if not row["primary"] or row["seeds"] < 5:
        return "screening"
    if mine.value is None:
        return "not tested"
    metric = row["metric"].removesuffix("_calibrated")
    if p_holm is not None and p_holm < 0.05 and abs(mine.value) > margin:
        return "helps" if (mine.value > 0) == (metric in HIGHER_IS_BETTER) else "hurts"
    return "negligible" if -margin < mine.low90 and mine.high90 < margin else "inconclusive"


# ---- The study


class Study:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        # a repeated key would hide a number
        self.results = json.loads((self.folder / "results.json").read_text(), object_pairs_hook=unique)
        self.rule = self.results["rule"]
        self.own = self.results.get("training")  # of the user's own training
        self.primary = self.own["primary"] if self.own else PRIMARY_AMOUNT
        self.contrasts = []  # (row, mine, margin)

    def has_early(self, run):
        return run["early"] is not None

    def load(self, run, file):
        return np.load(self.folder / run["dir"] / file)

    def rows(self, run, early, calibrated):
        key = "early_calibrated" if early else "calibrated"
        logits = self.load(run, "early_logits.npy" if early else "test_logits.npy")
        return Rows(logits, self.load(run, "test_labels.npy"), run[key]["temperature"] if calibrated else 1.0)

    # Figures of one run.
    def check_run(self, run):
        name = run["name"]
        half = self.load(run, "validation_half.npy")
        labels = self.load(run, "validation_labels.npy")
        check_equal(f"{name} rows that fit the temperature", int(half.sum()), len(half) // 2)
        fits = half == 1
        for early, raw, calibrated, file in (
            (False, "test", "calibrated", "validation_logits.npy"),
            (True, "early", "early_calibrated", "early_validation_logits.npy"),
        ):
            if early and not self.has_early(run):
                continue
            logits = self.load(run, file)
            t, error = fit_temperature(logits[fits], labels[fits])
            check(f"{name} {calibrated} temperature", run[calibrated]["temperature"], t, error)
            for part, with_t in ((raw, False), (calibrated, True)):
                rows = self.rows(run, early, with_t)
                for metric in (
                    "accuracy",
                    "nll",
                    "brier",
                    "ece",
                    "confidence",
                    "gap",
                    "aurc",
                    "augrc",
                    "auroc",
                ):
                    found = run[part][metric]
                    check(
                        f"{name} {part} {metric}", found, metric_of(metric, rows), rounding_of(metric, rows)
                    )
        check_equal(
            f"{name} run.json",
            {**json.loads((self.folder / run["dir"] / "run.json").read_text()), "dir": run["dir"]},
            run,
        )
        if not self.own:
            self.check_training(run, labels, fits)

    def check_training(self, run, labels, fits):
        name = run["name"]
        clean = self.load(run, "validation_clean_labels.npy")
        # early stopping: the earliest best epoch on the other half
        lines = (self.folder / run["dir"] / "metrics.jsonl").read_text().splitlines()
        curve = [json.loads(line)["validation_accuracy"] for line in lines]
        check_equal(f"{name} early epoch", run["early_epoch"], int(np.argmax(curve)) + 1)
        for file, expected in (
            ("validation_logits.npy", curve[-1]),
            ("early_validation_logits.npy", max(curve)),
        ):
            right = self.load(run, file).argmax(axis=1) == labels
            check(f"{name} {file} accuracy", expected, right[~fits].mean(), EPSILON)
        # wrong labels in the validation set, at the rate asked for: five standard deviations
        if run["noise_kind"] == "symmetric":
            rate, n = run["noise"], len(labels)
            slack = 5 * math.sqrt(rate * (1 - rate) / n)
            check(f"{name} validation noise", float((labels != clean).mean()), rate, slack)

    # ECE under labels drawn from the model's own predictions, by our own draws.
    def check_null(self, run, draws=1000):
        random = np.random.default_rng(20240916)
        for early, part, with_t in ((False, "test", False), (True, "early_calibrated", True)):
            if early and not self.has_early(run):
                continue
            rows = self.rows(run, early, with_t)
            top, cumulative = rows.probabilities.argmax(axis=1), rows.probabilities.cumsum(axis=1)
            observed = ece(rows)
            null = np.empty(draws)
            for i in range(draws):
                u = random.random(len(top))[:, None] * cumulative[:, -1:]
                rows.correct = ((u >= cumulative).sum(axis=1) == top).astype(float)
                null[i] = ece(rows)
            what = f"{run['name']} {part} null"
            figures = run[part]
            both = math.sqrt(2 / draws)
            check(what + " mean", figures["ece_null_mean"], null.mean(), 5 * null.std() * both)
            slack = 5 * math.sqrt(0.95 * 0.05) * both
            low, high = np.quantile(null, [0.95 - slack, min(1.0, 0.95 + slack)])
            check(what + " 95 %", figures["ece_null_p95"], (low + high) / 2, (high - low) / 2)
            p = (1 + (null >= observed).sum()) / (draws + 1)
            spread = max(p * (1 - p), 4 / draws)
            check(what + " p", figures["ece_p"], p, 5 * math.sqrt(spread) * both)

    def cells(self):
        cells = {}
        for run in self.results["runs"]:
            cell = cells.setdefault((run["setting"], run["noise_kind"], run["noise"]), {})
            cell.setdefault((run["smoothing"], run["rule"]), []).append(run)
        return cells

    def check_comparisons(self):
        unseen = {id(row): row for row in self.results["comparisons"]}
        by_key = {}
        for row in self.results["comparisons"]:
            key = tuple(
                row[k]
                for k in (
                    "setting",
                    "noise_kind",
                    "noise",
                    "rule",
                    "smoothing",
                    "epoch",
                    "metric",
                    "contrast",
                )
            )
            check_equal(f"comparison {key} found once", key in by_key, False)
            by_key[key] = row
        gains = {}  # accuracy items of smoothed - hard, for the difference in differences
        for cell_key, arms in self.cells().items():
            if (0, "none") not in arms:
                continue
            for row_key, mine, reference, value in self.cell_contrasts(cell_key, arms, by_key, gains):
                row = by_key.get(cell_key + row_key)
                if row is None:
                    disagreements.append(f"comparison {cell_key + row_key} is missing")
                    continue
                unseen.pop(id(row))
                what = " ".join(map(str, cell_key + row_key))
                check(what + " reference", row["reference"], reference, mine.noise)
                check(what + " value", row["value"], value, mine.noise)
                setting, noise_kind, noise = cell_key
                rule, amount, epoch, metric, _ = row_key
                primary = (
                    (self.own or (setting in ("over-trained", "normal") and noise == 0))
                    and (rule, amount, epoch) == (self.rule, self.primary, "last")
                    and metric in ("accuracy", "nll", "nll_calibrated", "augrc_calibrated")
                )
                margin = {"accuracy": 0.005, "nll": 0.01, "augrc": 0.05 * reference}
                self.add(what, row, mine, bool(primary), margin.get(metric.removesuffix("_calibrated"), 0))
        for setting in sorted({setting for setting, _ in gains}):
            if (setting, 0) not in gains or (setting, 0.1) not in gains:
                continue
            table = gains[setting, 0.1] - gains[setting, 0]
            key = (
                setting,
                "symmetric",
                0.1,
                self.rule,
                PRIMARY_AMOUNT,
                "last",
                "accuracy",
                "difference in differences",
            )
            row = by_key.get(key)
            if row is None:
                disagreements.append(f"comparison {key} is missing")
                continue
            unseen.pop(id(row))
            mine = Crossed(table, 4 * table.shape[1] * EPSILON)
            self.add(f"{setting} difference in differences", row, mine, True, 0.005)
        for row in unseen.values():
            disagreements.append(f"a comparison that the runs do not give: {row}")
        self.check_family()

    def add(self, what, row, mine, primary, margin):
        check_equal(what + " primary", row["primary"], primary)
        compare(what, row, mine)
        self.contrasts.append((what, row, mine, margin))

    def check_family(self):
        family = [entry for entry in self.contrasts if entry[1]["primary"]]
        check_equal("size of the family", self.results["family"]["size"], len(family))
        adjusted = dict(zip((id(row) for _, row, _, _ in family), holm([mine.p for _, _, mine, _ in family])))
        for what, row, mine, margin in self.contrasts:
            p_holm = adjusted.get(id(row))
            # the adjusted p is a p of the family, at most as many times as there are tests
            check(what + " p_holm", row["p_holm"], p_holm, len(family) * 1e-8 * (p_holm or 0) + 1e-14)
            check_equal(what + " verdict", row["verdict"], word_of(row, mine, p_holm, margin))

    def cell_contrasts(self, cell_key, arms, by_key, gains):
        """Of every arm against the hard one: (row key, contrast, mean of the hard arm, mean of the arm)."""
        runs = {run["name"]: run for group in arms.values() for run in group}
        names = {key: [run["name"] for run in group] for key, group in arms.items()}
        hard = names[0, "none"]
        compared = [(key, names[key]) for key in arms if key != (0, "none")]
        tuned = self.tuned(arms, hard, runs)
        if len(arms) > 2:
            compared.append(((None, "tuned"), tuned))
            any_tuned = by_key.get(cell_key + ("tuned", None, "last", "accuracy", "smoothed - hard"))
            if any_tuned is not None:
                chosen = [runs[name]["smoothing"] for name in tuned]
                check_equal(f"{cell_key} tuned amounts", any_tuned["chosen"], chosen)
        setting, noise_kind, noise = cell_key
        for early in (False, True):
            if early and not all(map(self.has_early, runs.values())):
                continue
            for with_t in (False, True):
                rows = {name: self.rows(run, early, with_t) for name, run in runs.items()}
                for metric in ITEM_METRICS:
                    if metric == "accuracy" and with_t:
                        continue
                    items = {name: items_of(metric, of) for name, of in rows.items()}
                    values = {name: metric_of(metric, of) for name, of in rows.items()}
                    noises = {name: rounding_of(metric, of) for name, of in rows.items()}
                    for (amount, rule), arm in compared:
                        pairs = [(a, b) for a in arm for b in hard if runs[a]["seed"] == runs[b]["seed"]]
                        table = np.array([items[a] - items[b] for a, b in pairs])
                        scale = max(1.0, *(np.abs(items[name]).max() for name in arm + hard))
                        noise_level = (
                            sum(noises[name] for name in set(arm + hard))
                            + 4 * table.shape[1] * EPSILON * scale
                        )
                        epoch = "early-stopped" if early else "last"
                        row_key = (
                            rule,
                            amount,
                            epoch,
                            metric + ("_calibrated" if with_t else ""),
                            "smoothed - hard",
                        )
                        reference, value = (np.mean([values[name] for name in arm_]) for arm_ in (hard, arm))
                        yield row_key, Crossed(table, noise_level), reference, value
                        is_gain = not self.own and (
                            (amount, rule) == (PRIMARY_AMOUNT, self.rule)
                            and metric == "accuracy"
                            and not early
                        )
                        if is_gain and noise_kind == "symmetric" and setting.startswith("over-trained"):
                            gains[setting, noise] = table

    def tuned(self, arms, hard, runs):
        """For each seed the run with the least validation NLL after T, on the half that did not fit T."""
        candidates = [(0, name) for name in hard]
        for (amount, rule), group in arms.items():
            candidates += [(amount, run["name"]) for run in group if rule == self.rule]
        chosen = []
        for name in hard:
            best = None
            for amount, other in sorted(c for c in candidates if runs[c[1]]["seed"] == runs[name]["seed"]):
                run = runs[other]
                decides = self.load(run, "validation_half.npy") == 0
                rows = Rows(
                    self.load(run, "validation_logits.npy")[decides],
                    self.load(run, "validation_labels.npy")[decides],
                    run["calibrated"]["temperature"],
                )
                nll = rows.nll.mean()
                if best is None or nll < best[0] - rounding_of("nll", rows):
                    best = (nll, other)
            chosen.append(best[1])
        return chosen


def unique(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise SystemExit(f"results.json has a key twice: {keys}")
    return dict(pairs)


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: recompute.py STUDY_FOLDER")
    study = Study(sys.argv[1])
    runs = study.results["runs"]
    for run in runs:
        study.check_run(run)
    for i in sorted({0, len(runs) // 2, len(runs) - 1}):
        study.check_null(runs[i])
    study.check_comparisons()
    for line in disagreements:
        print(line)
    print(
        f"{agreed} of {agreed + len(disagreements)} numbers agree: {len(runs)} runs, "
        f"{len(study.results['comparisons'])} comparisons"
    )
    return 1 if disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
