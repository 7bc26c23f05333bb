"""Batches of pairs with similar lengths and about the same number of tokens.

The order is a pure function of seed and epoch, so that a run can resume in the middle of an epoch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int32, Int64, Integer
from torch import Tensor

from kochi.data.corpus import Corpus
from kochi.data.padding import pad_tokens
from kochi.data.readers.base import Mask, Padded, Reader, Row
from kochi.data.tokenizer import collate_tokens, flatten
from kochi.errors import UserError
from kochi.special_tokens import BOS, PAD

AUGMENTATION = 2  # which use of the seed: draws of a batch are of (seed, epoch, 2, batch, rank)


@dataclass(frozen=True)
class Batch:
    """Padded pairs, as a model reads and predicts them.

    Attributes:
        source: Source tokens, each row ended by ``EOS``, padded by ``PAD``; or frames or pixels,
            padded by 0.
        source_mask: True at the tokens, ``EOS`` included, at the frames or at the pixels.
        inputs: Inputs of the decoder: ``BOS``, then the target.
        outputs: Expected outputs: the target, then ``EOS``.
        output_mask: True at the outputs that count.
        num_tokens: Number of outputs that count in this batch.
        global_num_tokens: The same over the batches of all processes at this step.
    """

    source: Padded
    source_mask: Mask
    inputs: Int64[Tensor, "batch target"]
    outputs: Int64[Tensor, "batch target"]
    output_mask: Bool[Tensor, "batch target"]
    num_tokens: int
    global_num_tokens: int

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """Copy the tensors to a device."""
        moved = {
            name: value.to(device, non_blocking=non_blocking)
            for name, value in vars(self).items()
            if torch.is_tensor(value)
        }
        return replace(self, **moved)


def batch_sources(
    sources: Sequence[Sequence[int]],
) -> tuple[Int64[Tensor, "batch source"], Bool[Tensor, "batch source"]]:
    """Append ``EOS`` to each source and pad.

    Returns:
        The tokens, and a mask that is True at tokens.

    Example:
        >>> tokens, mask = batch_sources([[7, 8], [9]])
        >>> tokens.tolist()
        [[7, 8, 3], [9, 3, 0]]
    """
    return collate_tokens(*flatten(sources))


def batch_pairs(
    sources: Sequence[Row],
    targets: Sequence[Sequence[int]],
    reader: Reader[Any] | None = None,
) -> Batch:
    """Pad pairs of sources and targets to one batch.

    Args:
        sources: Encoded sources.
        targets: Rows of tokens, one per source.
        reader: The reader that encoded the sources; None means tokens.

    Raises:
        ValueError: The numbers of sources and targets differ.
    """
    if len(sources) != len(targets):
        raise ValueError(f"targets: found {len(targets)}, expected {len(sources)}")
    source = batch_sources(sources) if reader is None else reader.batch(sources)
    return _collate(*source, *flatten(targets))


class TokenBatches:
    """Iterate over a corpus in batches of similar lengths, in a shuffled order.

    Rows are sorted by target length, then source length (up and down in turn, so that neighbours
    stay similar), with random ties, and cut into batches of at most ``batch_tokens``: rows times
    the longer padded side, end token included. A row that is longer still is a batch of its own.
    The order of the batches is random. Batches hold the same lengths in every epoch, so that their
    number does not change. Rows of frames or pixels are sorted by source length first, since there
    are many more of them than tokens; ``batch_tokens`` then bounds rows times frames, or times
    squares of pixels.

    Iterating yields the rest of the current epoch, or, if it is finished, the next epoch.

    With several processes, each gets the rows ``rank::world`` of every batch. If a batch has fewer
    rows than there are processes, the others get its first row with no output that counts
    (``num_tokens`` 0). Divide the sum of losses by ``global_num_tokens``: such a row then adds
    nothing to loss or gradient.

    Args:
        corpus: The pairs.
        batch_tokens: Limit on rows times the longer padded side, over all processes.
        seed: Random seed of the order, together with the epoch.
        rank: Rank of this process, from 0.
        world: Number of processes.
        shuffle: If false, use the sorted order in every epoch.
        reader: Collates the corpus's sources; None means that they are tokens. Its random numbers
            are a function of seed, epoch, batch number and rank.

    Raises:
        ValueError: ``batch_tokens`` or ``world`` is not positive, or ``rank`` is not below it.
    """

    def __init__(
        self,
        corpus: Corpus,
        batch_tokens: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        shuffle: bool = True,
        reader: Reader[Any] | None = None,
    ):
        if batch_tokens < 1:
            raise ValueError(f"batch_tokens: {batch_tokens}, expected at least 1")
        if not 0 <= rank < world:
            raise ValueError(f"rank: {rank}, expected 0 to world - 1 = {world - 1}")
        self.corpus = corpus
        self.batch_tokens = batch_tokens
        self.seed = seed
        self.rank = rank
        self.world = world
        self.shuffle = shuffle
        self.reader = reader
        self._epoch = 0
        self._next = 0
        self._order_epoch = -1
        self._starts = _cut(self._widths(self._sort()), batch_tokens)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return len(self._starts) - 1

    @property
    def epoch(self) -> int:
        """The current epoch, from 0."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch; do nothing if it is the current one."""
        if epoch != self._epoch:
            self._epoch, self._next = epoch, 0

    def state_dict(self) -> dict[str, int]:
        """Return the position as numbers; the next batch is the first that was not yielded yet."""
        return {"epoch": self._epoch, "next_batch": self._next, **self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the position of ``state``.

        Raises:
            UserError: Seed, batches or corpus differ from those of the state.
        """
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise UserError(
                    f"the checkpoint was written with {name} = {state.get(name)}, found {value}; "
                    "resume with the same data, seed and training.batch_tokens"
                )
        self._epoch, self._next = int(state["epoch"]), int(state["next_batch"])

    def __iter__(self) -> Iterator[Batch]:
        if self._next >= len(self):
            self.set_epoch(self._epoch + 1)
        self._prepare_epoch()
        while self._next < len(self):
            batch = self._batch(int(self._sequence[self._next]))
            self._next += 1
            yield batch

    def _identity(self) -> dict[str, int]:
        return {"seed": self.seed, "batches": len(self), "rows": len(self.corpus)}

    def _prepare_epoch(self) -> None:
        if self._order_epoch == self._epoch:
            return
        generator = np.random.default_rng([self.seed, self._epoch])
        self._order = self._sort(generator if self.shuffle else None)
        self._sequence = np.arange(len(self), dtype=np.int32)
        if self.shuffle:
            generator.shuffle(self._sequence)
        self._order_epoch = self._epoch

    def _sort(self, generator: np.random.Generator | None = None) -> Int32[np.ndarray, " rows"]:
        order = np.arange(len(self.corpus), dtype=np.int32)
        if generator is not None:
            generator.shuffle(order)
        major = _narrow(self.corpus.target_lengths)
        minor = _narrow(self._source_positions())
        if not self.of_tokens:
            major, minor = minor, major
        minor = np.where(major % 2 == 0, minor, minor.max() - minor)
        for lengths in (minor, major):
            order = order[np.argsort(lengths[order], kind="stable")]
        return order

    def _widths(self, order: Int32[np.ndarray, " rows"]) -> Int32[np.ndarray, " rows"]:
        target = self.corpus.target_lengths + np.int32(1)
        return np.maximum(self._source_positions(), target)[order]

    def _source_positions(self) -> Int32[np.ndarray, " rows"]:
        lengths = self.corpus.source_lengths
        return lengths + np.int32(1) if self.reader is None else self.reader.positions(lengths)

    @property
    def of_tokens(self) -> bool:
        """Whether sources are tokens, which only need padding."""
        return self.reader is None or self.reader.unit == "tokens"

    def _batch(self, number: int) -> Batch:
        rows = self._order[self._starts[number] : self._starts[number + 1]]
        global_num_tokens = int(self.corpus.target_lengths[rows].sum()) + len(rows)
        own = rows[self.rank :: self.world]
        idle = not len(own)
        own = rows[:1] if idle else own
        corpus = self.corpus
        source = corpus.gather(0, own), corpus.source_lengths[own]
        if self.reader is None:
            source = collate_tokens(*source)
        else:
            source = self.reader.collate(*source, self._draws(number))
        return _collate(
            *source,
            corpus.gather(1, own),
            corpus.target_lengths[own],
            global_num_tokens=global_num_tokens,
            idle=idle,
        )

    def _draws(self, number: int) -> np.random.Generator | None:
        if self.reader is None or not self.reader.draws:
            return None
        return np.random.default_rng([self.seed, self._epoch, AUGMENTATION, number, self.rank])


class EvaluationBatches:
    """Pairs in batches of similar lengths, longest first, each row once.

    Iterating yields row numbers (indices into ``sources``) and their batch.

    Args:
        sources: Encoded sources; token ids are without begin and end.
        targets: Rows of tokens, one per source.
        batch_tokens: Limit on rows times the longer padded side; a longer row is its own batch.
        reader: The reader that encoded the sources; None means tokens.

    Raises:
        ValueError: ``batch_tokens`` is not positive, or the numbers of sources and targets differ.
    """

    def __init__(
        self,
        sources: Sequence[Row],
        targets: Sequence[Sequence[int]],
        batch_tokens: int = 4096,
        reader: Reader[Any] | None = None,
    ):
        if len(targets) != len(sources):
            raise ValueError(
                f"targets: found {len(targets)}, expected {len(sources)}, one for each source"
            )
        if batch_tokens < 1:
            raise ValueError(f"batch_tokens: {batch_tokens}, expected at least 1")
        self._sources = sources
        self._targets = targets
        self._reader = reader
        ends = [len(row) + 1 for row in sources]
        if reader is not None:
            ends = [reader.positions(len(row)) for row in sources]
        pairs = zip(ends, targets, strict=True)
        widths = [max(end, len(target) + 1) for end, target in pairs]
        self._rows = _longest_first(widths, batch_tokens)

    def __len__(self) -> int:
        """Number of batches."""
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[list[int], Batch]]:
        for rows in self._rows:
            sources = [self._sources[row] for row in rows]
            yield rows, batch_pairs(sources, [self._targets[row] for row in rows], self._reader)


def _longest_first(widths: list[int], batch_tokens: int) -> list[list[int]]:
    """Split row numbers, sorted by decreasing length, into batches."""
    batches: list[list[int]] = []
    room = 0
    for row in sorted(range(len(widths)), key=lambda row: -widths[row]):
        if not room:
            room = max(1, batch_tokens // widths[row])
            batches.append([])
        batches[-1].append(row)
        room -= 1
    return batches


# ------------------------------------------------------------------------------ cutting, collating


def _narrow(lengths: Int32[np.ndarray, " rows"]) -> Integer[np.ndarray, " rows"]:
    """Use 16 bits if they suffice: numpy then sorts in linear time."""
    return lengths.astype(np.uint16) if lengths.max() < 1 << 16 else lengths


def _cut(widths: Int32[np.ndarray, " rows"], batch_tokens: int) -> Int64[np.ndarray, " starts"]:
    """Split rows greedily where rows times the maximum width would exceed the limit."""
    starts = [0]
    while (start := starts[-1]) < len(widths):
        window = widths[start : start + max(1, batch_tokens // int(widths[start]))]
        widest = np.maximum.accumulate(window, dtype=np.int64)
        fits = np.arange(1, len(window) + 1) * widest <= batch_tokens
        starts.append(start + max(1, int(fits.sum())))  # rows * widest only grows
    return np.array(starts, np.int64)


def _collate(
    source: Padded,
    source_mask: Mask,
    target: Int64[np.ndarray, " target_tokens"],
    target_lengths: Integer[np.ndarray, " batch"],
    global_num_tokens: int | None = None,
    idle: bool = False,
) -> Batch:
    """Combine a padded source and concatenated target tokens into a batch.

    ``idle`` means that no output counts.
    """
    outputs, output_mask = pad_tokens(target, target_lengths)
    inputs = np.full_like(outputs, PAD)
    inputs[:, 0] = BOS
    inputs[:, 1:] = np.where(output_mask[:, 1:], outputs[:, :-1], PAD)
    if idle:
        output_mask[:] = False
    num_tokens = int(output_mask.sum())
    return Batch(
        source=source,
        source_mask=source_mask,
        inputs=torch.from_numpy(inputs),
        outputs=torch.from_numpy(outputs),
        output_mask=torch.from_numpy(output_mask),
        num_tokens=num_tokens,
        global_num_tokens=num_tokens if global_num_tokens is None else global_num_tokens,
    )
