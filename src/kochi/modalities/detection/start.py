"""Write a run file for data."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

from kochi.config import read_run
from kochi.data.left_out import LeftOut
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.media import detections, find_media
from kochi.modalities.detection.started import Started
from kochi.modalities.pairs import read_pairs
from kochi.modalities.text.template import write_text

SHOWN = 2  # pairs that the user is shown


def start(
    data: Path, run_file: Path, output: str, seed: int = 1, choices: Choices | None = None
) -> Started:
    """Detect what ``data`` are and write ``run_file``; split them first if they are a single piece.

    Split files are written to a folder beside the run file. ``output`` is the name of the model
    folder in the run file.

    Raises:
        UserError: The data cannot be read or interpreted.
    """
    choices = choices or Choices()
    listed = find_media(data, choices) if data.exists() else None
    if listed is None:
        started = write_text(data, run_file, output, seed, choices)
    else:
        written = detections()[listed.kind].write(listed, run_file, output, seed, choices)
        started = Started(run_file, listed.kind, *written)
    pairs = read_pairs(read_run(run_file).data, "train", LeftOut())
    return replace(started, pairs=tuple(islice(pairs, SHOWN)))
