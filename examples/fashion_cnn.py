# SPDX-License-Identifier: MIT
"""Does label smoothing help this network? A small CNN on Fashion-MNIST, trained in PyTorch with hard and with
smoothed labels over several seeds, and judged by `labelsmooth study`.

    python examples/fashion_cnn.py --out fashion-cnn

The defaults take some minutes on a laptop. The images are those of Debian's package dataset-fashion-mnist.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
import torch
from torch import nn

import labelsmooth
import labelsmooth.torch

FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES, BATCH = 10, 64


def load(part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (rows, 1, 28, 28) in [0, 1] and labels (rows,) of "train" or "t10k"."""

    def read(kind: str, header_bytes: int) -> np.ndarray:
        path = FOLDER / f"{part}-{kind}-ubyte"
        data = path.read_bytes() if path.exists() else gzip.decompress(path.with_suffix(".gz").read_bytes())
        return np.frombuffer(data, np.uint8, offset=header_bytes)

    images = torch.tensor(read("images-idx3", 16)).reshape(-1, 1, 28, 28) / 255
    return images, torch.tensor(read("labels-idx1", 8)).long()


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, CLASSES),
    )  # fmt: skip


@torch.no_grad()
def predict(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    return torch.cat([model(batch) for batch in images.split(1000)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="fashion-cnn", help="folder of the study")
    parser.add_argument("--train-size", type=int, default=4000, help="images; a fifth as many more validate")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5, help="5 or more give verdicts")
    options = parser.parse_args()
    pool, pool_labels = load("train")
    test, test_labels = load("t10k")

    def train(smoothing: float, seed: int) -> dict[str, object]:
        """All that is random comes from the seed, so that a seed's runs differ by their smoothing alone."""
        torch.manual_seed(seed)
        order = torch.randperm(len(pool))
        rows, held_out = order.split([options.train_size, len(pool) - options.train_size])
        validation = held_out[: options.train_size // 5]
        model = network()
        loss_of = labelsmooth.torch.CrossEntropyLoss(label_smoothing=smoothing)
        nll_of = nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        curve = []
        for _ in range(options.epochs):
            total = 0.0
            for batch in rows[torch.randperm(len(rows))].split(BATCH):
                loss = loss_of(model(pool[batch]), pool_labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(batch)
            logits = predict(model, pool[validation])
            curve.append(
                {
                    "train_loss": total / len(rows),
                    "validation_nll": nll_of(logits, pool_labels[validation]).item(),
                    "validation_accuracy": (logits.argmax(1) == pool_labels[validation])
                    .double()
                    .mean()
                    .item(),
                }
            )
        return {
            "test_logits": predict(model, test),
            "test_labels": test_labels,
            "validation_logits": logits,
            "validation_labels": pool_labels[validation],
            "curve": curve,
        }

    labelsmooth.study(
        train, (0.0, 0.1), options.seeds, out=options.out, name=f"CNN {options.train_size} images"
    )


if __name__ == "__main__":
    main()
