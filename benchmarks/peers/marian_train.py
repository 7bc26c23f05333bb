"""Train transformers' Marian architecture in a plain loop; report target tokens per second.

    marian_train.py DATA WARM_STEPS STEPS PRECISION...

A PRECISION is "fp32", "medium" (fp32 with ``torch.set_float32_matmul_precision("medium")``) or
"bf16" (autocast). SDPA attention, fused AdamW, batches of at most 4,096 padded tokens made of pairs
sorted by length, taken in a drawn order. Target tokens that are not padding count, the end of the
sentence included.
"""

import json
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import MarianConfig, MarianMTModel  # pyright: ignore[reportMissingImports]

BATCH_TOKENS, VOCABULARY, IGNORED = 4096, 8000, -100
PAD, BOS, EOS = 1, 2, 3


def read_ids(path: Path) -> list[list[int]]:
    return [[*map(int, line.split()), EOS] for line in path.read_text().splitlines()]


def make_batches(pairs: list[tuple[list[int], list[int]]]) -> list[list]:
    """Cut the pairs, sorted by length, where rows times the longest side would pass the limit."""
    batches, batch, longest = [], [], 0
    for pair in sorted(pairs, key=lambda p: (len(p[1]), len(p[0]))):
        longest = max(longest, len(pair[0]), len(pair[1]))
        if batch and longest * (len(batch) + 1) > BATCH_TOKENS:
            batches.append(batch)
            batch, longest = [], max(len(pair[0]), len(pair[1]))
        batch.append(pair)
    return [*batches, batch]


def pad(rows: list[list[int]], value: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def make_model() -> MarianMTModel:
    return MarianMTModel(
        MarianConfig(
            vocab_size=VOCABULARY,
            d_model=128,
            encoder_layers=4,
            decoder_layers=4,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=256,
            decoder_ffn_dim=256,
            activation_function="relu",
            dropout=0.3,
            max_position_embeddings=256,
            scale_embedding=True,
            attn_implementation="sdpa",
            pad_token_id=PAD,
            eos_token_id=EOS,
            decoder_start_token_id=BOS,
        )
    ).train()


def step(model, optimizer, batch, half: bool) -> int:
    """Train one step and return its number of target tokens."""
    source = pad([row for row, _ in batch], PAD)
    target = pad([row for _, row in batch], IGNORED)
    inputs = F.pad(target[:, :-1], (1, 0), value=BOS).masked_fill(target == IGNORED, PAD)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        out = model(
            input_ids=source, attention_mask=(source != PAD).long(), decoder_input_ids=inputs
        )
        loss = F.cross_entropy(
            out.logits.flatten(0, 1), target.flatten(), ignore_index=IGNORED, label_smoothing=0.1
        )
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return int((target != IGNORED).sum())


def train(batches: list[list], precision: str, warm: int, steps: int) -> dict[str, float]:
    torch.set_float32_matmul_precision("medium" if precision == "medium" else "highest")
    torch.manual_seed(0)
    order = torch.randperm(len(batches)).tolist()[: warm + steps]
    model = make_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, betas=(0.9, 0.98), fused=True)
    tokens, started = 0, time.perf_counter()
    for done, index in enumerate(order):
        if done == warm:
            tokens, started = 0, time.perf_counter()
        tokens += step(model, optimizer, batches[index], precision == "bf16")
    seconds = time.perf_counter() - started
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return {"tokens_per_second": tokens / seconds, "parameters": parameters}


def main() -> None:
    data, warm, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    pairs = list(zip(read_ids(data / "train.en.ids"), read_ids(data / "train.de.ids"), strict=True))
    batches = make_batches(pairs)
    print(json.dumps({name: train(batches, name, warm, steps) for name in sys.argv[4:]}))


if __name__ == "__main__":
    main()
