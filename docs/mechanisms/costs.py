"""Measure what each mechanism costs, and write it into the pages.

    python docs/mechanisms/costs.py

Two times on one CPU core, each divided by that of the reference: both in turn three times, the
faster times count. All mechanisms are measured so round by round, and the median counts:

- *step*: forward and backward pass of the small model of ``draw.py``, 64 words at once.
- *alone*: forward and backward pass of the attention alone, 50 queries to 50 positions, size
  128, 16 sequences. Here recurrent parts compute one query after the other.

The reference is general, global and soft in the recurrent model; for terms and scopes of
self-attention it is scaled_dot, global and soft with four heads in a Transformer. The page of a
mechanism has its row, ``costs.json`` the numbers.
"""

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from draw import RUN_FILE, TRANSFORMER, part
from torch import nn

from kochi.attention import build
from kochi.config import read_run
from kochi.errors import UserError
from kochi.inputs import TokenInput
from kochi.models.build import build_model

HERE = Path(__file__).resolve().parent
FOUND = HERE / "costs.json"
ROUNDS, TURNS = 11, 3
WORDS, LETTERS, PHONES, VOCABULARY = 64, 8, 7, 43
BATCH, LENGTH, SIZE = 16, 50, 128
HEADING = "| parameters | step | alone | kernel |\n|---|---|---|---|\n"
ROW = re.compile(re.escape(HEADING) + r"\|.*\|\n")

REFERENCE: dict[str, Any] = {"score": "general"}
HEADS: dict[str, Any] = {"score": "scaled_dot", "num_heads": 4}
PARTS: dict[str, dict[str, Any]] = {
    "additive": {"score": "additive"},
    "additive_normalized": {"score": {"kind": "additive", "normalize": True}},
    "dot": {"score": "dot"},
    "scaled_dot": {"score": "scaled_dot"},
    "general": REFERENCE,
    "cosine": {"score": "cosine"},
    "location": {"score": {"kind": "location", "max_length": LENGTH}},
    "location_aware": {"score": "location_aware"},
    "shaw": HEADS | {"relative": "shaw"},
    "t5": HEADS | {"relative": "t5"},
    "alibi": HEADS | {"relative": "alibi"},
    "rotary": HEADS | {"relative": "rotary"},
    "global": REFERENCE | {"scope": "global"},
    "causal": HEADS | {"scope": "causal"},
    "sliding_window": HEADS | {"scope": {"kind": "sliding_window", "left": 5, "right": 5}},
    "local_m": REFERENCE | {"scope": "local_m"},
    "local_p": REFERENCE | {"scope": "local_p"},
    "coverage": REFERENCE | {"scope": "coverage"},
    "soft": REFERENCE | {"selection": "soft"},
    **{
        name: REFERENCE | {"selection": name}
        for name in (
            "smoothed",
            "sparsemax",
            "entmax15",
            "entmax",
            "top_k",
            "hard",
            "straight_through",
            "gumbel",
            "marginal",
            "monotonic",
            "chunkwise",
        )
    },
}
"""The mechanisms as `kochi.attention.build` makes them."""

Step = Callable[[], None]


def alone(parts: dict[str, Any]) -> Step:
    """Return a forward and backward pass of an attention alone."""
    attention = build(**parts, query_size=SIZE, memory_size=SIZE)
    query, memory = (torch.randn(BATCH, LENGTH, SIZE, requires_grad=True) for _ in range(2))

    def step() -> None:
        readout = attention(query, attention.project(memory))
        loss = readout.context.sum()
        if readout.state.draws is not None:
            loss = loss + readout.state.draws.log_probability.sum()
        loss.backward()

    return step


