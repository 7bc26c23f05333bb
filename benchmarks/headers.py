"""How often `kochi init` takes a first row rightly for a header, or for data.

    python benchmarks/headers.py --data DATA

DATA holds `g2p_sigmorphon2021/*_train.tsv`, `g2p_cmudict/train.tsv` and
`multi30k/train.{en,de}.gz`. Word lists are made of the words of Multi30k. Each set of pairs is cut
to a number of rows by a draw; then its first row is data, or one of fifteen headers in six
languages is put above it.
"""

import argparse
import gzip
import random
from pathlib import Path

from kochi.modalities.detection.header import is_header

SIZES = (10, 20, 50, 200, 1000)
DRAWS = 60
HEADERS = (
    ("English", "German"),
    ("source", "target"),
    ("word", "pronunciation"),
    ("slovo", "výslovnost"),
    ("Wort", "Aussprache"),
    ("mot", "prononciation"),
    ("単語", "発音"),
    ("слово", "произношение"),
    ("en", "de"),
    ("Lemma", "Form"),
    ("input text", "output text"),
    ("kelime", "çekim"),
    ("a", "b"),
    ("word", "phones"),
    ("x", "y"),
)
LISTS = ("word list", "reversed words")  # which look like headers themselves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    drawn = random.Random(0)
    sets = read_sets(parser.parse_args().data, drawn)
    print("| rows | data taken for a header | headers found | headers found over word lists |")
    print("|---|---|---|---|")
    for size in SIZES:
        lost = found = found_in_lists = 0
        for name, rows in sets.items():
            for _ in range(DRAWS):
                lost += is_header(drawn.sample(rows, min(size + 1, len(rows))))
            for header in HEADERS:
                hit = is_header([header, *drawn.sample(rows, min(size, len(rows)))])
                found += hit and name not in LISTS
                found_in_lists += hit and name in LISTS
        others = (len(sets) - len(LISTS)) * len(HEADERS)
        in_lists = len(LISTS) * len(HEADERS)
        print(
            f"| {size} | {lost} of {len(sets) * DRAWS} | {found} of {others} "
            f"| {found_in_lists} of {in_lists} |"
        )


def read_sets(data: Path, drawn: random.Random) -> dict[str, list[list[str]]]:
    """Return sets of pairs by name."""
    tables = sorted((data / "g2p_sigmorphon2021").glob("*_train.tsv"))
    sets = {path.name: read_table(path) for path in tables}
    sets["cmudict"] = read_table(data / "g2p_cmudict" / "train.tsv")
    english = read_lines(data / "multi30k" / "train.en.gz")
    german = read_lines(data / "multi30k" / "train.de.gz")
    sets["translation"] = [list(pair) for pair in zip(english, german, strict=True)]
    words = [
        sorted({w for text in side for w in text.strip(".").split()}) for side in (english, german)
    ]
    sets["word list"] = [[drawn.choice(side) for side in words] for _ in range(4000)]
    sets["reversed words"] = [[word, word[::-1]] for word in words[0]]
    return sets


def read_table(path: Path) -> list[list[str]]:
    """Return the rows of a table with tabs."""
    return [line.split("\t") for line in path.read_text("utf-8").splitlines() if line.strip()]


def read_lines(path: Path) -> list[str]:
    """Return the lines of a gzip file."""
    return gzip.decompress(path.read_bytes()).decode().splitlines()


if __name__ == "__main__":
    main()
