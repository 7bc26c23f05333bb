"""A trained model that answers: `kochi.load(folder).predict([...])`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.config import Run, TransformerModel
from kochi.data.padding import BOS, EOS
from kochi.data.readers.base import Reader
from kochi.data.tokenizer import Tokenizer
from kochi.errors import UserError
from kochi.finding import Drawn, Find, Given, Searched, Task
from kochi.folder import load_folder
from kochi.links import merge_words
from kochi.memory import Frames, Grid, Layout, Memory, Words
from kochi.models.seq2seq import Seq2Seq
from kochi.search import (
    Hypothesis,
    Processes,
    in_parallel,
    length_limits,
    num_workers,
    sentence_seeds,
    share_size,
)
from kochi.times import Timed, find_stretches, time_tokens, time_words

READ_AHEAD = 16  # batches that are sorted by length together
Found = tuple[list[Hypothesis], Tensor | None, Layout]


WORDS = Words()


class _Read(NamedTuple):
    """A source that was read already, and its row."""

    source: Any
    row: Any


class SourceError(ValueError):
    """Say which source cannot be answered, and why.

    Attributes:
        place: Its place among the sources, from 0.
        reason: What was found and what was expected.
    """

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(f"sources[{place}]: {reason}")
        self.place = place
        self.reason = reason


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
        text: The answer.
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
        text: The best answer.
        score: Its score, see `Answer`.
        tokens: Its tokens.
        source_tokens: What the model read; the last one is the end mark. Frames have no names:
            then it is empty.
        n_best: The best answers, best first (or all drawn ones); the first one is the answer.
        alignment: Row i says how much each source token was looked at when ``tokens[i]`` was
            written (by the last layer, on average over its heads); a row sums to 1. None if it was
            not asked for, or the model has no attention.
        unknown: Characters (or words, where the model reads words) never seen in training.
        layout: What the alignment's columns are: tokens, places in time, or cells of a picture.
        grid: Rows and columns of the cells, row after row in the alignment; None for all else.
        times: When each of ``tokens`` was said, where the model hears and an alignment was asked
            for; see `kochi.times`.
        words: The same for the words of ``text``.
        pieces: What each of ``tokens`` adds to the text, with its spaces.
        heads: As ``alignment``, for every layer that looks and each of its heads, where that was
            asked for.
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
        sources: Iterable[Any],
        beam: int | None = None,
        n_best: int = 1,
        need_alignment: bool = False,
        batch_size: int | None = None,
        length_penalty: float | None = None,
        need_heads: bool = False,
    ) -> list[Prediction]:
        """Answer each source. The answers do not depend on the batch size or on each other.

        Args:
            sources: What the model reads. Texts, not empty; for a model of sound paths of
                recordings, `kochi.sound.files.Recording`, or samples at its rate (int16, or floats
                from -1 to 1); for one of features paths of .npy files,
                `kochi.data.readers.rows.FeatureRow`, or arrays ``[frames, size]``; for one of
                pictures paths, `kochi.picture.files.Picture`, or 8-bit pixels
                ``[height, width, channels]``.
            beam: Hypotheses kept for each source; 1 is greedy. Default: the run file's.
            n_best: How many answers to give for each source; at most ``beam``.
            need_alignment: Whether to give the alignment of the best answer.
            batch_size: Sources computed together. Default: the run file's.
            length_penalty: See `Answer`; 0 favours short answers. Default: the run file's.
            need_heads: Whether to give the alignment of every layer and head, too.

        Returns:
            One prediction a source, in the order of the sources.

        Raises:
            SourceError: A source is empty or too long, or cannot be read.
            ValueError: A number is out of range.
        """
        options = self.run.search
        beam = max(options.beam, n_best) if beam is None else beam
        penalty = options.length_penalty if length_penalty is None else length_penalty
        if not 1 <= n_best <= beam:
            raise ValueError(f"n_best = {n_best}; expected from 1 to the beam, {beam}")
        find = Searched(beam, n_best, penalty, options.ctc_weight)
        return self._predict(sources, find, need_alignment, batch_size, need_heads)

    def align(
        self,
        sources: Iterable[Any],
        targets: Iterable[str],
        batch_size: int | None = None,
        need_heads: bool = False,
    ) -> list[Prediction]:
        """Write given targets, whatever the model itself would say, and see where it looks.

        Args:
            sources: As in `predict`.
            targets: What is to be written, one for each source. A prediction's ``score`` is what it
                would have competed by, its ``tokens`` are those of the target.
            batch_size: As in `predict`.
            need_heads: As in `predict`.

        Raises:
            SourceError: As in `predict`.
            TargetError: A target is empty or too long.
            ValueError: There is not one target for each source.
        """
        listed, rows = _as_list(sources), self._cut_targets(_as_list(targets))
        if len(rows) != len(listed):
            raise ValueError(f"targets: {len(rows)}, but there are {len(listed)} sources")

        find = Given(rows, self.run.search.length_penalty)
        return self._predict(listed, find, True, batch_size, need_heads)

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
        """Turn an alignment of tokens into one of words; see `kochi.links.merge_words`.

        Args:
            alignment: Of one layer and head, or a mean.
            source: What was read.
            target: What was written, as it was given to `align`.

        Raises:
            ValueError: The model does not read text.
        """
        if not isinstance(self.source, Tokenizer):
            raise ValueError("source: the model does not read text, so there are no words to merge")
        return merge_words(alignment, [*self.source.words(source), None], self.target.words(target))

    def sample(
        self,
        sources: Iterable[Any],
        num_samples: int = 1,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
        need_alignment: bool = False,
        batch_size: int | None = None,
    ) -> list[Prediction]:
        """Draw answers from the model's distribution.

        Args:
            sources: As in `predict`.
            num_samples: Answers to draw for each source: the prediction's ``n_best``, in the order
                drawn, so that each is a fair draw.
            temperature: Below 1 bolder than the model, above 1 wilder.
            top_k: Draw from the k likeliest tokens only.
            generator: Governs what is drawn (on the CPU); the same for sources all at once or in
                pieces. Default: torch's own.
            need_alignment: As in `predict`, for the first answer drawn.
            batch_size: As in `predict`.

        Raises:
            SourceError: As in `predict`.
            ValueError: A number is out of range.
        """
        listed = _as_list(sources)
        seeds = sentence_seeds(generator, len(listed))

        penalty = self.run.search.length_penalty
        find = Drawn(seeds, num_samples, temperature, top_k, penalty)
        return self._predict(listed, find, need_alignment, batch_size)

    def predict_stream(self, sources: Iterable[Any], **options: Any) -> Iterator[Prediction]:
        """Answer sources as they come, some batches at a time, in their order.

        Takes the options of `predict`; uses little memory however many sources there are. Where
        sources are not text, the next ones are read while these are answered.
        """
        ahead = READ_AHEAD * (options.get("batch_size") or self.run.search.batch_size)
        waiting = iter(sources)
        chunks = iter(lambda: list(islice(waiting, ahead)), [])
        place = 0
        try:
            for chunk in self._read_ahead(chunks):
                yield from self.predict(chunk, **options)
                place += len(chunk)
        except SourceError as error:
            raise SourceError(place + error.place, error.reason) from None

    def _read_ahead(self, chunks: Iterator[list[Any]]) -> Iterator[list[Any]]:
        """Give chunks; where they are not text, read while the one before is at work."""
        if isinstance(self.source, Tokenizer):
            yield from chunks
            return
        with ThreadPoolExecutor(1) as thread:
            reading: list[Future[list[Any]]] = []
            for chunk in chunks:
                reading.append(thread.submit(self._read_all, chunk))
                if len(reading) > 1:
                    yield reading.pop(0).result()
            for last in reading:
                yield last.result()

    def _read_all(self, sources: list[Any]) -> list[Any]:
        return [_Read(*pair) for pair in zip(sources, self._encode(sources), strict=True)]

    def _predict(
        self,
        sources: Iterable[Any],
        find: Find,
        need_alignment: bool,
        batch_size: int | None,
        need_heads: bool = False,
    ) -> list[Prediction]:
        listed = _as_list(sources)
        size = self.run.search.batch_size if batch_size is None else batch_size
        if size < 1:
            raise ValueError(f"batch_size = {size}; expected at least 1")
        if listed and isinstance(listed[0], _Read):
            listed, encoded = ([one[side] for one in listed] for side in (0, 1))
        else:
            encoded = self._encode(listed)
        order = sorted(range(len(listed)), key=lambda place: -len(encoded[place]))
        workers = num_workers(self.device) if self.processes is None else self.processes.count
        size = share_size(len(order), size, workers)
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        tasks = [
            Task(find.of(places), [encoded[place] for place in places], need_alignment, need_heads)
            for places in batches
        ]
        answers: dict[int, Prediction] = {}
        for places, found in zip(batches, self._side_by_side(tasks), strict=True):
            for place, parts in zip(places, found, strict=True):
                answers[place] = self._prediction(listed[place], encoded[place], *parts, need_heads)
        return [answers[place] for place in range(len(listed))]

    def _side_by_side(self, tasks: list[Task]) -> list[list[Found]]:
        if self.processes is None or len(tasks) < 2:
            return in_parallel(self.compute, tasks, self.device)
        return self.processes.map(tasks)

    @torch.inference_mode()
    def compute(self, task: Task) -> list[Found]:
        """Answer a batch with the model; what `predict`, `align` and `sample` are made of."""
        source, mask = self.source.batch(task.rows)
        if source.is_floating_point():
            source = source.to(self.precision)
        memory = self.model.encode(source.to(self.device), mask.to(self.device))
        found = task.find(self.model, memory, self._limits(memory))
        wanted = task.need_alignment or task.need_heads
        alignments = self._align(memory, found, task.need_heads) if wanted else [None] * len(found)
        return [(*one, memory.layout) for one in zip(found, alignments, strict=True)]

    def _grid(self, row: Any, layout: Layout) -> tuple[int, int] | None:
        extent = self.source.extent(row)
        return layout.shape(*extent) if extent and isinstance(layout, Grid) else None

    @property
    def precision(self) -> torch.dtype:
        """Return the type of number that the model computes with."""
        return next(self.model.parameters()).dtype

    def _encode(self, sources: Sequence[Any]) -> Sequence[Any]:
        if isinstance(self.source, Tokenizer):
            return self._cut(sources)
        try:
            return self.source.encode_batch(sources)
        except UserError:  # read one by one, to say which
            return [self._read(place, source) for place, source in enumerate(sources)]

    def _read(self, place: int, source: Any) -> Any:
        try:
            return self.source.encode(source)
        except UserError as error:
            raise SourceError(place, str(error)) from None

    def _cut(self, texts: Sequence[str]) -> Sequence[Any]:
        for place, text in enumerate(texts):
            if not text or text.isspace():
                raise SourceError(place, "empty; expected something to read")
        encoded = self.source.encode_batch(texts) if texts else []
        limit = self.longest_source
        for place, ids in enumerate(encoded):
            if limit is not None and len(ids) + 1 > limit:
                raise SourceError(place, f"{len(ids)} tokens; the model reads at most {limit - 1}")
        return encoded

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
        self, memory: Memory, found: list[list[Hypothesis]], need_heads: bool
    ) -> list[Float[Tensor, "layers heads target source"] | None]:
        """Compute the best answers' alignments, without end row and padding.

        Unless every head is wanted, what is left of the layers and heads is one of each: the mean
        over the heads of the last layer.
        """
        best = [hypotheses[0].tokens for hypotheses in found]
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

    def _prediction(
        self,
        source: Any,
        row: Any,
        found: list[Hypothesis],
        heads: Tensor | None,
        layout: Layout,
        need_heads: bool,
    ) -> Prediction:
        alignment = None if heads is None else heads[-1].mean(0)
        answers = tuple(self._answer(hypothesis) for hypothesis in found)
        times = words = None
        pieces = self.target.pieces(found[0].tokens)
        if alignment is not None and isinstance(layout, Frames):
            end = self.source.seconds(len(row))
            stretches = find_stretches(alignment, layout, end)
            times = time_tokens(answers[0].tokens, stretches, layout, end)
            words = time_words(pieces, stretches, times)
        return Prediction(
            source=self.source.describe(source),
            text=answers[0].text,
            score=answers[0].score,
            tokens=answers[0].tokens,
            source_tokens=self.source.labels(row),
            n_best=answers,
            alignment=alignment,
            unknown=self.source.unknown(source, row),
            layout=layout,
            grid=self._grid(row, layout),
            times=times,
            words=words,
            pieces=tuple(pieces),
            heads=heads if need_heads else None,
        )

    def _answer(self, hypothesis: Hypothesis) -> Answer:
        return Answer(
            text=self.target.decode(hypothesis.tokens),
            score=hypothesis.score,
            log_probability=hypothesis.log_probability,
            tokens=tuple(self.target.tokens(hypothesis.tokens)),
            finished=hypothesis.finished,
        )

    @property
    def source_parts(self) -> str:
        """Say what ``Prediction.unknown`` holds: "characters" or "words"."""
        return self.source.parts if isinstance(self.source, Tokenizer) else ""


def _as_list(sources: Iterable[Any]) -> list[Any]:
    if isinstance(sources, str):
        raise ValueError(f"sources: a single text {sources!r}; expected a list of texts")
    return list(sources)


def load(
    folder: str | Path,
    device: str = "auto",
    precision: Literal["fp32", "bf16"] = "fp32",
    processes: int = 1,
) -> Predictor:
    """Load a model folder that ``kochi train`` wrote. Nothing in it can run code.

    Args:
        folder: The model folder.
        device: What torch calls it ("cpu", "cuda", "cuda:1"); "auto" is a GPU if there is one.
        precision: "bf16" halves the weights and is faster on many GPUs, for answers that are
            nearly the same.
        processes: On the CPU answer batches in so many processes, a core each, in place of torch's
            threads: with two of them a tenth faster at beam 5 and a third faster at beam 1, as soon
            as there are many sources. They take a second or more to begin and stay until
            `Predictor.close`, or the end of a ``with`` statement. In a script, call this under
            ``if __name__ == "__main__":``.

    Raises:
        UserError: The folder is missing, unfinished, cut short or altered, or there is no such
            device, or several processes are asked for elsewhere than on the CPU.
    """
    content = load_folder(Path(folder))
    model = content.model()
    if precision == "bf16":
        model = model.to(torch.bfloat16)
    where = _device(device)
    pool = None
    if processes != 1:
        if where.type != "cpu":
            raise UserError(f"processes = {processes}: the model computes on {where}; use 1 there")
        pool = Processes(processes, _prepare, Path(folder), precision)
    return Predictor(
        model, content.source, content.target, content.run, content.metrics, where, pool
    )


def _prepare(folder: Path, precision: Literal["fp32", "bf16"]) -> Callable[[Task], list[Found]]:
    return load(folder, "cpu", precision).compute


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
