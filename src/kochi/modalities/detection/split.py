"""Split off dev and test rows if the data are a single piece.

The split of a row depends only on its source and the seed (the smallest hashes are chosen), so that
all rows of a source stay together and the same data always split in the same way. Memory is
bounded: only the hashes of the rows to be split off are held.
"""

import gzip
import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from kochi.data.pair import Pair
from kochi.data.tags import without_tags
from kochi.modalities.detection.choices import Choices

SHARE = 0.05
MOST = 2000
TOO_FEW = " to set some aside: there are no dev and no test data; add rows, or files for them"
SPLIT_HINT = "; other shares: --split 0.8/0.1/0.1"


def hash_source(text: str, seed: int) -> int:
    """Hash a source text to 64 bits, depending on the seed but not on the machine."""
    key = seed.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=key).digest(), "big")


def shares_of(choices: Choices) -> dict[str, float] | None:
    """Return the fractions that the user requested, by split."""
    if choices.split is None:
        return None
    return dict(zip(("train", "dev", "test"), choices.split, strict=True))


def rows_wanted(
    num_rows: int, wanted: Iterable[str], shares: Mapping[str, float] | None = None
) -> dict[str, int]:
    """Return the maximum number of rows of each split.

    Args:
        num_rows: Number of rows of all the data.
        wanted: The splits to be split off.
        shares: Fraction of each split; by default 5 %, but at most 2,000 rows.

    >>> rows_wanted(1000, ["dev", "test"])
    {'dev': 50, 'test': 50}
    """
    if shares is None:
        return {split: max(1, min(MOST, int(SHARE * num_rows))) for split in wanted}
    return {split: max(1, int(shares[split] * num_rows)) for split in wanted if shares[split] > 0}


def choose_sources(sources: Iterable[str], wanted: Mapping[str, int], seed: int) -> dict[int, str]:
    """Choose sources for splits; return a mapping from the hash of each to its split.

    No split gets more rows than wanted, unless every source has more: then it gets the source with
    the fewest rows. At least one source is left for training.

    Args:
        sources: The source of each row.
        wanted: The number of rows of each split.
        seed: Seed of the hash.

    Raises:
        ValueError: There are too few distinct sources.

    >>> chosen = choose_sources(["a", "a", "b", "c", "d"], {"dev": 1, "test": 1}, seed=1)
    >>> sorted(chosen.values())
    ['dev', 'test']
    """
    smallest = _smallest_hashes(sources, seed, sum(wanted.values()) + 1)
    if len(smallest) <= len(wanted):
        raise ValueError(f"{len(smallest)} different sources are too few")
    chosen: dict[int, str] = {}
    left = dict(wanted)
    pool = dict(smallest)
    for split in wanted:  # each gets one source, regardless of its size
        fitting = (value for value, rows in pool.items() if rows <= left[split])
        value = next(fitting, min(pool, key=lambda value: pool[value]))
        chosen[value] = split
        left[split] -= pool.pop(value)
    for value, rows in list(pool.items())[:-1]:  # if there are few sources, one stays for training
        split = max(left, key=lambda split: left[split])
        if rows <= left[split]:
            chosen[value] = split
            left[split] -= rows
    return chosen


def _smallest_hashes(sources: Iterable[str], seed: int, most: int) -> list[tuple[int, int]]:
    """Return the smallest hashes of sources in order, with the number of rows of each.

    A discarded hash never returns, since the largest kept hash only decreases: all rows of the
    remaining hashes have therefore been counted.
    """
    kept: list[int] = []  # a heap of negated hashes, so that its root is the largest kept
    counts: dict[int, int] = {}
    for source in sources:
        value = hash_source(source, seed)
        if value in counts:
            counts[value] += 1
            continue
        if len(kept) < most:
            heapq.heappush(kept, -value)
        elif value < -kept[0]:
            del counts[-heapq.heapreplace(kept, -value)]
        else:
            continue
        counts[value] = 1
    return sorted(counts.items())


def source_key(pair: Pair, tagged: bool) -> str:
    """Return the key that keeps rows together: the source without its tags."""
    return without_tags(pair.source) if tagged else pair.source


def write_splits(
    pairs: Iterable[Pair],
    chosen: Mapping[int, str],
    seed: int,
    files: Mapping[str, tuple[Path, ...]],
    tagged: bool = False,
) -> dict[str, int]:
    """Write each pair to the files of its split and count them.

    Args:
        pairs: All pairs.
        chosen: The result of `choose_sources`.
        seed: Seed of the hash.
        files: One file per split (``.tsv`` with a header, or ``.jsonl``) or two (parallel).
        tagged: Whether sources have tags, which are written to a column of their own.
    """
    counts = dict.fromkeys(files, 0)
    with ExitStack() as stack:
        opened = {
            split: [stack.enter_context(_writing(path)) for path in paths]
            for split, paths in files.items()
        }
        for split, paths in files.items():
            if ".tsv" in paths[0].suffixes:
                opened[split][0].write("source\ttarget\ttags\n" if tagged else "source\ttarget\n")
        for pair in pairs:
            split = chosen.get(hash_source(source_key(pair, tagged), seed), "train")
            for stream, text in zip(opened[split], _rows(pair, files[split], tagged), strict=True):
                stream.write(text + "\n")
            counts[split] += 1
    return counts


def _rows(pair: Pair, paths: tuple[Path, ...], tagged: bool) -> Iterator[str]:
    source, _, tags = pair.source.rpartition("\t") if tagged else (pair.source, "", "")
    if len(paths) == 2:
        yield source
        yield pair.references[0]
    elif ".tsv" in paths[0].suffixes:
        yield "\t".join([source, pair.references[0], *([tags] if tagged else [])])
    else:
        target = pair.references[0] if len(pair.references) == 1 else list(pair.references)
        record = {"source": source, "target": target} | ({"tags": tags} if tagged else {})
        yield json.dumps(record, ensure_ascii=False)


@contextmanager
def _writing(path: Path) -> Iterator[TextIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        with gzip.open(path, "wt", encoding="utf-8", newline="\n") as stream:
            yield stream
    else:
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
