"""Compare every mechanism, compiled and exported, with eager mode, and write the results as JSON.

Run by test_compiled.py in a process of its own: where shapes are checked, even switched off, the
checks stand around the functions that are to be compiled.
"""

import functools
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from kochi.attention import (
    RELATIVES,
    SCOPES,
    SCORES,
    SELECTIONS,
    AlignmentOf,
    Attention,
    AttentionState,
    MultiHeadAttention,
    ProjectedMemory,
    build,
)
from kochi.attention.attend import AttentionBase

BATCH, LENGTH, SIZE = 2, 4, 8
SEES = torch.tensor([[True, True, False, True], [False] * 4])
NARROW: dict[str, dict[str, Any]] = {
    "sliding_window": {"left": 1, "right": 2},
    "local_m": {"width": 1},
    "local_p": {"width": 2},
    "top_k": {"k": 2},
    "hard": {"expected_share": 0.5},
}
RECURRENT = ("location_aware", "coverage", "monotonic", "chunkwise")
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
    target = 2 if any(part in RECURRENT for part in parts) else LENGTH
    query = torch.randn(BATCH, target, SIZE, dtype=torch.float64)
    memory = torch.randn(BATCH, LENGTH, SIZE, dtype=torch.float64)
    memory = memory.masked_fill(~SEES.unsqueeze(-1), torch.nan)

    def run(query: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        projected = module.project(memory, SEES)
        output = module(query, projected, need_alignment=need_alignment)
        assert output.alignment is not None
        return output.context, output.alignment

    torch._dynamo.reset()
    results = []
    for call in (run, torch.compile(run, backend=backend, fullgraph=True, dynamic=False)):
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


class Encoder(nn.Module):
    """Project a memory."""

    def __init__(self, attend: AttentionBase) -> None:
        super().__init__()
        self.attend = attend

    def forward(self, memory: Tensor, mask: Tensor) -> ProjectedMemory:
        return self.attend.project(memory, mask)


class Step(Encoder):
    """Take one step of a decoder."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, query: Tensor, projected: ProjectedMemory, state: AttentionState
    ) -> tuple[Tensor, AttentionState]:
        output = self.attend.step(query, projected, state)
        return output.context, output.state


class Whole(Encoder):
    """Project a memory and attend to it with many queries."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, query: Tensor, memory: Tensor, mask: Tensor
    ) -> Tensor:
        return self.attend(query, self.attend.project(memory, mask)).context


def inputs(batch: int, target: int, source: int) -> tuple[Tensor, Tensor, Tensor]:
    mask = torch.ones(batch, source, dtype=torch.bool)
    mask[-1, -2:] = False
    query = torch.randn(batch, target, SIZE, dtype=torch.float64)
    return query, torch.randn(batch, source, SIZE, dtype=torch.float64), mask


def same_exported(parts: Components) -> None:
    """Export a whole call, and an encoder and a step of a decoder; run them at other sizes."""
    module, free = make(parts).eval(), torch.export.Dim.DYNAMIC
    in_turn = any(part in RECURRENT for part in parts)
    query = {0: free} if in_turn else {0: free, 1: free}
    memory = {0: free, 1: free}
    program = torch.export.export(
        Whole(module), inputs(2, 2 if in_turn else 3, 5), dynamic_shapes=(query, memory, memory)
    ).module()
    for batch, target, source in ((2, 3, 5), (3, 7, 16), (1, 20, 40)):
        given = inputs(batch, 2 if in_turn else target, source)
        torch.testing.assert_close(program(*given), Whole(module)(*given))
    first, *rest = inputs(2, 1, 5)
    encoder = torch.export.export(Encoder(module), tuple(rest), dynamic_shapes=(memory, memory))
    state = module.step(first, module.project(*rest), AttentionState()).state
    projected = encoder.module()(*rest)
    step = torch.export.export(Step(module), (first, projected, state)).module()
    found, after = step(first, projected, state)
    wanted = Step(module)(first, projected, state)
    torch.testing.assert_close(found, wanted[0])
    assert after.position == wanted[1].position == 2


def few_graphs(parts: Components) -> None:
    """Compile a whole call for changing sizes, and 40 steps of a decoder."""
    module = make(parts).eval()
    in_turn = any(part in RECURRENT for part in parts)
    torch._dynamo.reset()
    counter = CompileCounter()
    whole = torch.compile(Whole(module), backend=counter, fullgraph=True)
    for size in range(3, 11):
        given = inputs(2 + size % 3, 2 if in_turn else size, 2 + size)
        torch.testing.assert_close(whole(*given), Whole(module)(*given))
    assert counter.frame_count <= 3, f"{counter.frame_count} graphs for 8 sizes"
    torch._dynamo.reset()
    counter = CompileCounter()
    step = torch.compile(Step(module), backend=counter, fullgraph=True)
    query, memory, mask = inputs(2, 40, 5)
    projected = module.project(memory, mask)
    state = ours = AttentionState()
    for index in range(40):
        one = query[:, index : index + 1].clone()
        found, state = step(one, projected, state)
        wanted, ours = Step(module)(one, projected, ours)
        torch.testing.assert_close(found, wanted)
    assert counter.frame_count <= 3, f"{counter.frame_count} graphs for 40 steps"


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
    checks: dict[str, Callable[[], None]] = {
        title: functools.partial(same_compiled, *case) for title, case in CASES.items()
    }
    for parts in MECHANISMS:
        if parts[4] != "banded":  # as many queries as keys
            title = "-".join(part for part in parts if part)
            checks[title + "-export"] = functools.partial(same_exported, parts)
            if parts[4] != "blocked":  # its loops depend on sizes
                checks[title + "-graphs"] = functools.partial(few_graphs, parts)
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    for title, check in checks.items():
        if not title.endswith(wanted):
            continue
        try:
            check()
            results[title] = None
        except Exception:
            results[title] = traceback.format_exc()
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
