"""A trained model that predicts: `kochi.load(folder).predict([...])`."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from itertools import islice
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kochi.ahead import run_ahead
from kochi.config import Run, TransformerModel
from kochi.data.readers.base import Reader
from kochi.data.tokenizer import Tokenizer
from kochi.decoding import sentence_seeds
from kochi.inference.batching import batches_by_length
from kochi.inference.engine import TorchEngine
from kochi.inference.outputs import OutputDecoder
from kochi.inference.parallel import in_parallel, num_workers, settle_threads, share_size
from kochi.inference.processes import Processes
from kochi.inference.request import Errors, Request, Searched, Task
from kochi.inference.sources import EncodedSources, SourceEncoder
from kochi.inference.strategies import BeamSearch, DecodingStrategy, ForcedDecoding, Sampling
from kochi.inference.unknown_words import Unknown
from kochi.modalities import Modality, modality_of
from kochi.modalities.attended import Attended
from kochi.models.seq2seq import Seq2Seq
from kochi.prediction import Prediction, SourceError, TargetError
from kochi.word_alignment import merge_words

READ_AHEAD = 16  # batches that are sorted by length together
NOT_FINITE = (
    "the model's scores are not finite: a number there is far from those of training, or the "
    "weights are damaged"
)


class Predictor:
    """A trained model with its readers; it predicts, samples and aligns.

    Several threads may use one predictor at once: nothing is remembered between calls, and torch's
    settings stay as they are.

    Args:
        model: The network; it is set to evaluation.
        source: Reads the sources: cuts text, or turns sound, features or pictures into numbers.
        target: Joins the tokens of outputs.
        run: The run file that the model came from; its search table gives the defaults.
        metrics: What was measured when the training ended.
        device: Where the model computes.
        processes: Compute batches in place of this process, where there are several; see
            `kochi.load`.
    """

    def __init__(
        self,
        model: Seq2Seq,
        source: Reader[Any],
        target: Tokenizer,
        run: Run,
        metrics: dict[str, Any],
        device: torch.device,
        processes: "Processes[Task, list[Searched]] | None" = None,
    ) -> None:
        self.source = source
        self.target = target
        self.run = run
        self.metrics = metrics
        self.processes = processes
        longest = self.longest_source
        self.engine = TorchEngine(model, source, run.search, device, longest)
        self._sources = SourceEncoder(source, run, self.longest_trained, longest)
        self._outputs = OutputDecoder(self.modality.prediction(), source, target)

    @property
    def model(self) -> Seq2Seq:
        """The network."""
        return self.engine.model

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.engine.device

    @property
    def precision(self) -> torch.dtype:
        """The type of number that the model computes with."""
        return self.engine.precision

    @cached_property
    def modality(self) -> Modality[Any]:
        """The modality of the sources."""
        return modality_of(self.run.data)

    @property
    def longest_trained(self) -> int | None:
        """Length of the longest source in training, as its reader counts.

        None where the model folder does not say: it was written by an earlier version.
        """
        return self.metrics.get("longest", {}).get("source")

    @property
    def longest_source(self) -> int | None:
        """The most tokens the model can read, the end mark included, or None: any number."""
        model = self.run.model
        if isinstance(model, TransformerModel) and model.positions == "learned":
            return model.max_positions
        return None

    def close(self) -> None:
        """End the worker processes, if there are any; the predictor stays usable, on threads."""
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
        """Predict the text for each source.

        In float32 predictions do not depend on the batch size, on each other or on the number of
        threads, except for the rounding of the last digits of their scores; for bfloat16 see
        `kochi.load`.

        Args:
            sources: One source or an iterable of several. For a model of text: strings. Of sound:
                samples at its rate (an array or tensor of int16, or of floats from -1 to 1) or
                files. Of features: arrays or tensors ``[frames, size]`` or .npy files. Of pictures:
                PIL images, 8-bit pixels ``[height, width, channels]`` (a tensor also
                ``[channels, height, width]``) or files. A file is a path, its bytes, or a binary
                stream; there are also `kochi.Recording`, `kochi.FeatureRow` and `kochi.Picture`.
            beam: Hypotheses kept for each source; 1 is greedy. Default: the run file's.
            n_best: How many outputs to return for each source; at most ``beam``.
            need_alignment: Whether to return the alignment of the best output. It costs one forced
                pass over it.
            batch_size: Sources computed together. Default: the run file's.
            length_penalty: See `kochi.prediction.Output`; 0 favours short outputs. Default: the run
                file's.
            need_heads: Whether to return the alignment of every layer and head, too.
            errors: What to do with a source that is too long or cannot be read. "raise" raises
                `SourceError`; "skip" returns a prediction without outputs that holds the reason in
                ``error``. A blank text is such a source for "raise"; with "skip" its output is
                empty.
            unknown: "copy", "mark" or "drop"; see `kochi.config.Search`. Default: the run file's.
            max_source_length: The most tokens of a text. Default: the run file's; see
                `kochi.config.Search`.

        Returns:
            One prediction a source, in the order of the sources; a list of one for a single source.

        Raises:
            SourceError: A source is blank or too long, or cannot be read.
            TypeError: A source is of a type that the model does not take.
            ValueError: A number is out of range, or an option does not exist.
        """
        options = self.run.search
        beam = max(options.beam, n_best) if beam is None else beam
        penalty = options.length_penalty if length_penalty is None else length_penalty
        if not 1 <= n_best <= beam:
            raise ValueError(f"n_best = {n_best}; expected from 1 to the beam, {beam}")
        unknown = self._unknown(unknown)
        pool = beam if self.target.ambiguous or unknown != "drop" else n_best
        pool = pool if n_best > 1 else 1
        strategy = BeamSearch(beam, pool, penalty, options.ctc_weight, unknown != "drop")
        request = Request(
            need_alignment, need_heads, batch_size, errors, unknown, max_source_length, n_best
        )
        return self._predict(sources, strategy, request)

    def predict_stream(self, sources: Any, **options: Any) -> Iterator[Prediction]:
        """Predict for sources as they come, a few batches at a time, in their order.

        Takes the options of `predict`. Memory does not grow with the number of sources. Where
        sources are not text, the next ones are encoded while the model computes.
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
        """Yield chunks; where sources are not text, encode one while the one before is used."""
        if self._reads_tokens:
            yield from chunks
            return
        encode = self._sources.encode
        yield from run_ahead((partial(encode, chunk, None) for chunk in chunks), count=1)

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
        """Draw texts from the model's distribution.

        Args:
            sources: As in `predict`.
            num_samples: Texts to draw for each source: the prediction's ``n_best``, in the order
                drawn, so that each is a fair draw; the same text may be drawn twice.
            temperature: Divides the logits; below 1 likely tokens become likelier.
            top_k: Draw from the k likeliest tokens only.
            generator: Random generator on the CPU; draws do not depend on how sources are split
                over calls' batches. Default: torch's own.
            need_alignment: As in `predict`, for the first text drawn.
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
        strategy = Sampling(seeds, num_samples, temperature, top_k, penalty, unknown != "drop")
        request = Request(need_alignment, False, batch_size, errors, unknown, max_source_length)
        return self._predict(listed, strategy, request)

    def align(
        self,
        sources: Any,
        targets: Iterable[str] | str,
        batch_size: int | None = None,
        need_heads: bool = False,
    ) -> list[Prediction]:
        """Align given targets with the sources, in one forced pass.

        Args:
            sources: As in `predict`.
            targets: One text for each source, or a single one. A prediction's ``score`` is that of
                its target, which takes the place of the hypotheses of a search.
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

        strategy = ForcedDecoding(rows, self.run.search.length_penalty)
        request = Request(True, need_heads, batch_size, max_source_length=sys.maxsize)
        return self._predict(listed, strategy, request)

    def attended(self, source: Any, prediction: Prediction) -> Attended:
        """Return what was attended to while a text was written, to be drawn.

        Args:
            source: As it was given to `predict`.
            prediction: Of this source, with its alignment.
        """
        return prediction.attended(self.source, source)

    def merge_words(
        self, alignment: Float[Tensor, "target source"], source: str, target: str
    ) -> Float[np.ndarray, "target_words source_words_and_none"]:
        """Turn an alignment of tokens into one of words; see `kochi.word_alignment.merge_words`.

        Args:
            alignment: Of one layer and head, or a mean.
            source: The source text.
            target: The target text, as it was given to `align`.

        Raises:
            ValueError: The model does not read text.
        """
        words = self.source.words(source)
        if not words:
            raise ValueError("source: the model does not read text, so there are no words to merge")
        return merge_words(alignment, [*words, None], self.target.words(target))

    def _cut_targets(self, targets: Sequence[str]) -> list[list[int]]:
        rows = self.target.encode_batch(targets) if targets else []
        limit = self.longest_source
        for index, row in enumerate(rows):
            if not row:
                raise TargetError(index, "empty; expected something to write")
            if limit is not None and len(row) + 1 > limit:
                raise TargetError(index, f"{len(row)} tokens; the model writes at most {limit - 1}")
        return rows

    def _unknown(self, requested: Unknown | None) -> Unknown:
        unknown = requested or self.run.search.unknown
        if unknown not in get_args(Unknown):
            raise ValueError(f"unknown = {unknown!r}; expected 'copy', 'mark' or 'drop'")
        return unknown

    def _predict(
        self, sources: Any, strategy: DecodingStrategy, request: Request
    ) -> list[Prediction]:
        """Encode, batch, search and align, decode and time."""
        settle_threads()
        batch_size = request.batch_size
        batch_size = self.run.search.batch_size if batch_size is None else batch_size
        if batch_size < 1:
            raise ValueError(f"batch_size = {batch_size}; expected at least 1")
        if request.errors not in get_args(Errors):
            raise ValueError(f"errors = {request.errors!r}; expected 'raise' or 'skip'")
        encoded = self._sources.encode(sources, request.max_source_length)
        predictions = dict[int, Prediction]()
        for index, (source, row) in enumerate(encoded):
            if isinstance(row, SourceError):
                predictions[index] = self._skip(source, row, request)
        batches = self._batches(encoded, batch_size)
        tasks = [self._task(encoded, batch, strategy, request) for batch in batches]
        for batch, results in zip(batches, self._compute(tasks), strict=True):
            for index, searched in zip(batch, results, strict=True):
                if searched.hypotheses:
                    predictions[index] = self._outputs.decode(encoded[index], searched, request)
                    continue
                source = encoded[index].source
                name = "" if self._reads_tokens else f"{self.source.describe(source)}: "
                error = SourceError(index, name + NOT_FINITE)
                predictions[index] = self._skip(source, error, request)
        return [predictions[index] for index in range(len(encoded))]

    def _skip(self, source: Any, error: SourceError, request: Request) -> Prediction:
        if request.errors == "raise":
            raise error
        return self._outputs.skipped(source, error)

    def _batches(self, encoded: EncodedSources, batch_size: int) -> list[list[int]]:
        """Cut what was encoded into batches that take no more memory than those of training."""
        good = [i for i, one in enumerate(encoded) if not isinstance(one.row, SourceError)]
        lengths = [0 if isinstance(row, SourceError) else len(row) for _, row in encoded]
        workers = num_workers(self.device) if self.processes is None else self.processes.count
        batch_size = share_size(len(good), batch_size, workers)
        longest = self.longest_trained
        if not longest and self._reads_tokens:
            longest = self.run.data.max_length  # counts tokens
        most = batch_size * longest if longest else None
        return batches_by_length(good, lengths, batch_size, most)

    def _task(
        self,
        encoded: EncodedSources,
        batch: list[int],
        strategy: DecodingStrategy,
        request: Request,
    ) -> Task:
        rows = [encoded[index].row for index in batch]
        need = request.need_alignment, request.need_heads, request.unknown != "drop"
        return Task(strategy.select(batch), rows, *need)

    def _compute(self, tasks: list[Task]) -> list[list[Searched]]:
        if self.processes is None or len(tasks) < 2:
            return in_parallel(self.engine.compute, tasks, self.device)
        return self.processes.map(tasks)

    @property
    def _reads_tokens(self) -> bool:
        return self.source.unit == "tokens"
