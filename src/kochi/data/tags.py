r"""Tags of a source, such as ``N;PL;DAT``, read as single symbols in front of its text.

As in the baselines of SIGMORPHON's shared tasks on inflection (Wu et al. 2021,
https://aclanthology.org/2021.eacl-main.163, section 3.2), a tag is one symbol of the source. A
source and its tags are written as one text, with a tab between: ``"walk\tV;PST"``.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kochi.errors import UserError
from kochi.special_tokens import UNK


def with_tags(text: str, tags: str) -> str:
    r"""Join a source and its tags to one text.

    >>> with_tags("walk", "V;PST")
    'walk\tV;PST'
    """
    return f"{text}\t{' '.join(tags.split())}"


def without_tags(source: str) -> str:
    r"""Return the text of a source with tags.

    >>> without_tags("walk\tV;PST")
    'walk'
    """
    return source.rpartition("\t")[0]


@dataclass(frozen=True)
class Tags:
    """The tags that a model knows, and their separator.

    Attributes:
        names: The tags, in order of their ids.
        separator: Separator between the tags of a source.
    """

    names: tuple[str, ...]
    separator: str

    @staticmethod
    def learn(sources: Iterable[str], separator: str) -> "Tags":
        """Collect the tags of sources, the most frequent first."""
        counts: Counter[str] = Counter()
        for source in sources:
            counts.update(_split(source, separator)[1])
        ordered = sorted(counts, key=lambda tag: (-counts[tag], tag))
        return Tags(tuple(ordered), separator)

    def split(self, source: str) -> tuple[str, list[str]]:
        """Return the text of a source and its tags.

        Raises:
            UserError: There is no tab, so no tags.
        """
        return _split(source, self.separator)

    def encode(self, tags: Sequence[str], first: int) -> list[int]:
        """Return the ids of tags; the first known tag has the id ``first``."""
        ids = {name: first + position for position, name in enumerate(self.names)}
        return [ids.get(tag, UNK) for tag in tags]


def _split(source: str, separator: str) -> tuple[str, list[str]]:
    text, tab, tags = source.rpartition("\t")
    if not tab:
        raise UserError(
            f"no tags in {source!r}; expected text, a tab, and tags separated by "
            f"'{separator}', as in training"
        )
    return text, [tag for tag in map(str.strip, tags.split(separator)) if tag]
