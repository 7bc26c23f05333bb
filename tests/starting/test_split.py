import json
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kochi.data.pairs import Pair
from kochi.starting.split import choose_sources, hash_source, write_splits

WANTED = ["dev", "test"]


@given(st.lists(st.text(min_size=1), min_size=3, max_size=200), st.integers(0, 2**32))
def test_chosen_are_the_smallest_hashes_whatever_the_order(sources, seed):
    pairs = [Pair(source, ("x",)) for source in sources]
    hashes = sorted({hash_source(source, seed) for source in sources})
    assume(len(hashes) > 2)
    count = 2 * max(1, len(pairs) // 20)
    if count >= len(hashes):
        count = 2 * max(1, len(hashes) // 20)
    chosen = choose_sources(pairs, WANTED, seed, len(pairs))
    assert sorted(chosen) == hashes[:count]
    assert sorted(chosen.values()) == ["dev"] * (count // 2) + ["test"] * (count // 2)
    assert chosen == choose_sources(reversed(pairs), WANTED, seed, len(pairs))


def test_many_pairs_of_few_sources_leave_something_to_train_on():
    pairs = [Pair(f"s{i % 4}", ("x",)) for i in range(400)]
    assert len(choose_sources(pairs, WANTED, 1, 400)) == 2
    with pytest.raises(ValueError, match="2 different sources are too few"):
        choose_sources([pair for pair in pairs if pair.source < "s2"], WANTED, 1, 200)


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
