from random import Random

import pytest

from kochi.metrics.alignment import read_links
from kochi.studies.language import (
    ARTICLES,
    ENDINGS,
    MARK,
    Knobs,
    Language,
    Part,
    write_pairs,
)
from kochi.studies.local import LOCAL_KNOBS, MOVES

LANGUAGE = Language(1)
VERBS = {verb.word: verb.translation for verb in LANGUAGE.verbs}
NOUNS = {noun.word: (noun.translations[0], noun.kind) for noun in LANGUAGE.nouns}
ADJECTIVES = dict(LANGUAGE.adjectives)
CONJUNCTIONS = {one.word: one.translation for one in LANGUAGE.conjunctions}
HARD = Knobs(conjunctions=2, swapping=2, ambiguous=1.0, fertility=3)


def sentences(count=200, language=LANGUAGE):
    draw = Random(7)
    return [language.sentence(draw, draw.randint(2, 20)) for _ in range(count)]


def test_no_word_stands_for_two():
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


def test_the_verb_decides_how_an_ambiguous_noun_is_translated():
    language = Language(1, HARD)
    nouns = {noun.word: noun for noun in language.nouns}
    verbs = {verb.word: verb for verb in language.verbs}
    found = set()
    for pair in sentences(100, language):
        source, target = pair.source.split(), pair.target.split()
        gold = read_links(pair.links)
        possible = gold.possible - gold.sure
        for place, other in gold.sure:
            if source[place] in nouns:
                noun = nouns[source[place]]
                kinds = {
                    verbs[source[one]].kind
                    for one, two in possible
                    if two == other and source[one] in verbs
                }
                assert {noun.translations.index(target[other])} == kinds
                found |= kinds
    assert found == {0, 1}


def test_conjunctions_that_swap_turn_the_clauses_around():
    """All of them do here: the first verb of the source is the last of the target."""
    language = Language(1, HARD)
    verbs = {verb.word for verb in language.verbs}
    for pair in sentences(100, language):
        source = pair.source.split()
        links = read_links(pair.links).sure
        ends = [max(two for one, two in links if one == place) for place in _places(source, verbs)]
        assert ends == sorted(ends, reverse=True)


def test_fertility():
    language = Language(1, HARD)
    assert {len(verb.translation) for verb in language.verbs} == {1, 2, 3}


def _places(words, chosen):
    return [place for place, word in enumerate(words) if word in chosen]


def test_nothing_moves_far_without_articles_particles_and_swaps():
    """The language of the study of windows: as many words on both sides, in windows of four."""
    language = Language(2, LOCAL_KNOBS)
    furthest = 0
    for pair in sentences(200, language):
        assert len(pair.target.split()) == len(pair.source.split()) + 1
        furthest = max(furthest, *(abs(a - b) for a, b in read_links(pair.links).sure))
    assert furthest == MOVES


def test_parts_have_the_lengths_that_were_asked_for(tmp_path):
    write_pairs(tmp_path, {"train": Part(40, 3, 9), "long": Part(40, 10, 15)}, knobs=HARD)
    for name, low, high in (("train", 3, 9), ("long", 10, 15)):
        rows = (tmp_path / f"{name}.tsv").read_text().splitlines()[1:]
        lengths = [len(row.split("\t")[0].split()) for row in rows]
        assert low <= min(lengths) and max(lengths) <= high


def test_splits_are_different_sentences_and_always_the_same(tmp_path):
    sizes = {"train": 60, "dev": 20, "test": 20, "long": 20}
    parts = {name: Part(size, 3, 12 if name == "long" else 6) for name, size in sizes.items()}
    for name in ("a", "b"):
        write_pairs(tmp_path / name, parts)
    write_pairs(tmp_path / "c", parts, seed=2)
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
