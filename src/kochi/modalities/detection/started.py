"""The result of `kochi init`."""

from dataclasses import dataclass
from pathlib import Path

from kochi.data.pair import Pair


@dataclass(frozen=True)
class Started:
    """The result of `start`.

    Attributes:
        run_file: The run file.
        kind: The kind of data: "tsv", "sound", ...
        num_pairs: Number of training pairs.
        chosen: A one-line summary of tokens and model.
        notes: Remarks for the user.
        pairs: The first pairs as training will read them.
    """

    run_file: Path
    kind: str
    num_pairs: int
    chosen: str
    notes: tuple[str, ...]
    pairs: tuple[Pair, ...] = ()
