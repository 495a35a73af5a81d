# SPDX-License-Identifier: MIT
"""The README's examples, run as a reader would: the C++ one compiled against the built library, the shell one in an
empty folder."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()
LINK = os.environ["LINK"].split()
PROGRAM = os.environ["LABELSMOOTH"]


def block(language, after=""):
    return re.search(rf"```{re.escape(language)}\n(.*?)```", TEXT[TEXT.index(after) :], re.S).group(1)


class Readme(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_cpp_example_prints_what_is_written(self):
        source = pathlib.Path(self.folder, "example.cc")
        source.write_text(block("c++"))
        command = [os.environ["CXX"], "-std=c++20", f"-I{ROOT}/include", str(source), *LINK, "-o", f"{self.folder}/example"]
        subprocess.run(command, check=True)
        printed = subprocess.run([f"{self.folder}/example"], check=True, capture_output=True, text=True).stdout
        self.assertEqual(printed, block("text", after="\nprints\n"))

    def test_shell_example_runs(self):
        path = f"{os.path.dirname(PROGRAM)}:{os.environ['PATH']}"
        run = subprocess.run(
            ["bash", "-euc", block("sh")], cwd=self.folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertRegex(run.stdout, r"(?m)^accuracy +0\.[67]")
        self.assertRegex(run.stdout, r"(?m)^loss +\d")
        self.assertTrue(os.path.exists(f"{self.folder}/gradient.npy"))

    def test_both_commands_are_on_the_page(self):
        self.assertIn("./dev study", TEXT)
        self.assertIn("./dev test", TEXT)


if __name__ == "__main__":
    unittest.main()
