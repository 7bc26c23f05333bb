"""The lean cross-entropy equals torch's in value and every gradient."""

import pytest
import torch
import torch.nn.functional as F

from kochi.training import losses
from kochi.training.losses import cross_entropy

BATCH, TARGET, SIZE, VOCABULARY = 5, 7, 3, 11


def example(dtype=torch.double):
    torch.manual_seed(2)
    features = torch.randn(BATCH, TARGET, SIZE, dtype=dtype, requires_grad=True)
    weight = torch.randn(VOCABULARY, SIZE, dtype=dtype, requires_grad=True)
    bias = torch.randn(VOCABULARY, dtype=dtype, requires_grad=True)
    targets = torch.randint(VOCABULARY, (BATCH, TARGET))
    mask = torch.arange(TARGET) < torch.tensor([7, 1, 4, 0, 6])[:, None]
    return features, weight, bias, targets, mask


def torch_loss(features, weight, bias, targets, mask, smoothing):
    logits = F.linear(features, weight, bias)[mask]
    return F.cross_entropy(logits, targets[mask], label_smoothing=smoothing, reduction="sum")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("chunk_rows", [1, 4, 1000])
def test_value_and_gradients(smoothing, chunk_rows, monkeypatch):
    monkeypatch.setattr(losses, "CHUNK_BYTES", 4 * VOCABULARY * chunk_rows)
    features, weight, bias, targets, mask = example()
    loss, nll = cross_entropy(features, weight, bias, targets, mask, smoothing)
    expected = torch_loss(features, weight, bias, targets, mask, smoothing)
    plain = torch_loss(features, weight, bias, targets, mask, 0.0)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(nll.sum(), plain.detach())
    assert (nll[~mask] == 0.0).all()
    leaves = (features, weight, bias)
    for one, other in zip(
        torch.autograd.grad(0.7 * loss, leaves),
        torch.autograd.grad(0.7 * expected, leaves),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_an_evaluation_computes_no_gradient(monkeypatch):
    def never(*_):
        raise AssertionError("a gradient of weights was computed")

    features, weight, bias, targets, mask = example()
    expected = cross_entropy(features, weight, bias, targets, mask, 0.1)
    monkeypatch.setattr(losses, "add_weight_gradient", never)
    with pytest.raises(AssertionError):
        cross_entropy(features, weight, bias, targets, mask, 0.1)
    with torch.no_grad():
        found = cross_entropy(features, weight, bias, targets, mask, 0.1)
    torch.testing.assert_close(found, (expected[0].detach(), expected[1]))


def test_without_bias():
    features, weight, _, targets, mask = example()
    loss, _ = cross_entropy(features, weight, None, targets, mask, 0.1)
    zero = torch.zeros(VOCABULARY, dtype=torch.double)
    torch.testing.assert_close(loss, torch_loss(features, weight, zero, targets, mask, 0.1))


def test_large_logits_do_not_overflow():
    features, weight, bias, targets, mask = example(torch.float32)
    features = features.detach() * 1e4
    loss, _ = cross_entropy(features, weight, bias, targets, mask, 0.1)
    expected = torch_loss(features, weight, bias, targets, mask, 0.1)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0.0)


def test_bfloat16_products_stay_close():
    features, weight, bias, targets, mask = example(torch.float32)
    expected = torch_loss(features, weight, bias, targets, mask, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = cross_entropy(features, weight, bias, targets, mask, 0.1)
    torch.testing.assert_close(loss, expected, rtol=0.02, atol=0.0)
    grads = torch.autograd.grad(loss, (features, weight, bias))
    wanted = torch.autograd.grad(expected, (features, weight, bias))
    for one, other in zip(grads, wanted, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.03 * other.norm()


def test_no_row_counts():
    features, weight, bias, targets, mask = example()
    loss, nll = cross_entropy(features, weight, bias, targets, mask & False, 0.1)
    loss.backward()
    assert loss.item() == 0.0 and (nll == 0.0).all()
    assert (features.grad == 0).all()


def test_smoothing_is_off_unless_it_is_asked_for():
    given = example()
    torch.testing.assert_close(cross_entropy(*given), cross_entropy(*given, 0.0))


class Product:
    """`linear` that remembers what it was given."""

    def __init__(self, monkeypatch):
        self.rows, self.dtypes = [], set()
        self.linear = losses.linear
        monkeypatch.setattr(losses, "linear", self)

    def __call__(self, features, weight, bias=None):
        if bias is not None:  # a product of the forward pass
            self.rows.append(features.shape[0])
            self.dtypes |= {features.dtype, weight.dtype, bias.dtype}
        return self.linear(features, weight, bias)


@pytest.mark.parametrize(("room", "rows"), [(0.5, [1] * 18), (4, [4, 4, 4, 4, 2]), (99, [18])])
def test_a_chunk_has_as_many_rows_as_fit(room, rows, monkeypatch):
    product = Product(monkeypatch)
    monkeypatch.setattr(losses, "CHUNK_BYTES", int(4 * VOCABULARY * room))
    cross_entropy(*example(torch.float32))
    assert product.rows == rows


def test_products_have_the_dtype_of_autocast_and_sums_that_of_float32(monkeypatch):
    product = Product(monkeypatch)
    features, weight, bias, targets, mask = example(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        loss, nll = cross_entropy(features, weight, bias, targets, mask)
    assert product.dtypes == {torch.bfloat16}
    assert loss.dtype == nll.dtype == torch.float32
    torch.autograd.grad(loss, (features, weight, bias))


@pytest.mark.parametrize("keep", [True, False])
def test_a_model_in_bfloat16_is_summed_in_float32(keep):
    features, weight, bias, targets, mask = example(torch.bfloat16)
    loss, nll = cross_entropy(features, weight, bias, targets, mask & keep)
    assert loss.dtype == nll.dtype == torch.float32
    grads = torch.autograd.grad(loss, (features, weight, bias))
    assert {grad.dtype for grad in grads} == {torch.bfloat16}
    logits = F.linear(features, weight, bias).float()
    each = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    expected = each.view(targets.shape).masked_fill(~(mask & keep), 0.0).detach()
    torch.testing.assert_close(nll, expected, rtol=1e-5, atol=1e-6)
