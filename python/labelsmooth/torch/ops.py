# SPDX-License-Identifier: MIT
"""The operators `labelsmooth::cross_entropy`, its gradient and its parts, of tensors on the CPU.

    cross_entropy(logits, tensors, settings, keep=False, single=False) -> (loss, summaries)
    cross_entropy_backward(upstream, summaries, logits, tensors, settings) -> dlogits
    cross_entropy_parts(summaries, logits, tensors, settings) -> (loss, nll, ..., denominator)

`tensors` are `labelsmooth.arrays.Arrays` up to the last that is given, `settings` says as name=value,... what
of `Settings` is not the default. `keep` fills the rows' summaries, which parts need, and saves the gradient
another look at the logits; `single` gives a float32 loss of half logits. Few arguments, and
`torch.library.Library` in place of `custom_op`, because each costs time in every call.
"""

import itertools
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from labelsmooth import _core
from labelsmooth.arrays import Arrays
from labelsmooth.errors import Error
from labelsmooth.settings import Settings, bound

from . import eager


class Parts(NamedTuple):
    """`labelsmooth.Parts` of tensors: what a loss is made of, one entry a row. They carry no gradient."""

    loss: Tensor
    nll: Tensor
    lse: Tensor
    confidence: Tensor
    entropy: Tensor
    argmax: Tensor
    correct: Tensor | None


Tensors: TypeAlias = list[Tensor | None]
SUMMARY_BYTES = 80
_NO_SUMMARIES = torch.empty(0, SUMMARY_BYTES, dtype=torch.uint8, device="cpu")  # a new one costs 2 us
_MOST_SUMMED_TWICE = 400
_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}
_MOST = torch.finfo(torch.float32).max

_core.read_by_exchange(Tensor)
_EXCHANGED = hasattr(Tensor, "__dlpack_c_exchange_api__")

_library = torch.library.Library("labelsmooth", "DEF")  # type: ignore[no-untyped-call]
_arguments = "Tensor logits, Tensor?[] tensors, str settings"
_named_parts = ", ".join(f"Tensor {name}" for name in (*Parts._fields, "denominator"))
for _signature in (
    f"cross_entropy({_arguments}, bool keep=False, bool single=False) -> (Tensor loss, Tensor summaries)",
    f"cross_entropy_backward(Tensor upstream, Tensor summaries, {_arguments}) -> Tensor dlogits",
    f"cross_entropy_parts(Tensor summaries, {_arguments}) -> ({_named_parts})",
):
    _library.define(_signature, tags=(torch.Tag.pt2_compliant_tag,))  # type: ignore[no-untyped-call]
cross_entropy = torch.ops.labelsmooth.cross_entropy.default
cross_entropy_backward = torch.ops.labelsmooth.cross_entropy_backward.default
cross_entropy_parts = torch.ops.labelsmooth.cross_entropy_parts.default


_DEFAULTS = Settings._field_defaults


def text_of(settings: Settings) -> str:
    """Plain Python, since torch.compile looks into it."""
    said = [f"{name}={value}" for name, value in settings._asdict().items() if value != _DEFAULTS[name]]
    return ",".join(said)


@lru_cache(maxsize=256)
def _settings_of(text: str) -> Settings:
    said = dict(one.split("=") for one in text.split(",") if one)
    values: dict[str, Any] = {
        name: None if value == "None" else type(_DEFAULTS[name])(value) for name, value in said.items()
    }
    return Settings(**values)


@lru_cache(maxsize=256)
def _bound_of(text: str) -> _core.Settings:
    """By the text, whose hash Python keeps."""
    return bound(_settings_of(text))


# ---- on the CPU ----


def rows_shape(logits: Tensor, axis: int) -> list[Any]:
    """Sizes without the class axis."""
    shape = list(logits.shape)
    del shape[axis]
    return shape


def _array(tensor: Tensor | None) -> Any:
    """What the library reads: the tensor itself; of an older PyTorch NumPy's view, which bfloat16 has not."""
    if tensor is None or _EXCHANGED:
        return tensor
    if tensor.requires_grad:
        tensor = tensor.detach()
    return tensor if tensor.dtype == torch.bfloat16 else tensor.numpy()


