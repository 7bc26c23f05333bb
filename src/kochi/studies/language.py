"""A synthetic pair of languages with known word alignments and adjustable difficulty.

The source puts the verb first and adjectives after their noun; the target puts the verb last and
adjectives before the noun. A clause, its translation and the links between them::

    source   verb  noun  adjective  particle  noun
    target   article  adjective  noun  article  noun  verb  verb-particle  (mark)

- Every noun, adjective, verb and conjunction is linked to its translation (sure links).
- One to many (`Knobs.fertility`): verbs become several words in the target, all linked to them.
- Unaligned: the source's particles have no translation; the mark at the end of the target has no
  source.
- Agreement: a noun has one of three classes, which determines its article and the ending of its
  adjective. An article has no word of its own in the source: its link to the noun is possible only,
  and so is that of an adjective to the noun that it agrees with.
- Ambiguity (`Knobs.ambiguous`): some nouns have two translations, and the verb of the clause
  determines which of them is used (a possible link).
- Distance (`Knobs.swapping`): some conjunctions put the next clause first in the target, so that
  words move across whole sentences.
"""

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

ARTICLES = ("li", "wo", "zu")
ENDINGS = ("i", "o", "u")
MARK = "da"
_SOURCE_SYLLABLES = [c + v for c in "bdgkmnprst" for v in "aeiou"]
_TARGET_SYLLABLES = [c + v for c in "fhjlqvwxyz" for v in "aeiou"]


@dataclass(frozen=True)
class Knobs:
    """The difficulty of the language.

    Attributes:
        nouns: Number of nouns.
        adjectives: Number of adjectives.
        verbs: Number of verbs.
        conjunctions: Number of conjunctions.
        swapping: Number of conjunctions that put the next clause first in the target.
        ambiguous: Fraction of nouns whose translation depends on the verb.
        fertility: Maximum number of target words of a verb; all numbers are equally likely.
        articles: Whether the target has articles.
        particles: Probability of a particle after a noun phrase.
    """

    nouns: int = 24
    adjectives: int = 12
    verbs: int = 12
    conjunctions: int = 3
    swapping: int = 0
    ambiguous: float = 0.0
    fertility: int = 2
    articles: bool = True
    particles: float = 0.3


@dataclass(frozen=True)
class AlignedPair:
    """A sentence, its translation and the links between their words.

    Attributes:
        source: Words separated by spaces.
        target: Words separated by spaces.
        links: In the Pharaoh format, counted from 0: "2-1" is a sure link from source word 2 to
            target word 1, "2?0" a possible one.
    """

    source: str
    target: str
    links: str


@dataclass(frozen=True)
class Noun:
    """A noun.

    Attributes:
        word: The word in the source.
        translations: The words in the target; the kind of the clause's verb chooses between two.
        kind: The class, which determines the article and the ending of adjectives.
    """

    word: str
    translations: tuple[str, ...]
    kind: int


@dataclass(frozen=True)
class Verb:
    """A verb.

    Attributes:
        word: The word in the source.
        translation: The words in the target.
        kind: 0 or 1: which translation an ambiguous noun of its clause has.
    """

    word: str
    translation: tuple[str, ...]
    kind: int


@dataclass(frozen=True)
class Conjunction:
    """A conjunction; one that swaps puts the next clause first in the target."""

    word: str
    translation: str
    swaps: bool


@dataclass(frozen=True)
class _Word:
    """A word of the target, with the positions in the source that it comes from."""

    text: str
    sure: tuple[int, ...] = ()
    possible: tuple[int, ...] = ()


