# SPDX-License-Identifier: MIT
"""PyTorch's samples of nn.functional.cross_entropy (OpInfo) and of nn.CrossEntropyLoss (ModuleInfo), as they come with the
PyTorch that is installed: our values and gradients, in the logits and the soft targets, beside PyTorch's."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing._internal import common_methods_invocations, common_modules

import labelsmooth.torch

TYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
OP = next(one for one in common_methods_invocations.op_db if one.name == "nn.functional.cross_entropy")
MODULE = next(one for one in common_modules.module_db if one.module_cls is torch.nn.CrossEntropyLoss)


def loss_and_gradients(function, tensors, options, dtype=None):
    """In `dtype`, where that is given."""
    arguments = []
    for one in tensors:
        cast = one.detach() if dtype is None or not one.is_floating_point() else one.detach().to(dtype)
        arguments.append(cast.clone().requires_grad_(one.requires_grad))
    options = {
        name: value.to(dtype) if dtype is not None and isinstance(value, torch.Tensor) else value
        for name, value in options.items()
    }
    loss = function(*arguments, **options)
    upstream = torch.linspace(0.5, 1.5, loss.numel(), dtype=torch.float64).reshape(loss.shape).to(loss.dtype)
    wanted = [one for one in arguments if one.requires_grad]
    return loss.detach(), torch.autograd.grad(loss, wanted, upstream) if wanted else ()


def assert_as_good(function, reference, tensors, options):
    """In their type; of half types beside float32 computed from the same values, within an ulp or two."""
    dtype = tensors[0].dtype
    half = dtype in (torch.bfloat16, torch.float16)
    loss, gradients = loss_and_gradients(function, tensors, options)
    expected, of_expected = loss_and_gradients(reference, tensors, options, torch.float32 if half else None)
    assert loss.dtype == dtype
    close = {} if not half else {"rtol": 4 * torch.finfo(dtype).eps, "atol": 4 * torch.finfo(dtype).eps}
    torch.testing.assert_close(loss, expected.to(dtype), **close)
    for one, other in zip(gradients, of_expected, strict=True):
        torch.testing.assert_close(one, other.to(dtype), **close)


@pytest.mark.parametrize("dtype", TYPES)
def test_samples_of_the_function(dtype):
    torch.manual_seed(91)
    samples = list(OP.sample_inputs("cpu", dtype, requires_grad=True))
    assert len(samples) == 21
    for sample in samples:
        tensors = (sample.input, *sample.args)
        assert_as_good(labelsmooth.torch.cross_entropy, F.cross_entropy, tensors, sample.kwargs)


def samples_of_the_module(dtype, requires_grad=True):
    torch.manual_seed(92)
    return MODULE.module_inputs_func(MODULE, "cpu", dtype, requires_grad, training=True)


@pytest.mark.parametrize("dtype", TYPES)
def test_samples_of_the_module(dtype):
    samples = samples_of_the_module(dtype)
    assert len(samples) == 105
    for sample in samples:
        made = sample.constructor_input.args, sample.constructor_input.kwargs
        mine, theirs = (
            labelsmooth.torch.CrossEntropyLoss(*made[0], **made[1]),
            torch.nn.CrossEntropyLoss(*made[0], **made[1]),
        )
        if dtype in (torch.bfloat16, torch.float16):
            theirs = theirs.float()
        assert_as_good(mine, theirs, sample.forward_input.args, sample.forward_input.kwargs)


def test_errors_of_the_module():
    samples = MODULE.module_error_inputs_func(MODULE, "cpu", torch.float32, False, training=True)
    assert len(samples) >= 5
    for sample in samples:
        given = sample.module_error_input
        module = labelsmooth.torch.CrossEntropyLoss(
            *given.constructor_input.args, **given.constructor_input.kwargs
        )
        with pytest.raises(sample.error_type, match=sample.error_regex):
            module(*given.forward_input.args, **given.forward_input.kwargs)


def test_gradients_of_both_modes_and_second_gradients_by_differences():
    torch.manual_seed(93)
    for sample in OP.sample_inputs("cpu", torch.float64, requires_grad=True):
        tensors = [sample.input, *sample.args]
        varied = [one for one in tensors if one.requires_grad]
        kept = [one for one in tensors if not one.requires_grad]

        def loss(*of, kept=kept, options=sample.kwargs):
            return labelsmooth.torch.cross_entropy(*of, *kept, **options)

        assert torch.autograd.gradcheck(loss, varied, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(loss, varied)


def test_non_contiguous_inputs():
    for sample in samples_of_the_module(torch.float64):
        module = labelsmooth.torch.CrossEntropyLoss(**sample.constructor_input.kwargs)
        input, target = sample.forward_input.args
        apart = [
            torch.stack([one, torch.zeros_like(one)], -1).detach()[..., 0].requires_grad_(one.requires_grad)
            for one in (input, target)
        ]
        loss, again = module(input, target), module(*apart)
        assert torch.equal(loss, again)
        (gradient,), (of_again,) = (
            torch.autograd.grad(one.sum(), of) for one, of in ((loss, input), (again, apart[0]))
        )
        torch.testing.assert_close(gradient, of_again, rtol=0, atol=0)
