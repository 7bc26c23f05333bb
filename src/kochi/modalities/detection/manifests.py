"""The shared code for run files of sources listed in manifests: the data table and the split."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kochi import config
from kochi.data.left_out import Bad, LeftOut
from kochi.data.manifest import Row, is_json, read_rows
from kochi.data.tables import TableForm, read_cells
from kochi.errors import UserError
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.listed import COLUMNS, Listed
from kochi.modalities.detection.opening import form_table, relative
from kochi.modalities.detection.split import (
    SPLIT_HINT,
    TOO_FEW,
    choose_sources,
    hash_source,
    rows_wanted,
    shares_of,
)
from kochi.modalities.image.rows import folder_pictures
from kochi.modalities.pairs import read_pairs


def data_table(listed: Listed, base: Path) -> dict[str, Any]:
    """Return the data table, with paths relative to ``base``."""
    table: dict[str, Any] = {"kind": listed.kind}
    for split, path in listed.splits.items():
        table[split] = relative(path, base)
        if listed.kind == "features":
            arrays = relative(listed.arrays[split], base)
            table[split] = {"manifest": table[split], "arrays": arrays}
    table |= form_table(listed.form)
    if listed.source:
        column = COLUMNS.get(listed.kind, "key")
        table |= {f"{column}_column": listed.source, "text_column": listed.text}
    table |= listed.times
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


def settle(
    listed: Listed,
    run_file: Path,
    seed: int,
    choices: Choices,
    count: Callable[[Listed, LeftOut], Any],
) -> tuple[Listed, Any, list[str]]:
    """Count the training rows, and split off dev and test rows if they are missing.

    Rows are counted first, so that errors refer to the user's own file; rows of a layout that
    training does not support are counted after they are rewritten.

    Args:
        listed: The detected sources.
        run_file: The run file; split files are written beside it.
        seed: Seed of the split.
        choices: The user's choices.
        count: Returns a dataclass with ``num_rows``.

    Returns:
        The sources after splitting, the counts, and remarks for the user.
    """
    notes, left_out = [*listed.notes], LeftOut()
    sizes = None if listed.rewrite else count(listed, left_out)
    if must_split(listed, choices):
        listed, more = split_off(listed, run_file, seed, choices)
        notes += more
    if sizes is None:
        sizes = count(listed, left_out)
    elif (said := left_out.remark(sizes.num_rows)) is not None:
        notes.append(said)
    pairs = read_pairs(data_of(listed), "train", LeftOut())
    return listed, replace(sizes, num_rows=sum(1 for _ in pairs)), notes


def must_split(listed: Listed, choices: Choices) -> bool:
    """Return whether new manifests have to be written."""
    return listed.rewrite is not None or "dev" not in listed.splits or choices.split is not None


def split_off(
    listed: Listed, run_file: Path, seed: int, choices: Choices
) -> tuple[Listed, tuple[str, ...]]:
    """Write new manifests for all splits that are made from the training data.

    Returns:
        The sources after splitting, and remarks for the user.

    Raises:
        UserError: A row cannot be read.
    """
    notes: list[str] = []
    if choices.split is not None:
        listed, notes = alone(listed)
    wanted = [split for split in ("dev", "test") if split not in listed.splits]
    if "dev" in listed.splits:
        wanted = []
    train, folder = listed.splits["train"], run_file.parent / f"{run_file.stem}-data"
    left_out = LeftOut()  # in layouts that training supports, the reader of pairs reports errors
    rows = list(_rows(listed, left_out))
    if listed.rewrite is not None:
        others = [split for split in listed.splits if listed.splits[split] != train]
        for split in others:
            rows += [(key, split, line) for key, _, line in _rows(listed, left_out, split)]
        if (remark := left_out.remark(len(rows))) is not None:
            notes.append(remark)
        rows, missing = _with_files(listed, rows)
        notes += missing
    keys = [key for key, split, _ in rows if split == "train"]
    rows_of = rows_wanted(len(keys), wanted, shares_of(choices))
    try:
        chosen = choose_sources(keys, rows_of, seed) if rows_of else {}
    except ValueError as error:
        notes.append(f"{error}{TOO_FEW}")
        if listed.rewrite is None and choices.split is None:
            return listed, tuple(notes)
        chosen, rows_of = {}, {}
    header = _header(listed)
    written: dict[str, list[str]] = {"train": [], **{split: [] for split in rows_of}}
    for key, split, line in rows:
        split = chosen.get(hash_source(key, seed), split) if split == "train" else split
        written.setdefault(split, []).append(line)
    ending = "jsonl" if header is None else "tsv"
    files = {split: folder / f"{split}.{ending}" for split in written}
    folder.mkdir(parents=True, exist_ok=True)
    for split, found in written.items():
        shown = found if header is None else [header, *found]
        files[split].write_text("".join(f"{line}\n" for line in shown), encoding="utf-8")
    counts = ", ".join(f"{split} {len(found):,}" for split, found in written.items())
    if rows_of:
        notes.append(f"no dev data found: split the rows into {folder}/ ({counts}){SPLIT_HINT}")
    else:
        notes.append(f"wrote the rows as manifests into {folder}/ ({counts})")
    arrays = dict.fromkeys(files, listed.arrays["train"]) if listed.arrays else {}
    found = replace(
        listed,
        splits={**listed.splits, **files},
        arrays={**arrays, **listed.arrays},
        split_column=None,
        form=TableForm(),
        rewrite=None,
    )
    if train.is_dir():
        found = replace(found, source=COLUMNS[listed.kind], text="text", folder=train)
        return found, tuple(notes)
    return replace(found, folder=listed.folder or train.parent), tuple(notes)


def _with_files(
    listed: Listed, rows: list[tuple[str, str, str]]
) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Drop rows whose file does not exist, and list them in remarks."""
    folder = listed.folder or listed.splits["train"].parent
    missing = [key for key, _, _ in rows if not (folder / key).is_file()]
    if not missing:
        return rows, []
    gone = set(missing)
    note = f"{len(missing)} of {len(rows)} rows are left out, as {folder} lacks their file: "
    shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    return [row for row in rows if row[0] not in gone], [f"{note}{shown}"]


