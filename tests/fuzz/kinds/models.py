"""Model folders: damaged, exchanged or replaced files, and such as an attacker would write."""

import hashlib
import json
import struct
import tomllib
from contextlib import redirect_stdout
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import tomli_w

from tests.fuzz.case import Case, rows_answered, same_answer
from tests.fuzz.kinds.seeds import kochi, write_task
from tests.fuzz.mutate import (
    WORDS,
    change_tree,
    copy_folder,
    damage,
    nest,
    odd_value,
    pick,
    replace_file,
)
from tests.hearing import frames_of

# What is asked of each model, below the folder of seeds.
ASKED = {
    "text": "asked/text",
    "features": "asked/frames.npy",
    "sound": "sound/wav/ab.wav",
    "pictures": "pictures/png/red.png",
}
FILES = ("run.toml", "model.safetensors", "source.json", "target.json", "metrics.json")
SHAPES = ([], [0], [-1], [2**62], [2**31, 2**31], [1] * 5_000, [1.5], ["a"], None)


def ask(folder: Path) -> None:
    """Write what is asked, and what the undamaged models answer."""
    (folder / "text").write_text("abc\n")
    np.save(folder / "frames.npy", frames_of("ab"))
    for name, asked in ASKED.items():
        seeds = folder.parent
        with (folder / f"{name}.json").open("w", encoding="utf-8") as file, redirect_stdout(file):
            kochi("predict", seeds / name / "model", seeds / asked, "--json")


def make(draw: Random, seeds: Path, folder: Path) -> Case:
    """Ask a damaged model, or one that an attacker made, or begin a training with it."""
    name = pick(draw, ("text", "text", *ASKED))
    model = copy_folder(seeds / name / "model", folder / "model")
    damaged = draw.random() < 0.5
    if damaged:
        _damage(draw, model)
    else:
        _attack(draw, model)
    asked = str(seeds / ASKED[name])
    match draw.randrange(10):
        case 0:
            return Case(["show", "model", "abc" if name == "text" else asked])
        case 1:
            return Case(["evaluate", "model", "dev"])
        case 2 if name == "text":
            write_task(folder)
            begin = ("training.start_from=model", "output=new", "training.max_steps=1")
            return Case(["train", "run.toml", *(part for one in begin for part in ("--set", one))])
    expected = (seeds / "asked" / f"{name}.json").read_text("utf-8")
    check = same_answer(expected) if damaged else rows_answered(1)
    return Case(["predict", "model", asked, "--json"], check=check)


def _damage(draw: Random, model: Path) -> None:
    path = model / pick(draw, (*FILES, "manifest.json", "README.md"))
    action = draw.random()
    if action < 0.6:
        path.write_bytes(damage(draw, path.read_bytes(), 2_000))
    elif action < 0.7:
        path.unlink()
    elif action < 0.8:
        other = model / pick(draw, FILES)
        path.write_bytes(other.read_bytes())
    else:
        replace_file(draw, path)


def _attack(draw: Random, model: Path) -> None:
    """Change a file and make the manifest fit."""
    name = pick(draw, FILES)
    path = model / name
    content = path.read_bytes()
    if draw.random() < 0.2:
        path.write_bytes(damage(draw, content, 2_000))
    elif name == "run.toml":
        tree = tomllib.loads(content.decode())
        _change_run(draw, tree)
        path.write_bytes(tomli_w.dumps(tree).encode("utf-8", "surrogatepass"))
    elif name == "model.safetensors":
        path.write_bytes(_change_tensors(draw, content))
    else:
        path.write_bytes(_change_json(draw, content))
    _write_manifest(draw, model)


def _change_run(draw: Random, tree: dict[str, Any]) -> None:
    table = tree[pick(draw, ("model", "model", "search", "data"))]
    if draw.random() < 0.5:
        change_tree(draw, table, lambda: odd_value(draw))
        return
    sizes = [key for key, value in table.items() if isinstance(value, int | float)]
    if sizes:
        table[pick(draw, sizes)] = pick(draw, (20_000_000, 10**9, 2**40, 2**63, 1))


def _change_json(draw: Random, content: bytes) -> bytes:
    tree = json.loads(content)
    if draw.random() < 0.1:
        return nest(100_000).encode()
    if isinstance(tree.get("tokenizer"), str) and draw.random() < 0.7:  # JSON within JSON
        inner = json.loads(tree["tokenizer"])
        change_tree(draw, inner, lambda: odd_value(draw))
        tree["tokenizer"] = json.dumps(inner)
    else:
        for _ in range(draw.choice((1, 1, 3))):
            change_tree(draw, tree, lambda: odd_value(draw))
    return json.dumps(tree).encode()


def _change_tensors(draw: Random, content: bytes) -> bytes:
    (size,) = struct.unpack("<Q", content[:8])
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    entry = header[pick(draw, [name for name in header if name != "__metadata__"])]
    match draw.randrange(6):
        case 0:
            entry["shape"] = pick(draw, SHAPES)
        case 1:
            entry["dtype"] = pick(draw, ("F64", "BF16", "I64", "BOOL", "F8_E4M3", "X", "", 3))
        case 2:
            entry["data_offsets"] = pick(draw, ([0, 0], [0, 2**62], [8, 0], [-1, 4], "x"))
        case 3:
            change_tree(draw, header, lambda: odd_value(draw))
        case 4:
            values = pick(draw, (b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f"))
            body = values * (len(body) // 4)  # NaN, infinity, the largest number
        case _:
            size = pick(draw, (*WORDS, 2**63, 2**64 - 1))
            return struct.pack("<Q", size) + content[8:]
    packed = json.dumps(header).encode()
    packed += b" " * (-len(packed) % 8)
    return struct.pack("<Q", len(packed)) + packed + body


def _write_manifest(draw: Random, model: Path) -> None:
    path = model / "manifest.json"
    manifest = json.loads(path.read_bytes())
    for name, entry in manifest["files"].items():
        content = (model / name).read_bytes()
        entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if draw.random() < 0.1:
        change_tree(draw, manifest, lambda: odd_value(draw))
    path.write_text(json.dumps(manifest))
