"""The engine that computes hypotheses and alignments with torch."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kochi.config import Search
from kochi.data.readers.base import Reader
from kochi.decoding import Hypothesis, NotFiniteError, length_limits
from kochi.inference.request import Searched, Task
from kochi.memory import Memory, Words
from kochi.models.seq2seq import Seq2Seq
from kochi.special_tokens import BOS, EOS, UNK


class TorchEngine:
    """Searches with a model, and aligns what was found in one forced pass.

    Several threads may call one engine at once.

    Args:
        model: The network; it is moved to the device and set to evaluation.
        reader: Makes batches of rows.
        search: Gives the limits of a target's length.
        device: Where the model computes.
        longest_target: The most tokens, the end mark included, that the model can write, or None:
            any number.
    """

    def __init__(
        self,
        model: Seq2Seq,
        reader: "Reader[object]",
        search: Search,
        device: torch.device,
        longest_target: int | None,
    ) -> None:
        self.model = model.to(device).eval()
        self.device = device
        self._reader, self._search, self._longest_target = reader, search, longest_target

    @property
    def precision(self) -> torch.dtype:
        """The type of number that the model computes with."""
        return next(self.model.parameters()).dtype

    def compute(self, task: Task) -> list[Searched]:
        """Return the hypotheses of each source of a batch, and the requested alignments."""
        try:
            return self._compute(task)
        except NotFiniteError:  # of one source, which must not spoil the others
            if len(task.rows) == 1:
                return [Searched([], None, Words())]
            alone = (task.select([index]) for index in range(len(task.rows)))
            return [searched for one in alone for searched in self.compute(one)]

    @torch.inference_mode()
    def _compute(self, task: Task) -> list[Searched]:
        source, mask = self._reader.batch(task.rows)
        if source.is_floating_point():
            source = source.to(self.precision)
        memory = self.model.encode(source.to(self.device), mask.to(self.device))
        hypotheses = task.strategy(self.model, memory, self._limits(memory))
        heads = [None] * len(hypotheses)
        if task.need_alignment or task.need_heads:
            best = [ranked[0].tokens for ranked in hypotheses]
            heads = self._align(memory, best, task.need_heads)
        origins = self._origins(memory, hypotheses, task)
        return [
            Searched(ranked, row_heads, memory.layout, alignments)
            for ranked, row_heads, alignments in zip(hypotheses, heads, origins, strict=True)
        ]

    def _limits(self, memory: Memory) -> Int[Tensor, " batch"]:
        options = self._search
        limits = length_limits(memory.mask, options.max_length_ratio, options.max_length_extra)
        return limits if self._longest_target is None else limits.clamp(max=self._longest_target)

    def _align(
        self, memory: Memory, targets: list[list[int]], need_heads: bool
    ) -> list[Float[Tensor, "layers heads target source"] | None]:
        """Align one target a source in a forced pass; without end row and padding.

        Unless every head is needed, layers and heads are one each: the mean over the heads of the
        last layer.
        """
        longest = max(len(tokens) for tokens in targets)
        rows = [[BOS, *tokens] + [EOS] * (longest - len(tokens)) for tokens in targets]
        inputs = torch.tensor(rows, device=self.device)[:, : max(1, longest)]
        need = "every layer" if need_heads else True
        layers = self.model.decoder.write(memory, inputs, need_alignment=need).layers
        if not layers:
            return [None] * len(targets)
        kept = layers if need_heads else (layers[-1].mean(1, keepdim=True),)
        lengths = memory.mask.sum(1).tolist()
        return [
            row[:, :, : len(tokens), :length].float().cpu()
            for row, tokens, length in zip(torch.stack(kept, 1), targets, lengths, strict=True)
        ]

    def _origins(
        self, memory: Memory, hypotheses: list[list[Hypothesis]], task: Task
    ) -> list[list[Float[Tensor, "target source"] | None]]:
        """Align every hypothesis, if anything in the batch is unknown."""
        origins: list[list[Tensor | None]] = [[] for _ in hypotheses]
        if not task.need_origins or not (
            (self._reader.unit == "tokens" and any(UNK in row for row in task.rows))
            or any(UNK in one.tokens for ranked in hypotheses for one in ranked)
        ):
            return origins
        for rank in range(max(map(len, hypotheses))):
            targets = [one[rank].tokens if rank < len(one) else [] for one in hypotheses]
            for row, layers in enumerate(self._align(memory, targets, need_heads=False)):
                origins[row].append(None if layers is None else layers[-1].mean(0))
        return origins
