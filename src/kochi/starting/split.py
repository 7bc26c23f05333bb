"""Split off dev and test pairs when data come in one piece.

A pair's place follows from its source text and the seed alone (the smallest hashes are taken), so
all rows of one source stay together and the same data always split the same way. Memory is bounded:
only the hashes of the pairs to be split off are held.
"""

import gzip
import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from kochi.data.pairs import Pair

SHARE = 0.05
MOST = 2000


def hash_source(text: str, seed: int) -> int:
    """Hash a source text to 64 bits, differently for each seed, the same on every machine."""
    key = seed.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=key).digest(), "big")


def choose_sources(
    pairs: Iterable[Pair], wanted: list[str], seed: int, num_pairs: int
) -> dict[int, str]:
    """Choose sources for the ``wanted`` splits; map the hash of each to its split.

    Each split gets 5 % of the pairs, at least one and at most 2,000 different sources (5 % of the
    different sources, where each has many pairs). One source at least is left for training.

    Raises:
        ValueError: There are too few different sources.
    """
    return choose_keys((pair.source for pair in pairs), wanted, seed, num_pairs)


def choose_keys(
    sources: Iterable[str], wanted: list[str], seed: int, num_pairs: int
) -> dict[int, str]:
    """Choose as `choose_sources` does, from texts or from names of what is heard."""
    count = _share(num_pairs)
    smallest = _smallest_hashes(sources, seed, count * len(wanted) + 1)
    if len(smallest) <= count * len(wanted):
        count = _share(len(smallest))
    if len(smallest) <= count * len(wanted):
        raise ValueError(f"{len(smallest)} different sources are too few")
    chosen = smallest[: count * len(wanted)]
    return {value: wanted[place % len(wanted)] for place, value in enumerate(chosen)}


def _share(num: int) -> int:
    return max(1, min(MOST, int(SHARE * num)))


def _smallest_hashes(sources: Iterable[str], seed: int, most: int) -> list[int]:
    kept: list[int] = []  # a heap of negated hashes, so that its root is the largest kept
    held: set[int] = set()
    for source in sources:
        value = hash_source(source, seed)
        if value in held:
            continue
        if len(kept) < most:
            heapq.heappush(kept, -value)
        elif value < -kept[0]:
            held.discard(-heapq.heapreplace(kept, -value))
        else:
            continue
        held.add(value)
    return sorted(held)


def write_splits(
    pairs: Iterable[Pair], chosen: dict[int, str], seed: int, files: dict[str, tuple[Path, ...]]
) -> dict[str, int]:
    """Write each pair to the files of its split and count them.

    ``files`` names one file a split (``.tsv`` with a header, or ``.jsonl``) or two (parallel).
    """
    counts = dict.fromkeys(files, 0)
    with ExitStack() as stack:
        opened = {
            split: [stack.enter_context(_writing(path)) for path in paths]
            for split, paths in files.items()
        }
        for split, paths in files.items():
            if ".tsv" in paths[0].suffixes:
                opened[split][0].write("source\ttarget\n")
        for pair in pairs:
            split = chosen.get(hash_source(pair.source, seed), "train")
            for stream, text in zip(opened[split], _rows(pair, files[split]), strict=True):
                stream.write(text + "\n")
            counts[split] += 1
    return counts


def _rows(pair: Pair, paths: tuple[Path, ...]) -> Iterator[str]:
    if len(paths) == 2:
        yield pair.source
        yield pair.references[0]
    elif ".tsv" in paths[0].suffixes:
        yield f"{pair.source}\t{pair.references[0]}"
    else:
        target = pair.references[0] if len(pair.references) == 1 else list(pair.references)
        yield json.dumps({"source": pair.source, "target": target}, ensure_ascii=False)


@contextmanager
def _writing(path: Path) -> Iterator[TextIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        with gzip.open(path, "wt", encoding="utf-8", newline="\n") as stream:
            yield stream
    else:
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
