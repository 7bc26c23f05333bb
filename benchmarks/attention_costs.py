"""What does attention add to a plain encoder-decoder, and what do sparse selections cost?

All models are the same BiLSTM of width 256: without attention (one fixed vector), with additive
attention after each step, with input feeding, in Bahdanau's order, and with sparsemax or
entmax-1.5 in place of the softmax. Batches of 4,096 padded tokens, in float32.
"""

import sys

from common import WORKERS, Command, Measures, Options, Page, Ratio, measure, read_options, values

MODELS = {
    "no attention": "plain",
    "attention, no input feeding": "rnn-no-feeding",
    "attention with input feeding": "rnn-luong",
    "attention in Bahdanau's order": "rnn-bahdanau",
    "sparsemax with input feeding": "rnn-sparsemax",
    "entmax-1.5 with input feeding": "rnn-entmax15",
}
PLAIN, FED = "no attention", "attention with input feeding"
SPARSE = ("sparsemax with input feeding", "entmax-1.5 with input feeding")
SHARE = 0.7
NOTES = """The time of a step runs in kochi's real training loop from the start of one step to the
start of a later one, all models on the same batches, each in a process of its own. The peak is the
largest resident size of that process; the interpreter with its libraries, the data and the
optimizer are in it. Without input feeding all target positions ask the memory at once; with it, and
in Bahdanau's order, the recurrent layer waits for what was read at each step."""


def contestants(options: Options) -> dict[str, Command]:
    warm, steps = ("1", "2") if options.quick else ("3", "12")
    worker, folder = WORKERS / "kochi_train.py", options.work / "kochi"
    return {
        name: [sys.executable, worker, options.text(), folder, warm, steps, f"={model}:highest"]
        for name, model in MODELS.items()
    }


def added_rows(found: dict[str, list[Measures]]) -> list[list[str]]:
    """Return what each model has beyond the plain one: parameters, memory and time."""
    plain = found[PLAIN][0]["parameters"]
    rows = []
    for name in MODELS:
        count = found[name][0]["parameters"]
        peak = Ratio("", values(found, name, "peak_mb"), values(found, PLAIN, "peak_mb"))
        time = _ratio(found, name, PLAIN, "milliseconds")
        shown = f"{count:,.0f} ({100 * (count / plain - 1):+.1f} %)"
        rows.append([name, shown, f"{peak.value:.2f}", f"{time.value:.2f}", time.row()[2]])
    return rows


def _ratio(
    found: dict[str, list[Measures]], upper: str, lower: str, what: str, least: float | None = None
) -> Ratio:
    pair = values(found, upper, what), values(found, lower, what)
    return Ratio(f"{upper} / {lower}", *pair, least)


def main() -> None:
    options = read_options(__doc__ or "", rounds=3)
    found = measure("attention-costs", contestants(options), options)
    page = Page("attention-costs", "What attention adds", options)
    page.add(" ".join(NOTES.split()))
    page.add_measures(found, "milliseconds", "milliseconds a step")
    page.add_measures(found, "peak_mb", "peak, MB")
    page.add("Against the model without attention (ratios of medians):")
    head = ["", "parameters", "peak memory", "time of a step", "over rounds"]
    page.add_table(head, added_rows(found))
    page.add("## Sparse selections")
    page.add_measures(
        {name: found[name] for name in (FED, *SPARSE)}, "tokens_per_second", "target tokens/s"
    )
    page.add_ratios([_ratio(found, name, FED, "tokens_per_second", SHARE) for name in SPARSE])
    page.write()


if __name__ == "__main__":
    main()
