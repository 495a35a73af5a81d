#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page of compare in a real Chromium: drawn, from its JSON alone, quiet, within a phone's width, in both languages and
without JavaScript. Leaves screenshots in $SCREENSHOTS."""

import json
import unittest

import numpy as np
from selenium.webdriver.common.by import By

from page_case import PageCase

ATTACK = "<script>alert(1)</script>"


class ComparePage(PageCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        random = np.random.default_rng(2)
        labels = random.integers(0, 4, 400)
        np.save(cls.folder / "y.npy", labels)
        (cls.folder / "groups.csv").write_text("group\n" + "".join(f"{('day', 'night')[i % 2]}\n" for i in range(400)))
        models = []
        for name, scale in (("hard", 3), ("smoothed", 1), (ATTACK, 2)):
            files = []
            for seed in range(2):
                files.append(cls.folder / f"{len(models)}-{seed}.npy")
                np.save(files[-1], scale * (random.normal(size=(400, 4)) + 1.5 * np.eye(4)[labels]))
            models.append(f"{name}={files[0]},{files[1]}")
        for language in ("en", "zh"):
            made = cls.make("compare", "--labels", cls.folder / "y.npy", *models, "--groups", cls.folder / "groups.csv",
                            "--report", cls.folder / f"{language}.html", "--lang", language, "--json", "--quiet")
            cls.results = json.loads(made)

    def test_every_chart_is_drawn_from_the_json(self):
        for language in ("en", "zh"):
            self.open(self.folder / f"{language}.html")
            specs = self.assert_drawn(self.results)
            self.assertGreaterEqual(len(specs), 3)
            self.assert_quiet()
            self.screenshot(f"compare-{language}")

    def test_tables_hold_every_model_and_group(self):
        self.open(self.folder / "en.html")
        rows = self.assert_tables_filled()
        self.assertEqual(list(rows.values()).count(2), 3, "each model has a table of its two runs")
        text = self.driver.execute_script("return document.body.textContent")
        for name in ("hard", "smoothed", ATTACK, "day", "night"):
            self.assertIn(name, text)
        self.assertEqual(self.driver.execute_script("return document.scripts.length"), 3)
        for link in self.driver.find_elements(By.CSS_SELECTOR, "a[href^='#']"):
            self.assertTrue(self.driver.find_elements(By.ID, link.get_attribute("href").split("#")[1]))

    def test_dark(self):
        self.addCleanup(self.media)
        paper = []
        for scheme in ("light", "dark"):
            self.media(scheme=scheme)
            self.open(self.folder / "en.html")
            paper.append(self.driver.execute_script("return getComputedStyle(document.documentElement).backgroundColor"))
        self.assertNotEqual(*paper)
        self.screenshot("compare-dark")

    def test_phone(self):
        for language in ("en", "zh"):
            self.assert_fits_a_phone(self.folder / f"{language}.html", f"compare-{language}")

    def test_without_javascript(self):
        self.assert_readable_without_javascript(self.folder / "en.html", "compare", 4)


if __name__ == "__main__":
    unittest.main()
