# SPDX-License-Identifier: MIT
"""Your own training with and without label smoothing, judged by the plan of `labelsmooth study`."""

import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from .errors import Error
from .program import run
from .settings import Rule


def study(
    train: Callable[[float, int], Mapping[str, Any]],
    smoothings: Iterable[float] = (0.0, 0.1),
    seeds: int | Iterable[int] = 5,
    *,
    out: str | os.PathLike[str],
    rule: Rule = "uniform",
    name: str = "training",
    primary: float | None = None,
    first_seed: int = 1,
    resume: bool = True,
    quiet: bool = False,
) -> dict[str, Any]:
    """Does label smoothing help your training? Runs it over smoothings x seeds and judges what they leave.

    Every run leaves its logits in `out`; the program then compares each amount with hard labels by seed:
    accuracy, NLL, calibration and ranking, as trained and with a temperature fitted on half of the validation
    rows, with intervals over seeds and test rows. One amount is tested (4 tests, Holm); all else, and all of
    a study with fewer than 5 seeds, is screening. Writes results.json and report.html into `out`.

    Args:
        train: train(smoothing, seed) trains one model and returns a mapping with
            test_logits (rows, classes) and test_labels (rows,): the same rows in all runs, met once at the end;
            validation_logits (rows, classes) and validation_labels (rows,): at least 4, the same in all runs of
            a seed;
            early_logits, early_validation_logits: optional, of the early-stopped model, the same shapes;
            curve: optional, a list of one dict an epoch, drawn where it has train_loss, train_nll,
            train_accuracy, validation_nll or validation_accuracy.
            Arrays are whatever numpy.asarray takes, or torch tensors. All that is random has to come from
            `seed` (split, weights, order), so that the runs of a seed are paired.
        smoothings: amounts of smoothing in [0, 1], 0 (hard labels) among them.
        seeds: how many seeds, or which. Verdicts need 5.
        out: folder of the study. One process at a time.
        rule: which smoothed target `train` uses: uniform (PyTorch, Keras, optax), others, flip or additive.
        name: of the training, for people: up to 24 letters, digits, spaces and any of ._+-
        primary: the amount that is tested; by default 0.1, or the only one.
        first_seed: seeds given as a number are first_seed, first_seed + 1, ...
        resume: go on where a study was stopped, even by kill -9; False trains its runs again.
        quiet: no progress on stderr, no verdict box on stdout.

    Returns:
        The content of results.json; its "comparisons" with "primary" true have the verdicts.

    Raises:
        Error: an argument, or what `train` returned, is not as above; or `out` holds another study.
        ValueError: the program refused the runs; the message names the file.
        What `train` raises passes through; the finished runs are kept.

    Example:
        >>> import labelsmooth, numpy, tempfile
        >>> def clouds(seed, rows):
        ...     random = numpy.random.default_rng(seed)
        ...     labels = random.integers(0, 3, rows)
        ...     return random.normal(size=(rows, 3)) + 2 * numpy.eye(3)[labels], labels
        >>> def train(smoothing, seed):
        ...     (x, labels), (v, v_labels) = clouds(seed, 60), clouds(seed + 99, 60)
        ...     t, t_labels = clouds(0, 200)
        ...     targets = (1 - smoothing) * numpy.eye(3)[labels] + smoothing / 3
        ...     weights = numpy.zeros((3, 3))
        ...     for step in range(200):
        ...         p = numpy.exp(x @ weights)
        ...         weights -= 0.5 * x.T @ (p / p.sum(axis=1, keepdims=True) - targets) / len(x)
        ...     return dict(test_logits=t @ weights, test_labels=t_labels,
        ...                 validation_logits=v @ weights, validation_labels=v_labels)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     results = labelsmooth.study(train, (0, 0.1), 5, out=folder, name="clouds", quiet=True)
        >>> sorted({row["metric"] for row in results["comparisons"] if row["primary"]})
        ['accuracy', 'augrc_calibrated', 'nll', 'nll_calibrated']

    Source: the plan in docs/analysis.md; `labelsmooth study --help` describes the folder.
    """
    amounts = [float(amount) for amount in smoothings]
    numbers = (
        list(range(first_seed, first_seed + seeds)) if isinstance(seeds, int) else [int(s) for s in seeds]
    )
    folder = Path(out)
    grid = [(amount, seed, f"smoothing{amount}-seed{seed}") for seed in numbers for amount in amounts]
    _open(folder, _manifest(amounts, numbers, rule, name, primary))
    if not resume:
        for _, _, run_name in grid:
            shutil.rmtree(folder / "runs" / run_name, ignore_errors=True)

    waiting = [one for one in grid if not (folder / "runs" / one[2]).exists()]
    begin = time.monotonic()
    for trained, (amount, seed, run_name) in enumerate(waiting, start=1):
        config = {"smoothing": amount, "seed": seed, "rule": rule if amount > 0 else "none"}
        _save(folder, run_name, config, train(amount, seed))
        if not quiet:
            left = (time.monotonic() - begin) / trained * (len(waiting) - trained)
            done = f"{len(grid) - len(waiting) + trained}/{len(grid)} runs, smoothing {amount}, seed {seed}"
            print(f"labelsmooth: {done}, about {left:.0f} s left", file=sys.stderr, flush=True)

    box = run("study", f"--runs={folder}", "--quiet")
    if not quiet:
        print(box, end="")
    results: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return results


