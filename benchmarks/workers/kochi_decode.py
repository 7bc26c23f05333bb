"""Decode in kochi with the weights that transformers and CTranslate2 have.

    kochi_decode.py TEXT WORK SENTENCES CONTESTANT...

A contestant is a precision of the weights, as in `kochi.load`: "fp32" or "bf16"; with " in
processes" behind it, one process for each of torch's threads answers, as with the argument of that
name there.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from kochi_runs import TINY, VOCABULARY
from safetensors.torch import load_file
from torch import Tensor, nn

from kochi import config
from kochi.allocator import keep_pages
from kochi.attention import MultiHeadAttention
from kochi.data.batches import batch_sources
from kochi.decoders.transformer import TransformerDecoder, TransformerDecoderLayer
from kochi.decoding import search
from kochi.encoders.transformer import TransformerEncoder
from kochi.encoders.transformer_layers import TransformerEncoderLayer
from kochi.inference.parallel import in_parallel, num_workers, share_size
from kochi.inference.processes import Processes
from kochi.inputs import TokenInput
from kochi.layers.feedforward import FeedForward
from kochi.models.build import build_model
from kochi.models.seq2seq import Seq2Seq

STEPS, SIZE = 16, 128
CPU = torch.device("cpu")
PASSES = 3  # that are timed, after one that is not
SETTINGS = {"beam 5, batch 64": (5, 64), "greedy, batch 64": (1, 64), "greedy, batch 1": (1, 1)}
SWAPPED = {0: 1, 1: 0}  # unknown and padding have each other's number here and there


def translate(numbers: list[int]) -> list[int]:
    """Turn the peers' token numbers into ours, or back."""
    return [SWAPPED.get(number, number) for number in numbers]


# ---------------------------------------------------------------------------- carrying weights over