class Language:
    """The words of both languages, and the grammar of sentences.

    Args:
        seed: Seed of the vocabulary.
        knobs: The difficulty.

    >>> Language(1).sentence(Random(1), 4) == Language(1).sentence(Random(1), 4)
    True
    """

    def __init__(self, seed: int = 1, knobs: Knobs = Knobs()) -> None:
        self.knobs = knobs
        draw = Random(seed)
        source, target = (_Words(draw, each) for each in (_SOURCE_SYLLABLES, _TARGET_SYLLABLES))
        ambiguous = round(knobs.ambiguous * knobs.nouns)
        self.nouns = [
            Noun(source(), target.several(1 + (number < ambiguous)), draw.randrange(3))
            for number in range(knobs.nouns)
        ]
        self.adjectives = [(source(), target()[:-1]) for _ in range(knobs.adjectives)]
        self.verbs = [
            Verb(source(), target.several(1 + number % knobs.fertility), draw.randrange(2))
            for number in range(knobs.verbs)
        ]
        self.particles = [source() for _ in range(3)]
        self.conjunctions = [
            Conjunction(source(), target(), number < knobs.swapping)
            for number in range(knobs.conjunctions)
        ]

    def sentence(self, draw: Random, length: int) -> AlignedPair:
        """Generate a sentence of clauses until it has at least ``length`` source words."""
        source: list[str] = []
        target = self._clause(source, draw)
        while len(source) < length:
            joined = draw.choice(self.conjunctions)
            source.append(joined.word)
            between = [_Word(joined.translation, (len(source) - 1,))]
            clause = self._clause(source, draw)
            parts = (clause, between, target) if joined.swaps else (target, between, clause)
            target = [word for part in parts for word in part]
        links = [
            (place, number, mark)
            for number, word in enumerate(target)
            for places, mark in ((word.sure, "-"), (word.possible, "?"))
            for place in places
        ]
        return AlignedPair(
            " ".join(source),
            " ".join([*(word.text for word in target), MARK]),
            " ".join(f"{place}{mark}{number}" for place, number, mark in sorted(links)),
        )

    def _clause(self, source: list[str], draw: Random) -> list[_Word]:
        """Append the words of a clause to the source; return its translation."""
        verb = draw.choice(self.verbs)
        place = _read(source, verb.word)
        nouns = [
            word
            for _ in range(draw.choice((1, 2)))
            for word in self._noun_phrase(source, draw, verb, place)
        ]
        return [*nouns, *(_Word(word, (place,)) for word in verb.translation)]

    def _noun_phrase(
        self, source: list[str], draw: Random, verb: Verb, verb_place: int
    ) -> list[_Word]:
        noun = draw.choice(self.nouns)
        place = _read(source, noun.word)
        target = [_Word(ARTICLES[noun.kind], (), (place,))] if self.knobs.articles else []
        if draw.random() < 0.5:
            adjective, stem = draw.choice(self.adjectives)
            own = _read(source, adjective)
            target.append(_Word(stem + ENDINGS[noun.kind], (own,), (place,)))
        if len(noun.translations) == 1:
            target.append(_Word(noun.translations[0], (place,)))
        else:
            target.append(_Word(noun.translations[verb.kind], (place,), (verb_place,)))
        if draw.random() < self.knobs.particles:
            source.append(draw.choice(self.particles))
        return target


def _read(source: list[str], word: str) -> int:
    source.append(word)
    return len(source) - 1


@dataclass(frozen=True)
class Part:
    """A file of pairs.

    Attributes:
        size: Number of pairs.
        shortest: Minimum number of source words of a sentence.
        longest: Maximum number. Lengths in between are about equally likely.
    """

    size: int
    shortest: int = 3
    longest: int = 14


def write_pairs(
    folder: Path, parts: dict[str, Part], seed: int = 1, knobs: Knobs = Knobs()
) -> None:
    """Write parts without common sentences: NAME.tsv with a header, NAME.links beside it.

    Args:
        folder: The output folder, created if it is missing.
        parts: The size and lengths of each part.
        seed: Seed of the words and the sentences.
        knobs: The difficulty of the language.
    """
    language, draw = Language(seed, knobs), Random(seed + 1)
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    for name, part in parts.items():
        pairs: list[AlignedPair] = []
        while len(pairs) < part.size:
            pair = language.sentence(draw, draw.randint(part.shortest, part.longest))
            fits = part.shortest <= len(pair.source.split()) <= part.longest
            if fits and pair.source not in seen:
                seen.add(pair.source)
                pairs.append(pair)
        rows = [f"{pair.source}\t{pair.target}" for pair in pairs]
        text = "\n".join(["source\ttarget", *rows]) + "\n"
        (folder / f"{name}.tsv").write_text(text, encoding="utf-8")
        links = "".join(f"{pair.links}\n" for pair in pairs)
        (folder / f"{name}.links").write_text(links, encoding="utf-8")


@dataclass
class _Words:
    """Generates words of two syllables, each at most once."""

    draw: Random
    syllables: list[str]
    given: set[str] = field(default_factory=lambda: {*ARTICLES, MARK})

    def __call__(self) -> str:
        while True:
            word = "".join(self.draw.choices(self.syllables, k=2))
            if word not in self.given and word[:-1] not in self.given:
                self.given |= {word, word[:-1]}
                return word

    def several(self, count: int) -> tuple[str, ...]:
        return tuple(self() for _ in range(count))
