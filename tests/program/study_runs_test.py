#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""study --runs: a training of the user's own, judged by the plan of the built-in one. LABELSMOOTH is the program."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import numpy as np

from verb_case import Case, parse, tree

RECOMPUTE = pathlib.Path(__file__).parent.parent / "study" / "recompute.py"
CLASSES, TEST_ROWS, VALIDATION_ROWS = 4, 90, 41


def logits(random, labels, lead):
    """Right in about 70 % of the rows, sure by `lead`."""
    return (random.normal(size=(len(labels), CLASSES)) + lead * np.eye(CLASSES)[labels]).astype("f4")


def write_study(folder, smoothings=(0, 0.1), seeds=(1, 2, 3, 4, 5), early=False, curve=False, **manifest):
    """A study whose smoothed runs are surer, so less wrong, the more they are smoothed."""
    told = {"schema": 1, "name": "my CNN", "rule": "uniform"} | manifest
    (folder / "runs").mkdir(parents=True)
    (folder / "study.json").write_text(json.dumps(told))
    test = np.random.default_rng(9).integers(0, CLASSES, TEST_ROWS)
    for seed in seeds:
        validation = np.random.default_rng(seed).integers(0, CLASSES, VALIDATION_ROWS).astype("u1")
        for amount in smoothings:
            run = folder / "runs" / f"e{amount}-s{seed}"
            run.mkdir()
            rule = told["rule"] if amount > 0 else "none"
            (run / "config.json").write_text(json.dumps({"smoothing": amount, "seed": seed, "rule": rule}))
            random, lead = np.random.default_rng([seed, int(1000 * amount)]), 1.5 + 8 * amount
            np.save(run / "test_labels.npy", test)
            np.save(run / "validation_labels.npy", validation)
            for part in ["", "early_"] if early else [""]:
                for name, labels in ((f"{part}validation", validation), (part or "test_", test)):
                    np.save(run / f"{name.rstrip('_')}_logits.npy", logits(random, labels, lead))
            if curve:
                lines = [{"epoch": e, "train_loss": 1 / e, "mine": "kept"} for e in (1, 2, 3)]
                lines[1]["train_loss"] = None
                (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


class StudyRuns(Case):
    def write(self, out="own", **how):
        write_study(self.folder / out, **how)
        return self.folder / out

    def study(self, out="own", *flags):
        return self.run_json("study", "--runs", out, "--quiet", *flags)

    def recompute(self, out):
        done = subprocess.run([sys.executable, RECOMPUTE, self.path(out)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"\A(\d{3,}) of \1 numbers agree: ")

    # ---- The numbers

    def test_the_built_in_logits_give_the_built_in_numbers(self):
        random = np.random.default_rng(5)
        (self.folder / "data").mkdir()
        for name, rows in (("train", 300), ("test", 80)):
            labels = random.integers(0, 3, rows)
            np.save(self.path(f"data/{name}.npy"), random.normal(size=(rows, 5)) + 1.5 * np.eye(3, 5)[labels])
            np.save(self.path(f"data/{name}_labels.npy"), labels)
        grid = ["--data", "data", "--train-size", 200, "--epochs", 3, "--seeds", 5, "--noises", 0]
        theirs = self.run_json("study", *grid, "--smoothings", "0,.05,.1", "--out", "built-in", "--quiet")
        shutil.copytree(self.folder / "built-in/runs", self.folder / "own/runs")
        for run in theirs["runs"]:
            folder = self.folder / "own" / run["dir"]
            for file in ("run.json", "validation_half.npy", "validation_clean_labels.npy"):
                (folder / file).unlink()
            config = {key: run[key] for key in ("smoothing", "seed", "rule")}
            (folder / "config.json").write_text(json.dumps(config))
        (self.folder / "own/study.json").write_text('{"schema": 1, "name": "custom", "rule": "uniform"}')
        mine = self.study()

        self.assertEqual(set(mine), set(theirs) | {"training"})
        self.assertEqual(set(mine["data"]), set(theirs["data"]))
        unknown = {"train_size", "epochs", "weight_decay", "hidden", "early_epoch", "noise_fit", "early_noise_fit"}
        for a, b in zip(mine["runs"], theirs["runs"], strict=True):
            self.assertEqual(set(a), set(b))
            self.assertEqual({k: a[k] for k in set(a) - unknown}, {k: b[k] for k in set(b) - unknown})
            self.assertEqual(set(a["noise_fit"]), set(b["noise_fit"]))
            half = f"{a['dir']}/validation_half.npy"
            np.testing.assert_array_equal(np.load(self.path(f"own/{half}")), np.load(self.path(f"built-in/{half}")))
        judged = {"primary", "p_holm", "verdict"}
        for a, b in zip(mine["comparisons"], theirs["comparisons"], strict=True):
            self.assertEqual({k: a[k] for k in set(a) - judged}, {k: b[k] for k in set(b) - judged})
        for part in ("reliability", "risk_coverage", "learning", "classes", "shown"):
            a, b = ([{**one, "train_size": 0, "epochs": 0, "weight_decay": 0} for one in r["pictures"][part]]
                    for r in (mine, theirs))  # fmt: skip
            self.assertEqual(a, b, part)

    def test_an_independent_reader_finds_the_same(self):
        self.write(early=True, smoothings=(0, 0.1, 0.3), rule="others", primary=0.3)
        self.study()
        self.recompute("own")
        self.write("bare", seeds=(7, 2**40))
        self.study("bare")
        self.recompute("bare")

    def test_the_family_is_four_tests_at_the_primary_amount(self):
        self.write(smoothings=(0, 0.05, 0.3), primary=0.3)
        results = self.study()
        self.assertEqual(results["family"], {"size": 4, "correction": "Holm"})
        self.assertEqual(results["training"], {"name": "my CNN", "primary": 0.3})
        self.assertEqual(results["pictures"]["conventions"]["primary_smoothing"], 0.3)
        primary = [row for row in results["comparisons"] if row["primary"]]
        self.assertEqual([row["metric"] for row in primary], ["accuracy", "nll", "nll_calibrated", "augrc_calibrated"])
        for row in primary:  # the logits are made so
            self.assertEqual((row["smoothing"], row["epoch"], row["verdict"]), (0.3, "last", "helps"))
        for row in results["comparisons"]:
            self.assertEqual(row["contrast"], "smoothed - hard")
            self.assertEqual(row["primary"] or row["verdict"] == "screening", True)
        claims = {claim["id"]: claim for claim in results["claims"]}
        self.assertEqual([claims[id]["verdict"] for id in ("S19", "S21")], ["true", "true"])
        self.assertEqual({claims[id]["verdict"] for id in ("S6", "S8", "S20", "S21b")}, {"not tested"})
        for id in ("S19", "S21"):
            self.assertTrue(claims[id]["claim"].startswith("your training: "))

    def test_the_primary_amount(self):
        for smoothings, manifest, expected in (
            ((0, 0.1, 0.2), {}, 0.1),
            ((0, 0.25), {}, 0.25),
            ((0, 0.1, 0.2), {"primary": 0.2}, 0.2),
        ):
            shutil.rmtree(self.folder / "own", ignore_errors=True)
            self.write(smoothings=smoothings, seeds=(1, 2), **manifest)
            results = self.study()
            self.assertEqual(results["training"]["primary"], expected)
            self.assertEqual({row["smoothing"] for row in results["comparisons"] if row["primary"]}, {expected})
            self.assertIn(f"smoothing {expected}, 2 seeds", self.start("study", "--runs", "own").stdout.decode())

    def test_fewer_than_five_seeds_are_screening(self):
        self.write(seeds=(1, 2, 3, 4))
        self.assertEqual({row["verdict"] for row in self.study()["comparisons"]}, {"screening"})
        self.write("one", seeds=(1,))
        self.assertEqual({row["low"] for row in self.study("one")["comparisons"]}, {None})

    # ---- The files

    def test_the_same_bytes_on_any_threads_and_anywhere(self):
        self.write(early=True, curve=True)
        inputs = tree(self.folder / "own")
        self.study("own", "--threads", 1)
        first = tree(self.folder / "own")
        self.assertLessEqual(set(inputs.items()), set(first.items()))  # what the user wrote stays as it is
        new = {pathlib.Path(name).name for name in set(first) - set(inputs)}
        self.assertEqual(new, {"results.json", "report.html", "run.json", "validation_half.npy"})
        shutil.move(self.folder / "own", self.folder / "moved")
        for flags in (["--threads", 2], []):
            printed = self.study("moved/", *flags)
            self.assertEqual(tree(self.folder / "moved"), first)
        self.assertEqual(printed, parse(first["results.json"].decode()))
        self.assertEqual(printed["command"], "labelsmooth study --runs .")
        shutil.rmtree(self.folder / "moved/runs/e0.1-s5")
        shutil.rmtree(self.folder / "moved/runs/e0-s5")
        self.assertEqual(len(self.study("moved")["runs"]), 8)

    def test_what_is_no_run(self):
        self.write()
        first = self.study()
        (self.folder / "own/runs/.ipynb_checkpoints").mkdir()
        (self.folder / "own/runs/notes.txt").write_text("mine")
        self.assertEqual(self.study(), first)

    def test_early_and_curves_are_optional(self):
        self.write()
        results = self.study()
        page = (self.folder / "own/report.html").read_text()
        for run in results["runs"]:
            self.assertIsNone(run["early"])
            self.assertIsNone(run["early_calibrated"])
        self.assertEqual({row["epoch"] for row in results["comparisons"]}, {"last"})
        self.assertNotIn('id="learning"', page)
        self.assertNotIn("early/accuracy", page)
        self.assertNotIn("Early stopping", page)
        self.write("more", early=True, curve=True)
        results = self.study("more")
        page = (self.folder / "more/report.html").read_text()
        self.assertEqual({row["epoch"] for row in results["comparisons"]}, {"last", "early-stopped"})
        points = results["pictures"]["learning"][0]["points"]
        self.assertEqual([point["hard_train_loss"] for point in points], [1, None, 1 / 3])
        self.assertIn('id="learning-0"', page)
        self.assertNotIn('id="learning-0-validation"', page)
        self.assertIn("early/accuracy", page)
        self.assertNotEqual(results["runs"][0]["early"]["nll"], results["runs"][0]["test"]["nll"])

    def test_a_class_ruled_out(self):
        for path in (self.write() / "runs").glob("*/*_logits.npy"):
            z = np.load(path)
            y = np.load(str(path).replace("logits", "labels"))
            z[y != 3, 3] = -np.inf
            np.save(path, z)
        self.study()
        self.assertNotRegex((self.folder / "own/report.html").read_text(), ">(nan|inf|null)<")

    # ---- The words

    def test_nothing_untrue_is_said(self):
        self.write(early=True, curve=True)
        box = self.start("study", "--runs", "own", "--quiet").stdout.decode()
        self.assertIn("| my CNN: ", box.replace("                my", " my"))
        self.assertIn("Your own training: 90 test rows", box)
        pages = {"en": (self.folder / "own/report.html").read_text()}
        self.start("report", "own/results.json", "--lang", "zh", "-o", "zh.html")
        pages["zh"] = (self.folder / "zh.html").read_text()
        self.assertIn("Did label smoothing (uniform) help?", pages["en"])
        self.assertIn("Your training: ", pages["en"])
        self.assertIn("您的训练：", pages["zh"])
        untrue = r"image|图像|Fashion|fashion|perceptron|感知机|standardis|标准化|settings were chosen|momentum|immunity"
        untrue += r"|look-alike|noise_fit|clean test|干净测试|weight decay|权重衰减|memoris|grid of your own|no wrong labels"
        for text in (box, *pages.values()):
            text = re.sub(r"<script.*?</script>|<style.*?</style>|<li><b>S\d.*?</li>", "", text, flags=re.S)
            text = text.replace("they are memorised all the same", "")  # of the literature
            self.assertNotRegex(text, untrue)
        self.assertIn("wrong labels ρ = 0.2", self.page_of(noise=0.2))

    def page_of(self, **manifest):
        self.write("other", **manifest)
        self.study("other")
        return (self.folder / "other/report.html").read_text()

    def test_a_name_is_shown_as_it_is(self):
        for name in ("decay", "a-wd0.1", "x" * 24, "1. try"):
            shutil.rmtree(self.folder / "other", ignore_errors=True)
            self.assertIn(f"{name}: ε = 0.1 against hard labels", self.page_of(name=name, seeds=(1,)))

    def test_progress_and_text(self):
        self.write(seeds=(1,))
        done = self.start("study", "--runs", "own")
        self.assertIn("2/2 runs", done.stderr.decode())
        self.assertIn("own/results.json\nown/report.html\n", done.stdout.decode())
        self.assertIn("--runs FOLDER", self.start("study", "--help").stdout.decode())

    # ---- Refusals

    def refused(self, fragments, change):
        """By name, before anything is written."""
        shutil.rmtree(self.folder / "own", ignore_errors=True)
        self.write(seeds=(1, 2), early=True, curve=True)
        change(self.folder / "own")
        self.refuse(1, fragments, "study", "--runs", "own", "--quiet")

    def test_other_options(self):
        self.write(seeds=(1,))
        for flag, value in (("--seeds", 3), ("--preset", "full"), ("--data", "x"), ("--rule", "flip"),
                            ("--smoothings", "0,.1"), ("--noises", 0), ("--epochs", 2), ("--train-size", 50),
                            ("--weight-decay", 0), ("--out", "x"), ("--seed", 1)):  # fmt: skip
            self.refuse(2, [f"{flag}: ", "--runs"], "study", "--runs", "own", flag, value)
        self.refuse(2, "--resume: ", "study", "--runs", "own", "--resume")

    def test_the_manifest(self):
        def manifest(**keys):
            def change(own):
                told = json.loads((own / "study.json").read_text()) | keys
                (own / "study.json").write_text(json.dumps({k: v for k, v in told.items() if v != "remove"}))

            return change

        self.refuse(1, "nowhere/study.json: cannot be opened", "study", "--runs", "nowhere")
        self.refuse(1, "study.json: cannot be opened", "study", "--runs", "")
        self.refused("own/study.json: not JSON", lambda own: (own / "study.json").write_text("[1]"))
        self.refused("own/study.json: not JSON", lambda own: (own / "study.json").write_bytes(b'{"name": "\xff"}'))
        self.refused("own/study.json: schema: 2 found", manifest(schema=2))
        self.refused("own/study.json: schema: nothing found", manifest(schema="remove"))
        for name in ("", "x" * 25, "a/b", "a\nb", "网络", 7, None):
            self.refused("own/study.json: name: ", manifest(name=name))
        for rule in ("none", "prior", "foo", 1, "remove"):
            self.refused("own/study.json: rule: ", manifest(rule=rule))
        for noise in (1.5, -0.1, "x", None):
            self.refused("own/study.json: noise: ", manifest(noise=noise))
        for primary in (0.2, 0, "0.1", None):
            self.refused("own/study.json: primary: ", manifest(primary=primary))
        shutil.rmtree(self.folder / "own")
        self.write(smoothings=(0, 0.05, 0.2), seeds=(1,))
        self.refuse(1, ["study.json: primary: nothing found", "0.05, 0.2"], "study", "--runs", "own")

    def test_the_runs(self):
        def config(**keys):
            def change(own):
                path = own / "runs/e0.1-s2/config.json"
                told = json.loads(path.read_text()) | keys
                path.write_text(json.dumps({k: v for k, v in told.items() if v != "remove"}))

            return change

        for smoothing in (1.1, -0.1, "0.1", None, True, "remove"):
            self.refused("own/runs/e0.1-s2/config.json: smoothing: ", config(smoothing=smoothing))
        for seed in (-1, 1.5, "2", 2**64, "remove"):
            self.refused("own/runs/e0.1-s2/config.json: seed: ", config(seed=seed))
        for rule in ("none", "others", None, "remove"):
            self.refused("own/runs/e0.1-s2/config.json: rule: ", config(rule=rule))
        self.refused(["smoothing 0.1 and seed 1 found", "e0.1-s1"], config(seed=1))
        self.refused("own/runs: no run of smoothing 0 and seed 3 found", config(seed=3))
        self.refused("own/runs: no run of smoothing 0.1 and seed 2", lambda own: shutil.rmtree(own / "runs/e0.1-s2"))
        self.refused("config.json: cannot be opened", lambda own: (own / "runs/empty").mkdir())
        self.refused("own/runs: ", lambda own: (own / "runs/a\nb").mkdir())
        self.refused("own/runs: no such folder", lambda own: shutil.rmtree(own / "runs"))
        for amount, missing in ((0, "no run of smoothing 0 found"), (0.1, "no run of smoothing above 0")):
            self.refused(f"own/runs: {missing}", lambda own, amount=amount: [
                shutil.rmtree(path) for path in (own / "runs").glob(f"e{amount}-s*")])  # fmt: skip

    def test_the_arrays(self):
        def array(file, edit, run="e0.1-s2"):
            def change(own):
                path = own / "runs" / run / file
                found = np.load(path)
                np.save(path, found if (new := edit(found)) is None else new)

            return change

        def put(row, value):
            def edit(found):
                found[row] = value

            return edit

        every = ("test", "validation", "early", "early_validation")
        for part in every:
            file = f"own/runs/e0.1-s2/{part}_logits.npy"
            self.refused(f"{file}: cannot be opened", lambda own, file=file: (self.folder / file).unlink())
            self.refused([f"{file}: nan in row 3"], array(f"{part}_logits.npy", put((3, 1), np.nan)))
            self.refused([f"{file}: inf in row 3"], array(f"{part}_logits.npy", put((3, 1), np.inf)))
            self.refused([f"{file}: ", "rows found"], array(f"{part}_logits.npy", lambda z: z[:-1]))
            self.refused([f"{file}: 3 classes found"], array(f"{part}_logits.npy", lambda z: z[:, :3]))
            self.refused([f"{file}: 1 classes found"], array(f"{part}_logits.npy", lambda z: z[:, :1]))
            self.refused([f"{file}: ", "f32"], array(f"{part}_logits.npy", lambda z: z.astype("f8")))
            self.refused([f"{file}: ", "f32"], array(f"{part}_logits.npy", lambda z: z.ravel()))
        for part in ("test", "validation"):
            file, name = f"own/runs/e0.1-s2/{part}_labels.npy", f"{part}_labels.npy"
            self.refused(f"{file}: cannot be opened", lambda own, file=file: (self.folder / file).unlink())
            self.refused([f"{file}: 4 in row 5"], array(name, put(5, 4)))
            self.refused([f"{file}: -1 in row 5"], array(name, lambda y: np.r_[y[:5].astype("i8"), -1, y[6:]]))
            self.refused([f"{file}: label", "in row 0", "same order"], array(name, lambda y: (y + 1) % CLASSES))
            self.refused([f"{file}: ", "integers"], array(name, lambda y: y.astype("f4")))
            self.refused([f"{file}: ", "integers"], array(name, lambda y: y[:, None]))

        def short(part, rows):
            def change(own):
                for path in (own / "runs").glob(f"*/*{part}_l*.npy"):
                    np.save(path, np.load(path)[:rows])

            return change

        self.refused(["test_labels.npy: 1 rows found, at least 2"], short("test", 1))
        self.refused(["validation_labels.npy: 3 rows found, at least 4"], short("validation", 3))
        self.refused(["e0.1-s2/early_logits.npy", "cannot be opened"],
                     lambda own: (own / "runs/e0.1-s2/early_logits.npy").unlink())  # fmt: skip
        self.refused(["e0-s2/early_logits.npy: found", "all runs need it or none"],
                     lambda own: [path.unlink() for path in (own / "runs/e0-s1").glob("early*")])  # fmt: skip
        self.refused("metrics.jsonl: line 2: train_loss: ", lambda own: (own / "runs/e0-s1/metrics.jsonl").write_text(
            '{"train_loss": 1}\n{"train_loss": "x"}\n'))  # fmt: skip
        self.refused("metrics.jsonl: line 1", lambda own: (own / "runs/e0-s1/metrics.jsonl").write_text("NaN\n"))

    def test_the_smallest_study(self):
        self.write(seeds=(1, 2))
        for path in (self.folder / "own/runs").glob("*/*_l*.npy"):
            np.save(path, np.load(path)[: 2 if "test" in path.name else 4])
        self.study()


if __name__ == "__main__":
    unittest.main()
