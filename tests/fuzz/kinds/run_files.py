"""Run files: wrong types, absurd numbers, deep nesting, paths to what is no file."""

import os
import tomllib
from pathlib import Path
from random import Random
from typing import Any

import tomli_w

from tests.fuzz.case import Case
from tests.fuzz.kinds import seeds
from tests.fuzz.mutate import PATHS, change_tree, damage_lines, nest, odd_text, odd_value, pick

PIECES = (
    "a" + ".a" * 5_000 + " = 1",
    "x = " + nest(2_000),
    "x = " + "{a=" * 2_000 + "1" + "}" * 2_000,
    "[" + ".".join("a" * 2_000) + "]",
    "seed = " + "9" * 5_000,
    "seed = 0x" + "f" * 5_000,
    "seed = 1979-05-27T07:32:00Z",
    'seed = """',
    "[data]",
    "[[data]]",
    "data = 3",
    '"" = 1',
    '"\\u0000" = 1',
    '"\\u001b[31m" = 1',
    "[data.data.data]",
    "[model.encoder]\nkind = 3",
    "[model.attention.score]\nkind = []",
    "[model.attention.score]\nkind = ''",
    "[model.attention.score]\nkind = 'os:system'",
)
CHANGES = (
    "model.embedding_size=20000000",
    "model.hidden_size=20000000",
    "model.decoder_layers=1000000",
    "training.batch_tokens=9223372036854775808",
    "training.accumulate=1000000",
    "training.learning_rate=nan",
    "training.learning_rate=1e308",
    "training.evaluate_every=1",
    "training.examples=1000000000",
    "training.schedule.warmup_steps=9223372036854775808",
    "training.average_last=1000000000",
    "training.patience=1",
    "training.start_from=.",
    "training.start_from=/dev",
    "training.accelerator=gpu",
    "search.batch_size=9223372036854775808",
    "search.max_length_extra=1000000000",
    "search.max_length_ratio=1e308",
    "data.max_length=1",
    "data.encoding=utf-16",
    "data.encoding=idna",
    "data.encoding=hex",
    "data.separator=",
    "data.folder=/dev",
    "data.dev=fifo",
    "data.target.vocabulary_size=1",
    "data.target.tokens=bpe",
    "seed=18446744073709551616",
    "=",
    "a=b=c",
    "..=1",
    "data..x=1",
    "model=1",
    "model.x.y.z=1",
    "seed=" + "[" * 3_000,
)


def make(draw: Random, folder_of_seeds: Path, folder: Path) -> Case:
    """Train for one step at most."""
    seeds.write_task(folder)
    path = folder / "run.toml"
    tree: dict[str, Any] = tomllib.loads(seeds.RUN)
    changes = ["training.max_steps=1", "training.accelerator=cpu"]
    action = draw.random()
    if action < 0.6:
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            change_tree(draw, tree, lambda: odd_value(draw))
        path.write_bytes(_dump(tree))
    elif action < 0.75:
        table, key = pick(draw, (("data", "train"), ("data", "dev"), ("data", "folder")))
        tree[table][key] = pick(draw, PATHS)
        path.write_bytes(_dump(tree))
    elif action < 0.85:
        path.write_bytes(damage_lines(draw, seeds.RUN, " ="))
    elif action < 0.92:
        piece = pick(draw, PIECES)
        path.write_text(
            f"{piece}\n{seeds.RUN}" if draw.random() < 0.5 else f"{seeds.RUN}\n{piece}\n"
        )
    else:
        change = (
            pick(draw, CHANGES) if draw.random() < 0.7 else f"{odd_text(draw)}={odd_text(draw)}"
        )
        changes.append(change.replace("\0", ""))
    return Case(["train", "run.toml", *(part for one in changes for part in ("--set", one))])


def _dump(tree: dict[str, Any]) -> bytes:
    _tame(tree)
    return tomli_w.dumps(tree).encode("utf-8", "surrogatepass")


def _tame(tree: dict[str, Any]) -> None:
    """Take out what is right to do, but not here: many processes, and writing outside."""
    training = tree.get("training")
    if isinstance(training, dict) and isinstance(training.get("devices"), int):
        training["devices"] = min(training["devices"], 1)
    if isinstance(tree.get("output"), str) and os.path.isabs(tree["output"]):
        tree["output"] = "/dev/null/x"
