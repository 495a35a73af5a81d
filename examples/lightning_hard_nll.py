# SPDX-License-Identifier: MIT
"""A Lightning callback that logs the hard-label NLL beside the smoothed loss.

The smoothed loss cannot fall below its floor and is not comparable between amounts of smoothing; the hard NLL
can be read and compared. Run: python examples/lightning_hard_nll.py
"""

import lightning
import torch

import labelsmooth.torch


class HardNLL(lightning.Callback):
    """Watches the loss module named `criterion`; logs ``train_nll`` and ``validation_nll`` of each epoch."""

    def __init__(self, criterion: str = "criterion") -> None:
        self.criterion = criterion

    def setup(self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str) -> None:
        criterion = getattr(module, self.criterion)

        def add(_: torch.nn.Module, arguments: tuple[torch.Tensor, torch.Tensor], __: object) -> None:
            logits, labels = arguments
            with torch.no_grad():
                nll = labelsmooth.torch.cross_entropy(logits, labels, ignore_index=criterion.ignore_index)
            name = "train_nll" if module.training else "validation_nll"
            module.log(name, nll, on_step=False, on_epoch=True, batch_size=len(labels))

        self.handle = criterion.register_forward_hook(add)

    def teardown(self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str) -> None:
        self.handle.remove()


class Classifier(lightning.LightningModule):
    """Two layers, trained on smoothed labels."""

    def __init__(self, features: int, classes: int, label_smoothing: float) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Linear(features, 32), torch.nn.ReLU(), torch.nn.Linear(32, classes)
        )
        self.criterion = labelsmooth.torch.CrossEntropyLoss(label_smoothing=label_smoothing)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        loss = self.criterion(self.body(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        self.log("validation_loss", self.criterion(self.body(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 1e-2)


def main(rows: int = 600, epochs: int = 3) -> dict[str, float]:
    lightning.seed_everything(1, verbose=False)
    labels = torch.randint(0, 4, (rows,))
    points = torch.randn(rows, 8) + 4 * torch.nn.functional.one_hot(labels, 8)
    data = torch.utils.data.TensorDataset(points, labels)
    training, validation = torch.utils.data.random_split(data, [0.8, 0.2])
    trainer = lightning.Trainer(
        max_epochs=epochs,
        callbacks=[HardNLL()],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = torch.utils.data.DataLoader
    trainer.fit(Classifier(8, 4, 0.1), loader(training, 32, shuffle=True), loader(validation, 32))
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


if __name__ == "__main__":
    for name, value in sorted(main().items()):
        print(f"{name:16} {value:.4f}")
