"""Evaluation on the dev set: the loss, and a metric of greedily decoded answers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed

from kochi import config
from kochi.data.batches import Batch, EvaluationBatches
from kochi.data.corpus import check_room
from kochi.data.pairs import read_pairs
from kochi.data.readers.base import Reader
from kochi.data.tokenizer import Tokenizer
from kochi.training.output_loss import output_loss

if TYPE_CHECKING:
    from kochi.models.seq2seq import Seq2Seq


class Abandoned(Exception):
    """Report that an evaluation was broken off because the run is to stop."""


@dataclass(frozen=True)
class Measured:
    """What an evaluation found.

    Attributes:
        loss: Negative log-likelihood of the first reference, nats per target token.
        metric: The dev metric in percent, or None where it is the loss.
        seconds: How long it took.
    """

    loss: float
    metric: float | None
    seconds: float


class Evaluator:
    """Evaluate models on the dev set of a run.

    Args:
        run: The run file; it has dev data.
        source: Reader of the sources.
        target: Tokenizer of the answers.

    Raises:
        UserError: The dev data cannot be read.
    """

    def __init__(self, run: config.Run, source: Reader[Any], target: Tokenizer) -> None:
        pairs = list(read_pairs(run.data, "dev"))
        sources = source.encode_batch([pair.source for pair in pairs])
        targets = target.encode_batch([pair.references[0] for pair in pairs])
        self._run = run
        self._target = target
        self._references = [list(pair.references) for pair in pairs]
        for row in zip(pairs, sources, targets, strict=True):
            check_room(source, *row)
        self._batches = EvaluationBatches(sources, targets, run.training.batch_tokens, source)

    def __call__(
        self,
        model: "Seq2Seq",
        device: torch.device,
        rank: int = 0,
        world: int = 1,
        abandon: Callable[[], bool] = lambda: False,
    ) -> Measured:
        """Evaluate a model; with several processes each does its part and all get the whole.

        Args:
            model: It is in training mode afterwards if it was before.
            device: Where the model is.
            rank: Number of this process, from 0.
            world: Number of processes.
            abandon: Asked between batches.

        Raises:
            Abandoned: ``abandon`` said so.
        """
        start, training = time.monotonic(), model.training
        model.eval()
        try:
            with torch.no_grad():
                found = self._share(model, device, rank, world, abandon)
        finally:
            model.train(training)
        parts = _gather(found, world)
        nll = sum(part[0] for part in parts)
        tokens = sum(part[1] for part in parts)
        answers = {row: text for part in parts for row, text in part[2].items()}
        return Measured(nll / tokens, self._metric(answers), time.monotonic() - start)

    def _share(
        self,
        model: "Seq2Seq",
        device: torch.device,
        rank: int,
        world: int,
        abandon: Callable[[], bool],
    ) -> tuple[float, int, dict[int, str]]:
        nll, tokens, answers = 0.0, 0, {}
        for number, (rows, batch) in enumerate(self._batches):
            if number % world != rank:
                continue
            if abandon():
                raise Abandoned
            batch_nll, texts = self._evaluate(model, batch.to(device))
            nll += batch_nll
            tokens += batch.num_tokens
            answers.update(zip(rows, texts, strict=False))
        return nll, tokens, answers

    def _evaluate(self, model: "Seq2Seq", batch: Batch) -> tuple[float, list[str]]:
        memory = model.encode(batch.source, batch.source_mask)
        features = model.decoder(memory, batch.inputs)
        _, nll = output_loss(model.decoder, features, batch.outputs, batch.output_mask)
        if self._run.training.metric == "loss":
            return nll.sum().item(), []
        return nll.sum().item(), self._answers(model, memory)

    def _answers(self, model: "Seq2Seq", memory: Any) -> list[str]:
        from kochi.search import greedy, length_limits

        options = self._run.search
        limits = length_limits(memory.mask, options.max_length_ratio, options.max_length_extra)
        found = greedy(model.decoder, memory, max_length=limits)
        return [self._target.decode(best.tokens) for best, *_ in found]

    def _metric(self, answers: dict[int, str]) -> float | None:
        name = self._run.training.metric
        if name == "loss":
            return None
        from kochi.metrics import corpus_metric

        texts = [answers[row] for row in range(len(self._references))]
        data = self._run.data
        return corpus_metric(
            name,
            texts,
            self._references,
            tokenize="none" if data.tokenized else "13a",
            lowercase=data.target.lowercase,
        )


def _gather(found: Any, world: int) -> list[Any]:
    if world == 1:
        return [found]
    parts: list[Any] = [None] * world
    torch.distributed.all_gather_object(parts, found)
    return parts
