"""Choose tokens, model and training hyperparameters from a sample of the pairs.

The choices are rules of thumb that should train sensibly at once and are meant to be changed; the
run file explains each of them.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["characters", "whitespace", "bpe"]
MetricName = Literal["bleu", "cer", "per", "exact"]
STEPS = 2000
LARGE_FROM = 5000  # pairs
EVALUATIONS = 20
_METRICS: dict[Kind, MetricName] = {"characters": "cer", "whitespace": "per", "bpe": "bleu"}


@dataclass(frozen=True)
class Side:
    """Statistics of one side of the sampled pairs."""

    num_texts: int
    num_words: int
    num_characters: int
    distinct_words: int
    alphabet: frozenset[str]

    @property
    def in_syllable_blocks(self) -> bool:
        """Whether most characters are Hangul syllables, each made of several letters."""
        return 2 * sum("\uac00" <= c <= "\ud7a3" for c in self.alphabet) > len(self.alphabet)

    @property
    def words_per_text(self) -> float:
        """Mean number of whitespace-separated words per text."""
        return self.num_words / max(1, self.num_texts)

    @property
    def characters_per_text(self) -> float:
        """Mean number of characters per text."""
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


def guess_tokens(side: Side, target: bool = False) -> Kind:
    """Choose the tokens of a side.

    Whitespace if a text is several words from a small closed set (phones, tags, commands), or, on
    the target side, one word from a small closed set (labels); characters if texts are single words
    or short, or if the script does not separate words by spaces; BPE otherwise. A source of single
    words stays with characters: in tables of inflected forms few lemmas have many rows.

    Args:
        side: Statistics of the sampled texts.
        target: Whether the side is the target.

    >>> guess_tokens(count_side(["HH AH L OW", "L OW", "HH OW", "AH L", "OW L AH HH"] * 4))
    'whitespace'
    >>> guess_tokens(count_side(["hello", "low", "who"]))
    'characters'
    >>> guess_tokens(count_side(["even", "odd"] * 20), target=True)
    'whitespace'
    """
    several = side.words_per_text > 1.5
    repeated = min(300, side.num_words // 8)
    if several and side.distinct_words <= max(10, repeated):
        return "whitespace"
    if target and side.distinct_words <= repeated:
        return "whitespace"
    letters_per_word = side.num_characters / max(1, side.num_words)
    if side.words_per_text < 2.5 or side.characters_per_text < 20 or letters_per_word > 16:
        return "characters"
    return "bpe"


@dataclass(frozen=True)
class Guess:
    """The settings for a run file.

    ``evaluate_every`` counts optimizer steps; 0 means every epoch.
    """

    source: Kind
    source_normalization: Literal["nfc", "nfd"]
    target: Kind
    shared: bool
    vocabulary_size: int
    model: Literal["rnn", "transformer"]
    metric: MetricName
    embedding_size: int
    hidden_size: int
    dropout: float
    epochs: int
    batch_tokens: int
    warmup_steps: int
    learning_rate: float
    evaluate_every: int


def guess_run(source: Side, target: Side, num_pairs: int) -> Guess:
    """Choose the settings of a run from the statistics of both sides and the number of pairs.

    A Transformer is chosen from 20,000 pairs of sentences on; below that, and for short texts such
    as words, an RNN with attention learns faster. The RNN's size, batch and number of steps grow
    with the number of pairs; docs/results/2026-11-30-defaults.md describes the data behind these
    rules:

    - embedding and hidden size are 256 for sentences and from ``LARGE_FROM`` pairs on, else 128;
    - steps are ``STEPS`` at 1,000 pairs and grow with the square root of the pairs to twice as many
      at 4,000; below 1,000 pairs, words keep the number of steps and sentences the number of
      epochs, as more epochs only memorise them;
    - a batch has a 120th of the tokens of an epoch, but at least 256 (some 25 words) and at most
      4,096.

    The schedule warms up over a twentieth of the steps and then decays to zero at the last one.
    Hangul is decomposed into letters (NFD), since most syllable blocks are rare: of 800 Korean
    words 29 % were wrong instead of 65 %.

    There is no early stopping: it would end the run at a learning rate at which dev figures are
    still noisy, before the schedule has decayed. The best of some 20 evaluations is kept.
    """
    kinds = guess_tokens(source), guess_tokens(target, target=True)
    fewest_words = min(source.words_per_text, target.words_per_text)
    if set(kinds) == {"characters", "bpe"} and fewest_words > 1.5:
        kinds = "bpe", "bpe"  # short sentences on both sides, one slightly shorter
    labels = kinds[1] == "whitespace" and target.words_per_text <= 1.5
    sentences = "bpe" in kinds
    model = "transformer" if sentences and num_pairs >= 20_000 else "rnn"
    rnn = model == "rnn"
    length = max(_length(source, kinds[0]), _length(target, kinds[1])) + 1
    total = num_pairs * length
    batch_tokens = _round_to(min(4096.0, max(256.0, total / (120 if rnn else 60))), 64)
    steps_per_epoch = max(1, round(total / batch_tokens))
    thousands = num_pairs / 1000
    steps: float = STEPS
    if rnn and thousands > 1:
        steps *= min(2.0, thousands**0.5)
    elif rnn and sentences:
        steps *= thousands
    epochs = max(8, round(steps / steps_per_epoch))
    steps = epochs * steps_per_epoch
    size = 256 if sentences or num_pairs >= LARGE_FROM else 128
    return Guess(
        source=kinds[0],
        source_normalization="nfd"
        if kinds[0] == "characters" and source.in_syllable_blocks
        else "nfc",
        target=kinds[1],
        shared=kinds == ("bpe", "bpe") and _same_script(source, target),
        vocabulary_size=_round_to(min(8000.0, max(500.0, num_pairs / 4)), 100),
        model=model,
        metric="exact" if labels else _METRICS[kinds[1]],
        embedding_size=size,
        hidden_size=size,
        dropout=0.3 if rnn else 0.1,
        epochs=epochs,
        batch_tokens=batch_tokens,
        warmup_steps=min(1000, steps // 20),
        learning_rate=0.002 if rnn else 0.001,
        evaluate_every=0 if epochs <= EVALUATIONS else steps // EVALUATIONS,
    )


def _length(side: Side, kind: Kind) -> float:
    """Estimate the number of tokens of a text, at four BPE pieces per three words."""
    if kind == "characters":
        return side.characters_per_text
    return side.words_per_text / (1.0 if kind == "whitespace" else 0.75)


def _same_script(source: Side, target: Side) -> bool:
    letters = [{c for c in side.alphabet if c.isalpha()} for side in (source, target)]
    return len(letters[0] & letters[1]) >= 0.5 * max(1, min(len(letters[0]), len(letters[1])))


def _round_to(value: float, step: int) -> int:
    return step * round(value / step)
