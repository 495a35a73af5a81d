# SPDX-License-Identifier: MIT
"""Smoothed training with the Hugging Face Trainer, and a callback that logs the hard NLL beside the loss.

Run: python examples/trainer_hard_nll.py
"""

import tempfile

import torch
import transformers

import labelsmooth.torch


class SmoothedLoss:
    """A Trainer's `compute_loss_func`, which keeps the sum of the hard NLL; hand it to `HardNLL` too.

    It divides by the number of labels of the whole step, so that gradient accumulation changes nothing.
    """

    def __init__(self, label_smoothing: float) -> None:
        self.label_smoothing = label_smoothing
        self.nll = self.counted = 0.0

    def __call__(
        self,
        outputs: transformers.modeling_outputs.SequenceClassifierOutput,
        labels: torch.Tensor,
        num_items_in_batch: int | torch.Tensor | None = None,
    ) -> torch.Tensor:
        with torch.no_grad():
            self.nll += labelsmooth.torch.cross_entropy(outputs.logits, labels, reduction="sum").item()
            self.counted += (labels != -100).sum().item()
        items = "weights" if num_items_in_batch is None else float(num_items_in_batch)
        return labelsmooth.torch.cross_entropy(
            outputs.logits, labels, label_smoothing=self.label_smoothing, denominator=items
        )


class HardNLL(transformers.TrainerCallback):
    """Adds ``nll``, of the steps since the last time, to what is logged beside ``loss``."""

    def __init__(self, loss: SmoothedLoss) -> None:
        self.loss = loss

    def on_log(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        logs: dict[str, float],
        **_: object,
    ) -> None:
        if "loss" in logs and self.loss.counted:
            logs["nll"] = state.log_history[-1]["nll"] = self.loss.nll / self.loss.counted
            self.loss.nll = self.loss.counted = 0.0


class Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Sequences whose label is the class of their most frequent token."""

    def __init__(self, rows: int) -> None:
        generator = torch.Generator().manual_seed(1)
        self.labels = torch.randint(0, 4, (rows,), generator=generator)
        noise = torch.randint(0, 4, (rows, 12), generator=generator)
        self.tokens = torch.cat([noise, self.labels[:, None].expand(-1, 8)], 1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.tokens[row], "labels": self.labels[row]}


def main(rows: int = 320, epochs: int = 3) -> list[dict[str, float]]:
    transformers.set_seed(1)
    config = transformers.BertConfig(
        vocab_size=8,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=4,
    )
    loss = SmoothedLoss(0.1)
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=16,
            gradient_accumulation_steps=2,
            learning_rate=5e-3,
            logging_steps=5,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = transformers.Trainer(
            transformers.BertForSequenceClassification(config),
            arguments,
            train_dataset=Rows(rows),
            compute_loss_func=loss,
            callbacks=[HardNLL(loss)],
        )
        trainer.train()
        return [entry for entry in trainer.state.log_history if "loss" in entry]


if __name__ == "__main__":
    for entry in main():
        print(f"step {entry['step']:4}  loss {entry['loss']:.4f}  nll {entry['nll']:.4f}")
