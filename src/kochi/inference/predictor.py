"""A trained model that answers: `kochi.load(folder).predict([...])`."""

import math
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.ahead import run_ahead
from kochi.config import Run, TransformerModel
from kochi.data.padding import BOS, EOS, UNK
from kochi.data.readers.base import Reader, Unreadable
from kochi.data.readers.taking import found as name_found
from kochi.data.tokenizer import Tokenizer
from kochi.decoding import Hypothesis, NotFiniteError, length_limits, sentence_seeds
from kochi.errors import UserError
from kochi.folder import load_folder
from kochi.inference.parallel import in_parallel, num_workers, settle_threads, share_size
from kochi.inference.processes import Processes
from kochi.inference.strategies import BeamSearch, DecodingStrategy, ForcedDecoding, Sampling, Task
from kochi.inference.unknown_words import Copier, Unknown
from kochi.memory import Frames, Grid, Layout, Memory, Words
from kochi.modalities import Modality, modality_of
from kochi.modalities.attended import Attended
from kochi.models.seq2seq import Seq2Seq
from kochi.timestamps import Timed, time_answer
from kochi.word_alignment import merge_words

READ_AHEAD = 16  # batches that are sorted by length together
HOPELESS = 100  # times as many tokens as are answered: they are not even counted
LONGER = 4  # times as long as the longest source of the training data: still answered by default
WORDS = Words()
NOT_FINITE = (
    "the model's scores are not finite: a number there is far from those of training, or the "
    "weights are damaged"
)
Errors = Literal["raise", "skip"]


class Found(NamedTuple):
    """What is found for one source.

    Attributes:
        hypotheses: Best first; none where the model's scores are not finite.
        heads: The best one's alignment of every layer and head that were asked for, or None.
        layout: What the alignment's columns are.
        origins: The alignment of every hypothesis, where there is something unknown.
    """

    hypotheses: list[Hypothesis]
    heads: Float[Tensor, "layers heads target source"] | None
    layout: Layout
    origins: "Sequence[Float[Tensor, 'target source'] | None]" = ()


class SourceError(ValueError):
    """Say which source cannot be answered, and why.

    Attributes:
        place: Its place among the sources, from 0.
        reason: What was found and what was expected.
        blank: Whether it is a blank text.
    """

    def __init__(self, place: int, reason: str, blank: bool = False) -> None:
        super().__init__(f"sources[{place}]: {reason}")
        self.place = place
        self.reason = reason
        self.blank = blank


class _Read(NamedTuple):
    """A source as its reader takes it, and its row, or the `SourceError` that says why not."""

    source: Any
    row: Any


class _Asked(NamedTuple):
    """How sources are to be answered; see `Predictor.predict`."""

    need_alignment: bool = False
    need_heads: bool = False
    batch_size: int | None = None
    errors: Errors = "raise"
    unknown: Unknown = "drop"
    max_source_length: int | None = None
    n_best: int | None = None  # None: all that are found, the same text twice too


class TargetError(ValueError):
    """Say which of the given targets cannot be written, and why.

    Attributes:
        place: Its place among the targets, from 0.
        reason: What was found and what was expected.
    """

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(f"targets[{place}]: {reason}")
        self.place = place
        self.reason = reason


@dataclass(frozen=True)
class Answer:
    """One of the answers to a source.

    Attributes:
        text: The answer; see ``search.unknown`` of the run file for what stands for unknown words.
        score: What answers compete by, larger is better: the log-probability in nats over
            length ** length_penalty.
        log_probability: Nats, of the whole answer, its end included.
        tokens: The answer as the model wrote it.
        finished: False where the answer was cut off at its maximum length.
    """

    text: str
    score: float
    log_probability: float
    tokens: tuple[str, ...]
    finished: bool


