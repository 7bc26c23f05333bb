"""Checks of lengths before the first step: tables of learned positions, and the warm-up."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Int64

from kochi import config
from kochi.data.left_out import bad_rows
from kochi.data.pair import Pair, Split
from kochi.errors import UserError
from kochi.inputs import Input, PictureInput, TokenInput
from kochi.modalities import modality_of
from kochi.modalities.pairs import read_pairs, rows_of, split_files
from kochi.models.build import build_model
from kochi.training.examples import shown

if TYPE_CHECKING:
    from kochi.training.evaluation import Evaluator
    from kochi.training.prepare import Prepared

LONGEST_NAME = 40  # characters of a source in a message


@dataclass(frozen=True)
class Table:
    """A table of learned positions, which limits the length of a sequence.

    Attributes:
        key: Its key in the run file.
        size: Number of positions.
    """

    key: str
    size: int


@dataclass(frozen=True)
class Lengths:
    """Lengths of the rows of a split.

    Attributes:
        source: In the reader's unit: tokens without the end mark, frames or samples.
        target: Tokens, without the end mark.
    """

    source: Int64[np.ndarray, " rows"]
    target: Int64[np.ndarray, " rows"]


def source_table(run: config.Run) -> Table | None:
    """Return the encoder's table of positions; None if it accepts any length.

    >>> data = {"kind": "tsv", "train": "a.tsv"}
    >>> model = {"kind": "transformer", "positions": "learned", "max_positions": 32}
    >>> source_table(config.check_run({"data": data, "model": model}, "run.toml"))
    Table(key='model.max_positions', size=32)
    """
    if isinstance(modality_of(run.data).like(), PictureInput):
        return None
    encoder = run.model.encoder
    if encoder is None:
        return target_table(run)  # which the encoder then inherits
    if encoder.option("positions") != "learned":
        return None
    return Table("model.encoder.max_positions", encoder.option("max_positions"))


def target_table(run: config.Run) -> Table | None:
    """Return the decoder's table of positions; None if it accepts any length."""
    if isinstance(run.model, config.TransformerModel) and run.model.positions == "learned":
        return Table("model.max_positions", run.model.max_positions)
    return None


def check_lengths(
    run: config.Run,
    prepared: "Prepared",
    evaluator: "Evaluator | None",
    say: Callable[[str], object],
) -> None:
    """Compare the rows of every split, and the longest output of search, with the model's tables.

    The test data, which training does not need, are read as well; if that fails, it is reported.

    Args:
        run: The run.
        prepared: Its readers and training data.
        evaluator: Its dev data, if there are any.
        say: Called with a line about rows that are longer than the limit for training.

    Raises:
        UserError: A table is too small; the message names split, row, length and limit.
    """
    check = _Check(run, prepared)
    corpus = prepared.corpus
    splits: dict[Split, Lengths] = {
        "train": Lengths(_array(corpus.source_lengths), _array(corpus.target_lengths))
    }
    if evaluator is not None:
        splits["dev"] = _measure(evaluator.sources, evaluator.targets)
    if run.data.test is not None and (check.limited or not modality_of(run.data).in_files):
        try:
            splits["test"] = check.read("test")
        except UserError as error:
            say(f"note: the lengths of the test data are not checked: {error}")
    check.tables(splits)
    say_what_is_kept(run, prepared, splits, say)
    if (rows := _rows_without_state(run)) is not None:
        say(rows)


def say_what_is_kept(
    run: config.Run,
    prepared: "Prepared",
    splits: dict[Split, Lengths],
    say: Callable[[str], object],
) -> None:
    """Report how many dev and test rows are longer than the limit for training."""
    longest = prepared.source.longest or run.data.max_length
    found = []
    for split, one in splits.items():
        long = (one.source > longest) | (one.target > run.data.max_length)
        if split != "train" and long.any():
            found.append(f"{long.sum():,} of {len(long):,} {split} sources")
    if found:
        say(f"{' and '.join(found)} are longer than {modality_of(run.data).bounds}: they are kept")