def _breaks(tensor: Tensor, axis: int) -> set[int]:
    """Between which of the row axes a stride leaps. The library walks rows with two strides: one leap."""
    axes = [i for i in range(tensor.dim()) if i != axis % tensor.dim() and tensor.shape[i] != 1]
    size, stride = tensor.shape, tensor.stride()
    return {
        after for before, after in itertools.pairwise(axes) if stride[before] != size[after] * stride[after]
    }


def _problem(text: str, logits: Tensor, tensors: Tensors) -> _core.Loss:
    """The library's loss; whatever is not of the logits' shape is read contiguous."""
    arrays = [one if one is None or one.is_contiguous() else _as_read(one, logits) for one in tensors]
    if not _EXCHANGED:
        logits, arrays = _array(logits), [_array(one) for one in arrays]
    return _core.Loss(_bound_of(text), logits, *arrays)


def _as_read(tensor: Tensor, logits: Tensor) -> Tensor:
    return tensor if tensor.dim() > 1 and tensor.shape == logits.shape else tensor.contiguous()


def _walkable(settings: Settings, logits: Tensor, tensors: Tensors) -> bool:
    """Whether the logits and what is of their shape can all be walked as they lie."""
    if logits.dim() <= 3:
        return True
    alike = [logits, *(one for one in tensors if one is not None and one.shape == logits.shape)]
    return len(set().union(*(_breaks(one, settings.axis) for one in alike))) <= 1


def _contiguous(tensors: Tensors) -> Tensors:
    return [one if one is None else one.contiguous() for one in tensors]


def _as_torch_says(error: Error) -> Exception:
    """A label that is no class is torch's IndexError, with our row."""
    if error.argument != "labels" or error.row < 0:
        return error
    label = error.found.split(" has ")[1].split(",")[0]
    return IndexError(f"Target {label} is out of bounds. ({error.found})")


def rounded(loss: Tensor, dtype: torch.dtype) -> Tensor:
    """From float64 to a half `dtype`, rounded once, to inf beyond its range: by way of a float32 that is odd
    where it is not exact."""
    single = loss.float()
    bits = single.view(torch.int32)
    toward_zero = torch.where(single.double().abs() > loss.abs(), bits - 1, bits) | 1
    odd = torch.where((single.double() == loss) | loss.isnan(), bits, toward_zero)
    return odd.view(torch.float32).to(dtype)


def _forward_cpu(
    logits: Tensor, tensors: Tensors, text: str, keep: bool = False, single: bool = False
) -> tuple[Tensor, Tensor]:
    settings = _settings_of(text)
    dtype = torch.float32 if single else logits.dtype
    if not _walkable(settings, logits, tensors):
        logits, tensors = logits.contiguous(), _contiguous(tensors)
    by_row = np.empty(rows_shape(logits, settings.axis)) if settings.reduction == "none" else None
    parts = None if by_row is None else {"loss": by_row}
    loss = _problem(text, logits, tensors)
    summaries = _NO_SUMMARIES.new_empty(loss.rows, SUMMARY_BYTES) if keep else _NO_SUMMARIES
    try:
        value = loss.summarize(_array(summaries), parts) if keep else loss.value(parts=parts)
    except Error as error:
        raise _as_torch_says(error) from None
    return _loss(value.loss if by_row is None else by_row, dtype), summaries


def _loss(values: float | npt.NDArray[np.float64], dtype: torch.dtype) -> Tensor:
    """Of float64, rounded once, to inf beyond the type's range. By way of NumPy, as `scalar_tensor` takes half
    again as long and a tensor's `to` three times."""
    if dtype not in _NUMPY:
        return rounded(torch.as_tensor(values, dtype=torch.float64), dtype)
    if isinstance(values, float) and not abs(values) > _MOST:  # no need of errstate, which costs 1 us
        return torch.from_numpy(np.asarray(values, _NUMPY[dtype]))
    with np.errstate(over="ignore"):
        return torch.from_numpy(np.asarray(values, _NUMPY[dtype]))


def _backward_cpu(upstream: Tensor, summaries: Tensor, logits: Tensor, tensors: Tensors, text: str) -> Tensor:
    settings = _settings_of(text)
    dlogits = written = torch.empty_like(logits)
    if not _walkable(settings, logits, [dlogits, *tensors]):
        logits, tensors = logits.contiguous(), _contiguous(tensors)
        written = torch.empty_like(logits)
    loss = _problem(text, logits, tensors)
    by_all, by_row = (upstream.item(), None) if upstream.dim() == 0 else (1.0, _array(upstream.contiguous()))
    if summaries.shape[0] > 0:
        loss.gradient(_array(summaries), _array(written), by_all, by_row)
    else:
        loss.value(_array(written), by_all, by_row)
    return dlogits if written is dlogits else dlogits.copy_(written)


