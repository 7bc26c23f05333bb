"""What the writers of run files share for what is listed beside texts: the table, the split."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from kochi import config
from kochi.data.lines import lines
from kochi.data.manifest import read_rows
from kochi.data.pairs import read_pairs
from kochi.data.pictures import folder_pictures
from kochi.errors import UserError
from kochi.starting.listed import Listed
from kochi.starting.opening import relative
from kochi.starting.split import choose_keys, hash_source

COLUMNS = {"sound": "audio", "picture": "image"}  # columns and folders are called after these


def data_table(listed: Listed, base: Path) -> dict[str, Any]:
    """Return the data table, with paths as seen from ``base``."""
    table: dict[str, Any] = {"kind": listed.kind}
    for split, path in listed.splits.items():
        table[split] = relative(path, base)
        if listed.kind == "features":
            arrays = relative(listed.arrays[split], base)
            table[split] = {"manifest": table[split], "arrays": arrays}
    if listed.source:
        column = COLUMNS.get(listed.kind, "key")
        table |= {f"{column}_column": listed.source, "text_column": listed.text}
    if listed.boxes is not None:
        table["boxes_column"] = listed.boxes
    if listed.split_column is not None:
        table["split_column"] = listed.split_column
    if listed.kind in COLUMNS and listed.source:
        folder = listed.folder or listed.splits["train"].parent
        table[f"{COLUMNS[listed.kind]}_folder"] = relative(folder, base)
    if listed.joined_by is not None:
        table["joined_by"] = listed.joined_by
    return table


def data_of(listed: Listed) -> Any:
    """Return the data as a run file would describe them."""
    tree = {"data": data_table(listed, Path.cwd()), "model": {"kind": "rnn"}}
    return config.check_run(tree, "kochi init").data


# --------------------------------------------------------------------------------------- splitting


def split_off(listed: Listed, run_file: Path, seed: int) -> tuple[Listed, str]:
    """Write manifests of their own for all splits that come from the training data.

    Returns:
        What is there now, and a remark for the user.

    Raises:
        UserError: There are too few rows.
    """
    wanted = [split for split in ("dev", "test") if split not in listed.splits]
    train, folder = listed.splits["train"], run_file.parent / f"{run_file.stem}-data"
    rows = list(_rows(listed))
    keys = [key for key, split, _ in rows if split == "train"]
    try:
        chosen = choose_keys(keys, wanted, seed, len(keys))
    except ValueError as error:
        raise UserError(
            f"{train}: {error} to split off {' and '.join(wanted)}; add rows, or dev and test data"
        ) from None
    written: dict[str, list[str]] = {"train": [], **{split: [] for split in wanted}}
    for key, split, line in rows:
        split = chosen.get(hash_source(key, seed), split) if split == "train" else split
        written.setdefault(split, []).append(line)
    header = _header(listed)
    files = {split: folder / f"{split}.{'jsonl' if header is None else 'tsv'}" for split in written}
    folder.mkdir(parents=True, exist_ok=True)
    for split, found in written.items():
        shown = found if header is None else [header, *found]
        files[split].write_text("".join(f"{line}\n" for line in shown), encoding="utf-8")
    counts = ", ".join(f"{split} {len(found):,}" for split, found in written.items())
    note = f"no dev data found: split the rows into {folder}/ ({counts})"
    arrays = dict.fromkeys(files, listed.arrays["train"]) if listed.arrays else {}
    found = replace(
        listed,
        splits={**listed.splits, **files},
        arrays={**arrays, **listed.arrays},
        split_column=None,
    )
    if train.is_dir():
        return replace(found, source=COLUMNS[listed.kind], text="text", folder=train), note
    return replace(found, folder=listed.folder or train.parent), note


def _rows(listed: Listed) -> Iterator[tuple[str, str, str]]:
    """Give what is listed, the split and a line of a manifest for each row of the training data."""
    train = listed.splits["train"]
    if train.is_dir():
        for file, texts in _files(listed, train):
            name = file.relative_to(train).as_posix()
            row = {COLUMNS[listed.kind]: name, "text": texts[0] if len(texts) == 1 else texts}
            yield name, "train", json.dumps(row, ensure_ascii=False)
        return
    rows = read_rows(train)  # checks every line
    stream = lines(train) if _header(listed) is None else islice(lines(train), 1, None)
    for row, line in zip(rows, stream, strict=True):
        split = "train" if listed.split_column is None else str(row.get(listed.split_column))
        yield str(row.get(listed.source)), split, line


def _files(listed: Listed, folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Give the recordings or pictures of a folder with their texts."""
    if listed.kind == "picture":
        yield from ((Path(str(picture.path)), texts) for picture, texts in folder_pictures(folder))
        return
    for pair in read_pairs(data_of(replace(listed, splits={"train": folder})), "train"):
        path = Path.cwd() / pair.source.paths[0]  # it is as seen from here
        yield folder / path.relative_to(folder.resolve()), pair.references


def _header(listed: Listed) -> str | None:
    """Return the header of a tab-separated manifest; None for JSON and folders."""
    train = listed.splits["train"]
    if train.is_dir():
        return None
    first = next(lines(train))
    return None if first.lstrip().startswith("{") else first