def alone(listed: Listed) -> tuple[Listed, list[str]]:
    """Drop all splits except training, since a new split was requested."""
    splits = listed.splits
    unused = [path.name for split, path in splits.items() if split != "train"]
    only = replace(listed, splits={"train": splits["train"]})
    if listed.split_column is not None or not unused:
        return only, []
    return only, [f"not used, as --split was given: {', '.join(unused)}"]


def _rows(listed: Listed, bad: Bad, split: str = "train") -> Iterator[tuple[str, str, str]]:
    """Yield the sources, the split and a manifest line for each row of the data."""
    path = listed.splits[split]
    if path.is_dir():
        for file, texts in _files(listed, path):
            name = file.relative_to(path).as_posix()
            row = {COLUMNS[listed.kind]: name, "text": texts[0] if len(texts) == 1 else texts}
            yield name, "train", json.dumps(row, ensure_ascii=False)
        return
    read = listed.rewrite or (lambda path, bad: read_rows(path, listed.form, bad=bad))
    header = _header(listed)
    names = None if header is None else header.split("\t")
    for row in read(path, bad):
        try:
            key = _key(listed, row)
            of = split if listed.split_column is None else str(row.get(listed.split_column))
        except UserError as error:
            bad(error)
            continue
        cells = row.cells
        line = (
            json.dumps(cells, ensure_ascii=False)
            if names is None
            else "\t".join(str(cells[name]) for name in names)
        )
        yield key, of, line


def _key(listed: Listed, row: Row) -> str:
    """Return the key by which a row is split: its file, and where it starts in it."""
    start = row.cells.get(listed.times.get("start_column", ""), "")
    return f"{row.get(listed.source)}{start}"


def _files(listed: Listed, folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield the recordings or images of a folder with their texts."""
    if listed.kind == "picture":
        yield from ((Path(str(picture.path)), texts) for picture, texts in folder_pictures(folder))
        return
    for pair in read_pairs(data_of(replace(listed, splits={"train": folder})), "train"):
        path = Path.cwd() / pair.source.paths[0]  # it is relative to the current folder
        yield folder / path.relative_to(folder.resolve()), pair.references


def _header(listed: Listed) -> str | None:
    """Return the header of a tab-separated manifest; None for others, which are written as JSON."""
    train = listed.splits["train"]
    if train.is_dir() or listed.rewrite is not None or listed.form.quoted:
        return None
    if listed.form.separator != "\t" or is_json(train, listed.form.encoding):
        return None
    return "\t".join(next(read_cells(train, listed.form))[1])