def warmup_warning(training: config.Training, total_steps: int, epoch_steps: int) -> str | None:
    """Return a warning if the learning rate may never reach its peak, else None.

    >>> slow = {"kind": "cosine", "warmup_steps": 100}
    >>> print(warmup_warning(config.Training.model_validate({"schedule": slow}), 40, 4))
    warning: the warm-up (training.schedule.warmup_steps = 100) is longer than the training (40 \
steps): the learning rate ends at 40 % of training.learning_rate; set warmup_steps = 4, or train \
for longer
    """
    warmup = training.schedule.build().warmup_steps
    name = f"training.schedule.warmup_steps = {warmup:,}"
    if warmup > total_steps:
        return (
            f"warning: the warm-up ({name}) is longer than the training ({total_steps:,} steps): "
            f"the learning rate ends at {total_steps / warmup:.0%} of training.learning_rate; set "
            f"warmup_steps = {total_steps // 10}, or train for longer"
        ).replace("%", " %")
    if training.patience is None:
        return None
    every = training.evaluate_every or epoch_steps
    stop = (1 + training.patience) * every
    if warmup < stop:
        return None
    return (
        f"warning: the warm-up ({name}) may not be over when the training stops early: "
        f"training.patience = {training.patience} can end it at step {stop:,} (an evaluation every "
        f"{every:,} steps); set warmup_steps = {stop // 10}, or raise patience"
    )


class _Check:
    """Compares lengths with tables of positions.

    Args:
        run: The run.
        prepared: Its readers.
    """

    def __init__(self, run: config.Run, prepared: "Prepared") -> None:
        self.run, self.prepared = run, prepared
        self.source_table, self.target_table = source_table(run), target_table(run)
        self.limited = self.source_table is not None or self.target_table is not None

    def read(self, split: Split) -> Lengths:
        """Return the lengths of the rows of a split, read in chunks."""
        parts = [
            _measure(*both)
            for _, *both in self._encoded(read_pairs(self.run.data, split, bad_rows(self.run.data)))
        ]
        sides = ([getattr(part, side) for part in parts] for side in ("source", "target"))
        return Lengths(*map(np.concatenate, sides))

    def _encoded(self, pairs: Iterator[Pair]) -> Iterator[tuple[list[Pair], Any, Any]]:
        source, target = self.prepared.source, self.prepared.target
        while chunk := list(islice(pairs, source.chunk_rows)):
            texts = [pair.references[0] for pair in chunk]
            yield chunk, source.encode_batch([p.source for p in chunk]), target.encode_batch(texts)

    def tables(self, splits: dict[Split, Lengths]) -> None:
        """Raise UserError for the longest row that does not fit into a table."""
        if not self.limited:
            return
        needs = [need for split, lengths in splits.items() for need in self._needs(split, lengths)]
        searched: list[Split] = [split for split in splits if split != "train"] or ["train"]
        for split in searched:
            needs += self._search_needs(split, splits[split])
        for need in needs:
            if need.length > need.table.size:
                same = [other.length for other in needs if other.table.key == need.table.key]
                raise UserError(self._message(need, max(same)))

    def _needs(self, split: Split, lengths: Lengths) -> "Iterator[_Need]":
        if self.target_table is not None:
            size = int(lengths.target.max())
            yield _Need(split, "target", size, size + 1, self.target_table)
        if self.source_table is not None:
            size = int(lengths.source.max())
            length = self._positions(size, slowest=split == "train")
            yield _Need(split, "source", size, length, self.source_table)

    def _search_needs(self, split: Split, lengths: Lengths) -> "Iterator[_Need]":
        if self.target_table is not None:
            size = int(lengths.source.max())
            memory = self._positions(size)
            yield _Need(split, "search", size, self._limit(memory), self.target_table, memory)

    def _limit(self, memory: int) -> int:
        """Return the maximum number of tokens of search; see `kochi.decoding.length_limits`."""
        options = self.run.search
        return math.floor(memory * options.max_length_ratio) + options.max_length_extra

    def _positions(self, length: int, slowest: bool = False) -> int:
        """Return the number of memory positions of a source of this length.

        Args:
            length: In the reader's unit.
            slowest: Whether audio is as slow as augmentation makes it.
        """
        positions = int(self.prepared.source.positions(length))
        if isinstance(self._given, TokenInput):
            return positions
        augmentation = self.run.training.augmentation
        if slowest and augmentation is not None and augmentation.speeds:
            positions = math.ceil(positions / min(1.0, *augmentation.speeds))
        if isinstance(self._given, PictureInput):
            return math.prod(self._encoder.layout.shape(self._given.height, self._given.width))
        return int(self._encoder.memory_lengths(torch.tensor(positions)))

    @cached_property
    def _given(self) -> Input:
        return self.prepared.source.inputs

    @cached_property
    def _encoder(self) -> Any:
        return _encoder(self.run.model, self._given)

    def _message(self, need: "_Need", most: int) -> str:
        where, table = self._where(need), need.table
        holds = f"{table.key} = {table.size:,}; set {table.key} = {most:,}"
        if need.side == "search":
            search = self.run.search
            rest = table.size - (need.length - search.max_length_extra)
            lower = f"search.max_length_extra = {rest}" if rest > 0 else "lower the search's limits"
            return (
                f"{where}: search may write {need.length:,} tokens (search.max_length_ratio = "
                f"{search.max_length_ratio:g} times the source's {need.memory:,} positions + "
                f"search.max_length_extra = {search.max_length_extra}), but {holds}, or {lower}"
            )
        text = need.side == "target" or isinstance(self._given, TokenInput)
        what = f"{need.length:,} {'tokens with its end mark' if text else 'positions'}"
        leave = ""
        if need.split == "train":
            leave = f", or leave such rows out (data.max_length = {table.size - 1})"
            if not text:
                leave = ", or leave such rows out (data.max_seconds)"
        return f"{where}: the {need.side} has {what}, but {holds}{leave}"

    def _where(self, need: "_Need") -> str:
        """Name split, row and source; reads the data again up to that row."""
        data, source_reader = self.run.data, self.prepared.source
        longest = source_reader.longest or data.max_length
        numbers: list[int] = []
        position = 0
        for pairs, sources, targets in self._encoded(self._rows(need.split, numbers)):
            for pair, source, target in zip(pairs, sources, targets, strict=True):
                number, position = numbers[position], position + 1
                if need.split == "train" and (
                    len(source) > longest or len(target) > data.max_length
                ):
                    continue
                if len(target if need.side == "target" else source) == need.size:
                    name = source_reader.describe(pair.source)
                    if pair.where and name.startswith(pair.where):
                        return f"{need.split} data: {name}"
                    row = pair.where or f"{self._name(need.split)}, row {number:,}"
                    return f"{need.split} data: {row} ({shown(name, LONGEST_NAME)})"
        return f"{need.split} data"  # changed since they were measured

    def _rows(self, split: Split, numbers: list[int]) -> Iterator[Pair]:
        """Yield the rows in the order of the lengths; append their numbers, from 1."""
        for number, row in enumerate(rows_of(self.run.data, split, bad_rows(self.run.data)), 1):
            for text in row.references if split == "train" else row.references[:1]:
                numbers.append(number)
                yield Pair(row.source, (text,), row.where)

    def _name(self, split: Split) -> str:
        files = split_files(self.run.data, split)
        return str(files[0]) if files else "the data set"


