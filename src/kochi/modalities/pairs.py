"""Pairs of a run's data, streamed. Every error is a `UserError` that names its position."""

from collections.abc import Hashable, Iterator
from pathlib import Path

from kochi.data.left_out import Bad, nothing_left, refuse
from kochi.data.pair import Pair, Split
from kochi.errors import UserError
from kochi.modalities import modality_of
from kochi.modalities.tables import BaseData


def read_pairs(data: BaseData, split: Split, bad: Bad = refuse) -> Iterator[Pair]:
    """Stream the pairs of a split in the order of the file.

    In training data every reference makes a pair of its own. In dev and test data a pair holds all
    references of a row, and with ``data.group_references`` also those of other rows with the same
    source: the same text after normalization, or the same file (array, part of a recording). The
    pair is at the position of the first of these rows.

    Args:
        data: The data table of a run.
        split: The split to read.
        bad: Called with the error of an invalid row; by default it is raised. A
            `kochi.data.left_out.LeftOut` counts such rows, which are then left out.

    Raises:
        UserError: While streaming, at the first error in the input.
    """
    pairs = rows_of(data, split, bad)
    if split == "train":
        return (
            pair if len(pair.references) == 1 else Pair(pair.source, (reference,), pair.where)
            for pair in pairs
            for reference in pair.references
        )
    return _group(pairs, data) if data.group_references else pairs


def rows_of(data: BaseData, split: Split, bad: Bad = refuse) -> Iterator[Pair]:
    """Stream the rows of a split ungrouped, each with all its references.

    Raises:
        UserError: As in `read_pairs`.
    """
    _check_split(data, split)
    modality = modality_of(data)
    empty = True
    for pair in modality.pairs(split, bad):
        empty = False
        yield pair
    if empty:
        name = modality.split_name(split)
        raise nothing_left(bad, f"{name}: holds no pairs; expected at least one")


def split_files(data: BaseData, split: Split) -> list[Path]:
    """Return the local files of a split (none for a data set read by its name).

    Raises:
        UserError: The data have no such split.
    """
    _check_split(data, split)
    return modality_of(data).files(split)


def _check_split(data: BaseData, split: Split) -> None:
    if getattr(data, split) is None:
        raise UserError(f"data.{split} is not set; name the {split} data in the run file")


def _group(pairs: Iterator[Pair], data: BaseData) -> Iterator[Pair]:
    rows: dict[Hashable, list[Pair]] = {}
    identity = modality_of(data).identity
    for pair in pairs:
        rows.setdefault(identity(pair.source), []).append(pair)
    return map(_merge, rows.values())


def _merge(rows: list[Pair]) -> Pair:
    """Merge rows with the same source into one pair, with the boxes of the first reference."""
    if len(rows) == 1:
        return rows[0]
    first = next((row for row in rows if row.boxes), rows[0])
    texts = dict.fromkeys(text for row in [first, *rows] for text in row.references)
    return Pair(rows[0].source, tuple(texts), rows[0].where, first.boxes, tuple(rows))
