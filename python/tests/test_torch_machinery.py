# SPDX-License-Identifier: MIT
"""What PyTorch does with a loss: checks of the operators, derivatives, compilation, processes, copies."""

import copy
import hashlib
import itertools
import multiprocessing
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch_cases import CASES, case

import labelsmooth
import labelsmooth.torch as ours
from labelsmooth.torch import functional


def recorded(monkeypatch, name, reduction):
    """The operators' arguments, as a call has them that the dispatcher sees."""
    calls = {}
    monkeypatch.setattr(functional.ops, "_is_plain", lambda *tensors: False)
    for op in ("cross_entropy", "cross_entropy_backward", "cross_entropy_parts"):
        real = getattr(functional.ops, op)
        monkeypatch.setattr(
            functional.ops, op, lambda *a, _op=op, _real=real: calls.update({_op: a}) or _real(*a)
        )
    logits, target, given = case(name)
    found = ours.cross_entropy(
        logits.requires_grad_(), target, reduction=reduction, return_parts=True, **given
    )
    found.loss.sum().backward()
    return calls


@pytest.mark.parametrize("name", ["everything", "mixed_weight", "hard_labels_weight"])
def test_opcheck(name, monkeypatch):
    for reduction in ("mean", "none"):
        with monkeypatch.context() as patch:
            calls = recorded(patch, name, reduction)
        assert len(calls) == 3
        for op, arguments in calls.items():
            arguments = [one.detach() if isinstance(one, torch.Tensor) else one for one in arguments]
            torch.library.opcheck(getattr(torch.ops.labelsmooth, op).default, arguments)
            if op == "cross_entropy":
                arguments[0] = arguments[0].clone().requires_grad_()
                torch.library.opcheck(getattr(torch.ops.labelsmooth, op).default, arguments)


@pytest.mark.parametrize(
    "name", ["everything", "mixed_weight", "hard_labels_weight", "mask_by_row", "flip", "support"]
)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_derivatives(name, reduction):
    logits, target, given = case(name)
    logits = torch.where(logits.isinf(), -700.0, logits)  # finite differences need finite logits
    call = lambda z: ours.cross_entropy(z, target, reduction=reduction, **given)  # noqa: E731
    assert torch.autograd.gradcheck(call, logits.requires_grad_())
    assert torch.autograd.gradgradcheck(call, logits.requires_grad_())


def test_gradient_is_the_same_under_create_graph():
    logits, target, given = case("everything")
    logits.requires_grad_()
    loss = ours.cross_entropy(logits, target, **given)
    (plain,) = torch.autograd.grad(loss, logits, retain_graph=True)
    (graphed,) = torch.autograd.grad(loss, logits, create_graph=True)
    assert torch.equal(plain, graphed)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("name", CASES)
def test_gradient_by_summaries_or_again(name, reduction, monkeypatch):
    if reduction == "none" and "denominator" in name:
        pytest.skip("only a mean has one")
    found = []
    for again in (True, False):
        monkeypatch.setattr(functional.ops, "_sums_again", lambda *_, again=again: again)
        logits, target, given = case(name)
        logits.requires_grad_()
        loss = ours.cross_entropy(logits, target, reduction=reduction, **given)
        upstream = torch.linspace(0.5, 2, max(loss.numel(), 1), dtype=loss.dtype).reshape(loss.shape)
        (gradient,) = torch.autograd.grad(loss, logits, upstream)
        found.append((loss, gradient))
    assert all(torch.equal(*both) for both in zip(*found, strict=True))


@pytest.mark.parametrize("classes", [399, 400, 401, 1500])
def test_gradient_of_long_rows(classes):
    target = torch.randint(0, classes, (5,))
    for dtype in (torch.float32, torch.float64):
        logits = (3 * torch.randn(5, classes, dtype=dtype)).requires_grad_()
        wide = logits.detach().double().requires_grad_()  # theirs rounds z - log-sum-exp, some 20 ulp of it
        found, theirs = (
            torch.autograd.grad(call(z, target, label_smoothing=0.1, reduction="sum"), z)[0]
            for call, z in ((ours.cross_entropy, logits), (F.cross_entropy, wide))
        )
        atol = (8 if dtype == torch.float32 else 64) * torch.finfo(dtype).eps
        torch.testing.assert_close(found.double(), theirs, rtol=0, atol=atol)


