"""The cell that trains on single utterances and is tested on joined ones."""

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
    """Join test utterances in random order into groups of ``factor``, each in one group at most.

    Utterances that do not fill a group are not tested at this factor.

    >>> [len(group) for group in join(7, 2)], sorted(join(3, 1))
    ([2, 2, 2], [[0], [1], [2]])
    """
    order = list(range(number))
    Random(1).shuffle(order)
    return [order[end - factor : end] for end in range(factor, number + 1, factor)]


@dataclass(frozen=True)
class Joined(Trained):
    """Train a model of audio, and predict from joined test utterances.

    The result contains, for each factor (as text): ``groups``, the test rows that were joined, and
    ``answers``, one per group; groups that are too long to be read are left out. For the training
    it contains the same values as `Trained`.
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
