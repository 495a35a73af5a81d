# SPDX-License-Identifier: MIT
"""The Python examples, at small size."""

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_lightning_callback_logs_the_hard_nll() -> None:
    found = load("lightning_hard_nll").main(rows=200, epochs=8)
    floor = math.log(4) - 0.925 * math.log(4 * 0.925) - 0.075 * math.log(4 * 0.025)  # of smoothing 0.1
    assert found["validation_loss"] > floor and found["train_loss"] > floor
    assert found["validation_nll"] < floor  # what the smoothed loss can never say
    assert 0 < found["train_nll"] < found["train_loss"]


def test_trainer_callback_logs_the_hard_nll() -> None:
    log = load("trainer_hard_nll").main(rows=160, epochs=4)
    assert log[-1]["nll"] < log[0]["nll"] and all(entry["nll"] < 2 for entry in log)
    # Labels are divided by their number in the whole step: the loss is a mean, whatever the accumulation.
    assert log[0]["loss"] < 2
    assert log[-1]["loss"] > log[-1]["nll"]
