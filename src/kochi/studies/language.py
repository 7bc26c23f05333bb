"""A made-up pair of languages whose word alignments are known.

The source puts the verb first and adjectives after their noun; the target puts the verb last and
adjectives before the noun. A clause, its right translation and the links between them::

    source   verb  noun  adjective  particle  noun
    target   article  adjective  noun  article  noun  verb  verb-particle  (mark)

- Every noun, adjective, verb and conjunction is linked to its translation (sure links).
- One to many: a third of the verbs are two words in the target, both linked to the verb.
- Unaligned: the source's particles leave nothing; the mark that ends the target comes from nothing.
- Agreement: a noun is of one of three classes, which its article shows, and the ending of its
  adjective. An article has no word of its own in the source: its link to the noun is possible only,
  and so is that of an adjective to the noun which it agrees with.
"""

from dataclasses import dataclass
from pathlib import Path
from random import Random

NUM_NOUNS, NUM_ADJECTIVES, NUM_VERBS, NUM_PARTICLES, NUM_CONJUNCTIONS = 24, 12, 12, 3, 3
ARTICLES = ("li", "wo", "zu")
ENDINGS = ("i", "o", "u")
MARK = "da"
_SOURCE_SYLLABLES = [c + v for c in "bdgkmnprst" for v in "aeiou"]
_TARGET_SYLLABLES = [c + v for c in "fhjlqvwxyz" for v in "aeiou"]


@dataclass(frozen=True)
class AlignedPair:
    """A sentence, its translation and the links between their words.

    Attributes:
        source: Words with spaces between.
        target: Words with spaces between.
        links: In the Pharaoh format, counted from 0: "2-1" is a sure link from source word 2 to
            target word 1, "2?0" a possible one.
    """

    source: str
    target: str
    links: str


@dataclass(frozen=True)
class _Link:
    source: int
    target: int
    sure: bool

    def __str__(self) -> str:
        return f"{self.source}{'-' if self.sure else '?'}{self.target}"


class Language:
    """The words of both languages, and how sentences are made of them.

    Args:
        seed: Governs which words there are.

    >>> Language(1).sentence(Random(1), 4) == Language(1).sentence(Random(1), 4)
    True
    """

    def __init__(self, seed: int = 1) -> None:
        draw = Random(seed)
        source = _words(draw, _SOURCE_SYLLABLES, 2)
        target = _words(draw, _TARGET_SYLLABLES, 2)
        self.nouns = [(source(), target(), draw.randrange(3)) for _ in range(NUM_NOUNS)]
        self.adjectives = [(source(), target()[:-1]) for _ in range(NUM_ADJECTIVES)]
        pairs = [(source(), target(), target()) for _ in range(NUM_VERBS)]
        self.verbs = [
            (verb, (one, two) if number % 3 == 0 else (one,))
            for number, (verb, one, two) in enumerate(pairs)
        ]
        self.particles = [source() for _ in range(NUM_PARTICLES)]
        self.conjunctions = [(source(), target()) for _ in range(NUM_CONJUNCTIONS)]

    def sentence(self, draw: Random, length: int) -> AlignedPair:
        """Make a sentence of clauses until it has at least so many source words."""
        sentence = _Sentence()
        while True:
            self._clause(sentence, draw)
            if len(sentence.source) >= length:
                break
            word, translation = draw.choice(self.conjunctions)
            sentence.translate(sentence.read(word), translation)
        sentence.target.append(MARK)
        links = sorted(sentence.links, key=lambda link: (link.source, link.target))
        return AlignedPair(
            " ".join(sentence.source), " ".join(sentence.target), " ".join(map(str, links))
        )

    def _clause(self, sentence: "_Sentence", draw: Random) -> None:
        verb, translations = draw.choice(self.verbs)
        place = sentence.read(verb)
        for _ in range(draw.choice((1, 2))):
            self._noun_phrase(sentence, draw)
        for translation in translations:
            sentence.translate(place, translation)

    def _noun_phrase(self, sentence: "_Sentence", draw: Random) -> None:
        noun, translation, kind = draw.choice(self.nouns)
        place = sentence.read(noun)
        sentence.translate(place, ARTICLES[kind], sure=False)
        if draw.random() < 0.5:
            adjective, stem = draw.choice(self.adjectives)
            sentence.translate(sentence.read(adjective), stem + ENDINGS[kind])
            sentence.links.append(_Link(place, len(sentence.target) - 1, sure=False))
        sentence.translate(place, translation)
        if draw.random() < 0.3:
            sentence.read(draw.choice(self.particles))


class _Sentence:
    """A sentence in the making."""

    def __init__(self) -> None:
        self.source: list[str] = []
        self.target: list[str] = []
        self.links: list[_Link] = []

    def read(self, word: str) -> int:
        """Add a source word; return its place."""
        self.source.append(word)
        return len(self.source) - 1

    def translate(self, place: int, word: str, sure: bool = True) -> None:
        """Add a target word that comes from the source word at a place."""
        self.links.append(_Link(place, len(self.target), sure))
        self.target.append(word)


def write_pairs(
    folder: Path, sizes: dict[str, int], shortest: int = 3, longest: int = 14, seed: int = 1
) -> None:
    """Write splits of different sentences: NAME.tsv with a header, NAME.links beside it.

    Args:
        folder: Where to; made if it is missing.
        sizes: How many sentences each split has.
        shortest: Source words that a sentence has at least.
        longest: A sentence gets no further clause once it is this long; lengths up to here are
            equally likely.
        seed: Governs the words and the sentences.
    """
    language, draw = Language(seed), Random(seed + 1)
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    for name, size in sizes.items():
        pairs: list[AlignedPair] = []
        while len(pairs) < size:
            pair = language.sentence(draw, draw.randint(shortest, longest))
            if pair.source not in seen:
                seen.add(pair.source)
                pairs.append(pair)
        rows = [f"{pair.source}\t{pair.target}" for pair in pairs]
        text = "\n".join(["source\ttarget", *rows]) + "\n"
        (folder / f"{name}.tsv").write_text(text, encoding="utf-8")
        links = "".join(f"{pair.links}\n" for pair in pairs)
        (folder / f"{name}.links").write_text(links, encoding="utf-8")


def _words(draw: Random, syllables: list[str], count: int) -> "_Words":
    return _Words(draw, syllables, count)


class _Words:
    """Words never given before."""

    def __init__(self, draw: Random, syllables: list[str], count: int) -> None:
        self._draw, self._syllables, self._count = draw, syllables, count
        self._given = {*ARTICLES, MARK}

    def __call__(self) -> str:
        while True:
            word = "".join(self._draw.choices(self._syllables, k=self._count))
            if word not in self._given and word[:-1] not in self._given:
                self._given |= {word, word[:-1]}
                return word
