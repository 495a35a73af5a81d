#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The report of somebody's own runs (study --runs) in a real Chromium: drawn, from its results.json alone, quiet, within a
phone's width and without JavaScript. Leaves screenshots in $SCREENSHOTS."""

import json
import pathlib
import sys
import unittest

from page_case import PageCase

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "program"))
from study_runs_test import write_study  # noqa: E402


class OwnRunsPage(PageCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        write_study(cls.folder / "own", smoothings=(0, 0.1, 0.3), early=True, curve=True)
        cls.make("study", "--runs", cls.folder / "own", "--quiet")
        cls.page = cls.folder / "own/report.html"
        cls.results = json.loads((cls.folder / "own/results.json").read_text())

    def test_every_chart_is_drawn_from_the_results(self):
        self.open(self.page)
        self.assertGreaterEqual(len(self.assert_drawn(self.results)), 4)
        self.assert_quiet()
        self.screenshot("own-runs")

    def test_tables_hold_every_run(self):
        self.open(self.page)
        self.assertEqual(self.assert_tables_filled()["runs-table"], 15)
        self.assertIn("my CNN", self.driver.execute_script("return document.body.textContent"))

    def test_phone(self):
        self.assert_fits_a_phone(self.page, "own-runs")

    def test_without_javascript(self):
        self.assert_readable_without_javascript(self.page, "own-runs", 8)


if __name__ == "__main__":
    unittest.main()
