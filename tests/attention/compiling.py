"""Compare every mechanism under `torch.compile` with eager mode, and write the results as JSON.

Run by test_compiled.py in a process of its own: where shapes are checked, even switched off, the
checks stand around the functions that are to be compiled.
"""

import json
import sys
import traceback
from typing import Any

import torch
from torch import Tensor

from kochi.attention import (
    RELATIVES,
    SCOPES,
    SCORES,
    SELECTIONS,
    AlignmentOf,
    Attention,
    MultiHeadAttention,
    build,
)

BATCH, LENGTH, SIZE = 2, 4, 8
SEES = torch.tensor([[True, True, False, True], [False] * 4])
NARROW: dict[str, dict[str, Any]] = {
    "sliding_window": {"left": 1, "right": 2},
    "local_m": {"width": 1},
    "local_p": {"width": 2},
    "top_k": {"k": 2},
    "hard": {"expected_share": 0.5},
}
IN_PIECES = ("sparsemax", "entmax15", "entmax")
"""Newton's steps end when they are small enough: what depends on numbers breaks a graph."""
LOOK_BACK = ("location_aware", "coverage", "monotonic", "chunkwise")
Components = tuple[str, str, str, str | None, str]

MECHANISMS: list[Components] = [
    *((score, "causal", "soft", None, "auto") for score in SCORES),
    *(("scaled_dot", scope, "soft", None, "auto") for scope in SCOPES if scope != "causal"),
    *(
        ("dot", "global", selection, None, "auto")
        for selection in SELECTIONS
        if selection != "soft"
    ),
    *(("cosine", "causal", "soft", relative, "auto") for relative in RELATIVES),
    ("dot", "global", "soft", None, "reference"),
    ("dot", "global", "soft", None, "sdpa"),
    ("scaled_dot", "causal", "soft", "t5", "sdpa"),
    ("additive", "global", "sparsemax", None, "blocked"),
    ("scaled_dot", "sliding_window", "soft", None, "banded"),
]


def make(parts: Components) -> Attention | MultiHeadAttention:
    torch.manual_seed(3)
    score, scope, selection = ({"kind": part, **NARROW.get(part, {})} for part in parts[:3])
    sizes = {"query_size": SIZE, "memory_size": SIZE, "num_heads": 2}
    module = build(score, scope, selection, relative=parts[3], kernel=parts[4], **sizes)
    with torch.no_grad():
        for parameter in module.scope.parameters():  # a coverage starts at 0
            parameter.uniform_(-1.0, 1.0)
    return module.double()


def same_compiled(
    parts: Components, backend: str, need_alignment: bool | AlignmentOf = True
) -> None:
    """Compare value and every gradient, with NaN in hidden positions and a query without any."""
    module = make(parts)
    # One query is asked after the other: two are enough, and quicker to compile.
    target = 2 if any(part in LOOK_BACK for part in parts) else LENGTH
    query = torch.randn(BATCH, target, SIZE, dtype=torch.float64)
    memory = torch.randn(BATCH, LENGTH, SIZE, dtype=torch.float64)
    memory = memory.masked_fill(~SEES.unsqueeze(-1), torch.nan)

    def run(query: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        projected = module.project(memory, SEES)
        output = module(query, projected, need_alignment=need_alignment)
        assert output.alignment is not None
        return output.context, output.alignment

    torch._dynamo.reset()
    whole = parts[2] not in IN_PIECES
    results = []
    for call in (run, torch.compile(run, backend=backend, fullgraph=whole, dynamic=False)):
        inputs = [query.clone().requires_grad_(), memory.clone().requires_grad_()]
        torch.manual_seed(7)
        context, alignment = call(*inputs)
        assert (alignment[1] == 0).all() and (context[1] == 0).all()
        inputs += module.parameters()
        found = torch.autograd.grad(
            context.cos().sum() + alignment.sin().sum(), inputs, materialize_grads=True
        )
        assert all(gradient.isfinite().all() for gradient in found)
        results.append([context, alignment, *found])
    torch.testing.assert_close(results[1], results[0])


def name(parts: Components, backend: str, need_alignment: bool | AlignmentOf) -> str:
    """Return what the test is called."""
    words = [*(part for part in parts if part), backend]
    return "-".join([*words, "some"] if isinstance(need_alignment, AlignmentOf) else words)


SOME = AlignmentOf([-1, 0], heads=slice(1))
CASES: dict[str, tuple[Components, str, bool | AlignmentOf]] = {
    name(*case): case
    for case in (
        *((parts, "aot_eager", True) for parts in MECHANISMS),
        (("dot", "causal", "soft", None, "sdpa"), "aot_eager", SOME),
        (("dot", "causal", "soft", None, "dense"), "aot_eager", SOME),
        (("additive", "causal", "soft", None, "auto"), "inductor", True),
        (("dot", "global", "entmax15", None, "auto"), "inductor", True),
    )
}


def main() -> None:
    """Write, for each case, nothing or what went wrong."""
    torch.set_num_threads(1)
    results: dict[str, str | None] = {}
    for title, case in CASES.items():
        try:
            same_compiled(*case)
            results[title] = None
        except Exception:
            results[title] = traceback.format_exc()
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
