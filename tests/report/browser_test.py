# SPDX-License-Identifier: MIT
"""The report in a real Chromium: drawn, traceable to results.json, quiet, readable in the dark, on paper, on a phone
and without JavaScript. Leaves screenshots in $SCREENSHOTS. $RESULTS replaces the small study made here."""

import base64
import json
import os
import pathlib
import re
import unittest

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from page_case import STRINGS, PageCase, labelsmooth


def at(value, pointer):
    for key in filter(None, pointer.split("/")):
        value = value[int(key)] if isinstance(value, list) else value.get(key)
        if value is None:
            return None
    return value


class Report(PageCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = pathlib.Path(os.environ["RESULTS"]) if "RESULTS" in os.environ else cls.small_study()
        cls.results = json.loads(cls.path.read_text())
        cls.pages = {language: cls.page_of(cls.path, language) for language in ("en", "zh")}

    @classmethod
    def small_study(cls):
        out = cls.folder / "study"
        made = cls.make("study", "--smoothings", "0,.05,.1", "--noises", "0,.2", "--seeds", 3, "--train-size", 300,
                        "--epochs", 4, "--out", out, "--quiet")
        assert made.splitlines()[-1] == f"{out}/report.html"
        return out / "results.json"

    @classmethod
    def page_of(cls, results, language="en"):
        page = cls.folder / f"{results.stem}-{language}.html"
        cls.make("report", results, "-o", page, "--lang", language)
        return page

    # ---- What is drawn ----

    def test_it_asks_for_nothing_and_complains_of_nothing(self):
        self.open(self.pages["en"])
        self.assert_quiet()
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        self.assertEqual(asked, [f"file://{self.pages['en']}"])

    def test_the_policy_stops_foreign_scripts(self):
        hacked = self.folder / "hacked.html"
        hacked.write_text(self.pages["en"].read_text().replace("</body>", "<script>window.hacked = 1</script></body>"))
        self.open(hacked)
        self.assertIsNone(self.driver.execute_script("return window.hacked"))
        self.driver.get_log("browser")

    def test_every_chart_has_its_points_and_no_other_numbers(self):
        self.open(self.pages["en"])
        specs = self.assert_drawn(self.results)
        for name, spec in specs.items():
            drawn = self.driver.execute_script(
                "return Chart.getChart(arguments[0]).data.datasets.map((set) => set.data.length)", name)
            rows = spec.get("rows") or spec.get("bars")
            wanted = [len(rows)] if rows else [len(one["points"]) for one in spec["series"]] + [2] * len(spec["lines"])
            self.assertEqual(drawn, wanted, name)
        arms = self.results["pictures"]["arms"]
        for index, shown in enumerate(self.results["pictures"]["shown"]):
            amounts = {arm["smoothing"] for arm in arms if arm["setting"] == shown["setting"] and arm["noise"] == shown["noise"]
                       and arm["noise_kind"] == "symmetric" and arm["rule"] in ("none", self.results["rule"])}
            self.assertEqual([point[0] for point in specs[f"sweep-{index}-nll"]["series"][0]["points"]], sorted(amounts))

    def test_every_cell_is_its_key(self):
        for language, page in self.pages.items():
            self.open(page)
            tables = self.driver.execute_script(
                """return [...document.querySelectorAll("table")].map((table) => [table.id,
                     [...table.tHead.rows[0].cells].map((cell) => cell.dataset.key.split(" ")),
                     [...table.tBodies[0].rows].map((row) => [row.dataset.path, [...row.cells].map((cell) => cell.textContent)])])""")
            count = 0
            for table, columns, rows in tables:
                for path, cells in rows:
                    row = at(self.results, path)
                    self.assertIsNotNone(row, path)
                    for keys, text in zip(columns, cells, strict=True):
                        count += self.check_cell(text.replace("\u2212", "-"), [at(row, key) for key in keys],
                                                 f"{language} {table} {path} {keys}", language)
            self.assertGreater(count, 300)

    def check_cell(self, text, values, where, language):
        if any(value is None for value in values):
            self.assertEqual(text, STRINGS["none"][language], where)
            return 0
        flat = values[0] if isinstance(values[0], list) else values
        if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in flat):
            self.assertTrue(text, where)
            return 0
        if text.startswith("<"):
            self.assertLess(values[0], float(text[1:]), where)
            return 1
        shown = [part.strip("[ ])") for part in text.split(",")]
        self.assertEqual(len(shown), len(flat), where)
        for part, value in zip(shown, flat):
            places = len(part.split("e")[0].partition(".")[2])
            tolerance = 1e-3 * abs(value) if "e" in part else .5001 * 10**-places
            self.assertAlmostEqual(float(part), value, delta=tolerance, msg=where)
        return len(flat)

    # ---- Where it is read ----

    def test_light_and_chinese(self):
        for language, page in self.pages.items():
            self.open(page)
            self.screenshot(f"light-{language}")
            self.assert_quiet()

    def test_chinese_is_complete(self):
        self.open(self.pages["zh"])
        self.assertEqual(self.driver.find_element(By.TAG_NAME, "html").get_attribute("lang"), "zh-CN")
        text = self.driver.execute_script("return document.body.innerText") + json.dumps(self.specs(), ensure_ascii=False)
        for key, texts in STRINGS.items():
            if isinstance(texts, dict) and len(texts["en"]) > 12 and "{" not in texts["en"] and texts["en"] != texts["zh"]:
                self.assertNotIn(texts["en"], text, key)

    def test_dark(self):
        self.open(self.pages["en"])
        paper = lambda: self.driver.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
        color = lambda: self.driver.execute_script("return Object.values(Chart.instances)[0].data.datasets[0].borderColor")
        light = paper(), color()
        self.media(scheme="dark")
        self.addCleanup(self.media)
        dark = paper(), color()
        self.assertTrue(light[0] != dark[0] and light[1] != dark[1], (light, dark))
        self.screenshot("dark")
        self.assert_quiet()

    def test_print(self):
        self.open(self.pages["en"])
        pdf = self.driver.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})["data"]
        (self.shots / "print.pdf").write_bytes(base64.b64decode(pdf))
        self.assertTrue(self.driver.execute_script("return [...document.querySelectorAll('details')].every((one) => one.open)"))
        self.media(media="print", scheme="dark")
        self.addCleanup(self.media)
        paper = self.driver.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
        self.assertEqual(paper, "rgb(255, 255, 255)", "paper is white in the dark, too")
        self.screenshot("print")

    def test_phone(self):
        for language, page in self.pages.items():
            self.assert_fits_a_phone(page, f"report-{language}")

    def test_without_javascript(self):
        self.assert_readable_without_javascript(self.pages["en"], "report", 11)

    # ---- Keyboard, screen reader, CSV ----

    def test_names_and_roles(self):
        self.open(self.pages["en"])
        faults = self.driver.execute_script(
            """const all = (selector) => [...document.querySelectorAll(selector)];
               const ids = all("[id]").map((one) => one.id);
               return [...ids.filter((id, i) => ids.indexOf(id) !== i),
                 ...all("canvas").filter((one) => !one.getAttribute("aria-label") || one.getAttribute("role") !== "img"),
                 ...all("table").filter((one) => !one.caption.textContent || one.querySelector("th:not([scope])")),
                 ...all("[aria-labelledby]").filter((one) => !document.getElementById(one.getAttribute("aria-labelledby"))),
                 ...all("nav a").filter((one) => !document.querySelector(one.getAttribute("href")))].map(String)""")
        self.assertEqual(faults, [])
        tree = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        self.assertGreater(sum(node.get("role", {}).get("value") == "columnheader" for node in tree), 20)

    def test_sorting_by_keyboard(self):
        self.open(self.pages["en"])
        self.driver.execute_script("document.querySelectorAll('details').forEach((one) => one.open = true)")
        table = self.driver.find_element(By.ID, "runs-table")
        keys = [header.get_attribute("data-key") for header in table.find_elements(By.CSS_SELECTOR, "thead th")]
        column = keys.index("test/nll")
        header = table.find_elements(By.CSS_SELECTOR, "thead th")[column]
        nll = [run["test"]["nll"] for run in self.results["runs"]]
        for order, backwards in (("ascending", False), ("descending", True)):
            header.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
            self.assertEqual(header.get_attribute("aria-sort"), order)
            paths = self.driver.execute_script(
                "return [...document.querySelectorAll('#runs-table tbody tr')].map((row) => row.dataset.path)")
            sorted_nll = [round(at(self.results, path)["test"]["nll"], 4) for path in paths]
            self.assertEqual(sorted_nll, sorted((round(value, 4) for value in nll), reverse=backwards))

    def test_csv(self):
        self.open(self.pages["en"])
        text = self.driver.execute_script(
            """HTMLAnchorElement.prototype.click = function () { window.saved = [this.download, decodeURIComponent(this.href)]; };
               document.querySelector("#box-0").closest(".table").querySelector("button.csv").click();
               return window.saved""")
        self.assertEqual(text[0], "box-0.csv")
        lines = text[1].split(",", 1)[1].split("\r\n")
        self.assertEqual(len(lines), 6)  # a header, four endpoints, the end
        self.assertRegex(lines[1], r'^"/comparisons/\d+","accuracy\s↑","0\.\d{4}"')

    # ---- Hostile files ----

    def test_tags_in_names_are_text(self):
        attack = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\"'&"
        results = json.loads(json.dumps(self.results).replace('"custom"', json.dumps(attack)))
        results["rule"] = results["command"] = results["environment"]["blas"] = results["data"]["name"] = attack
        for claim in results["claims"]:
            claim["id"] = claim["claim"] = claim["verdict"] = attack
        for row in results["comparisons"]:
            row["verdict"] = row["rule"] = attack
        path = self.folder / "hostile.json"
        path.write_text(json.dumps(results))
        self.open(self.page_of(path))
        self.assertIsNone(self.driver.execute_script("return window.hacked"))
        self.assertEqual(self.driver.execute_script("return document.images.length + document.scripts.length"), 3)
        self.assertIn(attack, self.driver.find_element(By.TAG_NAME, "header").text)
        self.assert_quiet()

    def test_a_bad_file_is_one_line_and_no_page(self):
        good = self.path.read_text()
        without = lambda key: json.dumps({name: value for name, value in self.results.items() if name != key})
        cases = {"": "not JSON", good[:5000]: "not JSON", good.replace('"schema": 1', '"schema": 2'): "schema: 2 found, 1 is needed",
                 re.sub(r'"nll": [\d.e-]+', '"nll": NaN', good): "not JSON", without("runs"): "runs: nothing found",
                 without("pictures"): "pictures: nothing found", "[]": "an empty list found", "{}": "schema: nothing found"}
        for text, message in cases.items():
            bad, page = self.folder / "bad.json", self.folder / "bad.html"
            bad.write_text(text)
            run = labelsmooth("report", bad, "-o", page)
            self.assertEqual((run.returncode, run.stdout, run.stderr.count("\n")), (1, "", 1), message)
            self.assertTrue(run.stderr.startswith(f"labelsmooth: {bad}: "), run.stderr)
            self.assertIn(message, run.stderr)
            self.assertFalse(page.exists())
        self.assertEqual(labelsmooth("report", self.folder / "none.json").returncode, 1)
        self.assertEqual(labelsmooth("report", self.path, "--lang", "fr").returncode, 2)


if __name__ == "__main__":
    unittest.main()
