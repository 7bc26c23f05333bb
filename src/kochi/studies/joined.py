"""The cell that trains on utterances and is tested on joined ones."""

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from typing_extensions import override

from kochi.modalities.audio.files import MAX_SECONDS
from kochi.modalities.pairs import read_pairs
from kochi.studies.cells import Result
from kochi.studies.trained import Trained

FACTORS = (1, 2, 5, 10)


def join(number: int, factor: int) -> list[list[int]]:
    """Put test utterances together in a drawn order, each into one group of so many at most.

    What is left over when the groups are full is not tested at this factor.

    >>> [len(group) for group in join(7, 2)], sorted(join(3, 1))
    ([2, 2, 2], [[0], [1], [2]])
    """
    order = list(range(number))
    Random(1).shuffle(order)
    return [order[end - factor : end] for end in range(factor, number + 1, factor)]


@dataclass(frozen=True)
class Joined(Trained):
    """Train a model that hears, and let it write joined test utterances.

    The result holds, for each factor (as text): ``groups``, the test rows that were joined, and
    ``answers``, one a group; groups that would last longer than can be read are left out. Of the
    training it holds what `Trained` does.
    """

    @override
    def key(self) -> dict[str, Any]:
        return super().key() | {"joined": FACTORS}

    @override
    def _of_test(self, predictor: Any) -> Result:
        reader = predictor.source
        rows = [
            np.asarray(reader.encode(pair.source))
            for pair in read_pairs(*self.task.test_data(self.test))
        ]
        groups: dict[str, list[list[int]]] = {}
        answers: dict[str, list[str]] = {}
        for factor in FACTORS:
            kept = [
                group
                for group in join(len(rows), factor)
                if reader.seconds(sum(len(rows[place]) for place in group)) <= MAX_SECONDS
            ]
            joined = [np.concatenate([rows[place] for place in group]) for group in kept]
            found = predictor.predict(joined)
            groups[str(factor)] = kept
            answers[str(factor)] = [" ".join(one.text.splitlines()) for one in found]
        return {"groups": groups, "answers": answers}