def dimension_order() -> Tensor:
    """Say which of Marian's dimensions each of ours is.

    Marian's positions have all sines first and then all cosines; ours take turns. The width of the
    model is put in our order everywhere, which changes nothing else.
    """
    half = torch.arange(SIZE // 2)
    return torch.stack((half, half + SIZE // 2), dim=1).flatten()


class Carrier:
    """Copy Marian's weights into our modules, dimensions and tokens in our order."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights = weights
        self.order = dimension_order()
        self.tokens = torch.tensor(translate(list(range(VOCABULARY))))

    def linear(self, layer: nn.Linear, *names: str, reads: bool, writes: bool) -> None:
        """Copy layers above each other; ``reads`` or ``writes`` the width of the model."""
        weight = torch.cat([self.weights[f"{name}.weight"] for name in names])
        bias = torch.cat([self.weights[f"{name}.bias"] for name in names])
        if reads:
            weight = weight[:, self.order]
        if writes:
            weight, bias = weight[self.order], bias[self.order]
        copy(layer.weight, weight)
        copy(layer.bias, bias)

    def norm(self, layer: nn.LayerNorm, name: str) -> None:
        copy(layer.weight, self.weights[f"{name}.weight"][self.order])
        copy(layer.bias, self.weights[f"{name}.bias"][self.order])

    def attention(self, layer: MultiHeadAttention, name: str) -> None:
        self.linear(layer.query_proj, f"{name}.q_proj", reads=True, writes=False)
        both = (f"{name}.k_proj", f"{name}.v_proj")
        self.linear(layer.memory_proj, *both, reads=True, writes=False)
        self.linear(layer.output_proj, f"{name}.out_proj", reads=False, writes=True)

    def feedforward(self, layer: FeedForward, name: str) -> None:
        self.linear(layer.inner, f"{name}.fc1", reads=True, writes=False)
        self.linear(layer.outer, f"{name}.fc2", reads=False, writes=True)

    def model(self, encoder: TransformerEncoder, decoder: TransformerDecoder) -> None:
        shared = self.weights["model.shared.weight"][self.tokens][:, self.order]
        copy(encoder.embedding.weight, shared)
        copy(decoder.output_bias, self.weights["final_logits_bias"][0, self.tokens])
        for index, layer in enumerate(layers_of(encoder, TransformerEncoderLayer)):
            at = f"model.encoder.layers.{index}"
            self.attention(layer.attention, f"{at}.self_attn")
            self.norm(layer.attention_residual.norm, f"{at}.self_attn_layer_norm")
            self.feedforward(layer.feedforward, at)
            self.norm(layer.feedforward_residual.norm, f"{at}.final_layer_norm")
        for index, layer in enumerate(layers_of(decoder, TransformerDecoderLayer)):
            at = f"model.decoder.layers.{index}"
            self.attention(layer.self_attention, f"{at}.self_attn")
            self.norm(layer.self_residual.norm, f"{at}.self_attn_layer_norm")
            self.attention(layer.attention, f"{at}.encoder_attn")
            self.norm(layer.attention_residual.norm, f"{at}.encoder_attn_layer_norm")
            self.feedforward(layer.feedforward, at)
            self.norm(layer.feedforward_residual.norm, f"{at}.final_layer_norm")


Layer = TypeVar("Layer")


def layers_of(part: TransformerEncoder | TransformerDecoder, kind: type[Layer]) -> list[Layer]:
    return [layer for layer in part.layers if isinstance(layer, kind)]


@torch.no_grad()
def copy(parameter: Tensor, values: Tensor) -> None:
    assert parameter.shape == values.shape, (parameter.shape, values.shape)
    parameter.copy_(values)


# -------------------------------------------------------------------------------------- decoding


Batch = tuple[list[list[int]], int]  # sources and the beam
Answer = Callable[[Batch], list[list[int]]]


def answerer(model: Seq2Seq) -> Answer:
    @torch.inference_mode()
    def answer(batch: Batch) -> list[list[int]]:
        sources, beam = batch
        memory = model.encode(*batch_sources(sources))
        found = search(model.decoder, memory, max_length=STEPS, beam=beam, length_penalty=1.0)
        return [hypotheses[0].tokens for hypotheses in found]

    return answer


def decode(
    answer_all: Callable[[list[Batch]], list[list[list[int]]]],
    sources: list[list[int]],
    beam: int,
    batch: int,
) -> list[list[int]]:
    """Decode as `kochi.Predictor` does: longest first, batches side by side."""
    order = sorted(range(len(sources)), key=lambda i: -len(sources[i]))
    size = share_size(len(order), batch, num_workers(CPU))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    answers: list[list[int]] = [[] for _ in sources]
    asked = [([sources[i] for i in chosen], beam) for chosen in batches]
    for chosen, found in zip(batches, answer_all(asked), strict=True):
        for i, tokens in zip(chosen, found, strict=True):
            answers[i] = tokens
    return answers


class Contestant:
    """Answers everything in this process, or in several."""

    def __init__(self, work: Path, name: str) -> None:
        self.name = name
        precision, _, where = name.partition(" in ")
        self.answer = load(work, precision)
        self.pool = Processes(num_workers(CPU), load, work, precision) if where else None

    def all(self, batches: list[Batch]) -> list[list[list[int]]]:
        if self.pool is None or len(batches) < 2:
            return in_parallel(self.answer, batches, CPU)
        return self.pool.map(batches)

    def go(self, sources: list[list[int]], beam: int, batch: int) -> list[list[int]]:
        """Decode all; one sentence at a time means never two beside each other."""
        if batch == 1:
            return [decode(self.all, [source], beam, batch)[0] for source in sources]
        return decode(self.all, sources, beam, batch)


def load(work: Path, precision: str) -> Answer:
    table = config.TransformerModel.model_validate(TINY | {"norm": "post", "dropout": 0.0})
    model = build_model(table, TokenInput(VOCABULARY), VOCABULARY).eval()
    assert isinstance(model.encoder, TransformerEncoder)
    assert isinstance(model.decoder, TransformerDecoder)
    Carrier(load_file(work / "marian.safetensors")).model(model.encoder, model.decoder)
    return answerer(model.to(torch.bfloat16) if precision == "bf16" else model)


def measure(contestant: Contestant, sources: list[list[int]], work: Path) -> dict[str, float]:
    """Return tokens per second in each setting; the answers are written for a comparison."""
    result: dict[str, float] = {}
    answers: list[list[int]] = []
    for setting, (beam, batch) in SETTINGS.items():
        chosen = sources if batch > 1 else sources[: max(len(sources) // 8, 1)]
        contestant.go(chosen, beam, batch)
        started = time.perf_counter()
        for _ in range(PASSES):
            answers = contestant.go(chosen, beam, batch)
        result[setting] = PASSES * STEPS * len(answers) / (time.perf_counter() - started)
        assert all(len(answer) == STEPS for answer in answers), "not 16 steps"
        path = work / f"kochi {contestant.name}-beam{beam}-batch{batch}.json"
        path.write_text(json.dumps([translate(answer) for answer in answers]))
    return result


def main() -> None:
    text, work, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    lines = (text / "test.en.ids").read_text().splitlines()[:count]
    sources = [translate(list(map(int, line.split()))) for line in lines]
    keep_pages()  # as the command does
    result = {}
    for name in sys.argv[4:]:
        contestant = Contestant(work, name)
        result[name] = measure(contestant, sources, work)
        if contestant.pool is not None:
            contestant.pool.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
