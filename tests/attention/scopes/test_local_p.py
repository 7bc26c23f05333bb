import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kochi.attention import Positions, build
from kochi.attention.scopes import LocalM, LocalP
from kochi.attention.scopes.local_p import predicted_centre

CPU = torch.device("cpu")


def test_equals_the_formula_as_a_loop() -> None:
    scope = LocalP(5, 3, width=3, hidden_size=4).double()
    query = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    lengths = [7, 4]
    window = scope(query, Positions(4, 7, CPU), torch.tensor(lengths))
    assert window.visible.shape == window.prior.shape == (2, 3, 4, 7)
    for b, h, t, s in torch.cartesian_prod(*map(torch.arange, window.prior.shape)).tolist():
        logit = 0.0
        for weight, v in zip(scope.weight[h], scope.vector[h].tolist(), strict=True):
            logit += v * math.tanh((weight @ query[b, h, t]).item())
        centre = lengths[b] / (1.0 + math.exp(-logit))
        assert window.visible[b, h, t, s].item() == (abs(s - centre) <= 3)
        sigma = 3 / 2
        expected = math.exp(-((s - centre) ** 2) / (2 * sigma**2))
        assert window.prior[b, h, t, s].item() == pytest.approx(expected, rel=1e-12)


def test_the_alignment_is_multiplied_and_not_normalised_again() -> None:
    module = build("dot", {"kind": "local_p", "width": 2}, query_size=3, memory_size=3)
    # A query of zeros looks at the middle: p = 4 / 2 = 2, and all scores are 0.
    memory, mask = torch.randn(1, 6, 3), torch.tensor([[True] * 4 + [False] * 2])
    alignment = module(
        torch.zeros(1, 1, 3), module.project(memory, mask), need_alignment=True
    ).alignment
    near, far = 0.25 * math.exp(-0.5), 0.25 * math.exp(-2.0)
    torch.testing.assert_close(alignment, torch.tensor([[[far, near, 0.25, near, 0.0, 0.0]]]))


def test_the_length_is_what_all_masks_leave() -> None:
    module = build("dot", {"kind": "local_p", "width": 2}, query_size=3, memory_size=3)
    memory, query = torch.randn(2, 7, 3), torch.randn(2, 4, 3)
    five, four = torch.arange(7).expand(2, 7) < 5, torch.arange(7).expand(2, 7) < 4
    expected = module(query, module.project(memory, four)).context
    for first, second in ((five, four), (four, five), (None, four), (four, four)):
        found = module(query, module.project(memory, first), mask=second).context
        torch.testing.assert_close(found, expected)
    short = module(query, module.project(memory[:, :4])).context
    torch.testing.assert_close(short, expected)


@pytest.mark.parametrize("extreme", [-1e4, 1e4])
def test_a_window_at_either_end_has_finite_gradients(extreme: float) -> None:
    module = build("dot", {"kind": "local_p", "width": 1}, query_size=3, memory_size=3)
    query = torch.full((1, 2, 3), extreme, requires_grad=True)
    context = module(query, module.project(torch.randn(1, 50, 3))).context
    for gradient in torch.autograd.grad(context.sum(), [query, *module.parameters()]):
        assert gradient.isfinite().all()


def test_gradients(check_gradients: Callable[..., None]) -> None:
    scope = LocalP(3, 2, width=20).double()

    def run(query: Tensor) -> Tensor:
        return scope(query, Positions(2, 5, CPU), torch.tensor([5, 3])).prior

    check_gradients(scope, run, torch.randn(2, 2, 2, 3, dtype=torch.float64))


def test_half_precision_keeps_its_type() -> None:
    module = build("dot", "local_p", query_size=4, memory_size=4, num_heads=2).bfloat16()
    memory = torch.randn(2, 5, 4).bfloat16()
    assert module(memory, module.project(memory)).context.dtype == torch.bfloat16
    window = LocalP(4, 2).bfloat16()(
        memory.unsqueeze(1).expand(-1, 2, -1, -1), Positions(5, 5, CPU), torch.tensor([5, 3])
    )
    assert window.prior is not None and window.prior.dtype == torch.bfloat16


def test_options_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"width: got 0, expected a whole number of 1 or more"):
        LocalP(4, width=0)
    with pytest.raises(ValueError, match=r"hidden_size: got 0, expected a whole number of 1 or m"):
        LocalP(4, hidden_size=0)


def test_the_vector_starts_like_that_of_the_additive_score() -> None:
    vector = LocalP(5, 3, hidden_size=400).vector
    assert 0.9 * 400**-0.5 < vector.abs().max() <= 400**-0.5
    assert vector.mean().abs() < 0.1 * 400**-0.5


def test_windows_without_a_gaussian_have_no_prior() -> None:
    windows = LocalM(width=1).windows(Positions(1, 3, CPU))
    assert windows is not None
    with pytest.raises(
        ValueError, match=r"^prior: these windows have no Gaussian \(sigma is None\)$"
    ):
        windows.prior(torch.arange(3))


def test_centres_are_computed_in_32_bits() -> None:
    query, weight = torch.randn(1, 1, 4, 3).bfloat16(), torch.randn(1, 2, 3).bfloat16()
    vector, lengths = torch.randn(1, 2).bfloat16(), torch.tensor([1000])
    centre = predicted_centre(query, weight, vector, lengths)
    assert centre.dtype == torch.float32
    logit = ((query @ weight[0].T).tanh() * vector).sum(-1).float()
    torch.testing.assert_close(centre, 1000 * logit.sigmoid())