@dataclass(frozen=True)
class Prediction:
    """What a model says to one source.

    Attributes:
        source: The text that was asked, or the name of the recording or array.
        text: The best answer; empty where there is none.
        score: Its score, see `Answer`.
        tokens: Its tokens.
        source_tokens: What the model read; the last one is the end mark. Frames have no names:
            then it is empty.
        n_best: The best answers, best first and no text twice (or all drawn ones, in the order
            drawn); the first one is the answer.
        alignment: Row i says how much each source token was looked at when ``tokens[i]`` was
            written (by the last layer, on average over its heads); a row sums to 1. None if it was
            not asked for, or the model has no attention.
        unknown: Characters (or words, where the model reads words) never seen in training.
        layout: What the alignment's columns are: tokens, places in time, or cells of a picture.
        grid: Rows and columns of the cells, row after row in the alignment; None for all else.
        times: When each of ``tokens`` was said, where the model hears and an alignment was asked
            for; see `kochi.timestamps`.
        words: The same for the words of ``text``.
        pieces: What each of ``tokens`` adds to the text, with its spaces.
        heads: As ``alignment``, for every layer that looks and each of its heads, where that was
            asked for.
        length: Of the source, as its reader counts: tokens without the end mark, samples, frames,
            or bytes of a picture.
        error: Why the source was not answered, where errors are skipped; None where it was.
    """

    source: str
    text: str
    score: float
    tokens: tuple[str, ...]
    source_tokens: tuple[str, ...]
    n_best: tuple[Answer, ...]
    alignment: Float[Tensor, "target source"] | None
    unknown: tuple[str, ...]
    layout: Layout = WORDS
    grid: tuple[int, int] | None = None
    times: tuple[Timed, ...] | None = None
    words: tuple[Timed, ...] | None = None
    pieces: tuple[str, ...] = ()
    heads: Float[Tensor, "layers heads target source"] | None = None
    length: int = 0
    error: str | None = None


