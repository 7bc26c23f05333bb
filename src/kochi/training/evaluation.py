"""Evaluation on the dev set: the loss, and a metric of greedily decoded predictions."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from kochi import config
from kochi.data.batches import Batch, EvaluationBatches, batch_pairs
from kochi.data.corpus import encode_pairs
from kochi.data.left_out import bad_rows, nothing_left, remark
from kochi.data.pair import Pair, count_rows
from kochi.data.readers.base import Reader
from kochi.data.tokenizer import Tokenizer
from kochi.decoding import NotFiniteError
from kochi.errors import Diverged
from kochi.memory import Frames
from kochi.modalities import modality_of
from kochi.modalities.attended import Attended
from kochi.modalities.pairs import read_pairs
from kochi.modalities.tables import BaseData
from kochi.timestamps import time_answer
from kochi.training.examples import Example, align, spread
from kochi.training.meeting import gather
from kochi.training.output_loss import output_loss

if TYPE_CHECKING:
    from kochi.decoding import Hypothesis
    from kochi.memory import Memory
    from kochi.metrics import Judge
    from kochi.models.seq2seq import Seq2Seq

SEARCH = "greedy"  # how evaluations during training search, whatever the run's search table says


class Abandoned(Exception):
    """Raised when an evaluation is aborted because the run is stopping."""


@dataclass(frozen=True)
class Measured:
    """The result of an evaluation.

    Attributes:
        loss: Negative log-likelihood of the first reference, nats per target token.
        metric: The dev metric in percent, or None where it is the loss.
        seconds: Duration of the evaluation.
        examples: Example rows with their predictions; empty except in the first process.
    """

    loss: float
    metric: float | None
    seconds: float
    examples: tuple[Example, ...] = ()


class Evaluator:
    """Evaluate models on the dev set of a run.

    Args:
        run: The run file; it has dev data.
        source: Reader of the sources.
        target: Tokenizer of the targets.

    Attributes:
        num_rows: Number of dev rows.
        remark: A note about rows that were left out, if any.
        sources: The encoded dev sources; rows with the same source are merged.
        targets: The tokens of the first reference of each.

    Raises:
        UserError: The dev data cannot be read.
    """

    def __init__(self, run: config.Run, source: Reader[Any], target: Tokenizer) -> None:
        bad = bad_rows(run.data)
        rows = encode_pairs(list(read_pairs(run.data, "dev", bad)), source, target, bad)
        if not rows:
            raise nothing_left(bad, "the dev data contain no pairs; expected at least one")
        pairs, self.sources, self.targets = map(list, zip(*rows, strict=True))
        self._pairs: list[Pair] = pairs
        self.num_rows = count_rows(pairs)
        self.remark = remark(bad, self.num_rows)
        self._run = run
        self._source = source
        self._target = target
        batch_tokens = run.training.batch_tokens
        self._batches = EvaluationBatches(self.sources, self.targets, batch_tokens, source)

    @cached_property
    def judge(self) -> "Judge":
        """The judge of predictions; its libraries are imported on first use."""
        from kochi.metrics import Judge

        sources = [pair.source for pair in self._pairs]
        return Judge(self._run.data, sources, [pair.references for pair in self._pairs])

    def __call__(
        self,
        model: "Seq2Seq",
        device: torch.device,
        rank: int = 0,
        world: int = 1,
        abandon: Callable[[], bool] = lambda: False,
    ) -> Measured:
        """Evaluate a model; several processes share the work and all return the whole result.

        Args:
            model: The model; its training mode is restored afterwards.
            device: Device of the model.
            rank: Rank of this process, from 0.
            world: Number of processes.
            abandon: Called between batches; the evaluation is aborted when it returns true.

        Raises:
            Abandoned: The evaluation was aborted.
            Diverged: The model's scores are not finite.
        """
        start, training = time.monotonic(), model.training
        model.eval()
        try:
            with torch.no_grad():
                found = self._share(model, device, rank, world, abandon)
                finite = rank == 0 and math.isfinite(found[0])
                examples = self._examples(model, device) if finite else ()
        except NotFiniteError:
            raise Diverged(
                "the model's scores of the dev data are NaN or infinite: training has diverged; "
                "lower training.learning_rate, and start over with --overwrite"
            ) from None
        finally:
            model.train(training)
        parts = gather(found, world, device)
        nll = sum(part[0] for part in parts)
        tokens = sum(part[1] for part in parts)
        answers = {row: text for part in parts for row, text in part[2]}
        metric = self._metric(answers)
        return Measured(nll / tokens, metric, time.monotonic() - start, examples)

    def _share(
        self,
        model: "Seq2Seq",
        device: torch.device,
        rank: int,
        world: int,
        abandon: Callable[[], bool],
    ) -> tuple[float, int, list[tuple[int, str]]]:
        nll, tokens, answers = 0.0, 0, list[tuple[int, str]]()
        for number, (rows, batch) in enumerate(self._batches):
            if number % world != rank:
                continue
            if abandon():
                raise Abandoned
            batch_nll, texts = self._evaluate(model, batch.to(device))
            nll += batch_nll
            tokens += batch.num_tokens
            answers.extend(zip(rows, texts, strict=False))
        return nll, tokens, answers

    def _evaluate(self, model: "Seq2Seq", batch: Batch) -> tuple[float, list[str]]:
        memory = model.encode(batch.source, batch.source_mask)
        features = model.decoder(memory, batch.inputs)
        _, nll = output_loss(model.decoder, features, batch.outputs, batch.output_mask)
        if self._run.training.metric == "loss":
            return nll.sum().item(), []
        return nll.sum().item(), self._answers(model, memory)

    def _answers(self, model: "Seq2Seq", memory: "Memory") -> list[str]:
        found = self._search(model, memory)
        return [self._target.decode(best.tokens) for best in found]

    def _search(
        self, model: "Seq2Seq", memory: "Memory", most: int | None = None
    ) -> "list[Hypothesis]":
        """Search greedily; ``most`` is a further limit on the lengths."""
        from kochi.decoding import greedy, length_limits

        options = self._run.search
        limits = length_limits(memory.mask, options.max_length_ratio, options.max_length_extra)
        if most is not None:
            limits = limits.clamp(max=most)
        found = greedy(model.decoder, memory, max_length=limits)
        return [best for best, *_ in found]

    def _examples(self, model: "Seq2Seq", device: torch.device) -> tuple[Example, ...]:
        rows = spread(self._run.training.examples, len(self._pairs))
        return tuple(self._example(model, device, row) for row in rows)

    def _example(self, model: "Seq2Seq", device: torch.device, row: int) -> Example:
        """Predict a single row, with at most a few more tokens than its reference."""
        pair, source, target = self._pairs[row], self.sources[row], self.targets[row]
        batch = batch_pairs([source], [target], self._source).to(device)
        memory = model.encode(batch.source, batch.source_mask)
        [best] = self._search(model, memory, most=2 * len(target) + 20)
        return Example(
            source=name_in_data(self._source.describe(pair.source), self._run.data),
            references=pair.references,
            prediction=self._target.decode(best.tokens),
            finished=best.finished,
            modality=modality_of(self._run.data),
            attended=self._attended(model, memory, best.tokens, pair.source, source),
        )

    def _attended(
        self, model: "Seq2Seq", memory: "Memory", ids: list[int], source: Any, row: Any
    ) -> Attended | None:
        alignment = align(model, memory, ids)
        if alignment is None:
            return None
        layout, tokens = memory.layout, tuple(self._target.tokens(ids))
        pieces, words = self._target.pieces(ids), ()
        if isinstance(layout, Frames):
            seconds = self._source.seconds(len(row))
            _, words = time_answer(tokens, pieces, alignment, layout, seconds)
        return Attended(
            reader=self._source,
            source=source,
            text=self._target.decode(ids),
            tokens=tokens,
            pieces=pieces,
            alignment=alignment,
            layout=layout,
            source_tokens=self._source.labels(row),
            words=words,
            row=row,
        )

    def _metric(self, answers: dict[int, str]) -> float | None:
        name = self._run.training.metric
        if name == "loss":
            return None
        return self.judge.value(name, [answers[row] for row in range(len(self._pairs))])


def name_in_data(name: str, data: BaseData) -> str:
    """Return the name of a source without the folders of the data: logs may be published.

    >>> from pathlib import Path
    >>> from kochi.modalities.audio.tables import SoundData
    >>> data = SoundData(kind="sound", train=Path("a"), folder=Path("/home/me/data"))
    >>> name_in_data("/home/me/data/one.wav", data)
    'one.wav'
    """
    if not modality_of(data).in_files:
        return name
    for folder in data.source_folders:
        name = name.replace(f"{folder}{os.sep}", "")
    return name
