# SPDX-License-Identifier: MIT
"""The command-line program that comes with the package."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def program() -> str:
    """Path of the ``labelsmooth`` program: the package's own, or what the variable LABELSMOOTH names."""
    named = os.environ.get("LABELSMOOTH")
    return os.path.abspath(named) if named else str(Path(__file__).parent / "bin" / "labelsmooth")


def run(*arguments: str, cwd: str | None = None) -> str:
    """What the program prints, or its one-line complaint as a ValueError."""
    done = subprocess.run([program(), *arguments], capture_output=True, text=True, cwd=cwd)
    if done.returncode != 0:
        raise ValueError(done.stderr.strip().removeprefix("labelsmooth: "))
    return done.stdout


def run_json(*arguments: str, cwd: str | None = None) -> Any:
    """What the program says as JSON."""
    return json.loads(run(*arguments, "--json", cwd=cwd))


def main() -> None:
    """The console script: becomes the program."""
    os.execv(program(), [program(), *sys.argv[1:]])