def _manifest(
    amounts: list[float], seeds: list[int], rule: str, name: str, primary: float | None
) -> dict[str, Any]:
    """study.json. The program checks it too, but after all of the training."""
    smoothed = [amount for amount in amounts if amount > 0]
    valid = all(0 <= amount <= 1 for amount in amounts) and len(set(amounts)) == len(amounts)
    if not valid or 0.0 not in amounts or not smoothed:
        raise Error(
            "smoothings", f"{amounts} found, 0 (hard labels) and others up to 1 are needed, each once"
        )
    if not seeds or min(seeds) < 0 or max(seeds) >= 2**63 or len(set(seeds)) != len(seeds):
        raise Error("seeds", f"{seeds} found, integers from 0 are needed, each once")
    if rule not in get_args(Rule):
        raise Error("rule", f"{rule!r} found, one of {get_args(Rule)} is needed")
    if not re.fullmatch(r"[A-Za-z0-9 ._+-]{1,24}", name):
        raise Error("name", f"{name!r} found, 1 to 24 letters, digits, spaces and any of ._+- are needed")
    tested = primary
    if tested is None:
        tested = 0.1 if 0.1 in smoothed else smoothed[0] if len(smoothed) == 1 else None
    if tested not in smoothed:
        raise Error("primary", f"{primary} found, the amount to be tested is needed, one of {smoothed}")
    return dict(schema=1, name=name, rule=rule, primary=tested, smoothings=amounts, seeds=seeds)


def _open(folder: Path, manifest: dict[str, Any]) -> None:
    """A folder holds one study: another one's is never overwritten."""
    path = folder / "study.json"
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        for key, value in manifest.items():
            if found.get(key) != value:
                other = f"{key} {found.get(key)!r}, here {value!r}"
                raise Error("out", f"{folder} holds another study ({other}), choose another folder")
    elif any(folder.glob("runs/*")):
        raise Error("out", f"{folder} holds runs of no study, choose another folder")
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    (folder / ".study.json").write_text(json.dumps(manifest) + "\n", encoding="utf-8")
    (folder / ".study.json").replace(path)


def _save(folder: Path, name: str, config: dict[str, Any], told: Mapping[str, Any]) -> None:
    """A run's folder, written beside its name and renamed: its presence says that the run is whole."""
    where = f"train({config['smoothing']}, {config['seed']})"
    arrays = _arrays(told, where)
    first = next(folder.glob("runs/*/test_labels.npy"), None)
    if first is not None and not np.array_equal(np.load(first), arrays["test_labels"]):
        raise Error(where, f"test_labels are not those of {first}, the same rows are needed in all runs")
    new = folder / ".run"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for file, array in arrays.items():
        np.save(new / f"{file}.npy", array)
    if told.get("curve") is not None:
        finite = [
            {k: float(v) if math.isfinite(v) else None for k, v in one.items()} for one in told["curve"]
        ]
        (new / "metrics.jsonl").write_text(
            "".join(json.dumps(one) + "\n" for one in finite), encoding="utf-8"
        )
    (new / "config.json").write_text(json.dumps(config) + "\n", encoding="utf-8")
    new.rename(folder / "runs" / name)


def _arrays(told: Mapping[str, Any], where: str) -> dict[str, npt.NDArray[Any]]:
    """As the files have them; what is wrong is said now, not after all of the training."""
    pairs = [("test_logits", "test_labels"), ("validation_logits", "validation_labels")]
    if told.get("early_logits") is not None or told.get("early_validation_logits") is not None:
        pairs += [("early_logits", "test_labels"), ("early_validation_logits", "validation_labels")]
    arrays = {}
    for key, of_rows in pairs:
        for needed in (key, of_rows):
            if told.get(needed) is None:
                raise Error(where, f"no {needed} found")
        logits, labels = _numpy(told[key]).astype(np.float32), _numpy(told[of_rows])
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            shapes = f"{key} {logits.shape} and {of_rows} {labels.shape}"
            raise Error(where, f"{shapes} found, (rows, classes) and (rows,) are needed")
        if not (logits < np.inf).all():
            raise Error(where, f"{key} with NaN or infinity found, the training diverged")
        if labels.dtype.kind not in "iu" or not ((labels >= 0) & (labels < logits.shape[1])).all():
            raise Error(where, f"{of_rows}: integers from 0 to {logits.shape[1] - 1} are needed")
        arrays[key], arrays[of_rows] = logits, labels.astype(np.int64)
    return arrays


def _numpy(value: Any) -> npt.NDArray[Any]:
    if hasattr(value, "detach"):  # a torch tensor: NumPy takes none that has a gradient or is bfloat16
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    return np.asarray(value)