def in_a_model(parts: dict[str, Any]) -> Step | None:
    """Return a training step, without its optimizer, of the small model; None if refused."""
    if "num_heads" in parts:
        where = "self_attention" if "relative" in parts else "attention"
        changes = [*TRANSFORMER, f"model.attention={inline(HEADS)}"]
        changes.append(f"model.{where}={inline(parts)}")
    else:
        changes = ["model.bidirectional=false"]
        changes += [part(what, inline(table)) for what, table in parts.items()]
    try:
        run = read_run(RUN_FILE, changes)
        model = build_model(run.model, TokenInput(VOCABULARY), VOCABULARY).train()
    except (UserError, ValueError):
        return None
    source = torch.randint(4, VOCABULARY, (WORDS, LETTERS))
    target = torch.randint(4, VOCABULARY, (WORDS, PHONES))
    decoder, mask = model.decoder, torch.ones_like(source, dtype=torch.bool)

    def step() -> None:
        output = decoder.write(model.encode(source, mask), target)
        logits = decoder.logits(output.features)
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten())
        if output.samples is not None:
            loss = loss + output.samples.log_probability.sum()
        loss.backward()

    return step


def inline(table: Any) -> str:
    """Write a value as inline TOML."""
    if isinstance(table, dict):
        return "{" + ", ".join(f"{key} = {inline(value)}" for key, value in table.items()) + "}"
    return json.dumps(table)


def seconds(step: Step) -> float:
    """Time one call."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def ratios(steps: dict[str, Step]) -> dict[str, float]:
    """Return the median over rounds of the time of each step divided by its reference's."""
    for step in steps.values():
        step()
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            pairs = [(seconds(steps[reference(name)]), seconds(step)) for _ in range(TURNS)]
            before, own = (min(times) for times in zip(*pairs, strict=True))
            found[name].append(own / before)
    return {name: statistics.median(rounds) for name, rounds in found.items()}


def reference(name: str) -> str:
    """Name what a mechanism is compared with."""
    return "heads" if "num_heads" in PARTS.get(name, HEADS) else "general"


def measure() -> dict[str, dict[str, Any]]:
    """Measure all mechanisms."""
    torch.manual_seed(1)
    torch.set_num_threads(1)
    mechanisms = {"heads": HEADS, "general": REFERENCE, **PARTS}
    lone = ratios({name: alone(parts) for name, parts in mechanisms.items()})
    steps = {name: in_a_model(parts) for name, parts in mechanisms.items()}
    whole = ratios({name: step for name, step in steps.items() if step is not None})
    return {
        name: {"step": whole.get(name), "alone": lone[name], **facts(parts)}
        for name, parts in PARTS.items()
    }


def facts(parts: dict[str, Any]) -> dict[str, Any]:
    """Return what a part adds in parameters, and the kernel that "auto" takes for *alone*."""
    attention = build(**parts, query_size=SIZE, memory_size=SIZE)
    bare = {what: value for what, value in parts.items() if what in ("score", "num_heads")}
    without = 0 if bare == parts else count(build(**bare, query_size=SIZE, memory_size=SIZE))
    return {
        "parameters": count(attention) - without,
        "kernel": attention.choose(LENGTH, LENGTH, batch=BATCH)[0],
    }


def count(module: nn.Module) -> int:
    """Count the parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def row(cost: dict[str, Any]) -> str:
    """Return a mechanism's row of the table."""
    step, lone = ("-" if cost[what] is None else f"{cost[what]:.2f}" for what in ("step", "alone"))
    return f"| {cost['parameters']:,} | {step} | {lone} | {cost['kernel']} |\n"


def write_rows(costs: dict[str, dict[str, Any]]) -> None:
    """Write the rows into the pages."""
    for name, cost in costs.items():
        page = HERE / f"{name}.md"
        if page.exists():
            text = page.read_text(encoding="utf-8")
            page.write_text(ROW.sub(lambda _, one=cost: HEADING + row(one), text), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Measure, or with ``--write`` only write what was measured into the pages."""
    parser = argparse.ArgumentParser(description="Measure what each mechanism costs.")
    parser.add_argument("--write", action="store_true", help="only write the rows into the pages")
    if not parser.parse_args(arguments).write:
        FOUND.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    write_rows(json.loads(FOUND.read_text(encoding="utf-8")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
