# SPDX-License-Identifier: MIT
"""The loss needs no more instructions than it did: callgrind's counts, which repeat where times do not.

Each compiler has its own in instructions.json. `./dev instructions` replaces this compiler's: for a change that
is meant to cost or to save, so that the difference shows in its diff.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BASELINES = pathlib.Path(__file__).with_name("instructions.json")
ALLOWED_RISE = 1.05
SKIPPED = 77  # to ctest, and instructions.cc's for no AVX2


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def count(program):
    if shutil.which("valgrind") is None:
        skip("valgrind is not installed")
    with tempfile.TemporaryDirectory() as folder:
        # A part of its own for each call of `counted`, which alone is counted.
        callgrind = ["--tool=callgrind", "--toggle-collect=counted", "--dump-after=counted"]
        done = subprocess.run(
            ["valgrind", *callgrind, f"--callgrind-out-file={folder}/part", program], capture_output=True, text=True
        )
        if done.returncode == SKIPPED:
            skip("this CPU or this build has no AVX2")
        if done.returncode != 0:
            sys.exit(done.stderr)
        names = done.stdout.split()
        parts = [(pathlib.Path(folder) / f"part.{i}").read_text() for i in range(1, len(names) + 1)]
    return {name: int(re.search(r"^summary: (\d+)", part, re.M)[1]) for name, part in zip(names, parts)}


def compare(counts, baseline):
    for name in counts:
        print(f"{name:32} {counts[name]:>12,} {counts[name] / baseline.get(name, counts[name]) - 1:+.1%}")
    if counts.keys() != baseline.keys():
        sys.exit("instructions.cc has other works than instructions.json: run ./dev instructions")
    risen = [name for name in counts if counts[name] > ALLOWED_RISE * baseline[name]]
    if risen:
        sys.exit(f"over 5 % more instructions than in instructions.json: {', '.join(risen)}")


def main(program, compiler, *renew):
    baselines = json.loads(BASELINES.read_text())
    if renew:
        baselines[compiler] = count(program)
        BASELINES.write_text(json.dumps(baselines, indent=2, sort_keys=True) + "\n")
    elif compiler not in baselines:
        skip(f"instructions.json has nothing of {compiler}; ./dev instructions counts it")
    else:
        compare(count(program), baselines[compiler])


main(*sys.argv[1:])
