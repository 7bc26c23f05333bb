"""What `kochi init` wrote."""

from dataclasses import dataclass
from pathlib import Path

from kochi.data.pair import Pair


@dataclass(frozen=True)
class Started:
    """What `start` wrote.

    Attributes:
        run_file: The run file.
        kind: What the data are: "tsv", "sound", ...
        num_pairs: Pairs to train on.
        chosen: Tokens and model, in a line.
        notes: Remarks for the user.
        pairs: The first pairs as they will be read.
    """

    run_file: Path
    kind: str
    num_pairs: int
    chosen: str
    notes: tuple[str, ...]
    pairs: tuple[Pair, ...] = ()
