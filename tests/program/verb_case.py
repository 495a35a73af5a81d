# SPDX-License-Identifier: MIT
"""What the tests of the verbs share: run the program, read its JSON, expect a refusal. LABELSMOOTH is its path."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy as np

PROGRAM = os.environ["LABELSMOOTH"]


def unique(pairs):
    """Refuses a key that stands twice."""
    keys = [key for key, _ in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError(f"a key twice in {keys}")
    return dict(pairs)


def no_constant(name):
    raise ValueError(f"{name} in JSON")


def parse(text):
    return json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)


def tree(folder):
    """Every file below, with its bytes."""
    paths = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="labelsmooth-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def path(self, name):
        return str(self.folder / name)

    def save(self, name, array):
        np.save(self.path(name), array)
        return self.path(name)

    def start(self, *arguments, **options):
        command = [PROGRAM, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, cwd=self.folder, **options)

    def run_json(self, *arguments, **options):
        done = self.start(*arguments, "--json", **options)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        text = done.stdout.decode()
        self.assertEqual(text.count("\n"), 1)  # one object on one line, and nothing else
        return parse(text)

    def refuse(self, code, fragments, *arguments, **options):
        """One line on stderr that names the place, nothing on stdout, no file more or less."""
        before = tree(self.folder)
        done = self.start(*arguments, **options)
        message = done.stderr.decode()
        self.assertEqual(done.returncode, code, f"{arguments}: {message}")
        self.assertRegex(message, r"\Alabelsmooth: [^\n]+: [^\n]+\n\Z")
        for fragment in [fragments] if isinstance(fragments, str) else fragments:
            self.assertIn(fragment, message)
        self.assertEqual(done.stdout, b"")
        self.assertEqual(tree(self.folder), before)
