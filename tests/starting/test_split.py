import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kochi.data.pairs import Pair
from kochi.starting.split import choose_sources, hash_source, write_splits

WANTED = ["dev", "test"]


@given(st.lists(st.text(min_size=1), min_size=3, max_size=200), st.integers(0, 2**32))
def test_chosen_are_the_smallest_hashes_whatever_the_order(sources, seed):
    pairs = [Pair(source, ("x",)) for source in sources]
    chosen = choose_sources(pairs, WANTED, seed, len(pairs))
    hashes = sorted({hash_source(source, seed) for source in sources})
    count = 2 * max(1, len(pairs) // 20)
    assert sorted(chosen) == hashes[:count]
    assert chosen == choose_sources(reversed(pairs), WANTED, seed, len(pairs))


def test_rows_of_one_source_stay_together(tmp_path):
    pairs = [Pair(f"s{i % 50}", (f"t{i}",)) for i in range(200)]
    files = {split: (tmp_path / f"{split}.jsonl",) for split in ("train", "dev", "test")}
    chosen = choose_sources(pairs, WANTED, 1, len(pairs))
    counts = write_splits(pairs, chosen, 1, files)
    assert sum(counts.values()) == 200
    places = {}
    written = Counter()
    for split, (file,) in files.items():
        for line in file.read_text().splitlines():
            row = json.loads(line)
            assert places.setdefault(row["source"], split) == split
            written[row["target"]] += 1
    assert written == Counter(f"t{i}" for i in range(200))


def test_parallel_and_gz(tmp_path):
    import gzip

    pairs = [Pair("a\tb", ("c",)), Pair("d", ("e",))]
    chosen = {hash_source("d", 1): "dev"}
    files = {s: (tmp_path / f"{s}.en.gz", tmp_path / f"{s}.de.gz") for s in ("train", "dev")}
    assert write_splits(pairs, chosen, 1, files) == {"train": 1, "dev": 1}
    assert gzip.decompress((tmp_path / "train.en.gz").read_bytes()) == b"a\tb\n"
    assert gzip.decompress((tmp_path / "dev.de.gz").read_bytes()) == b"e\n"
