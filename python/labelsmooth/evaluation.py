# SPDX-License-Identifier: MIT
"""What the program's verbs evaluate and compare say of arrays, which reach it as temporary files."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .calibration import Edges
from .errors import Error
from .program import run_json

# One run, or several: one for each seed.
Runs: TypeAlias = npt.ArrayLike | Sequence[npt.ArrayLike]


def evaluate(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    probs: bool = False,
    bins: int = 15,
    edges: Edges = "left",
    bootstrap: int = 1000,
    ignore_index: int = -100,
    axis: int = -1,
    seed: int = 1,
    report: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """How right and how calibrated predictions are, with intervals and what noise alone would show.

    Args:
        logits: (..., K, ...), floating of any type.
        labels: integers of the logits' shape without `axis`.
        probs: `logits` holds probabilities: rows that sum to 1, taken as they are.
        bins: of equal width, and groups of equal size.
        edges: as in `calibration_error`.
        bootstrap: how often labels are redrawn from the model's own probabilities, for the null levels.
        ignore_index: rows with this label do not count.
        axis: of the classes.
        seed: of the redraws.
        report: where to write a page that needs nothing else.

    Returns:
        The verb's JSON: ``metrics`` has for each name ``value``, ``low`` and ``high`` (95 %; None where no
        honest interval exists), and for the biased ones ``null_mean``, ``null_p95`` and ``p``, which a
        calibrated model would show; None is an infinite or unknown value.

    Raises:
        Error: what the program refuses, with the name of the argument.

    Example:
        >>> import labelsmooth
        >>> found = labelsmooth.evaluate([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 0, 0], probs=True)
        >>> round(found["metrics"]["accuracy"]["value"], 6), round(found["metrics"]["gap"]["value"], 6)
        (0.666667, 0.133333)

    Source: docs/calibration.md has the definitions and their sources.
    """
    options = [f"--bins={bins}", f"--edges={edges}", f"--bootstrap={bootstrap}"]
    options += [f"--ignore-index={ignore_index}", f"--axis={axis}", f"--seed={seed}"]
    if probs:
        options.append("--probs")
    with _Files() as files:
        found: dict[str, Any] = files.run(
            "evaluate",
            files.write("logits", _logits("logits", logits)),
            files.write("labels", _array("labels", labels)),
            *options,
            *_report(report),
        )
    return found


def compare(
    models: Mapping[str, Runs],
    labels: npt.ArrayLike,
    *,
    fit: Mapping[str, Runs] | None = None,
    fit_labels: npt.ArrayLike | None = None,
    probs: bool = False,
    groups: npt.ArrayLike | None = None,
    bootstrap: int = 2000,
    ignore_index: int = -100,
    seed: int = 0,
    report: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Several models on the same rows: did it help, or would one temperature have done it?

    Args:
        models: name to logits (..., K), or to a list of them, one a seed, paired by position. The first is
            the reference.
        labels: integers, the same for every model.
        fit: logits of other rows, for each model and run, on which temperatures are fitted; without them
            temperatures are cross-fitted on the rows themselves.
        fit_labels: the labels of those rows.
        probs: all logits are probabilities: rows that sum to 1.
        groups: one integer or name a row: the comparison is made within each group too.
        bootstrap: how often rows are resampled, where a model has one run.
        ignore_index: rows with this label do not count.
        seed: of folds and resamples.
        report: where to write the result as one page.

    Returns:
        The verb's JSON: ``models`` with their ``metrics``, as trained and calibrated; ``differences`` from
        the reference with interval and verdict; ``advice``.

    Raises:
        Error: what the program refuses, with the name of the argument.

    Example:
        >>> import numpy as np
        >>> import labelsmooth
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(0, 3, 600)
        >>> hard = rng.normal(size=(600, 3)) + 2 * np.eye(3)[labels]
        >>> found = labelsmooth.compare({"hard": 8 * hard, "softer": 2 * hard}, labels)
        >>> nll = [one for one in found["differences"] if one["metric"] == "nll"][0]
        >>> nll["name"], nll["verdict"]
        ('softer', 'helps')

    Source: docs/analysis.md is the plan of the comparison.
    """
    if len(models) < 2:
        raise Error("models", f"{len(models)} found, a reference and another are needed")
    if (fit is None) != (fit_labels is None):
        raise Error("fit", "goes with fit_labels")
    options = [f"--bootstrap={bootstrap}", f"--ignore-index={ignore_index}", f"--seed={seed}"]
    if probs:
        options.append("--probs")
    with _Files() as files:
        arguments = ["--labels", files.write("labels", _array("labels", labels))]
        if groups is not None:
            arguments += ["--groups", files.write("groups", _array("groups", groups))]
        if fit is not None and fit_labels is not None:
            arguments += ["--fit-labels", files.write("fit_labels", _array("fit_labels", fit_labels))]
            for one in files.write_runs("fit", fit):
                arguments += ["--fit", one]
        arguments += [*options, *_report(report), *files.write_runs("models", models)]
        found: dict[str, Any] = files.run("compare", *arguments)
    return found


class _Files:
    """A temporary folder of arrays, where the program runs: what it says names no path of this machine."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="labelsmooth-")
        self._arguments: dict[str, str] = {}

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def write(self, argument: str, array: npt.NDArray[Any], stem: str | None = None) -> str:
        """The file's name, relative to the folder."""
        suffix = ".csv" if array.dtype.kind == "U" else ".npy"
        name = (stem or argument) + suffix
        path = Path(self._folder.name, name)
        if suffix == ".csv":
            path.write_text("".join(f'"{one}"\n' for one in array.reshape(-1)))
        else:
            np.save(path, array)
        self._arguments[name] = argument
        return name

    def write_runs(self, argument: str, models: Mapping[str, Runs]) -> list[str]:
        """NAME=FILE,FILE for each model."""
        texts = []
        for index, (name, runs) in enumerate(models.items()):
            if not name or name[0] == "-" or set(name) & set("=,"):
                raise Error(argument, f"'{name}' found; a name has no '=' or ',' and does not start with '-'")
            several = runs if isinstance(runs, (list, tuple)) else [runs]
            called = f"{argument}[{name!r}]"
            texts.append(
                f"{name}="
                + ",".join(
                    self.write(called, _logits(called, one), f"{argument}{index}_run{run}")
                    for run, one in enumerate(several)
                )
            )
        return texts

    def run(self, *arguments: str) -> Any:
        """The program's JSON; its complaint names the Python argument."""
        try:
            return run_json(*arguments, "--quiet", cwd=self._folder.name)
        except ValueError as error:
            complaint = str(error).splitlines()[-1].removeprefix("command line: ")
            where, _, found = complaint.removesuffix("; see labelsmooth --help").partition(": ")
            argument = self._arguments.get(where, where.removeprefix("--").replace("-", "_"))
            raise Error(argument, found) from None


def _array(argument: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "iubfU" and array.dtype.name != "bfloat16":
        raise Error(argument, f"{array.dtype} found, numbers are needed")
    return array


def _logits(argument: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    array = _array(argument, values)
    return array.astype(np.float64) if array.dtype.kind in "iub" else array


def _report(report: str | os.PathLike[str] | None) -> list[str]:
    return [] if report is None else ["--report", os.path.abspath(report)]