def test_third_derivative():
    logits, target = torch.randn(2, 3, dtype=torch.float64, requires_grad=True), torch.tensor([0, 2])
    found = {}
    for name, call in (("ours", ours.cross_entropy), ("theirs", F.cross_entropy)):
        of = call(logits, target, label_smoothing=0.1)
        for _ in range(3):
            (of,) = torch.autograd.grad((of**2).sum(), logits, create_graph=True)
        found[name] = of.detach()
    torch.testing.assert_close(found["ours"], found["theirs"], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_in_probabilities(weighted):
    logits, soft = torch.randn(3, 4, dtype=torch.float64), torch.rand(3, 4, dtype=torch.float64)
    weight = torch.rand(4, dtype=torch.float64) + 0.1
    found = {}
    for name, call in (("ours", ours.cross_entropy), ("theirs", F.cross_entropy)):
        inputs = [one.clone().requires_grad_() for one in (logits, soft, weight)[: 3 if weighted else 2]]
        loss = call(inputs[0], inputs[1], *inputs[2:], label_smoothing=0.1)
        found[name] = torch.autograd.grad(loss, inputs)
    for one, other in zip(found["ours"], found["theirs"], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("argument", ["weight", "prior", "row_weight", "class_smoothing", "label_smoothing"])
def test_gradients_that_are_refused(argument):
    logits, target = torch.randn(4, 4), torch.tensor([0, 1, 2, 3])
    given = {argument: torch.full((4,), 0.25, requires_grad=True)}
    if argument == "prior":
        given["label_smoothing"] = 0.1
    with pytest.raises(RuntimeError, match=f"not differentiable with respect to argument '{argument}'"):
        ours.cross_entropy(logits, target, **given)
    with torch.no_grad():
        ours.cross_entropy(logits, target, **given)


def test_autocast():
    logits, target = torch.randn(4, 3, dtype=torch.bfloat16, requires_grad=True), torch.tensor([0, 1, 2, 2])
    found = {}
    for name, call in (("ours", ours.cross_entropy), ("theirs", F.cross_entropy)):
        logits.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = call(logits, target, label_smoothing=0.1)
        loss.backward()
        assert loss.dtype == torch.float32
        found[name] = loss.detach(), logits.grad
    for one, other in zip(found["ours"], found["theirs"], strict=True):
        torch.testing.assert_close(one, other)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours.cross_entropy(logits.double(), target).dtype == torch.float64


def test_function_transforms():
    logits, target = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 2, 1])
    found = {}
    for name, call in (("ours", ours.cross_entropy), ("theirs", F.cross_entropy)):
        one = lambda z, y: call(z, y, label_smoothing=0.1)  # noqa: B023, E731
        found[name] = (
            torch.func.grad(one)(logits, target),
            torch.func.vmap(torch.func.grad(one))(logits, target),
            torch.func.vmap(one)(logits, target),
            torch.func.hessian(one)(logits, target),
        )
    for mine, theirs in zip(found["ours"], found["theirs"], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-14)


def test_forward_derivatives():
    logits, target = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 2, 1])
    direction = torch.randn_like(logits)
    tangents = []
    for call in (ours.cross_entropy, F.cross_entropy):
        for needs in (False, True):
            with torch.autograd.forward_ad.dual_level():
                z = torch.autograd.forward_ad.make_dual(logits.clone().requires_grad_(needs), direction)
                loss = call(z, target, label_smoothing=0.1)
                tangents.append(torch.autograd.forward_ad.unpack_dual(loss).tangent.detach())
    for one in tangents:
        torch.testing.assert_close(one, tangents[-1], rtol=1e-12, atol=1e-14)


def test_inference_and_meta():
    logits, target = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])
    with torch.inference_mode():
        loss = ours.cross_entropy(logits * 1, target)
    assert loss == ours.cross_entropy(logits, target)
    meta = ours.cross_entropy(
        torch.randn(4, 3, device="meta", requires_grad=True), target.to("meta"), reduction="none"
    )
    assert meta.shape == (4,) and meta.device.type == "meta"
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        z = torch.randn(4, 3, requires_grad=True)
        ours.cross_entropy(z, torch.zeros(4, dtype=torch.long)).backward()
        assert z.grad.shape == (4, 3)


