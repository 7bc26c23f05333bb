"""How fast do we decode, in target tokens per second, beside transformers and CTranslate2?

Transformer-Tiny with the very same random weights everywhere, on test sentences, 16 steps each:
beam 5 and greedy in batches of 64, and greedy one sentence at a time.
"""

import json
import sys
from pathlib import Path

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
    run,
    values,
)

SETTINGS = {"beam 5, batch 64": (5, 64), "greedy, batch 64": (1, 64), "greedy, batch 1": (1, 1)}
NAMES = {  # contestant: what the file of its answers is called
    "transformers fp32": "fp32",
    "transformers bf16": "bf16",
    "CTranslate2 float32": "float32",
    "CTranslate2 float32 side by side": "float32 side by side",
    "CTranslate2 int8": "int8",
    "kochi fp32": "kochi fp32",
    "kochi bf16": "kochi bf16",
    "kochi fp32 in processes": "kochi fp32 in processes",
    "kochi bf16 in processes": "kochi bf16 in processes",
}
OURS = [name for name in NAMES if name.startswith("kochi")]
BESIDE = "float32 side by side"
REFERENCE = "transformers fp32"
NOTES = """All contestants decode the same sentences with the same weights (Marian's post-norm form;
kochi's Transformer gets them with its dimensions in its own order). The end of the sentence is made
impossible by its bias, so that everybody takes 16 steps. Token numbers go in and come out; encoding
the source is part of the time. The time of CTranslate2 holds its sorting by length, kochi's too;
transformers gets the sentences sorted. kochi computes batches side by side, a thread each,
or "in processes", a process each, as `kochi.load(processes=2)` has it, begun before the time is
taken; CTranslate2 shares the threads in each batch as it comes, and is also measured side by side
(inter_threads). bf16 is the precision of the weights, as `kochi.load(precision="bf16")` has it."""


def contestants(options: Options) -> dict[str, Command]:
    text, work = options.text(), options.work / "decode"
    peer, script = options.peer("transformers"), PEER_SCRIPTS / "marian_decode.py"
    run([peer, script, "export", work], options.threads)
    count = "64" if options.quick else "256"
    kochi = [sys.executable, WORKERS / "kochi_decode.py", text, work, count]
    return {
        "transformers": [peer, script, text, work, count, "fp32", "bf16"],
        "CTranslate2": [peer, script, text, work, count, "float32", BESIDE, "int8"],
        "kochi": [*kochi, *(name.removeprefix("kochi ") for name in OURS)],
    }


def agreement(work: Path) -> list[list[str]]:
    """Return for each contestant how many answers are those of the reference."""
    rows = []
    for contestant, name in NAMES.items():
        row = [contestant]
        for beam, batch in SETTINGS.values():
            pair = [
                json.loads((work / f"{n}-beam{beam}-batch{batch}.json").read_text())
                for n in (name, NAMES[REFERENCE])
            ]
            same = sum(a == b for a, b in zip(*pair, strict=True))
            row.append(f"{same} of {len(pair[0])}")
        rows.append(row)
    return rows


def ratios(found: dict[str, list[Measures]]) -> list[Ratio]:
    def one(setting: str, upper: str, lower: str, at_least: float | None = None) -> Ratio:
        pair = values(found, upper, setting), values(found, lower, setting)
        return Ratio(f"{setting}: {upper} / {lower}", *pair, at_least)

    beam, greedy, single = SETTINGS
    return [
        one(beam, "kochi bf16 in processes", "CTranslate2 float32", 1.0),
        one(beam, "kochi fp32 in processes", "CTranslate2 float32", 1.0),
        one(beam, "kochi bf16", "CTranslate2 float32", 1.0),
        one(beam, "kochi fp32", "CTranslate2 float32", 1.0),
        one(beam, "kochi bf16 in processes", f"CTranslate2 {BESIDE}"),
        one(beam, "kochi fp32 in processes", f"CTranslate2 {BESIDE}"),
        one(beam, "kochi bf16 in processes", "CTranslate2 int8"),
        one(beam, "kochi fp32 in processes", "transformers fp32"),
        one(greedy, "kochi fp32 in processes", "CTranslate2 float32"),
        one(greedy, "kochi fp32 in processes", "transformers fp32"),
        one(greedy, "kochi fp32", "transformers fp32"),
        one(single, "kochi fp32", "transformers fp32", 1.0),
        one(single, "kochi fp32", "transformers bf16"),
        one(single, "kochi fp32", "CTranslate2 float32"),
    ]


def main() -> None:
    options = read_options(__doc__ or "", rounds=3)
    found = measure("decode", contestants(options), options)
    page = Page("decode-speed", "Speed of decoding beside transformers and CTranslate2", options)
    names = ("transformers", "ctranslate2", "torch")
    page.add(f"Peers: {peer_versions(options, 'transformers', *names)}")
    page.add(" ".join(NOTES.split()))
    for setting in SETTINGS:
        page.add_measures(found, setting, f"{setting}: target tokens/s")
    page.add_ratios(ratios(found))
    page.add(f"Answers that are token for token those of {REFERENCE}:")
    page.add_table(["", *SETTINGS], agreement(options.work / "decode"))
    page.write()


if __name__ == "__main__":
    main()