@dataclass(frozen=True)
class _Need:
    """The positions that the longest row of a split requires.

    Attributes:
        split: The split.
        side: "source", "target", or "search" for the longest output of search.
        size: Length of the row's source, or target, in the reader's unit.
        length: Required number of positions.
        table: The table.
        memory: For "search", number of memory positions of the source.
    """

    split: Split
    side: str
    size: int
    length: int
    table: Table
    memory: int = 0


def _rows_without_state(run: config.Run) -> str | None:
    """Return a note if images have more rows than the encoder has initial states."""
    given = modality_of(run.data).like()
    if not isinstance(given, PictureInput):
        return None
    encoder = run.model.encoder
    most = None if encoder is None else encoder.option("max_rows")
    if most is None:
        return None
    rows, _ = _encoder(run.model, given).layout.shape(given.height, given.width)
    if rows <= most:
        return None
    return (
        f"note: images have up to {rows} rows of cells, but model.encoder.max_rows = {most}: "
        f"the lower ones share one initial state; set max_rows = {rows}"
    )


def _encoder(model: config.Model, given: Input) -> Any:
    """Build an encoder on the meta device, for its lengths."""
    with torch.device("meta"):
        return build_model(model, given, target_vocabulary=8).encoder


def _measure(sources: Sequence[Any], targets: Sequence[Any]) -> Lengths:
    return Lengths(_array([len(row) for row in sources]), _array([len(row) for row in targets]))


def _array(lengths: Any) -> Int64[np.ndarray, " rows"]:
    return np.asarray(lengths, np.int64)
