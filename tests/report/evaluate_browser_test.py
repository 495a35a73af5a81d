#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page of evaluate in a real Chromium: drawn, from its JSON alone, quiet, within a phone's width, in both languages.
Leaves screenshots in $SCREENSHOTS."""

import base64
import json
import math
import os
import pathlib
import sys
import tempfile
import time
import unittest

import numpy as np
from selenium.webdriver.common.by import By

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from browser_test import browser, labelsmooth, numbers_in  # noqa: E402


class EvaluatePage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.shots = pathlib.Path(os.environ.get("SCREENSHOTS", folder.name))
        cls.shots.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(1)
        z = 3 * random.normal(size=(3000, 6))
        p = np.exp(z / 1.7)
        np.save(cls.folder / "z.npy", z)
        np.save(cls.folder / "y.npy", (p.cumsum(1) < random.random((3000, 1)) * p.sum(1, keepdims=True)).sum(1))
        (cls.folder / "names.txt").write_text("<script>alert(1)</script>\n" + "".join(f"class {k}\n" for k in range(5)))
        for language in ("en", "zh"):
            made = labelsmooth("evaluate", cls.folder / "z.npy", cls.folder / "y.npy", "--class-names", cls.folder / "names.txt",
                               "--bootstrap", 100, "--report", cls.folder / f"{language}.html", "--lang", language, "--json")
            assert made.returncode == 0, made.stderr
            cls.results = json.loads(made.stdout)
        cls.driver = browser()
        cls.addClassCleanup(cls.driver.quit)

    def open(self, language="en", width=1200, scheme="light"):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                    {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.size(width, 900)
        self.driver.get(f"file://{self.folder}/{language}.html")

    def size(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def test_it_looks_well_everywhere(self):
        for language, width, scheme in (("en", 1200, "light"), ("en", 1200, "dark"), ("en", 400, "light"), ("zh", 400, "dark")):
            self.open(language, width, scheme)
            self.assertEqual(self.driver.get_log("browser"), [])
            size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
            self.assertLessEqual(size["width"], width)
            height = math.ceil(size["height"])
            self.size(width, height)
            time.sleep(1)  # charts follow the size a frame later
            shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
            (self.shots / f"evaluate-{language}-{width}-{scheme}.png").write_bytes(base64.b64decode(shot["data"]))

    def test_every_chart_is_drawn_from_the_json(self):
        self.open()
        specs = json.loads(self.driver.find_element(By.ID, "data").get_attribute("textContent"))["charts"]
        canvases = {canvas.get_attribute("id") for canvas in self.driver.find_elements(By.TAG_NAME, "canvas")}
        self.assertEqual(canvases, set(specs))
        known = numbers_in(self.results) | {0.0, 1.0, 3.0}  # ends of axes, ticks
        for name, spec in specs.items():
            self.assertLessEqual(numbers_in(spec), known, name)
            colors = self.driver.execute_script(
                """const canvas = document.getElementById(arguments[0]), {width, height} = canvas;
                   const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
                   return new Set(new Uint32Array(data.buffer)).size;""", name)
            self.assertGreater(colors, 3, f"{name} is blank")
        self.assertEqual(len(specs["width"]["series"][0]["points"]),
                         sum(bin["count"] > 0 for bin in self.results["bins"]))
        self.assertEqual(len(specs["mass"]["series"][0]["points"]), 15)

    def test_each_figure_has_its_table_and_each_link_its_place(self):
        self.open()
        tables = {table.get_attribute("id") for table in self.driver.find_elements(By.TAG_NAME, "table")}
        self.assertLessEqual({"metrics-table", "width-table", "mass-table", "smooth-table", "risk-table", "accuracy-table",
                              "coverage-table", "classes-table"}, tables)
        for link in self.driver.find_elements(By.CSS_SELECTOR, "a[href^='#']"):
            self.assertTrue(self.driver.find_elements(By.ID, link.get_attribute("href").split("#")[1]))


if __name__ == "__main__":
    unittest.main()
