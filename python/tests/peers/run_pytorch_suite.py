# SPDX-License-Identifier: MIT
"""Runs the cross-entropy tests of PyTorch's test_nn.py with labelsmooth's function in place of PyTorch's.

    python run_pytorch_suite.py PYTORCH_CHECKOUT [-- OPTIONS OF PYTEST]

PYTORCH_CHECKOUT is a source tree of the PyTorch that is installed, or any folder that holds its test/test_nn.py; its
tests need `expecttest`. The function is set as torch.nn.functional.cross_entropy, which torch.nn.CrossEntropyLoss calls,
before the file is read. How often it was called is printed, so that a run that tests PyTorch itself shows.
"""

import sys
from pathlib import Path

import pytest
import torch

import labelsmooth.torch

SELECTED = (
    "(cross_entropy and not binary and not linear) or test_CrossEntropyLoss or invalid_reduction_strings"
)
ARGUMENTS = (
    "input",
    "target",
    "weight",
    "size_average",
    "ignore_index",
    "reduce",
    "reduction",
    "label_smoothing",
)
calls = 0


def cross_entropy(*arguments, **options):
    """Ours, with PyTorch's arguments alone."""
    global calls
    calls += 1
    assert len(arguments) <= len(ARGUMENTS) and set(options) <= set(ARGUMENTS)
    return labelsmooth.torch.cross_entropy(*arguments, **options)


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    tests = Path(sys.argv[1]) / "test" / "test_nn.py"
    if not tests.exists():
        print(f"{tests}: no such file, a PyTorch source tree is needed")
        return 2
    theirs = torch.nn.functional.cross_entropy
    torch.nn.functional.cross_entropy = cross_entropy
    try:
        options = [one for one in sys.argv[2:] if one != "--"]
        status = pytest.main([str(tests), "-k", SELECTED, "-q", "-p", "no:cacheprovider", *options])
    finally:
        torch.nn.functional.cross_entropy = theirs
    print(f"labelsmooth.torch.cross_entropy was called {calls} times")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
