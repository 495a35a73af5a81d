# SPDX-License-Identifier: MIT
"""./dev bench: the loss beside the limit of the machine and beside its peers. docs/performance.md says how."""

import argparse
import importlib.util
import json
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
Row = dict[str, Any]


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:60}\r", end="", file=sys.stderr, flush=True)


def run_program(program: str, options: list[str]) -> dict[str, Any]:
    """Google Benchmark's own JSON."""
    with tempfile.NamedTemporaryFile() as out:
        command = [program, *options, f"--benchmark_out={out.name}", "--benchmark_out_format=json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            printed = []
            for line in process.stdout:
                printed.append(line)
                progress(line.split("/iterations")[0].rstrip())
            errors = process.stderr.read()
        if process.returncode:
            sys.exit(errors)
        measured = out.read()
        if not measured:  # --benchmark_list_tests and the like
            print("".join(printed), end="")
            sys.exit()
        return json.loads(measured)


def row_of(benchmark: dict[str, Any]) -> Row:
    name, dtype, shape, threads = benchmark["name"].split("/")[:4]
    ratios = {
        over: {"median": benchmark[over], "min": benchmark[f"{over}_min"], "max": benchmark[f"{over}_max"]}
        for over in ("over_limit", "over_plain")
        if over in benchmark
    }
    return {
        "name": name,
        "shape": [int(size) for size in shape.split("x")],
        "dtype": dtype,
        "threads": int(threads),
        "ns_per_element": benchmark["ns"],
        "limit_gb_per_s": benchmark["limit_GB/s"],
        **ratios,
        "over_peer": {},
    }


def add_peers(rows: list[Row], *options: str) -> None:
    """One process for each number of threads: JAX chooses its own when it starts."""
    for threads in sorted({row["threads"] for row in rows}):
        mine = [row for row in rows if row["threads"] == threads and row["name"] == "forward_backward"]
        command = [sys.executable, str(FOLDER / "peers.py"), f"--threads={threads}", *options]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None and process.stdout is not None
            json.dump(mine, process.stdin)
            process.stdin.close()
            for row, line in zip(mine, process.stdout, strict=False):
                row["over_peer_spread"] = json.loads(line)
                row["over_peer"] = {peer: over["median"] for peer, over in row["over_peer_spread"].items()}
                progress(f"peers on {threads} threads: {row['dtype']} {row['shape']}")
        if process.returncode:
            sys.exit(f"bench/peers.py failed on {threads} threads")


def cpu_name() -> str:
    match = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return match[1] if match else "unknown"


def copy_gb_per_s(rows: list[Row]) -> dict[int, float]:
    """By number of threads, read and written together."""
    speeds: dict[int, list[float]] = {}
    for row in rows:
        if row["name"] != "forward":
            speeds.setdefault(row["threads"], []).append(row["limit_gb_per_s"])
    return {threads: statistics.median(of_rows) for threads, of_rows in speeds.items()}


def spread(ratio: dict[str, float] | None) -> str:
    return f"{ratio['median']:.2f} ({ratio['min']:.2f}-{ratio['max']:.2f})" if ratio else ""


def labels(row: Row) -> list[str]:
    return [row["name"], "x".join(map(str, row["shape"])), row["dtype"], str(row["threads"])]


def table(header: list[str], lines: list[list[str]]) -> str:
    header = ["work", "shape", "type", "threads", *header]
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (header, *lines)
    )


def text(machine: dict[str, Any], rows: list[Row]) -> str:
    copies = [f"{speed:.1f} GB/s on {threads}" for threads, speed in copy_gb_per_s(rows).items()]
    lines = [
        [
            *labels(row),
            f"{row['ns_per_element']:.3f}",
            spread(row["over_limit"]),
            f"{row['limit_gb_per_s']:.1f}",
            spread(row.get("over_plain")),
        ]
        for row in rows
    ]
    parts = [
        f"{machine['cpu']}, isa {machine['isa']}, {machine['threads']} threads; copy: {', '.join(copies)}",
        table(["ns/element", "time / limit", "limit GB/s", "time / plain"], lines),
    ]
    beside = [row for row in rows if row["over_peer"]]
    if beside:
        peers = list(dict.fromkeys(peer for row in beside for peer in row["over_peer"]))
        lines = [
            [*labels(row), *(spread(row["over_peer_spread"].get(peer)) for peer in peers)] for row in beside
        ]
        parts.append(table([f"{peer} / ours" for peer in peers], lines))
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="./dev bench", description=__doc__, epilog="Options --benchmark_... are Google Benchmark's."
    )
    parser.add_argument("program", help=argparse.SUPPRESS)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="10, 1000 and 32,000 classes, f32 and bf16, beside PyTorch eager alone",
    )
    parser.add_argument("--warm", action="store_true", help="everything in the second-level cache")
    parser.add_argument("--json", action="store_true", help="for programs")
    options, others = parser.parse_known_args()
    others += [f"--{flag}" for flag in ("quick", "warm") if getattr(options, flag)]

    measured = run_program(options.program, others)
    context = measured["context"]
    rows = [row_of(benchmark) for benchmark in measured["benchmarks"]]
    if importlib.util.find_spec("labelsmooth"):
        add_peers(rows, f"--batch-bytes={context['batch_bytes']}", *["--only=torch-eager"] * options.quick)
    progress("")
    threads = int(context["threads"])
    machine = {
        "cpu": cpu_name(),
        "isa": context["isa"],
        "threads": threads,
        "copy_gb_per_s": copy_gb_per_s(rows).get(threads),
    }
    print(json.dumps({"machine": machine, "rows": rows}) if options.json else text(machine, rows))


if __name__ == "__main__":
    main()
