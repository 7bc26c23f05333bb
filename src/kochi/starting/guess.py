"""Guess tokens, model and training numbers from a sample of the pairs.

The guesses are rules of thumb that are meant to train sensibly at once, and to be changed: the run
file says beside each what it is for.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["characters", "whitespace", "bpe"]
MetricName = Literal["bleu", "cer", "per"]
_METRICS: dict[Kind, MetricName] = {"characters": "cer", "whitespace": "per", "bpe": "bleu"}


@dataclass(frozen=True)
class Side:
    """Counts over one side of the sampled pairs."""

    num_texts: int
    num_words: int
    num_characters: int
    distinct_words: int
    alphabet: frozenset[str]

    @property
    def words_per_text(self) -> float:
        """Mean number of words, as whitespace cuts them, in a text."""
        return self.num_words / max(1, self.num_texts)

    @property
    def characters_per_text(self) -> float:
        """Mean number of characters in a text."""
        return self.num_characters / max(1, self.num_texts)


def count_side(texts: Iterable[str]) -> Side:
    """Count one side.

    >>> side = count_side(["a b", "a c"])
    >>> side.num_words, side.distinct_words, side.words_per_text
    (4, 3, 2.0)
    """
    words: Counter[str] = Counter()
    alphabet: set[str] = set()
    num_texts = num_characters = 0
    for text in texts:
        num_texts += 1
        num_characters += len(text)
        words.update(text.split())
        alphabet.update(text)
    return Side(num_texts, words.total(), num_characters, len(words), frozenset(alphabet))


def guess_tokens(side: Side) -> Kind:
    """Choose how to cut a side.

    Whitespace when a text is several words out of a small closed set (phones, tags, commands);
    characters when texts are single words or short, or the script does not put spaces between
    words; BPE for the rest.

    >>> guess_tokens(count_side(["HH AH L OW", "L OW", "HH OW", "AH L", "OW L AH HH"] * 4))
    'whitespace'
    >>> guess_tokens(count_side(["hello", "low", "who"]))
    'characters'
    """
    several = side.words_per_text > 1.5
    closed = side.distinct_words <= max(10, min(300, side.num_words // 8))
    if several and closed:
        return "whitespace"
    letters_per_word = side.num_characters / max(1, side.num_words)
    if side.words_per_text < 2.5 or side.characters_per_text < 20 or letters_per_word > 16:
        return "characters"
    return "bpe"


@dataclass(frozen=True)
class Guess:
    """What goes into the run file."""

    source: Kind
    target: Kind
    shared: bool
    vocabulary_size: int
    model: Literal["rnn", "transformer"]
    metric: MetricName
    epochs: int
    batch_tokens: int
    warmup_steps: int
    learning_rate: float
    dropout: float


def guess_run(source: Side, target: Side, num_pairs: int) -> Guess:
    """Guess a run from both sides' counts and the number of training pairs.

    The number of epochs gives small data some 2,000 steps and large data few passes. A Transformer
    is proposed from 20,000 pairs of sentences on; below that, and for short things such as words,
    an RNN with attention learns faster.
    """
    kinds = guess_tokens(source), guess_tokens(target)
    sentences = "bpe" in kinds
    length = max(_length(source, kinds[0]), _length(target, kinds[1])) + 1
    total = num_pairs * length
    batch_tokens = _round_to(min(4096.0, max(256.0, total / 60)), 64)
    steps_per_epoch = max(1, round(total / batch_tokens))
    epochs = max(8, min(100, round(2000 / steps_per_epoch)))
    model = "transformer" if sentences and num_pairs >= 20_000 else "rnn"
    return Guess(
        source=kinds[0],
        target=kinds[1],
        shared=kinds == ("bpe", "bpe") and _same_script(source, target),
        vocabulary_size=_round_to(min(8000.0, max(500.0, num_pairs / 4)), 100),
        model=model,
        metric=_METRICS[kinds[1]],
        epochs=epochs,
        batch_tokens=batch_tokens,
        warmup_steps=min(1000, max(10, epochs * steps_per_epoch // 10)),
        learning_rate=0.001 if model == "transformer" else 0.002,
        dropout=0.1 if model == "transformer" else 0.3,
    )


def _length(side: Side, kind: Kind) -> float:
    """Return about how many tokens a text has, with four BPE pieces for three words."""
    if kind == "characters":
        return side.characters_per_text
    return side.words_per_text / (1.0 if kind == "whitespace" else 0.75)


def _same_script(source: Side, target: Side) -> bool:
    letters = [{c for c in side.alphabet if c.isalpha()} for side in (source, target)]
    return len(letters[0] & letters[1]) >= 0.5 * max(1, min(len(letters[0]), len(letters[1])))


def _round_to(value: float, step: int) -> int:
    return step * round(value / step)