def _parts_cpu(summaries: Tensor, logits: Tensor, tensors: Tensors, text: str) -> tuple[Tensor, ...]:
    settings = _settings_of(text)
    if not _walkable(settings, logits, tensors):
        logits, tensors = logits.contiguous(), _contiguous(tensors)
    parts = _empty_parts(logits, tensors, settings)
    arrays = {name: _array(part) for name, part in parts.items() if name != "correct" or _has_labels(tensors)}
    value = _problem(text, logits, tensors).finish(_array(summaries), arrays)
    return (*parts.values(), torch.scalar_tensor(value.denominator, dtype=torch.float64))


def _has_labels(tensors: Tensors) -> bool:
    return len(tensors) > 0 and tensors[0] is not None


def _empty_parts(logits: Tensor, tensors: Tensors, settings: Settings) -> dict[str, Tensor]:
    """Unwritten; `correct` has no entry where dense targets have no labels."""
    shape = rows_shape(logits, settings.axis)
    types = {"argmax": torch.int64, "correct": torch.bool}
    shapes = {"correct": shape if _has_labels(tensors) else [0]}
    return {
        name: torch.empty(shapes.get(name, shape), dtype=types.get(name, torch.float64), device=logits.device)
        for name in Parts._fields
    }


# ---- without data ----


def _forward_fake(
    logits: Tensor, tensors: Tensors, text: str, keep: bool = False, single: bool = False
) -> tuple[Tensor, Tensor]:
    settings = _settings_of(text)
    shape = rows_shape(logits, settings.axis)
    rows = 1
    for size in shape:
        rows = rows * size
    loss = logits.new_empty(
        shape if settings.reduction == "none" else (), dtype=torch.float32 if single else logits.dtype
    )
    return loss, logits.new_empty((rows if keep else 0, SUMMARY_BYTES), dtype=torch.uint8)


def _backward_fake(
    upstream: Tensor, summaries: Tensor, logits: Tensor, tensors: Tensors, text: str
) -> Tensor:
    return torch.empty_like(logits)


def _parts_fake(summaries: Tensor, logits: Tensor, tensors: Tensors, text: str) -> tuple[Tensor, ...]:
    parts = _empty_parts(logits, tensors, _settings_of(text))
    return (*parts.values(), logits.new_empty((), dtype=torch.float64))


# ---- the way to the kernels, and gradients ----


def _is_plain(*tensors: Tensor | None) -> bool:
    """Whether the dispatcher would go straight to the CPU's kernel: no tracer, profiler or mode looks on, and no
    tensor is a subclass's, lazy or wrapped. Then it is left out, as it takes half the time of a small call. (The
    tensors' dispatch keys say the same for four times the price.)"""
    if _tracing() is not None or _profiled() or _dispatch_modes() or _function_modes():
        return False
    for one in tensors:
        if one is not None and (type(one) not in _PLAIN or one.is_neg()):
            return False
    return _core.exchanged(*tensors)


_tracing, _profiled = torch._C._get_tracing_state, torch._C._autograd._profiler_enabled
_dispatch_modes, _function_modes = torch._C._len_torch_dispatch_stack, torch._C._len_torch_function_stack
_PLAIN = (Tensor, torch.nn.Parameter)


def _below_autograd(operator: Any, *arguments: Any) -> Any:
    with torch._C._AutoDispatchBelowAutograd():
        return operator(*arguments)


class _CrossEntropy(torch.autograd.Function):
    """Gives the loss its gradient: keeps the logits and the summaries of their rows. The loss comes made, in a
    tuple, as each output of `forward` costs 1 us; `setup_context` would cost 30."""

    @staticmethod
    def forward(
        ctx: Any, made: tuple[Tensor, Tensor], text: str, logits: Tensor, *tensors: Tensor | None
    ) -> Tensor:
        loss, summaries = made
        ctx.text = text
        ctx.save_for_backward(summaries, logits, *tensors)
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        summaries, logits, *tensors = ctx.saved_tensors
        dlogits = gradient(upstream, summaries, logits, tensors, ctx.text)
        return None, None, dlogits, *((None,) * len(tensors))


