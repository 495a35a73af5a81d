# SPDX-License-Identifier: MIT
"""`labelsmooth.study` on trainings that take no time: what it writes, resumes, refuses and lets pass."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import labelsmooth

CLASSES = 3
Told = dict[str, Any]


def train(smoothing: float, seed: int) -> Told:
    """Logits that are the surer the more they are smoothed: any model would do."""
    random = np.random.default_rng([seed, int(1e6 * smoothing)])
    test = np.random.default_rng(0).integers(0, CLASSES, 60)
    validation = np.random.default_rng(seed).integers(0, CLASSES, 30)

    def logits(labels: Any) -> Any:
        return random.normal(size=(len(labels), CLASSES)) + (1 + 5 * smoothing) * np.eye(CLASSES)[labels]

    return {
        "test_logits": logits(test),
        "test_labels": test,
        "validation_logits": logits(validation),
        "validation_labels": validation,
    }


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_results_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = labelsmooth.study(train, out=tmp_path / "a/b")
    out, err = capsys.readouterr()
    assert results == json.loads((tmp_path / "a/b/results.json").read_text())
    assert results["family"]["size"] == 4
    assert {(run["smoothing"], run["seed"]) for run in results["runs"]} == {
        (e, s) for e in (0, 0.1) for s in range(1, 6)
    }
    assert "Did label smoothing (uniform) help?" in out
    assert "a/b/report.html" in out
    assert [line[:25] for line in err.splitlines()[:2]] == [
        "labelsmooth: 1/10 runs, s",
        "labelsmooth: 2/10 runs, s",
    ]
    assert len(err.splitlines()) == 10 and "about 0 s left" in err.splitlines()[-1]
    names = {path.name for path in (tmp_path / "a/b").iterdir()}
    assert names == {"study.json", "runs", "results.json", "report.html"}
    run = tmp_path / "a/b" / results["runs"][-1]["dir"]
    np.testing.assert_array_equal(np.load(run / "test_logits.npy"), train(0.1, 5)["test_logits"].astype("f4"))
    np.testing.assert_array_equal(np.load(run / "validation_labels.npy"), train(0.1, 5)["validation_labels"])
    assert json.loads((run / "config.json").read_text()) == {"smoothing": 0.1, "seed": 5, "rule": "uniform"}


def test_every_option_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []

    def noting(smoothing: float, seed: int) -> Told:
        seen.append((smoothing, seed))
        return train(smoothing, seed)

    results = labelsmooth.study(
        noting, [0, 0.05, 0.3], [7, 3], out=str(tmp_path), rule="flip", name="mine", primary=0.3, quiet=True
    )
    assert capsys.readouterr() == ("", "")
    assert seen == [(e, s) for s in (7, 3) for e in (0.0, 0.05, 0.3)]  # whole seeds first
    assert results["rule"] == "flip"
    assert results["training"] == {"name": "mine", "primary": 0.3}
    results = labelsmooth.study(train, seeds=2, first_seed=11, out=tmp_path / "b", quiet=True)
    assert {run["seed"] for run in results["runs"]} == {11, 12}


def test_early_and_curve(tmp_path: Path) -> None:
    def more(smoothing: float, seed: int) -> Told:
        told, early = train(smoothing, seed), train(smoothing, seed + 100)
        told["early_logits"] = early["test_logits"]
        told["early_validation_logits"] = early["validation_logits"]
        told["curve"] = [
            {"train_loss": 0.5, "validation_nll": float("nan")},
            {"train_loss": np.float32(0.25)},
        ]
        return told

    results = labelsmooth.study(more, seeds=2, out=tmp_path, quiet=True)
    assert results["runs"][0]["early"] is not None
    points = results["pictures"]["learning"][0]["points"]
    assert [point["hard_train_loss"] for point in points] == [0.5, 0.25]
    assert points[0]["hard_validation_nll"] is None


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_torch_tensors(dtype: str, tmp_path: Path) -> None:
    import torch

    def of_tensors(smoothing: float, seed: int) -> Told:
        told: Told = {key: torch.tensor(value) for key, value in train(smoothing, seed).items()}
        for key in ("test_logits", "validation_logits"):
            told[key] = told[key].to(getattr(torch, dtype)).requires_grad_()
        return told

    labelsmooth.study(of_tensors, seeds=1, out=tmp_path, quiet=True)
    expected = of_tensors(0.1, 1)["test_logits"].detach().float().numpy()
    np.testing.assert_array_equal(np.load(tmp_path / "runs/smoothing0.1-seed1/test_logits.npy"), expected)


def test_an_exception_passes_and_what_is_finished_stays(tmp_path: Path) -> None:
    class Broken(Exception):
        pass

    seen = []

    def breaking(smoothing: float, seed: int) -> Told:
        seen.append((smoothing, seed))
        if len(seen) == 4:
            raise Broken("GPU on fire")
        return train(smoothing, seed)

    with pytest.raises(Broken, match="GPU on fire"):
        labelsmooth.study(breaking, seeds=3, out=tmp_path, quiet=True)
    assert len(list((tmp_path / "runs").iterdir())) == 3
    labelsmooth.study(breaking, seeds=3, out=tmp_path, quiet=True)
    assert seen[4:] == [seen[3], (0.0, 3), (0.1, 3)]
    labelsmooth.study(train, seeds=3, out=tmp_path / "whole", quiet=True)
    whole = tree(tmp_path / "whole")
    assert {
        name: content for name, content in tree(tmp_path).items() if not name.startswith("whole")
    } == whole


SLOW = """
import sys, time
sys.path.insert(0, sys.argv[2])
import labelsmooth, test_study

