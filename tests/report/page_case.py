# SPDX-License-Identifier: MIT
"""What the tests of the pages share: a headless Chromium, and what every page of the program has to be there. LABELSMOOTH
is the program; screenshots are left in $SCREENSHOTS."""

import base64
import json
import math
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ["LABELSMOOTH"]
STRINGS = json.loads((ROOT / "program/report/strings.json").read_text())
FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
  --disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1200,900""".split()
WIDTH, PHONE = 1200, 400


def browser(javascript=True):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"  # else Selenium looks for one to download
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    if not javascript:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


def labelsmooth(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=600)


def numbers_in(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return set().union(*map(numbers_in, value))
    return {float(value)} if isinstance(value, (int, float)) and not isinstance(value, bool) else set()


class PageCase(unittest.TestCase):
    """A folder and a browser for a class's tests."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.shots = pathlib.Path(os.environ.get("SCREENSHOTS", folder.name))
        cls.shots.mkdir(parents=True, exist_ok=True)
        cls.driver = browser()
        cls.addClassCleanup(cls.driver.quit)

    @classmethod
    def make(cls, *arguments):
        made = labelsmooth(*arguments)
        assert made.returncode == 0, made.stderr
        return made.stdout

    def open(self, page, driver=None, width=WIDTH):
        driver = driver or self.driver
        self.size(driver, width, 900)
        driver.get_log("browser"), driver.get_log("performance")
        driver.get(f"file://{page}")

    def size(self, driver, width, height):
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                               {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def media(self, **wanted):
        features = [{"name": "prefers-color-scheme", "value": wanted["scheme"]}] if "scheme" in wanted else []
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": wanted.get("media", ""), "features": features})
        # The page hears of it, and draws, before the frame after this one.
        self.driver.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))")

    def screenshot(self, name, driver=None, width=WIDTH):
        driver = driver or self.driver
        height = math.ceil(driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["height"])
        self.size(driver, width, height)
        time.sleep(1)  # charts follow the size a frame later
        for part, y in enumerate(range(0, height, 3000)):
            clip = {"x": 0, "y": y, "width": width, "height": min(3000, height - y), "scale": 1}
            shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "clip": clip})
            (self.shots / f"{name}-{part}.png").write_bytes(base64.b64decode(shot["data"]))

    def specs(self):
        return json.loads(self.driver.find_element(By.ID, "data").get_attribute("textContent"))["charts"]

    def assert_quiet(self, driver=None):
        self.assertEqual((driver or self.driver).get_log("browser"), [])

    def assert_drawn(self, known):
        """Every picture is there, is not blank, and holds no number but those of `known`."""
        specs = self.specs()
        canvases = {canvas.get_attribute("id") for canvas in self.driver.find_elements(By.TAG_NAME, "canvas")}
        self.assertEqual(canvases, set(specs))
        known = numbers_in(known) | {0.0, 1.0, 3.0}  # ends of axes, ticks
        for name, spec in specs.items():
            self.assertLessEqual(numbers_in(spec), known, name)
            colors = self.driver.execute_script(
                """const canvas = document.getElementById(arguments[0]), {width, height} = canvas;
                   const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
                   return new Set(new Uint32Array(data.buffer)).size;""", name)
            self.assertGreater(colors, 3, f"{name} is blank")
        return specs

    def assert_tables_filled(self):
        """By id, their number of rows; no cell is empty but the corner of a head."""
        tables = self.driver.execute_script(
            """return [...document.querySelectorAll("table")].map((table) => [table.id, table.tBodies[0].rows.length,
                 [...table.tBodies[0].querySelectorAll("td, th")].filter((cell) => !cell.textContent.trim()).length])""")
        for name, rows, empty in tables:
            self.assertGreater(rows, 0, name)
            self.assertEqual(empty, 0, f"{name} has empty cells")
        return {name: rows for name, rows, _ in tables}

    def assert_fits_a_phone(self, page, name):
        self.open(page, width=PHONE)
        for fold in (True, False):
            self.driver.execute_script("document.querySelectorAll('details').forEach((one) => one.open = arguments[0])", fold)
            self.assertLessEqual(self.driver.execute_script("return document.documentElement.scrollWidth"), PHONE)
        self.assert_quiet()
        self.screenshot(f"{name}-phone", width=PHONE)

    def assert_readable_without_javascript(self, page, name, tables):
        """The least number of tables, all in sight; no picture; and a line that says why."""
        driver = browser(javascript=False)
        self.addCleanup(driver.quit)
        self.open(page, driver)
        found = driver.find_elements(By.TAG_NAME, "table")
        self.assertGreaterEqual(len(found), tables)
        self.assertTrue(all(table.is_displayed() for table in found))
        self.assertFalse(any(canvas.is_displayed() for canvas in driver.find_elements(By.TAG_NAME, "canvas")))
        self.assertIn(STRINGS["noscript"]["en"], driver.find_element(By.TAG_NAME, "body").text)
        self.screenshot(f"{name}-no-javascript", driver)
