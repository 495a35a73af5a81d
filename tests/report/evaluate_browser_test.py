#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page of evaluate in a real Chromium: drawn, from its JSON alone, quiet, within a phone's width, in both languages.
Leaves screenshots in $SCREENSHOTS."""

import json
import unittest

import numpy as np
from selenium.webdriver.common.by import By

from page_case import PHONE, WIDTH, PageCase


class EvaluatePage(PageCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        random = np.random.default_rng(1)
        z = 3 * random.normal(size=(3000, 6))
        p = np.exp(z / 1.7)
        np.save(cls.folder / "z.npy", z)
        np.save(cls.folder / "y.npy", (p.cumsum(1) < random.random((3000, 1)) * p.sum(1, keepdims=True)).sum(1))
        (cls.folder / "names.txt").write_text("<script>alert(1)</script>\n" + "".join(f"class {k}\n" for k in range(5)))
        for language in ("en", "zh"):
            made = cls.make("evaluate", cls.folder / "z.npy", cls.folder / "y.npy", "--class-names", cls.folder / "names.txt",
                            "--bootstrap", 100, "--report", cls.folder / f"{language}.html", "--lang", language, "--json")
            cls.results = json.loads(made)

    def test_it_looks_well_everywhere(self):
        self.addCleanup(self.media)
        for language, width, scheme in (("en", WIDTH, "light"), ("en", WIDTH, "dark"), ("en", PHONE, "light"), ("zh", PHONE, "dark")):
            self.media(scheme=scheme)
            self.open(self.folder / f"{language}.html", width=width)
            self.assert_quiet()
            self.assertLessEqual(self.driver.execute_script("return document.documentElement.scrollWidth"), width)
            self.screenshot(f"evaluate-{language}-{width}-{scheme}", width=width)

    def test_every_chart_is_drawn_from_the_json(self):
        self.open(self.folder / "en.html")
        specs = self.assert_drawn(self.results)
        self.assertEqual(len(specs["width"]["series"][0]["points"]),
                         sum(bin["count"] > 0 for bin in self.results["bins"]))
        self.assertEqual(len(specs["mass"]["series"][0]["points"]), 15)

    def test_each_figure_has_its_table_and_each_link_its_place(self):
        self.open(self.folder / "en.html")
        self.assertLessEqual({"metrics-table", "width-table", "mass-table", "smooth-table", "risk-table", "accuracy-table",
                              "coverage-table", "classes-table"}, set(self.assert_tables_filled()))
        for link in self.driver.find_elements(By.CSS_SELECTOR, "a[href^='#']"):
            self.assertTrue(self.driver.find_elements(By.ID, link.get_attribute("href").split("#")[1]))

    def test_without_javascript(self):
        self.assert_readable_without_javascript(self.folder / "en.html", "evaluate", 8)


if __name__ == "__main__":
    unittest.main()