def test_another_default_device():
    logits, target = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 1, 2, 2])
    for reduction in ("mean", "none"):
        expected = ours.cross_entropy(logits, target, reduction=reduction, return_parts=True)
        with torch.device("meta"):
            found = ours.cross_entropy(logits, target, reduction=reduction, return_parts=True)
            (gradient,) = torch.autograd.grad(found.loss.sum(), logits)
        assert torch.equal(found.loss, expected.loss) and gradient.device.type == "cpu"
        for one, other in zip(found.parts, expected.parts, strict=True):
            assert torch.equal(one, other)


# ---- past the dispatcher, where it would do nothing ----

Z, Y = torch.randn(4, 10), torch.tensor([1, 2, 3, 4])


def loss_and_gradient(logits, target=Y, **given):
    loss = ours.cross_entropy(logits, target, label_smoothing=0.1, **given)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    return loss.detach(), gradient


@pytest.fixture
def dispatched(monkeypatch):
    """Which operators the dispatcher is asked for."""
    calls = []
    for name in ("cross_entropy", "cross_entropy_backward"):
        real = getattr(functional.ops, name)
        monkeypatch.setattr(
            functional.ops, name, lambda *a, _name=name, _real=real: calls.append(_name) or _real(*a)
        )
    return calls


BOTH = ["cross_entropy", "cross_entropy_backward"]


@pytest.mark.skipif(not functional.ops._EXCHANGED, reason="PyTorch before 2.10")
def test_plain_tensors_are_not_dispatched(dispatched):
    ours.cross_entropy(Z, Y, torch.rand(10))
    for logits in (
        Z.clone().requires_grad_(),
        torch.nn.Parameter(Z.bfloat16()),
        Z.t().clone().t().requires_grad_(),
    ):
        for reduction in ("mean", "none"):
            loss_and_gradient(logits, reduction=reduction, prior=torch.full((10,), 0.1))
    with torch.inference_mode():
        ours.cross_entropy(Z + 1, Y)
    assert dispatched == []


class Subclass(torch.Tensor):
    pass


def dead_wrapper():
    """What is left of a transform's tensor after it."""
    kept = []
    torch.func.grad(lambda z: (kept.append(z), z.sum())[1])(Z)
    return kept[0]


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda: torch.complex(torch.zeros_like(Z), -Z).conj().imag,  # negated when it is read
        lambda: Z.as_subclass(Subclass),
        dead_wrapper,
    ],
    ids=["negative", "subclass", "dead"],
)
def test_what_the_dispatcher_is_for(wrapped, dispatched):
    assert ours.cross_entropy(wrapped(), Y, label_smoothing=0.1) == ours.cross_entropy(
        Z, Y, label_smoothing=0.1
    )
    assert dispatched == BOTH[:1]
    found = loss_and_gradient(wrapped().detach().requires_grad_())
    expected = loss_and_gradient(Z.clone().requires_grad_())
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.as_subclass(torch.Tensor), other)


def test_zeros_without_memory():
    zeros = torch._efficientzerotensor((4, 10))
    torch.testing.assert_close(ours.cross_entropy(zeros, Y), torch.tensor(10.0).log())


def test_layouts_without_a_kernel_are_named():
    for arguments in ((Z.to_sparse(), Y), (Z.to_mkldnn(), Y), (Z, Y, torch.rand(10).to_sparse())):
        with pytest.raises(NotImplementedError, match="Could not run 'labelsmooth::cross_entropy'"):
            ours.cross_entropy(*arguments)


def test_gradients_of_a_batch_of_upstreams():
    logits = Z.clone().requires_grad_()
    loss = ours.cross_entropy(logits, Y, reduction="none")
    (found,) = torch.autograd.grad(loss, logits, torch.eye(4), True, is_grads_batched=True)
    for row, one in enumerate(found):
        (expected,) = torch.autograd.grad(loss, logits, torch.eye(4)[row], retain_graph=True)
        assert torch.equal(one, expected)


class Seen(torch.utils._python_dispatch.TorchDispatchMode):
    def __enter__(self):
        self.names = []
        return super().__enter__()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        self.names.append(str(function))
        return function(*arguments, **(keywords or {}))


