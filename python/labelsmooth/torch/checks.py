# SPDX-License-Identifier: MIT
"""Wrong calls fail as torch.nn.functional.cross_entropy fails: the same types and first words."""

from typing import Any

import torch

from labelsmooth.arrays import Arrays
from labelsmooth.errors import Error

HALVES = (torch.bfloat16, torch.float16)
_FLOATS = (torch.float32, torch.float64, *HALVES)
_NAMES = {
    torch.uint8: "Byte",
    torch.int8: "Char",
    torch.int16: "Short",
    torch.int32: "Int",
    torch.int64: "Long",
    torch.float16: "Half",
    torch.float32: "Float",
    torch.float64: "Double",
    torch.bfloat16: "BFloat16",
    torch.bool: "Bool",
    torch.complex64: "ComplexFloat",
    torch.complex128: "ComplexDouble",
}
_OF_ROWS = ("labels", "second", "mixing", "amounts", "row_weight")
_LABELS = (
    torch.int64,
    torch.uint8,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
)

# What a tensor is called as an argument; labels of a shape that does not fit are hard_labels by then.
_ARGUMENTS = {
    "labels": "hard_labels",
    "second": "mixed",
    "mixing": "mixed",
    "amounts": "label_smoothing",
    "class_amounts": "class_smoothing",
    "targets": "target",
}


def _name(dtype: torch.dtype) -> str:
    return _NAMES.get(dtype, str(dtype).removeprefix("torch."))


def _kind(value: Any) -> str:
    return type(value).__name__


def check_reduction(reduction: Any) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")


def check_smoothing(amount: float) -> None:
    if not 0.0 <= amount <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {amount}")


def check_tensors(input: Any, target: Any, weight: Any) -> None:
    if not isinstance(input, torch.Tensor):
        raise TypeError(
            f"cross_entropy_loss(): argument 'input' (position 1) must be Tensor, not {_kind(input)}"
        )
    if not isinstance(target, torch.Tensor):
        raise TypeError(
            f"cross_entropy_loss(): argument 'target' (position 2) must be Tensor, not {_kind(target)}"
        )
    if weight is not None and not isinstance(weight, torch.Tensor):
        raise TypeError(
            f"cross_entropy_loss(): argument 'weight' (position 3) must be Tensor, not {_kind(weight)}"
        )
    if input.dim() == 0:
        raise IndexError("Dimension specified as 1 but tensor has no dimensions")
    if input.dtype not in _FLOATS:
        raise NotImplementedError(f"\"cross_entropy\" not implemented for '{_name(input.dtype)}'")
    if not (input.is_cpu and target.is_cpu) and target.device != input.device:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but got target is on "
            f"{target.device}, different from other tensors on {input.device}"
        )


def class_axis(input: torch.Tensor, axis: int | None) -> int:
    """1, as torch has it, of one axis the only one; or the one that is asked for."""
    axes = input.dim()
    if axis is None:
        return 1 if axes > 1 else 0
    if not -axes <= axis < axes:
        raise Error("axis", f"{axis} found, the logits have {axes} axes")
    return axis % axes


def check_soft(target: torch.Tensor, ignore_index: int | None, hard_labels: torch.Tensor | None) -> None:
    if not target.is_floating_point():
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {_name(target.dtype)}"
        )
    if hard_labels is None and ignore_index is not None and ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")


def check_labels(input: torch.Tensor, target: torch.Tensor, axis: int) -> None:
    rows = list(input.shape)
    del rows[axis]
    if target.shape == tuple(rows) and target.dtype in _LABELS:
        return
    axes, shape = input.dim(), list(target.shape)
    if axes > 1 and (not shape or shape[0] != rows[0]):
        of_target = shape[0] if shape else 0
        raise ValueError(f"Expected input batch_size ({rows[0]}) to match target batch_size ({of_target}).")
    if axes == 1 and len(shape) == 1 and shape[0] != 1:
        raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {shape[0]}")
    if axes <= 2 and len(shape) > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if axes == 4 and len(shape) != 3:
        raise RuntimeError(
            "only batches of spatial targets supported (3D tensors) "
            f"but got targets of dimension: {len(shape)}"
        )
    if axes == 4 and shape != rows:
        raise RuntimeError(f"size mismatch (got input: {list(input.shape)} , target: {shape}")
    if axes > 2 and shape != rows:
        raise RuntimeError(f"Expected target size {rows}, got {shape}")
    if target.dtype not in _LABELS:
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {_name(target.dtype)}")


def check_weight(weight: torch.Tensor, classes: int, dtype: torch.dtype, soft: bool) -> None:
    if weight.dim() != 1 or weight.shape[0] != classes:
        raise RuntimeError(
            f"{'cross_entropy: ' if soft else ''}weight tensor should be defined either for all {classes} "
            f"classes or no classes but got weight tensor of shape: {list(weight.shape)}"
        )
    if not weight.is_floating_point():
        raise RuntimeError(f"expected scalar type {_name(dtype)} but found {_name(weight.dtype)}")


def check_kind(soft: bool, mixed: Any, hard_labels: Any) -> None:
    """What goes with one kind of targets alone."""
    if hard_labels is not None and not soft:
        raise Error("hard_labels", "go with probabilities of the input's shape")
    if mixed is not None and soft:
        raise Error("mixed", "goes with class numbers")


def check_others(given: list[torch.Tensor | None], input: torch.Tensor, axis: int, soft: bool) -> bool:
    """Checks the shapes of what has one entry a row. Returns whether a gradient is wanted beyond the logits':
    in probabilities and their weight, as PyTorch has it. In anything else it is refused.

    Args:
        given: `Arrays` up to the last that is given.
    """
    through = False
    for name, one in zip(Arrays._fields, given, strict=False):
        if one is None:
            continue
        argument = _ARGUMENTS.get(name, name)
        if not isinstance(one, torch.Tensor):
            raise TypeError(f"cross_entropy(): argument '{argument}' must be Tensor, not {_kind(one)}")
        if name in _OF_ROWS and tuple(one.shape) != (rows := input.shape[:axis] + input.shape[axis + 1 :]):
            raise Error(argument, f"shape {tuple(one.shape)} found, that of the rows is {tuple(rows)}")
        if one.requires_grad and torch.is_grad_enabled():
            if not soft or name not in ("targets", "weight"):
                raise RuntimeError(
                    f"cross_entropy is not differentiable with respect to argument '{argument}'. "
                    "This input cannot have requires_grad True."
                )
            through = True
    return through
