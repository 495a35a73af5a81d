# SPDX-License-Identifier: MIT
"""What the pages say, run as a reader would. In docs/seed.md and README.zh-CN.md

    console   lines after "$ " are commands, the rest is what they print, whole or in excerpts parted by "..." lines
    sh        commands that have to succeed
    c++, c    programs; the next text block is what they print

One folder a page, blocks in order, so that later commands find the files of earlier ones."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = os.environ["LINK"].split()
PAGES = ["docs/seed.md", "README.zh-CN.md"]


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page):
    """(language, text) of every fenced block, in order."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", read(page), re.S | re.M)


def commands(block):
    """(command, expected output) of a console block."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.M)
    assert parts[0] == "", f"output before the first command: {block}"
    return list(zip(parts[1::2], parts[2::2]))


def rounded(text):
    """Full-length numbers to 12 digits: the last ones depend on the instruction set."""
    return re.sub(r"\d+\.\d{12,}", lambda number: f"{float(number[0]):.12g}", text)


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


class Page(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="labelsmooth-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        # ./dev and python3, without the building and with the NumPy that the tests have.
        program = os.environ["LABELSMOOTH"]
        script(self.folder / "dev", f'[ "$1" = labelsmooth ] || exit 99; shift; exec "{program}" "$@"')
        script(self.folder / "python3", f'exec "{sys.executable}" "$@"')
        self.environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}

    def shell(self, command):
        return subprocess.run(
            ["bash", "-euc", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def check_command(self, command, expected):
        done = self.shell(command)
        refused = expected.startswith("labelsmooth: ")
        self.assertEqual(done.returncode != 0, refused, f"{command}\n{done.stdout}")
        excerpts = re.split(r"^\.\.\.\n", rounded(expected), flags=re.M)
        self.assertRegex(rounded(done.stdout), r"\A" + r"(?:.*\n)*?".join(map(re.escape, excerpts)) + r"\Z", command)

    def check_program(self, language, source, expected):
        (self.folder / "example.cc").write_text(source)
        kind = ["-x", "c++", "-std=c++20"] if language == "c++" else ["-x", "c", "-std=c99"]
        command = [os.environ["CXX"], *kind, f"-I{ROOT}/include", "example.cc", "-x", "none", *LINK, "-o", "example"]
        subprocess.run(command, check=True, cwd=self.folder)
        printed = subprocess.run(["./example"], check=True, cwd=self.folder, capture_output=True, text=True).stdout
        self.assertEqual(printed, expected)

    def test_pages(self):
        for page in PAGES:
            found = blocks(page)
            self.assertIn("console", [language for language, _ in found])
            for (language, text), (_, following) in zip(found, found[1:] + [("", "")]):
                with self.subTest(page=page, block=text):
                    if language == "console":
                        for command, expected in commands(text):
                            self.check_command(command, expected)
                    elif language == "sh":
                        done = self.shell(text)
                        self.assertEqual(done.returncode, 0, done.stdout)
                    elif language in ("c++", "c"):
                        self.check_program(language, text, following)

    def test_links_lead_somewhere(self):
        for page in PAGES:
            for link in re.findall(r"\]\(([^)#:]+)", read(page)):
                self.assertTrue((ROOT / page).parent.joinpath(link).exists(), f"{page}: {link}")


class VerdictBox(unittest.TestCase):
    """What the pages repeat of README.md's box; README.zh-CN.md has all of it, as tables."""

    WORDS = {
        "accuracy": "准确率",
        "NLL": "NLL",
        "NLL, with T": "NLL，温度缩放后",
        "AUGRC, with T": "AUGRC，温度缩放后",
        "over-trained": "过度训练",
        "over-trained-wd0.005": "过度训练，权重衰减 0.005",
        "helps": "有益",
        "hurts": "有害",
        "negligible": "可忽略",
        "inconclusive": "尚无定论",
    }

    def test_same_verdicts(self):
        number, interval, word = r"([-+]?\.\d+)", r"(\[[-+.\d]+,[-+.\d]+\])", r"(\w+)"
        half = rf"\s+{number}\s+{number}\s+{number}\s+{interval}\s+{word}\s+\|"
        metrics = re.findall(rf"^\| (\w+(?:, with T)?){half}{half}", read("README.md"), re.M)
        immunity = re.findall(rf"^\|   ([\w.-]+)\s+{number}\s+{interval}\s+{word}\s+\|", read("README.md"), re.M)
        self.assertEqual([len(metrics), len(immunity)], [4, 2])
        tables = [[row[:6] for row in metrics], [row[:1] + row[6:] for row in metrics], immunity]
        found = read("README.zh-CN.md")
        for table in tables:
            rows = [" | ".join(self.WORDS.get(cell, cell) for cell in row) for row in table]
            self.assertIn("".join(f"| {row} |\n" for row in rows), found)

    def test_same_intervals(self):
        found = re.findall(r"([-+]\.\d+)\s\[([-+.\d]+),\s([-+.\d]+)\]", read("docs/seed.md").replace("\u2212", "-"))
        self.assertEqual(len(found), 4)
        for value, low, high in found:
            self.assertRegex(read("README.md"), rf"{re.escape(value)}\s+{re.escape(f'[{low},{high}]')}")


if __name__ == "__main__":
    unittest.main()