class Asked(torch.overrides.TorchFunctionMode):
    def __enter__(self):
        self.names = []
        return super().__enter__()

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        self.names.append(str(function))
        return function(*arguments, **(keywords or {}))


@pytest.mark.filterwarnings("ignore")  # tracing is deprecated
def test_who_looks_on_sees_the_operators():
    for mode, operators in ((Seen(), BOTH), (Asked(), BOTH[:1])):
        with mode:
            loss_and_gradient(Z.clone().requires_grad_())
        for name in operators:
            assert f"labelsmooth.{name}.default" in mode.names
    with torch.profiler.profile() as profile:
        loss_and_gradient(Z.clone().requires_grad_())
    assert {f"labelsmooth::{name}" for name in BOTH} <= {event.key for event in profile.key_averages()}
    with pytest.raises(
        RuntimeError, match="unsupported input list type: Tensor"
    ):  # not a constant in the graph
        torch.jit.trace(lambda z: ours.cross_entropy(z, Y), (Z,))
    from torch.fx.experimental.proxy_tensor import make_fx

    assert "labelsmooth.cross_entropy" in str(make_fx(lambda z: ours.cross_entropy(z, Y))(Z).graph)


def test_checkpoints_and_hooks():
    expected = loss_and_gradient(Z.clone().requires_grad_())
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda one: saved.append(one) or one.clone(), lambda one: one
    ):
        found = loss_and_gradient(Z.clone().requires_grad_())
    assert len(saved) == 3 and torch.equal(found[1], expected[1])
    logits = Z.clone().requires_grad_()
    torch.utils.checkpoint.checkpoint(
        lambda z: ours.cross_entropy(1 * z, Y, label_smoothing=0.1), logits, use_reentrant=False
    ).backward()
    assert torch.equal(logits.grad, expected[1])


def test_logits_that_changed_after_the_loss():
    logits = 1 * Z.clone().requires_grad_()
    loss = ours.cross_entropy(logits, Y)
    logits.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def of_every_kind():
    for dtype, reduction in itertools.product((torch.float32, torch.bfloat16), ("mean", "none")):
        logits = torch.arange(40.0).cos().view(4, 10).to(dtype).requires_grad_()
        yield loss_and_gradient(logits, reduction=reduction, row_weight=torch.arange(4.0))


def test_before_the_exchange():
    """PyTorch before 2.10 has no C functions for its tensors."""
    code = """if True:
        import torch
        del torch.Tensor.__dlpack_c_exchange_api__
        import test_torch_machinery as here
        assert not here.functional.ops._EXCHANGED
        for loss, gradient in here.of_every_kind():
            print(loss.tolist(), gradient.tolist())
    """
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(
        f"{loss.tolist()} {gradient.tolist()}\n" for loss, gradient in of_every_kind()
    )


def test_a_scale_in_a_tensor_is_read_again():
    scale = torch.tensor(0.5)
    for value in (0.5, 2.0):
        assert ours.cross_entropy(Z, Y, scale=scale.fill_(value)) == ours.cross_entropy(Z, Y, scale=value)


# ---- processes, threads, copies ----


def big():
    draw = torch.Generator().manual_seed(3)
    return torch.randn(512, 4001, generator=draw), torch.arange(512) * 7 % 4001


def compute(_=None):
    logits, target = big()
    z = logits.requires_grad_()
    loss = ours.cross_entropy(z, target, label_smoothing=0.1)
    loss.backward()
    return loss.item(), hashlib.sha256(z.grad.numpy().tobytes()).hexdigest()


class Losses(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return compute()[0]


def fork_after_use():
    labelsmooth.set_threads(2)
    try:
        here = compute()
        # PyTorch's own threads do not survive a fork: its workers have one, as a DataLoader's.
        with multiprocessing.get_context("fork").Pool(2, torch.set_num_threads, (1,)) as pool:
            assert pool.map_async(compute, range(3)).get(60) == [here] * 3
        loader = torch.utils.data.DataLoader(Losses(), batch_size=2, num_workers=2, timeout=60)
        assert [one for batch in loader for one in batch.tolist()] == [here[0]] * 4
        assert compute() == here
    finally:
        labelsmooth.set_threads(0)


def test_fork_after_use():
    """In a process of its own: beside other libraries' threads no fork is safe."""
    code = "import test_torch_machinery; test_torch_machinery.fork_after_use()"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, check=True, timeout=120)


