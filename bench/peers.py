# SPDX-License-Identifier: MIT
"""Loss and gradient by the bindings and by every peer that is installed, in turn, on the same batches.

Reads [{"shape": [rows, classes, ...], "dtype": "f32"}, ...] from stdin and writes a line for each: how many times
our time each peer takes, {"torch-eager": {"median": 20.1, "min": 18.7, "max": 22.0}, ...}. The whole process is
confined to as many CPUs as it has threads, since JAX takes one for each CPU.
"""

import argparse
import contextlib
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator

SMOOTHING = 0.1
REPETITIONS = 7

arguments = argparse.ArgumentParser()
arguments.add_argument("--threads", type=int, required=True)
arguments.add_argument("--batch-bytes", type=int, required=True, help="of all batches' logits together")
arguments.add_argument("--only", help="this peer")
arguments = arguments.parse_args()
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])

import ml_dtypes  # noqa: E402  # after the affinity is set
import numpy as np  # noqa: E402

import labelsmooth  # noqa: E402

DTYPES = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
Call = Callable[[], object]
Prepare = Callable[[np.ndarray, np.ndarray], Call]  # a batch's (logits, labels) to the call that is timed


def ours(z: np.ndarray, y: np.ndarray) -> Call:
    gradient = np.empty_like(z)
    gradient.fill(0)  # touched, so that no page fault is measured
    return lambda: labelsmooth.cross_entropy(
        z, y, label_smoothing=SMOOTHING, reduction="sum", axis=1, out=gradient
    )


def with_numpy(z: np.ndarray, y: np.ndarray) -> Call:
    rows, classes = z.shape
    each = np.arange(rows)

    def loss_and_gradient() -> tuple[float, np.ndarray]:
        x = z - z.max(axis=1, keepdims=True)
        p = np.exp(x)
        s = p.sum(axis=1, keepdims=True)
        loss = (np.log(s[:, 0]) - (1 - SMOOTHING) * x[each, y] - SMOOTHING * x.mean(axis=1)).sum()
        p /= s
        p -= SMOOTHING / classes
        p[each, y] -= 1 - SMOOTHING
        return loss, p

    return loss_and_gradient


def with_torch(cross_entropy: Callable) -> Prepare:
    import torch

    torch.set_num_threads(arguments.threads)

    def prepare(z: np.ndarray, y: np.ndarray) -> Call:
        half = z.dtype == ml_dtypes.bfloat16  # which from_numpy does not know
        logits = torch.from_numpy(z.view(np.int16)).view(torch.bfloat16) if half else torch.from_numpy(z)
        labels = torch.from_numpy(y)
        logits.requires_grad_()

        def loss_and_gradient() -> tuple[torch.Tensor, ...]:
            loss = cross_entropy(logits, labels, label_smoothing=SMOOTHING, reduction="sum")
            return torch.autograd.grad(loss, logits)

        return loss_and_gradient

    return prepare


def with_jax() -> Prepare:
    import jax
    import optax

    @jax.jit
    @jax.value_and_grad
    def loss_and_gradient(z: jax.Array, y: jax.Array) -> jax.Array:
        targets = optax.smooth_labels(jax.nn.one_hot(y, z.shape[1], dtype=z.dtype), SMOOTHING)
        targets = jax.numpy.moveaxis(targets, -1, 1)
        return optax.softmax_cross_entropy(z, targets, axis=1).sum()

    def prepare(z: np.ndarray, y: np.ndarray) -> Call:
        logits, labels = jax.numpy.asarray(z), jax.numpy.asarray(y)
        return lambda: jax.block_until_ready(loss_and_gradient(logits, labels))

    return prepare


def torch_eager() -> Prepare:
    from torch.nn.functional import cross_entropy

    return with_torch(cross_entropy)


def torch_compile() -> Prepare:
    import torch

    torch.compiler.reset()  # each shape is compiled for itself
    return with_torch(torch.compile(torch.nn.functional.cross_entropy, dynamic=False))


def torch_face() -> Prepare:
    from labelsmooth.torch import cross_entropy

    return with_torch(cross_entropy)


PEERS: dict[str, Callable[[], Prepare]] = {
    "torch-eager": torch_eager,
    "torch-compile": torch_compile,
    "torch-face": torch_face,
    "jax": with_jax,
    "numpy": lambda: with_numpy,
}


def peers(shape: list[int], dtype: str) -> Iterator[tuple[str, Prepare]]:
    """Those that are installed and have the type."""
    for name in [arguments.only] if arguments.only else PEERS:
        if name == "numpy" and (dtype != "f32" or len(shape) > 2):
            continue
        with contextlib.suppress(ModuleNotFoundError):
            yield name, PEERS[name]()


def aligned(shape: list[int], dtype: type) -> np.ndarray:
    """Uninitialised, at a multiple of 64 bytes, so that JAX need not copy it."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    return memory[begin : begin + size].view(dtype).reshape(shape)


def batches(shape: list[int], dtype: type) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(1)
    noise = random.normal(0, 3.5, 1_000_003).astype(dtype)
    made = []
    while sum(z.nbytes for z, _ in made) <= arguments.batch_bytes:
        z = aligned(shape, dtype)
        flat = z.reshape(-1)
        for begin in range(0, flat.size, noise.size):
            part = flat[begin : begin + noise.size]
            part[:] = noise[: part.size]
        y = random.integers(shape[1], size=shape[:1] + shape[2:])
        made.append((z, y))
    return made


def clock() -> float:
    # On one thread the CPU time of the process, so that another process's turns do not count.
    return time.process_time() if arguments.threads == 1 else time.perf_counter()


def over_ours(shape: list[int], dtype: str) -> dict[str, dict[str, float]]:
    data = batches(shape, DTYPES[dtype])
    sides = {"ours": [ours(*batch) for batch in data]}
    for name, prepare in peers(shape, dtype):
        sides[name] = [prepare(*batch) for batch in data]
    times: dict[str, list[float]] = {name: [] for name in sides}
    calls = max(1, 2**21 // data[0][0].size)  # many make a repetition where one is short
    turn = 0
    for repetition in range(-1, REPETITIONS):  # code is compiled in the first, which is not counted
        for name in list(sides)[:: 1 if repetition % 2 else -1]:
            time_taken = 0.0
            for _ in range(calls):
                call = sides[name][turn % len(data)]
                turn += 1
                begin = clock()
                call()
                time_taken += clock() - begin
            if repetition >= 0:
                times[name].append(time_taken)
    us = times.pop("ours")
    ratios = {name: [a / b for a, b in zip(peer, us, strict=True)] for name, peer in times.items()}
    return {
        name: {"median": statistics.median(ratio), "min": min(ratio), "max": max(ratio)}
        for name, ratio in ratios.items()
    }


labelsmooth.set_threads(arguments.threads)
for case in json.load(sys.stdin):
    print(json.dumps(over_ours(case["shape"], case["dtype"])), flush=True)
    gc.collect()  # compiled functions hold their batches in cycles