def slow(smoothing, seed):
    time.sleep(0.03)
    return test_study.train(smoothing, seed)

labelsmooth.study(slow, seeds=8, out=sys.argv[1], quiet=True)
"""


def test_a_killed_study_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-c", SLOW, str(out), str(Path(__file__).parent)]
    for wanted in (2, 5):  # twice
        child = subprocess.Popen(command)
        while child.poll() is None and len(list(out.glob("runs/*"))) < wanted:
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        assert child.wait() != 0
    done = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/test_logits.npy")}
    assert 5 <= len(done) < 16
    (out / ".run").mkdir(exist_ok=True)  # what a kill in the middle of a run leaves
    (out / ".run/test_logits.npy").write_bytes(b"half")
    subprocess.run(command, check=True)
    labelsmooth.study(train, seeds=8, out=tmp_path / "whole", quiet=True)
    assert tree(out) == tree(tmp_path / "whole")
    for path, modified in done.items():  # those were not trained again
        assert path.stat().st_mtime_ns == modified


def test_resume_false_trains_again(tmp_path: Path) -> None:
    seen: list[int] = []

    def noting(smoothing: float, seed: int) -> Told:
        seen.append(seed)
        return train(smoothing, seed)

    for resume, trained in ((True, 4), (True, 4), (False, 8)):
        labelsmooth.study(noting, seeds=2, out=tmp_path, resume=resume, quiet=True)
        assert len(seen) == trained


def test_another_study_is_never_overwritten(tmp_path: Path) -> None:
    labelsmooth.study(train, seeds=2, out=tmp_path, quiet=True)
    before = tree(tmp_path)
    others: list[dict[str, Any]] = [
        {"seeds": 3}, {"first_seed": 2}, {"smoothings": (0, 0.1, 0.2)}, {"rule": "flip"}, {"name": "other"},
        {"smoothings": (0, 0.2)},
    ]  # fmt: skip
    for other in others:
        for resume in (True, False):
            with pytest.raises(labelsmooth.Error, match="^out: .* holds another study"):
                labelsmooth.study(train, **({"seeds": 2} | other), out=tmp_path, resume=resume, quiet=True)
    assert tree(tmp_path) == before
    (tmp_path / "study.json").unlink()
    with pytest.raises(labelsmooth.Error, match="holds runs of no study"):
        labelsmooth.study(train, seeds=2, out=tmp_path, quiet=True)


def arguments() -> Iterator[tuple[str, dict[str, Any]]]:
    for smoothings in ((0.1,), (0,), (), (0, 0.1, 0.1), (0, 1.1), (0, -0.1), (0, float("nan"))):
        yield "smoothings: ", {"smoothings": smoothings}
    for seeds in (0, [], [1, 1], [-1], [2**63]):
        yield "seeds: ", {"seeds": seeds}
    for name in ("", "x" * 25, "a/b", "网络", "a\n"):
        yield "name: ", {"name": name}
    yield "rule: ", {"rule": "none"}
    for primary in (0.2, 0.0):
        yield "primary: ", {"primary": primary}
    yield "primary: ", {"smoothings": (0, 0.05, 0.2)}


@pytest.mark.parametrize(("where", "wrong"), list(arguments()))
def test_arguments_are_refused_before_the_training(where: str, wrong: dict[str, Any], tmp_path: Path) -> None:
    def never(smoothing: float, seed: int) -> Told:
        raise AssertionError("trained")

    with pytest.raises(labelsmooth.Error, match=f"^{where}"):
        labelsmooth.study(never, **wrong, out=tmp_path / "a", quiet=True)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"test_logits": None}, "no test_logits"),
        ({"validation_labels": None}, "no validation_labels"),
        ({"early_logits": np.zeros((60, 3))}, "no early_validation_logits"),
        ({"early_validation_logits": np.zeros((30, 3))}, "no early_logits"),
        ({"test_logits": np.zeros(60)}, r"test_logits \(60,\)"),
        ({"test_labels": np.zeros(59, int)}, r"test_labels \(59,\)"),
        ({"test_labels": np.zeros((60, 1), int)}, r"test_labels \(60, 1\)"),
        ({"test_labels": np.zeros(60)}, "test_labels: integers"),
        ({"test_labels": np.full(60, 3)}, "test_labels: integers from 0 to 2"),
        ({"test_labels": np.full(60, -1)}, "test_labels: integers"),
        ({"validation_logits": np.full((30, 3), np.nan)}, "validation_logits with NaN"),
        ({"validation_logits": np.full((30, 3), np.inf)}, "validation_logits with NaN or infinity"),
    ],
)
def test_what_train_returns_is_refused_at_once(wrong: Told, told: str, tmp_path: Path) -> None:
    with pytest.raises(labelsmooth.Error, match=rf"^train\(0.0, 1\): .*{told}"):
        labelsmooth.study(lambda e, s: train(e, s) | wrong, out=tmp_path, quiet=True)
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_shuffled_test_set_is_refused_at_once(tmp_path: Path) -> None:
    def shuffled(smoothing: float, seed: int) -> Told:
        return train(smoothing, seed) | ({"test_labels": (np.arange(60) + seed) % 3} if seed > 1 else {})

    with pytest.raises(labelsmooth.Error, match=r"^train\(0.0, 2\): test_labels are not those of"):
        labelsmooth.study(shuffled, out=tmp_path, quiet=True)


def test_the_program_has_the_last_word(tmp_path: Path) -> None:
    def few(smoothing: float, seed: int) -> Told:
        told = train(smoothing, seed)
        return told | {key: told[key][:3] for key in ("validation_logits", "validation_labels")}

    with pytest.raises(ValueError, match="validation_labels.npy: 3 rows found, at least 4"):
        labelsmooth.study(few, seeds=1, out=tmp_path, quiet=True)


def test_the_example(tmp_path: Path) -> None:
    if not Path("/usr/share/datasets/fashion-mnist").exists():
        pytest.skip("Fashion-MNIST is not installed")
    example = Path(__file__).parents[2] / "examples/fashion_cnn.py"
    sizes = ["--train-size", "100", "--epochs", "1", "--seeds", "1"]
    for out in ("a", "b"):
        command = [sys.executable, str(example), *sizes, "--out", str(tmp_path / out)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        assert done.returncode == 0, done.stderr
    assert "CNN 100 images: smoothing 0.1, 1 seeds" in done.stdout
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
