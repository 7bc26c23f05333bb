from random import Random

import pytest

from kochi.metrics.alignment import read_links
from kochi.studies.language import ARTICLES, ENDINGS, MARK, Language, write_pairs

LANGUAGE = Language(1)
VERBS = dict(LANGUAGE.verbs)
NOUNS = {source: (target, kind) for source, target, kind in LANGUAGE.nouns}
ADJECTIVES = dict(LANGUAGE.adjectives)
CONJUNCTIONS = dict(LANGUAGE.conjunctions)


def sentences(count=200):
    draw = Random(7)
    return [LANGUAGE.sentence(draw, draw.randint(2, 20)) for _ in range(count)]


def test_no_word_has_two_meanings():
    source = [*NOUNS, *ADJECTIVES, *VERBS, *CONJUNCTIONS, *LANGUAGE.particles]
    assert len(source) == len(set(source))
    target = [target for target, _ in NOUNS.values()] + [*CONJUNCTIONS.values(), MARK, *ARTICLES]
    target += [word for words in VERBS.values() for word in words]
    target += [stem + ending for stem in ADJECTIVES.values() for ending in ENDINGS]
    assert len(target) == len(set(target))


def test_sure_links_join_a_word_and_its_translation():
    for pair in sentences():
        source, target = pair.source.split(), pair.target.split()
        gold = read_links(pair.links)
        for one, other in gold.sure:
            word, translation = source[one], target[other]
            if word in NOUNS:
                assert translation == NOUNS[word][0]
            elif word in ADJECTIVES:
                assert translation[:-1] == ADJECTIVES[word]
            elif word in VERBS:
                assert translation in VERBS[word]
            else:
                assert translation == CONJUNCTIONS[word]
        for one, other in gold.possible - gold.sure:
            kind = NOUNS[source[one]][1]
            assert target[other] == ARTICLES[kind] or target[other][-1] == ENDINGS[kind]


def test_what_has_no_link():
    for pair in sentences():
        source, target = pair.source.split(), pair.target.split()
        gold = read_links(pair.links)
        left = set(range(len(source))) - {one for one, _ in gold.sure}
        assert {source[place] for place in left} <= set(LANGUAGE.particles)
        left = set(range(len(target))) - {other for _, other in gold.possible}
        assert left == {len(target) - 1} and target[-1] == MARK
        alone = set(range(len(target))) - {other for _, other in gold.sure} - left
        assert {target[place] for place in alone} <= set(ARTICLES)


def test_there_are_reorderings_and_words_that_become_two():
    crossing = twice = particles = 0
    for pair in sentences():
        gold = sorted(read_links(pair.links).sure)
        crossing += any(one[0] < two[0] and one[1] > two[1] for one in gold for two in gold)
        twice += len({one for one, _ in gold}) < len(gold)
        particles += any(word in LANGUAGE.particles for word in pair.source.split())
    assert crossing == 200  # the verb comes first here and last there
    assert min(twice, particles) > 50


@pytest.mark.parametrize("length", [1, 9, 30])
def test_length(length):
    """A clause has at most seven words, and a conjunction may stand before it."""
    for seed in range(50):
        found = len(LANGUAGE.sentence(Random(seed), length).source.split())
        assert length <= found < length + 8


def test_splits_are_different_sentences_and_always_the_same(tmp_path):
    sizes = {"train": 60, "dev": 20, "test": 20}
    for name in ("a", "b"):
        write_pairs(tmp_path / name, sizes, longest=6)
    write_pairs(tmp_path / "c", sizes, longest=6, seed=2)
    rows = []
    for split, size in sizes.items():
        for end in ("tsv", "links"):
            content = (tmp_path / "a" / f"{split}.{end}").read_text()
            assert content == (tmp_path / "b" / f"{split}.{end}").read_text()
            assert content != (tmp_path / "c" / f"{split}.{end}").read_text()
        table = (tmp_path / "a" / f"{split}.tsv").read_text().splitlines()
        assert table[0] == "source\ttarget" and len(table) == size + 1
        assert len((tmp_path / "a" / f"{split}.links").read_text().splitlines()) == size
        rows += [row.split("\t")[0] for row in table[1:]]
    assert len(rows) == len(set(rows))