class _Gradient(torch.autograd.Function):
    """The gradient's own gradient, of the loss as PyTorch's operators say it."""

    @staticmethod
    def forward(ctx: Any, text: str, upstream: Tensor, summaries: Tensor, *tensors: Tensor | None) -> Tensor:
        ctx.text = text
        ctx.save_for_backward(upstream, *tensors)
        return _below_autograd(cross_entropy_backward, upstream, summaries, tensors[0], tensors[1:], text)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, direction: Tensor) -> tuple[Tensor | None, ...]:
        upstream, logits, *tensors = ctx.saved_tensors
        by_upstream, by_logits = eager.second_gradient(
            direction, _settings_of(ctx.text), upstream, logits, tensors
        )
        return None, by_upstream, None, by_logits, *((None,) * len(tensors))


# Without what Function.apply does for transforms, half of its time: their tensors are not plain.
_apply_plain = super(torch.autograd.Function, _CrossEntropy).apply


def _sums_again(logits: Tensor, tensors: Tensors, text: str) -> bool:
    """Whether the gradient makes the sums of the rows again: of short rows of one label each the library makes them
    in less time than 80 bytes a row take to be written and read (at two classes nine times as long). For long
    rows, and what the library works out row by row, summaries save a fifth or more."""
    if logits.shape[_settings_of(text).axis] > _MOST_SUMMED_TWICE or _is_modified(text):
        return False
    if len(tensors) == 1:
        return True
    given = Arrays(*tensors)
    own_prior = given.prior is not None and given.prior.dim() > 1
    return given.second is given.targets is given.matrix is given.mask is None and not own_prior


@lru_cache(maxsize=256)
def _is_modified(text: str) -> bool:
    """Whether the loss is more than a label's part and a prior's."""
    settings, plain = _settings_of(text), Settings()
    return any(
        getattr(settings, name) != getattr(plain, name)
        for name in ("support", "scale", "softcap", "lse_square_scale", "entropy_penalty", "max_suppression")
    )


def loss_and_summaries(
    logits: Tensor, tensors: Tensors, text: str, keep: bool = False, single: bool = False
) -> tuple[Tensor, Tensor]:
    """The operator with its gradient; calling it spares the dispatcher's half of the way to it."""
    plain = _is_plain(logits, *tensors)
    with_gradient = torch.is_grad_enabled() and logits.requires_grad
    keep = keep or with_gradient and not _sums_again(logits, tensors, text)
    if plain:
        made = _forward_cpu(logits, tensors, text, keep, single)
    else:
        made = _below_autograd(cross_entropy, logits, tensors, text, keep, single)
    if not with_gradient:
        return made
    apply = _apply_plain if plain else _CrossEntropy.apply
    return apply(made, text, logits, *tensors), made[1]  # type: ignore[no-untyped-call]


def gradient(upstream: Tensor, summaries: Tensor, logits: Tensor, tensors: Tensors, text: str) -> Tensor:
    """d(upstream * loss) / d(logits)."""
    if torch.is_grad_enabled() and (upstream.requires_grad or logits.requires_grad):
        return _Gradient.apply(text, upstream, summaries, logits, *tensors)  # type: ignore[no-any-return, no-untyped-call]
    if _is_plain(upstream, summaries, logits, *tensors):
        return _backward_cpu(upstream, summaries, logits, tensors, text)
    return _below_autograd(cross_entropy_backward, upstream, summaries, logits, tensors, text)  # type: ignore[no-any-return]


def parts_of(summaries: Tensor, logits: Tensor, tensors: Tensors, text: str) -> tuple[Tensor, ...]:
    """What carries no gradient."""
    return _below_autograd(cross_entropy_parts, summaries, logits, tensors, text)  # type: ignore[no-any-return]


for _name, _kernel, _fake, _autograd in (
    ("cross_entropy", _forward_cpu, _forward_fake, loss_and_summaries),
    ("cross_entropy_backward", _backward_cpu, _backward_fake, gradient),
    ("cross_entropy_parts", _parts_cpu, _parts_fake, parts_of),
):
    _library.impl(_name, _kernel, "CPU")  # type: ignore[no-untyped-call]
    _library.impl(_name, _autograd, "Autograd")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"labelsmooth::{_name}", _fake, lib=_library)