class Predictor:
    """A trained model with its readers and its ways of searching.

    Args:
        model: The network; it is set to evaluation.
        source: Reads the sources: cuts text, or turns sound, features or pictures into numbers.
        target: Joins the answers.
        run: The run file that the model came from; its search table gives the defaults.
        metrics: What was measured when the training ended.
        device: Where the model computes.
        processes: Compute batches in place of this process, where there are several; see `load`.
    """

    def __init__(
        self,
        model: Seq2Seq,
        source: Reader[Any],
        target: Tokenizer,
        run: Run,
        metrics: dict[str, Any],
        device: torch.device,
        processes: "Processes[Task, list[Found]] | None" = None,
    ) -> None:
        self.model = model.to(device).eval()
        self.source = source
        self.target = target
        self.run = run
        self.metrics = metrics
        self.device = device
        self.processes = processes

    def close(self) -> None:
        """End the processes, if there are any; without them nothing is lost but speed."""
        if self.processes is not None:
            self.processes.close()
            self.processes = None

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def predict(
        self,
        sources: Any,
        beam: int | None = None,
        n_best: int = 1,
        need_alignment: bool = False,
        batch_size: int | None = None,
        length_penalty: float | None = None,
        need_heads: bool = False,
        errors: Errors = "raise",
        unknown: Unknown | None = None,
        max_source_length: int | None = None,
    ) -> list[Prediction]:
        """Answer each source.

        In float32 the answers do not depend on the batch size, on each other or on the number of
        threads, except for the rounding of the last digits of their scores; for bfloat16 see
        `load`.

        Args:
            sources: What the model reads, one or several (an iterable). Texts; for a model of sound
                recordings, as samples at its rate (an array or tensor of int16, or of floats from
                -1 to 1) or as files; for one of features arrays or tensors ``[frames, size]`` or
                .npy files; for one of pictures PIL images, 8-bit pixels
                ``[height, width, channels]`` (a tensor also ``[channels, height, width]``) or
                files. A file is a path, its bytes, or a binary stream; there are also
                `kochi.Recording`, `kochi.FeatureRow` and `kochi.Picture`.
            beam: Hypotheses kept for each source; 1 is greedy. Default: the run file's.
            n_best: How many answers to give for each source; at most ``beam``.
            need_alignment: Whether to give the alignment of the best answer.
            batch_size: Sources computed together. Default: the run file's.
            length_penalty: See `Answer`; 0 favours short answers. Default: the run file's.
            need_heads: Whether to give the alignment of every layer and head, too.
            errors: What to do with a source that is too long or cannot be read. "raise" raises
                `SourceError`; "skip" gives a prediction without answers that says why in
                ``error``. A blank text is such a source for "raise"; with "skip" it has an empty
                answer.
            unknown: "copy", "mark" or "drop"; see `kochi.config.Search`. Default: the run file's.
            max_source_length: The most tokens of a text that is answered. Default: the run file's;
                see `kochi.config.Search`.

        Returns:
            One prediction a source, in the order of the sources; a list of one for a single source.

        Raises:
            SourceError: A source is blank or too long, or cannot be read.
            TypeError: A source is nothing that the model takes.
            ValueError: A number is out of range, or there is no such option.
        """
        options = self.run.search
        beam = max(options.beam, n_best) if beam is None else beam
        penalty = options.length_penalty if length_penalty is None else length_penalty
        if not 1 <= n_best <= beam:
            raise ValueError(f"n_best = {n_best}; expected from 1 to the beam, {beam}")
        unknown = self._unknown(unknown)
        pool = beam if self.target.ambiguous or unknown != "drop" else n_best
        pool = pool if n_best > 1 else 1
        find = BeamSearch(beam, pool, penalty, options.ctc_weight, unknown != "drop")
        asked = _Asked(
            need_alignment, need_heads, batch_size, errors, unknown, max_source_length, n_best
        )
        return self._predict(sources, find, asked)

    def attended(self, source: Any, prediction: Prediction) -> Attended:
        """Return what was attended to while an answer was written, to be drawn.

        Args:
            source: As it was given to `predict`.
            prediction: Its answer, with its alignment.
        """
        assert prediction.alignment is not None
        return Attended(
            reader=self.source,
            source=source,
            text=prediction.text,
            tokens=prediction.tokens,
            pieces=prediction.pieces,
            alignment=prediction.alignment,
            layout=prediction.layout,
            source_tokens=prediction.source_tokens,
            words=prediction.words or (),
        )

    def align(
        self,
        sources: Any,
        targets: Iterable[str] | str,
        batch_size: int | None = None,
        need_heads: bool = False,
    ) -> list[Prediction]:
        """Write given targets, whatever the model itself would say, and see where it looks.

        Args:
            sources: As in `predict`.
            targets: What is to be written, one for each source, or a single one. A prediction's
                ``score`` is what it would have competed by, its ``tokens`` are those of the target.
            batch_size: As in `predict`.
            need_heads: As in `predict`.

        Raises:
            SourceError: As in `predict`.
            TypeError: As in `predict`.
            TargetError: A target is empty or too long.
            ValueError: There is not one target for each source.
        """
        listed = list(self.source.several(sources))
        rows = self._cut_targets([targets] if isinstance(targets, str) else list(targets))
        if len(rows) != len(listed):
            raise ValueError(f"targets: {len(rows)}, but there are {len(listed)} sources")

        find = ForcedDecoding(rows, self.run.search.length_penalty)
        asked = _Asked(True, need_heads, batch_size, max_source_length=sys.maxsize)
        return self._predict(listed, find, asked)

    def _cut_targets(self, targets: Sequence[str]) -> list[list[int]]:
        rows = self.target.encode_batch(targets) if targets else []
        limit = self.longest_source
        for place, row in enumerate(rows):
            if not row:
                raise TargetError(place, "empty; expected something to write")
            if limit is not None and len(row) + 1 > limit:
                raise TargetError(place, f"{len(row)} tokens; the model writes at most {limit - 1}")
        return rows

    def merge_words(
        self, alignment: Float[Tensor, "target source"], source: str, target: str
    ) -> Float[np.ndarray, "target_words source_words_and_none"]:
        """Turn an alignment of tokens into one of words; see `kochi.word_alignment.merge_words`.

        Args:
            alignment: Of one layer and head, or a mean.
            source: What was read.
            target: What was written, as it was given to `align`.

        Raises:
            ValueError: The model does not read text.
        """
        words = self.source.words(source)
        if not words:
            raise ValueError("source: the model does not read text, so there are no words to merge")
        return merge_words(alignment, [*words, None], self.target.words(target))

    def sample(
        self,
        sources: Any,
        num_samples: int = 1,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
        need_alignment: bool = False,
        batch_size: int | None = None,
        errors: Errors = "raise",
        unknown: Unknown | None = None,
        max_source_length: int | None = None,
    ) -> list[Prediction]:
        """Draw answers from the model's distribution.

        Args:
            sources: As in `predict`.
            num_samples: Answers to draw for each source: the prediction's ``n_best``, in the order
                drawn, so that each is a fair draw; the same text may be drawn twice.
            temperature: Below 1 bolder than the model, above 1 wilder.
            top_k: Draw from the k likeliest tokens only.
            generator: Governs what is drawn (on the CPU); the same for sources all at once or in
                pieces. Default: torch's own.
            need_alignment: As in `predict`, for the first answer drawn.
            batch_size: As in `predict`.
            errors: As in `predict`.
            unknown: As in `predict`.
            max_source_length: As in `predict`.

        Raises:
            SourceError: As in `predict`.
            TypeError: As in `predict`.
            ValueError: A number is out of range, or there is no such option.
        """
        listed = list(self.source.several(sources))
        seeds = sentence_seeds(generator, len(listed))

        penalty = self.run.search.length_penalty
        unknown = self._unknown(unknown)
        find = Sampling(seeds, num_samples, temperature, top_k, penalty, unknown != "drop")
        asked = _Asked(need_alignment, False, batch_size, errors, unknown, max_source_length)
        return self._predict(listed, find, asked)

    def predict_stream(self, sources: Any, **options: Any) -> Iterator[Prediction]:
        """Answer sources as they come, some batches at a time, in their order.

        Takes the options of `predict`; uses little memory however many sources there are. Where
        sources are not text, the next ones are read while these are answered.
        """
        ahead = READ_AHEAD * (options.get("batch_size") or self.run.search.batch_size)
        waiting = iter(self.source.several(sources))
        chunks = iter(lambda: list(islice(waiting, ahead)), [])
        place = 0
        try:
            for chunk in self._read_ahead(chunks):
                yield from self.predict(chunk, **options)
                place += len(chunk)
        except SourceError as error:
            raise SourceError(place + error.place, error.reason, error.blank) from None

    def _read_ahead(self, chunks: Iterator[list[Any]]) -> Iterator[list[Any]]:
        """Give chunks; where they are not text, read while the one before is at work."""
        if self._reads_tokens:
            yield from chunks
            return
        yield from run_ahead((partial(self._read_all, chunk, None) for chunk in chunks), count=1)

    def _predict(self, sources: Any, find: DecodingStrategy, asked: _Asked) -> list[Prediction]:
        settle_threads()
        is_read = isinstance(sources, list) and sources and isinstance(sources[0], _Read)
        listed = sources if is_read else list(self.source.several(sources))
        size = self.run.search.batch_size if asked.batch_size is None else asked.batch_size
        if size < 1:
            raise ValueError(f"batch_size = {size}; expected at least 1")
        if asked.errors not in get_args(Errors):
            raise ValueError(f"errors = {asked.errors!r}; expected 'raise' or 'skip'")
        read = listed if is_read else self._read_all(listed, asked.max_source_length)
        rows = [one.row for one in read]
        refused = {place: row for place, row in enumerate(rows) if isinstance(row, SourceError)}
        if refused and asked.errors == "raise":
            raise next(iter(refused.values()))
        lengths = [0 if place in refused else len(row) for place, row in enumerate(rows)]
        order = [place for place in range(len(read)) if place not in refused]
        order.sort(key=lambda place: -lengths[place])
        batches = self._batches(order, lengths, size)
        origins = asked.unknown != "drop"
        tasks = [
            Task(
                find.of(places),
                [rows[place] for place in places],
                asked.need_alignment,
                asked.need_heads,
                origins,
            )
            for places in batches
        ]
        answers = {place: self._unanswered(read[place].source, refused[place]) for place in refused}
        for places, batch in zip(batches, self._side_by_side(tasks), strict=True):
            for place, found in zip(places, batch, strict=True):
                source = read[place].source
                if found.hypotheses:
                    answers[place] = self._prediction(source, rows[place], found, asked)
                    continue
                name = "" if self._reads_tokens else f"{self.source.describe(source)}: "
                error = SourceError(place, name + NOT_FINITE)
                if asked.errors == "raise":
                    raise error
                answers[place] = self._unanswered(source, error)
        return [answers[place] for place in range(len(read))]

    def _batches(self, order: list[int], lengths: Sequence[int], most: int) -> list[list[int]]:
        """Cut places sorted by length, the longest first, into batches.

        A batch holds at most so many positions as ``most`` sources of the longest size in training
        have, so that a long source takes no more memory than training-sized ones.
        """
        workers = num_workers(self.device) if self.processes is None else self.processes.count
        most = share_size(len(order), most, workers)
        room = most * (self.longest_trained or self.run.data.max_length)
        if not self.longest_trained and not self._reads_tokens:
            room = None  # max_length counts tokens
        batches = list[list[int]]()
        start = 0
        while start < len(order):
            longest = max(1, lengths[order[start]])
            size = most if room is None else max(1, min(most, room // longest))
            batches.append(order[start : start + size])
            start += size
        return batches

    def _side_by_side(self, tasks: list[Task]) -> list[list[Found]]:
        if self.processes is None or len(tasks) < 2:
            return in_parallel(self.compute, tasks, self.device)
        return self.processes.map(tasks)

    def compute(self, task: Task) -> list[Found]:
        """Answer a batch with the model; what `predict`, `align` and `sample` are made of."""
        try:
            return self._compute(task)
        except NotFiniteError:  # of one source, which must not spoil the others
            if len(task.rows) == 1:
                return [Found([], None, WORDS)]
            alone = (task.of([place]) for place in range(len(task.rows)))
            return [found for one in alone for found in self.compute(one)]

    @torch.inference_mode()
    def _compute(self, task: Task) -> list[Found]:
        source, mask = self.source.batch(task.rows)
        if source.is_floating_point():
            source = source.to(self.precision)
        memory = self.model.encode(source.to(self.device), mask.to(self.device))
        found = task.find(self.model, memory, self._limits(memory))
        wanted = task.need_alignment or task.need_heads
        best = [hypotheses[0].tokens for hypotheses in found]
        heads = self._align(memory, best, task.need_heads) if wanted else [None] * len(found)
        origins = self._origins(memory, found, task)
        return [
            Found(hypotheses, row_heads, memory.layout, alignments)
            for hypotheses, row_heads, alignments in zip(found, heads, origins, strict=True)
        ]

    def _origins(
        self, memory: Memory, found: list[list[Hypothesis]], task: Task
    ) -> list[list[Float[Tensor, "target source"] | None]]:
        """Compute the alignment of every answer, if anything in the batch is unknown."""
        origins: list[list[Tensor | None]] = [[] for _ in found]
        if not task.need_origins or not (
            (self._reads_tokens and any(UNK in row for row in task.rows))
            or any(UNK in one.tokens for hypotheses in found for one in hypotheses)
        ):
            return origins
        for rank in range(max(map(len, found))):
            ranked = [one[rank].tokens if rank < len(one) else [] for one in found]
            for row, layers in enumerate(self._align(memory, ranked, need_heads=False)):
                origins[row].append(None if layers is None else layers[-1].mean(0))
        return origins

    def _grid(self, row: Any, layout: Layout) -> tuple[int, int] | None:
        extent = self.source.extent(row)
        return layout.shape(*extent) if extent and isinstance(layout, Grid) else None

    @property
    def precision(self) -> torch.dtype:
        """Return the type of number that the model computes with."""
        return next(self.model.parameters()).dtype

    def _read_all(self, sources: Sequence[Any], max_source_length: int | None) -> list[_Read]:
        """Read sources; in place of a row stands why there is none.

        Raises:
            TypeError: One is nothing that the reader takes.
        """
        taken = [self._take(place, source) for place, source in enumerate(sources)]
        good = [place for place, one in enumerate(taken) if not isinstance(one, SourceError)]
        rows = self._rows([taken[place] for place in good], max_source_length)
        read = [_Read(*pair) for pair in zip(sources, taken, strict=True)]
        for place, row in zip(good, rows, strict=True):
            found = SourceError(place, str(row)) if isinstance(row, UserError) else row
            read[place] = _Read(taken[place], found)
        return read

    def _take(self, place: int, source: Any) -> Any:
        """Return a source as its reader takes it, or why there is nothing to read."""
        if isinstance(source, Unreadable):
            return SourceError(place, source.reason)
        if isinstance(source, str) and not source.strip():
            return SourceError(place, "empty; expected something to read", blank=True)
        taken = self.source.taken(source)
        if taken is None:
            found = name_found(source)
            raise TypeError(f"sources[{place}]: found {found}; expected {self.source.takes}")
        return taken

    def _rows(self, sources: Sequence[Any], max_source_length: int | None) -> list[Any]:
        """Return the row of each source, or a `UserError`."""
        if not self._reads_tokens:
            return self.source.attempt_batch(sources) if sources else []
        limit, why = self._source_limit(max_source_length)
        # Once cut, a text takes a hundred times as much memory: one of megabytes is not.
        lengths = [self.source.least_length(text) for text in sources]
        most = HOPELESS * limit
        short = [text for text, least in zip(sources, lengths, strict=True) if least <= most]
        rows = iter(self.source.attempt_batch(short) if short else [])
        found = [next(rows) if least <= most else least for least in lengths]
        return [_too_long(row, limit, why) or row for row in found]

    def _source_limit(self, asked: int | None) -> tuple[int, str]:
        """Return how many tokens of a text are answered, and what says so."""
        limit, why = asked or self.run.search.max_source_length, "max_source_length"
        if limit is None:
            seen, usual = self.longest_trained, self.run.data.max_length
            limit = max(usual, LONGER * (seen or usual))
            why = "max_source_length raises it"
            if seen is not None:
                why = f"the longest one in training had {seen:,}; {why}"
        fixed = self.longest_source
        return (limit, why) if fixed is None or limit < fixed else (fixed - 1, "learned positions")

    @property
    def longest_trained(self) -> int | None:
        """Return the length of the longest source in training, as its reader counts.

        None where the model folder does not say: it was written by an earlier version.
        """
        return self.metrics.get("longest", {}).get("source")

    def _unknown(self, asked: Unknown | None) -> Unknown:
        unknown = asked or self.run.search.unknown
        if unknown not in get_args(Unknown):
            raise ValueError(f"unknown = {unknown!r}; expected 'copy', 'mark' or 'drop'")
        return unknown

    @property
    def longest_source(self) -> int | None:
        """Return how many tokens the model can read, the end mark included, or None: any number."""
        model = self.run.model
        if isinstance(model, TransformerModel) and model.positions == "learned":
            return model.max_positions
        return None

    def _limits(self, memory: Memory) -> Int[Tensor, " batch"]:
        options = self.run.search
        limits = length_limits(memory.mask, options.max_length_ratio, options.max_length_extra)
        return limits if self.longest_source is None else limits.clamp(max=self.longest_source)

    def _align(
        self, memory: Memory, best: list[list[int]], need_heads: bool
    ) -> list[Float[Tensor, "layers heads target source"] | None]:
        """Compute the alignments of one answer a source, without end row and padding.

        Unless every head is wanted, what is left of the layers and heads is one of each: the mean
        over the heads of the last layer.
        """
        longest = max(len(tokens) for tokens in best)
        rows = [[BOS, *tokens] + [EOS] * (longest - len(tokens)) for tokens in best]
        inputs = torch.tensor(rows, device=self.device)[:, : max(1, longest)]
        need = "every layer" if need_heads else True
        layers = self.model.decoder.write(memory, inputs, need_alignment=need).layers
        if not layers:
            return [None] * len(best)
        kept = layers if need_heads else (layers[-1].mean(1, keepdim=True),)
        lengths = memory.mask.sum(1).tolist()
        return [
            row[:, :, : len(tokens), :length].float().cpu()
            for row, tokens, length in zip(torch.stack(kept, 1), best, lengths, strict=True)
        ]

    def _unanswered(self, source: Any, error: SourceError) -> Prediction:
        """Return the prediction of a blank text, or of a source that was skipped."""
        named = isinstance(source, str | Unreadable)
        name = getattr(source, "source", source) if named else self.source.describe(source)
        blank = (Answer("", 0.0, 0.0, (), True),) if error.blank else ()
        return Prediction(
            source=str(name),
            text="",
            score=0.0 if error.blank else -math.inf,
            tokens=(),
            source_tokens=(),
            n_best=blank,
            alignment=None,
            unknown=(),
            error=None if error.blank else error.reason,
        )

    def _prediction(self, source: Any, row: Any, found: Found, asked: _Asked) -> Prediction:
        heads, layout = found.heads, found.layout
        alignment = None if heads is None else heads[-1].mean(0)
        replaced = self._replaced(source, row, found, asked.unknown)
        pairs = list(zip(found.hypotheses, replaced, strict=True))
        answers = [self._answer(*pair) for pair in pairs]
        if asked.n_best is not None:
            answers = _different(answers)[: asked.n_best]
        times = words = None
        pieces = self.target.pieces(found.hypotheses[0].tokens, replaced[0])
        if alignment is not None and isinstance(layout, Frames):
            end = self.source.seconds(len(row))
            times, words = time_answer(answers[0].tokens, pieces, alignment, layout, end)
        return Prediction(
            source=self.source.describe(source),
            text=answers[0].text,
            score=answers[0].score,
            tokens=answers[0].tokens,
            source_tokens=self.source.labels(row),
            n_best=tuple(answers),
            alignment=alignment,
            unknown=self.source.unknown(source, row),
            layout=layout,
            grid=self._grid(row, layout),
            times=times,
            words=words,
            pieces=tuple(pieces),
            heads=heads if asked.need_heads else None,
            length=len(row),
        )

    def _replaced(
        self, source: Any, row: Any, found: Found, unknown: Unknown
    ) -> list[dict[int, str]]:
        """Say for each hypothesis which of its tokens are replaced, and by what."""
        if not found.origins:
            return [{} for _ in found.hypotheses]
        copier = Copier(unknown, self.target, self.source, source, row)
        pairs = zip(found.hypotheses, found.origins, strict=True)
        return [copier.replace(one.tokens, alignment) for one, alignment in pairs]

    def _answer(self, hypothesis: Hypothesis, replaced: dict[int, str]) -> Answer:
        return Answer(
            text=self.target.join(hypothesis.tokens, replaced),
            score=hypothesis.score,
            log_probability=hypothesis.log_probability,
            tokens=tuple(self.target.tokens(hypothesis.tokens)),
            finished=hypothesis.finished,
        )

    @property
    def source_parts(self) -> str:
        """Say what ``Prediction.unknown`` holds: "characters" or "words"."""
        return self.source.parts

    @cached_property
    def modality(self) -> Modality[Any]:
        """The modality of the sources."""
        return modality_of(self.run.data)

    @property
    def _reads_tokens(self) -> bool:
        return self.source.unit == "tokens"


def _too_long(row: list[int] | UserError | int, limit: int, why: str) -> UserError | None:
    """Refuse a text of more tokens than the limit; of some only the least number is known."""
    if isinstance(row, UserError):
        return row
    length = row if isinstance(row, int) else len(row)
    if length <= limit:
        return None
    least = "at least " if isinstance(row, int) else ""
    return UserError(f"{least}{length:,} tokens; the model reads at most {limit:,} ({why})")


def _different(answers: list[Answer]) -> list[Answer]:
    """Keep the best answer of each text; white space does not tell texts apart."""
    kept: dict[str, Answer] = {}
    for answer in answers:
        kept.setdefault(" ".join(answer.text.split()), answer)
    return list(kept.values())


def load(
    folder: str | Path,
    device: str = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    processes: int = 1,
    trust: Collection[str] = (),
) -> Predictor:
    """Load a model folder that ``kochi train`` wrote. Nothing in it can run code.

    A model may have components that are not built in: those of installed packages, whose code then
    runs. Name the packages in ``trust`` to allow it.

    Args:
        folder: The model folder.
        device: What torch calls it ("cpu", "cuda", "cuda:1", "mps"); "auto" is a CUDA GPU if there
            is one, else the CPU.
        precision: "bf16" halves the weights and is faster on many GPUs. Numbers are rounded to 8
            bits, and how a matrix product is rounded depends on how many rows it has: an answer
            may differ from that of "fp32", and, unlike there, with what shares its batch and with
            the number of threads, where another answer scores nearly the same (within a few
            hundredths of a nat per token).
        processes: On the CPU answer batches in so many processes, a core each, in place of torch's
            threads: with two of them a tenth faster at beam 5 and a third faster at beam 1, as soon
            as there are many sources. They take a second or more to begin and stay until
            `Predictor.close`, or the end of a ``with`` statement. In a script, call this under
            ``if __name__ == "__main__":``.
        trust: Installed packages whose code the model may run.

    Raises:
        UserError: The folder is missing, unfinished, cut short or altered, or needs a package that
            is not installed or not trusted, or there is no such device, or several processes are
            asked for elsewhere than on the CPU.
    """
    content = load_folder(Path(folder), trust)
    model = content.model()
    if precision == "bf16":
        model = model.to(torch.bfloat16)
    where = _device(device)
    pool = None
    if processes != 1:
        if where.type != "cpu":
            raise UserError(f"processes = {processes}: the model computes on {where}; use 1 there")
        pool = Processes(processes, _prepare, Path(folder), precision, tuple(trust))
    return Predictor(
        model, content.source, content.target, content.run, content.metrics, where, pool
    )


def _prepare(
    folder: Path, precision: Literal["fp32", "bf16"], trust: tuple[str, ...]
) -> Callable[[Task], list[Found]]:
    return load(folder, "cpu", precision, trust=trust).compute


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device {name}: cannot be used here: {reason}") from None
    return device
