# SPDX-License-Identifier: MIT
"""The loss inside torch.compile and torch.export."""

import pytest
import torch
import torch.nn.functional as F
from torch_cases import case

import labelsmooth.torch as ours
from labelsmooth.torch import functional

BACKEND = "aot_eager"  # "inductor" passes too, in a minute


@pytest.mark.parametrize("name", ["others", "everything", "hard_labels_weight"])
def test_compile(name):
    logits, target, given = case(name)

    def call(z):
        return ours.cross_entropy(2 * z, target, **given)

    found = {}
    rounding = 4 * torch.finfo(logits.dtype).eps  # compiled, amounts come as tensors
    for which, function in (
        ("eager", call),
        ("compiled", torch.compile(call, fullgraph=True, backend=BACKEND)),
    ):
        z = logits.clone().requires_grad_()
        loss = function(z)
        loss.backward()
        with torch.no_grad():
            torch.testing.assert_close(function(z), loss.detach(), rtol=rounding, atol=0)
        found[which] = loss.detach(), z.grad
    for one, other in zip(found["eager"], found["compiled"], strict=True):
        torch.testing.assert_close(one, other, rtol=rounding, atol=rounding)


@pytest.mark.parametrize("reached", [True, False], ids=["library", "formula"])
def test_compile_of_any_batch(reached, monkeypatch):
    monkeypatch.setattr(functional, "_is_reached", lambda _: reached)
    compiled = torch.compile(
        ours.CrossEntropyLoss(label_smoothing=0.1), fullgraph=True, backend=BACKEND, dynamic=True
    )
    for rows, classes in ((3, 4), (5, 4), (8, 6)):
        logits, target = torch.randn(rows, classes, requires_grad=True), torch.arange(rows) % 4
        loss = compiled(logits, target)
        loss.backward()
        torch.testing.assert_close(loss, F.cross_entropy(logits, target, label_smoothing=0.1))


def test_compiled_errors():
    compiled = torch.compile(ours.CrossEntropyLoss(label_smoothing=0.1), fullgraph=True, backend=BACKEND)
    with pytest.raises(IndexError, match="Target 4 is out of bounds"):
        compiled(torch.randn(3, 4), torch.tensor([0, 1, 4]))


def test_compile_by_formula(monkeypatch):
    monkeypatch.setattr(functional, "_is_reached", lambda _: False)
    logits, target, given = case("everything")
    call = lambda z: ours.cross_entropy(z, target, **given)  # noqa: E731
    found = []
    for function in (call, torch.compile(call, fullgraph=True, backend=BACKEND)):
        z = logits.clone().requires_grad_()
        function(z).backward()
        found.append(z.grad)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("reached", [True, False], ids=["library", "formula"])
def test_compile_of_a_schedule(reached, monkeypatch):
    """An amount that changes is not taken for the first one."""
    monkeypatch.setattr(functional, "_is_reached", lambda _: reached)
    logits, target = torch.randn(4, 3, dtype=torch.float64, requires_grad=True), torch.tensor([0, 1, 2, 0])
    module = ours.CrossEntropyLoss()
    compiled = torch.compile(module, fullgraph=True, backend=BACKEND)
    for amount in (0.3, 0.2):
        module.label_smoothing = amount
        loss, expected = compiled(logits, target), F.cross_entropy(logits, target, label_smoothing=amount)
        torch.testing.assert_close(loss, expected)
        gradients = [torch.autograd.grad(one, logits)[0] for one in (loss, expected)]
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("reached", [True, False], ids=["library", "formula"])
@pytest.mark.parametrize(
    "given, graphs",
    [(float, 2), (torch.tensor, 1), (lambda amount: torch.full((4,), amount, dtype=torch.float64), 1)],
    ids=["float", "scalar", "rows"],
)
def test_a_schedule_compiles_no_graph_of_its_own(given, graphs, reached, monkeypatch):
    """One for any amount in a tensor; of a float, one for the first and one for all others."""
    monkeypatch.setattr(functional, "_is_reached", lambda _: reached)
    compiled = []
    torch._dynamo.reset()
    loss_of = torch.compile(
        lambda z, y, amount: ours.cross_entropy(z, y, label_smoothing=amount),
        fullgraph=True,
        backend=lambda graph, inputs: compiled.append(graph) or graph.forward,
    )
    logits, target = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    for amount in (0.1, 0.25, 0.5, 0.125):
        expected = F.cross_entropy(
            logits, target, label_smoothing=torch.as_tensor(given(amount)).max().item()
        )
        torch.testing.assert_close(loss_of(logits, target, given(amount)), expected)
    assert len(compiled) == graphs


def test_amounts_that_a_graph_refuses():
    compiled = torch.compile(ours.cross_entropy, fullgraph=True, backend=BACKEND)
    logits, target = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    for amount in (1.5, torch.tensor(1.5)):
        with pytest.raises(Exception, match="label_smoothing"):
            compiled(logits, target, label_smoothing=amount)


def test_compile_with_returns():
    def call(z, y):
        return ours.cross_entropy(z, y, return_token_accuracy=True, return_parts=True)

    logits, target = torch.randn(4, 3), torch.tensor([0, 1, 2, -100])
    found, expected = (
        torch.compile(call, fullgraph=True, backend=BACKEND)(logits, target),
        call(logits, target),
    )
    assert found.loss == expected.loss and found.token_accuracy == expected.token_accuracy
    assert torch.equal(found.parts.lse, expected.parts.lse)


def test_export(tmp_path):
    module = ours.CrossEntropyLoss(label_smoothing=0.1, weight=torch.tensor([1.0, 2.0, 3.0]))
    logits, target = torch.randn(4, 3), torch.tensor([0, 1, 2, -100])
    exported = torch.export.export(module, (logits, target))
    assert "labelsmooth.cross_entropy" in str(exported.graph)
    torch.export.save(exported, tmp_path / "loss.pt2")
    loaded = torch.export.load(tmp_path / "loss.pt2").module()
    assert loaded(logits, target) == module(logits, target)
