"""Model folders: damaged, exchanged or replaced files, and such as an attacker would write."""

import hashlib
import json
import struct
import tomllib
from contextlib import redirect_stdout
from pathlib import Path
from random import Random
from typing import Any

import tomli_w

from tests.fuzz.case import Case, rows_answered, same_answer
from tests.fuzz.kinds.seeds import kochi
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

ASKED = b"abc\n"
FILES = ("run.toml", "model.safetensors", "source.json", "target.json", "metrics.json")
SHAPES = ([], [0], [-1], [2**62], [2**31, 2**31], [1] * 5_000, [1.5], ["a"], None)


def answer(seeds: Path) -> str:
    """Return what the undamaged model answers."""
    return (seeds / "answer" / "text").read_text("utf-8")


def write_answer(folder: Path) -> None:
    """Ask the undamaged model."""
    (folder / "asked").write_bytes(ASKED)
    with (folder / "text").open("w", encoding="utf-8") as file, redirect_stdout(file):
        kochi("predict", folder.parent / "text" / "model", folder / "asked", "--json")


def make(draw: Random, seeds: Path, folder: Path) -> Case:
    """Ask a damaged model, or one that an attacker made."""
    model = copy_folder(seeds / "text" / "model", folder / "model")
    command = ["predict", "model", "--json"]
    if draw.random() < 0.5:
        _damage(draw, model)
        return Case(command, ASKED, same_answer(answer(seeds)))
    _attack(draw, model)
    return Case(command, ASKED, rows_answered(1))


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
