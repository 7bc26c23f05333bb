"""How fast do we train, in target tokens per second, beside JoeyNMT and transformers?

Two models, each trained on the same token numbers by everybody: Transformer-Tiny (width 128,
feed-forward 256, 4 heads, 4 + 4 layers, dropout 0.3, tied embeddings) and a BiLSTM of width 256
with additive attention and input feeding. Label smoothing 0.1, AdamW, batches of 4,096 padded
tokens.
"""

import sys

from common import (
    PEER_SCRIPTS,
    WORKERS,
    Command,
    Measures,
    Options,
    Page,
    Ratio,
    measure,
    peer_versions,
    read_options,
    values,
)

RATE = "tokens_per_second"
AGAINST_JOEYNMT, AGAINST_TRANSFORMERS = 4.0, 1.2
NOTES = """Tokens per second are target tokens that are not padding, the end of the sentence
included, over the time of all steps after the warm-up; every contestant counts so. For kochi the
time runs in its real training loop (`kochi.training.train`: Lightning, logging, gradient clipping,
the making of batches included) from the start of one step to the start of a later one; evaluations
and checkpoints do not fall between. JoeyNMT's own command prints its figure; it does not sort by
length, so that its batches hold more padding. The transformers loop is a plain one without
clipping or logging. "bf16" is autocast to
bfloat16 with float32 weights; JoeyNMT has no such mode on the CPU."""


def ours(options: Options, warm: int, steps: int, *variants: str) -> Command:
    command = [sys.executable, WORKERS / "kochi_train.py", options.text(), options.work / "kochi"]
    return [*command, str(warm), str(steps), *variants]


def joeynmt(options: Options, model: str, warm: int, steps: int) -> Command:
    script = PEER_SCRIPTS / "joeynmt_train.py"
    command = [options.peer("joeynmt"), script, model, options.text(), options.work / "joeynmt"]
    return [*command, str(warm), str(steps)]


def marian(options: Options, warm: int, steps: int, *variants: str) -> Command:
    command = [options.peer("transformers"), PEER_SCRIPTS / "marian_train.py", options.text()]
    return [*command, str(warm), str(steps), *variants]


def measure_tiny(options: Options) -> dict[str, list[Measures]]:
    fast, slow = ((1, 2), (1, 1)) if options.quick else ((3, 12), (3, 6))
    contestants = {
        "JoeyNMT": joeynmt(options, "transformer", *slow),
        "transformers": marian(options, *fast, "fp32", "bf16"),
        "kochi": ours(options, *fast, "fp32=tiny:highest", "bf16=tiny:bf16"),
    }
    return measure("train-tiny", contestants, options)


def measure_rnn(options: Options) -> dict[str, list[Measures]]:
    fast, slow = ((1, 2), (1, 1)) if options.quick else ((3, 9), (3, 6))
    variants = ("fp32=rnn-luong:highest", "bf16=rnn-luong:bf16")
    bahdanau = "fp32, Bahdanau's order=rnn-bahdanau:highest"
    contestants = {
        "JoeyNMT": joeynmt(options, "rnn", *slow),
        "kochi": ours(options, *fast, *variants, bahdanau),
    }
    return measure("train-rnn", contestants, options)


def parameters(found: dict[str, list[Measures]]) -> str:
    counts = (f"{name} {rounds[0]['parameters']:,.0f}" for name, rounds in found.items())
    return f"Parameters: {'; '.join(counts)}."


def ratio(
    found: dict[str, list[Measures]], upper: str, lower: str, at_least: float | None = None
) -> Ratio:
    pair = values(found, upper, RATE), values(found, lower, RATE)
    return Ratio(f"{upper} / {lower}", *pair, at_least)


def write_page(
    options: Options, tiny: dict[str, list[Measures]], rnn: dict[str, list[Measures]]
) -> None:
    page = Page("train-speed", "Speed of training beside JoeyNMT and transformers", options)
    peers = (
        peer_versions(options, "joeynmt", "joeynmt", "torch"),
        peer_versions(options, "transformers", "transformers", "torch"),
    )
    page.add(f"Peers: {'; '.join(peers)}")
    page.add(" ".join(NOTES.split()))
    page.add("## Transformer-Tiny")
    page.add_measures(tiny, RATE, "target tokens/s")
    page.add_ratios(
        [
            ratio(tiny, "kochi fp32", "JoeyNMT fp32", AGAINST_JOEYNMT),
            ratio(tiny, "kochi fp32", "transformers fp32", AGAINST_TRANSFORMERS),
            ratio(tiny, "kochi bf16", "JoeyNMT fp32"),
            ratio(tiny, "kochi bf16", "transformers fp32"),
            ratio(tiny, "kochi bf16", "transformers bf16"),
        ]
    )
    page.add(parameters(tiny))
    page.add("## BiLSTM 256, additive attention, input feeding")
    page.add("JoeyNMT steps first and attends then (Luong's order), so that is the one compared.")
    page.add_measures(rnn, RATE, "target tokens/s")
    page.add_ratios(
        [
            ratio(rnn, "kochi fp32", "JoeyNMT fp32", AGAINST_JOEYNMT),
            ratio(rnn, "kochi bf16", "JoeyNMT fp32"),
            ratio(rnn, "kochi fp32, Bahdanau's order", "JoeyNMT fp32"),
        ]
    )
    page.add(parameters(rnn))
    page.write()


def main() -> None:
    options = read_options(__doc__ or "", rounds=3)
    write_page(options, measure_tiny(options), measure_rnn(options))


if __name__ == "__main__":
    main()
