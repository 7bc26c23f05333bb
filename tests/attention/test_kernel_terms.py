"""Kernels with a term on the scores and a prior on the alignment, against the reference."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kochi.attention import Positions, PredictedScope, Relative, Window, build

Gradients = Callable[..., list[Tensor]]


class Slope(Relative):
    """Prefer what is near, each head by a slope of its own, and what the query likes."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([0.3, 0.1])[:, None, None])

    def forward(
        self, query: Float[Tensor, "batch heads target projected_size"], positions: Positions
    ) -> Float[Tensor, "#batch heads target source"]:
        distance = (positions.keys() - positions.queries()).abs()
        return self.slope * (query.sum(-1, keepdim=True) - distance)


class Near(PredictedScope):
    """See two positions either side of where the query stands, less the further away."""

    def forward(
        self,
        query: Float[Tensor, "batch heads target query_size"],
        positions: Positions,
        lengths: Int[Tensor, " batch"],
    ) -> Window:
        distance = (positions.keys() - positions.queries()).abs().expand(*query.shape[:2], -1, -1)
        centre = query.mean(-1, keepdim=True).sigmoid()
        return Window(distance <= 2, torch.exp(-distance * centre))


@pytest.mark.parametrize(
    ("kernel", "scope", "relative"),
    [
        ("sdpa", "global", Slope),
        ("sdpa", "causal", Slope),
        ("sdpa", {"kind": "sliding_window", "left": 2, "right": 1}, Slope),
        ("dense", "causal", Slope),
        ("dense", Near, Slope),
        ("dense", Near, None),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_terms_equal_the_reference(
    kernel: str, scope: Any, relative: Any, masked: bool, dtype: torch.dtype, gradients: Gradients
) -> None:
    query, values = torch.randn(2, 13, 8, dtype=dtype), torch.randn(2, 13, 8, dtype=dtype)
    mask = torch.rand(2, 13, 13) < 0.5 if masked else None
    if mask is not None:
        mask[0, 5], mask[1] = False, False
        mask[1, 0, 0] = True
    results: list[list[Tensor]] = []
    weights: dict[str, Tensor] = {}
    for name in ("reference", kernel):
        parts: tuple[Any, Any] = (scope if isinstance(scope, str | dict) else scope(), relative)
        module = build(
            "scaled_dot",
            parts[0],
            query_size=8,
            memory_size=8,
            num_heads=2,
            relative=None if relative is None else relative(),
            kernel=name,
        ).to(dtype)
        module.load_state_dict(weights or module.state_dict())
        weights = module.state_dict()
        inputs = [query.clone().requires_grad_(), values.clone().requires_grad_()]
        output = module(inputs[0], module.project(inputs[1]), mask=mask, need_alignment=True)
        silent = module(inputs[0], module.project(inputs[1]), mask=mask)
        assert torch.equal(silent.context, output.context)
        assert output.alignment is not None
        found = gradients(output.context, [*inputs, *module.parameters()])
        results.append([output.context, output.alignment, *found])
    tolerance = 1e-4 if dtype == torch.float32 else 1e-10
    torch.testing.assert_close(results[1], results[0], rtol=tolerance, atol=tolerance)


def test_what_each_refuses() -> None:
    options: dict[str, Any] = {"query_size": 8, "memory_size": 8}
    with pytest.raises(ValueError, match="'sdpa' cannot serve: the scope Near does more than hide"):
        build("dot", Near(), kernel="sdpa", **options)
    window = {"kind": "sliding_window", "left": 2, "right": 1}
    with pytest.raises(ValueError, match="'banded' cannot serve: the relative term Slope is added"):
        build("dot", window, relative=Slope(), kernel="banded", **options)
    assert build("dot", Near(), **options).explain().startswith("kernel 'reference': the scope")
    slope = build("dot", relative=Slope(), **options)
    assert slope.explain(500, 500).startswith("kernel 'sdpa'")