def test_same_bits_of_any_threads():
    found = []
    for threads in (1, 2, 3):
        labelsmooth.set_threads(threads)
        found.append(compute())
    labelsmooth.set_threads(0)
    assert found[0] == found[1] == found[2]
    torch.use_deterministic_algorithms(True)
    try:
        assert compute() == found[0]
    finally:
        torch.use_deterministic_algorithms(False)


def test_threads_of_the_caller():
    expected, found = compute(), []
    callers = [threading.Thread(target=lambda: found.append(compute())) for _ in range(4)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert found == [expected] * 4


def test_copies():
    prior = torch.tensor([0.2, 0.3, 0.5])
    module = ours.CrossEntropyLoss(torch.tensor([1.0, 2, 3]), label_smoothing=0.1, prior=prior, softcap=30.0)
    logits, target = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other(logits, target) == module(logits, target)
    assert repr(module) == "CrossEntropyLoss(label_smoothing=0.1, softcap=30.0)"
    assert list(module.state_dict()) == ["weight"] and isinstance(module, torch.nn.CrossEntropyLoss)
    assert module.double().prior.dtype == torch.float64
    own = module(logits.double(), target, row_weight=torch.tensor([1.0, 2, 3, 4]), reduction="sum")
    assert own == ours.cross_entropy(
        logits.double(),
        target,
        module.weight,
        reduction="sum",
        label_smoothing=0.1,
        prior=module.prior,
        softcap=30.0,
        row_weight=torch.tensor([1.0, 2, 3, 4]),
    )


def test_every_keyword_of_the_module():
    """One that the module forgot would leave the loss as it is."""
    for name in CASES:
        logits, target, given = case(name)
        by_batch = {key: given.pop(key) for key in ("row_weight", "mixed", "hard_labels") if key in given}
        found = ours.CrossEntropyLoss(**given)(logits, target, **by_batch)
        assert found == ours.cross_entropy(logits, target, **given, **by_batch), name


def test_the_call_goes_before_the_module():
    module = ours.CrossEntropyLoss(label_smoothing=0.1, scale=2.0, prior=torch.full((10,), 0.1))
    assert repr(module) == "CrossEntropyLoss(label_smoothing=0.1, scale=2.0)"
    of_call = dict(
        label_smoothing=0.3, scale=0.5, reduction="none", ignore_index=1, prior=torch.rand(10).softmax(0)
    )
    assert torch.equal(module(Z, Y, **of_call), ours.cross_entropy(Z, Y, **of_call))
    module.label_smoothing, module.reduction, module.prior = 0.2, "sum", None
    assert module(Z, Y) == ours.cross_entropy(Z, Y, label_smoothing=0.2, reduction="sum", scale=2.0)
    module.weight = torch.nn.Parameter(torch.rand(10), requires_grad=False)  # a buffer no more
    found = module(Z, Y)
    assert found == ours.cross_entropy(Z, Y, module.weight, label_smoothing=0.2, reduction="sum", scale=2.0)


@pytest.mark.parametrize("legacy", list(itertools.product([None, True, False], repeat=2)))
def test_legacy_reductions(legacy):
    if legacy == (None, None):
        pytest.skip("not legacy")
    logits, target = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])
    given = dict(size_average=legacy[0], reduce=legacy[1])
    with pytest.warns(UserWarning, match="please use reduction="):
        theirs = F.cross_entropy(logits, target, **given)
    with pytest.warns(UserWarning, match="please use reduction="):
        found = ours.cross_entropy(logits, target, **given)
    torch.testing.assert_close(found, theirs)
    with pytest.warns(UserWarning):
        assert ours.CrossEntropyLoss(**given).reduction == torch.nn.CrossEntropyLoss(**given).reduction


def test_import():
    run = lambda code: subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)  # noqa: E731
    assert run("import labelsmooth, sys; assert 'torch' not in sys.modules").returncode == 0
    missing = run("import sys; sys.modules['torch'] = None; import labelsmooth.torch")
    assert "ImportError: labelsmooth.torch needs PyTorch: pip install labelsmooth[torch]" in missing.stderr
