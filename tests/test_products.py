"""Products by oneDNN are torch's, in value and in every gradient, however the matrices lie."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kochi import products
from kochi.products import (
    Linear,
    add_weight_gradient,
    linear,
    linear_onto,
    weight_gradient,
)

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="torch without oneDNN"
)
ROWS, INPUT, OUTPUT = 7, 13, 11


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """Let oneDNN serve all that it can, whatever the processor, and note the weights it gets."""
    found: list[torch.Size] = []
    original = products._onednn

    def noted(x: Tensor, weight: Tensor, bias: Tensor | None, total: Tensor | None) -> Tensor:
        found.append(weight.shape)
        return original(x, weight, bias, total)

    monkeypatch.setattr(products, "LEAST", 1)
    monkeypatch.setattr(products, "ONEDNN_IS_FASTER", True)
    monkeypatch.setattr(products, "_onednn", noted)
    return found


def leaves(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


def layouts(rows: int, columns: int) -> dict[str, Tensor]:
    return {
        "rows": torch.randn(rows, columns),
        "columns": torch.randn(columns, rows).t(),
        "some columns": torch.randn(rows, 2 * columns)[:, 1 : columns + 1],
        "every other row": torch.randn(2 * rows, columns)[::2],
        "one row": torch.randn(1, columns).expand(rows, columns),
    }


@pytest.mark.parametrize("lead", [(ROWS,), (3, 5), (2, 3, 5)])
@pytest.mark.parametrize("biased", [True, False])
def test_value_and_gradients_are_those_of_torch(calls, lead, biased):
    x, weight, bias = leaves((*lead, INPUT), (OUTPUT, INPUT), (OUTPUT,))
    used = (x, weight, bias) if biased else (x, weight)
    product, expected = linear(*used), F.linear(*used)
    torch.testing.assert_close(product, expected)
    slope = torch.randn_like(expected)
    found = torch.autograd.grad(product, used, slope)
    assert len(calls) == 3  # the product, and the gradients by x and by the weight
    for one, other in zip(found, torch.autograd.grad(expected, used, slope), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", layouts(1, 1))
def test_every_layout(calls, name):
    x, weight = layouts(ROWS, INPUT)[name], layouts(OUTPUT, INPUT)[name]
    slope = layouts(ROWS, OUTPUT)[name]
    torch.testing.assert_close(linear(x, weight), F.linear(x, weight))
    torch.testing.assert_close(weight_gradient(slope, x), slope.t() @ x)
    torch.testing.assert_close(weight_gradient(x, slope), x.t() @ slope)
    assert len(calls) == 3


def test_second_derivatives(calls):
    def bent(product: Tensor, of: Tensor) -> Tensor:
        (first,) = torch.autograd.grad(product.square().mean(), of, create_graph=True)
        return first.square().mean()

    x, weight, bias = leaves((ROWS, INPUT), (OUTPUT, INPUT), (OUTPUT,))
    expected = torch.autograd.grad(bent(F.linear(x, weight, bias), x), (x, weight, bias))
    found = torch.autograd.grad(bent(linear(x, weight, bias), x), (x, weight, bias))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert calls


def test_only_the_gradients_that_are_asked_for(calls):
    x, weight = torch.randn(ROWS, INPUT), torch.randn(OUTPUT, INPUT, requires_grad=True)
    linear(x, weight).sum().backward()
    assert weight.grad is not None and len(calls) == 2


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("served", [True, False])
def test_onto_what_is_there(calls, monkeypatch, biased, served):
    if not served:
        monkeypatch.setattr(products, "ONEDNN_IS_FASTER", False)
    total, x, weight, bias = leaves((ROWS, OUTPUT), (ROWS, INPUT), (OUTPUT, INPUT), (OUTPUT,))
    rest = (bias,) if biased else ()
    used = (total, x, weight, *rest)
    found, expected = linear_onto(*used), total + F.linear(x, weight, *rest)
    torch.testing.assert_close(found, expected)
    slope = torch.randn_like(expected)
    pairs = torch.autograd.grad(found, used, slope), torch.autograd.grad(expected, used, slope)
    for one, other in zip(*pairs, strict=True):
        torch.testing.assert_close(one, other)
    assert bool(calls) == served


@pytest.mark.parametrize("served", [True, False])
def test_gradients_are_added(calls, monkeypatch, served):
    if not served:
        monkeypatch.setattr(products, "ONEDNN_IS_FASTER", False)
    grad, x = torch.randn(ROWS, OUTPUT), torch.randn(ROWS, INPUT)
    for total in (torch.ones(OUTPUT, INPUT), torch.ones(INPUT, OUTPUT).t()):
        add_weight_gradient(total, grad, x)
        torch.testing.assert_close(total, grad.t() @ x + 1.0)
    assert bool(calls) == served


def test_what_is_left_to_torch(calls):
    x, weight = torch.randn(ROWS, INPUT), torch.randn(OUTPUT, INPUT)
    linear(x.double(), weight.double())
    linear(x.bfloat16(), weight.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight).dtype == torch.bfloat16
    torch.set_float32_matmul_precision("medium")
    try:
        linear(x, weight)
    finally:
        torch.set_float32_matmul_precision("highest")
    linear(x[:0], weight)
    assert not calls


def test_small_products_are_left_to_torch(calls, monkeypatch):
    monkeypatch.setattr(products, "LEAST", ROWS * INPUT * OUTPUT + 1)
    x, weight = torch.randn(ROWS, INPUT), torch.randn(OUTPUT, INPUT)
    linear(x, weight)
    assert not calls
    linear(torch.randn(ROWS + 1, INPUT), weight)
    assert calls


def test_the_layer_has_the_names_of_torchs():
    ours, theirs = Linear(INPUT, OUTPUT), torch.nn.Linear(INPUT, OUTPUT)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(ROWS, INPUT)
    torch.testing.assert_close(ours(x), theirs(x))
