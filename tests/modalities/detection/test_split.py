import json
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kochi.data.pair import Pair
from kochi.modalities.detection.split import choose_sources, hash_source, rows_wanted, write_splits

WANTED = {"dev": 20, "test": 10}


@given(
    st.lists(st.text(min_size=1, max_size=3), min_size=3, max_size=200),
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(0, 2**32),
)
def test_no_split_gets_more_rows_than_wanted_whatever_the_order(sources, dev, test, seed):
    rows = Counter(sources)
    assume(len(rows) > 2)
    wanted = {"dev": dev, "test": test}
    chosen = choose_sources(sources, wanted, seed)
    assert chosen == choose_sources(reversed(sources), wanted, seed)
    of_hash = {hash_source(source, seed): source for source in rows}
    given_out = {split: [of_hash[h] for h, s in chosen.items() if s == split] for split in wanted}
    for split, most in wanted.items():
        assert given_out[split]
        count = sum(rows[source] for source in given_out[split])
        assert count <= most or len(given_out[split]) == 1
    assert len(chosen) < len(rows)


def test_with_one_row_a_source_splits_are_exactly_as_large_as_wanted():
    chosen = choose_sources([f"s{i}" for i in range(1000)], WANTED, 3)
    assert Counter(chosen.values()) == WANTED


def test_sources_with_many_rows():
    sources = [f"s{i}" for i in range(1200) for _ in range(9)]
    wanted = rows_wanted(len(sources), ["dev", "test"])
    assert wanted == {"dev": 540, "test": 540}
    assert Counter(choose_sources(sources, wanted, 1).values()) == {"dev": 60, "test": 60}


def test_shares_of_splits():
    shares = {"train": 0.8, "dev": 0.2, "test": 0.0}
    assert rows_wanted(100_000, ["dev", "test"], shares) == {"dev": 20_000}
    assert rows_wanted(100_000, ["dev"]) == {"dev": 2000}


def test_many_pairs_of_few_sources_leave_something_to_train_on():
    sources = [f"s{i % 4}" for i in range(400)]
    assert len(choose_sources(sources, WANTED, 1)) == 2
    with pytest.raises(ValueError, match="2 different sources are too few"):
        choose_sources([source for source in sources if source < "s2"], WANTED, 1)


def test_rows_of_one_source_stay_together(tmp_path):
    pairs = [Pair(f"s{i % 50}", (f"t{i}",)) for i in range(200)]
    files = {split: (tmp_path / f"{split}.jsonl",) for split in ("train", "dev", "test")}
    chosen = choose_sources((pair.source for pair in pairs), WANTED, 1)
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
