"""Detect features, and the columns of their manifests."""

from pathlib import Path

from typing_extensions import override

from kochi.modalities.audio.template import write_hearing
from kochi.modalities.detection.base import Detection
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.listed import TEXT_NAMES, Listed, splits_of, text_column
from kochi.modalities.detection.names import splits_beside
from kochi.modalities.detection.sample import Sample
from kochi.modalities.text.detection import table_notes

KEY_NAMES = ("id", "key", "utterance", "utt", "uttid", "name")


class FeaturesDetection(Detection):
    """Detects features: tables with an .npz file beside each."""

    @override
    def in_table(self, sample: Sample, choices: Choices) -> Listed | None:
        if not has_arrays(sample):
            return None
        splits, split = _splits(sample)
        arrays = {split: _array_file(file) for split, file in splits.items()}
        key = _key(sample)
        assert key is not None
        text = str(text_column(sample, key, TEXT_NAMES, choices).name)
        notes = table_notes(sample, {key, text, *([split] if split else [])})
        return Listed("features", splits, arrays, key, text, split, form=sample.form, notes=notes)

    @override
    def write(
        self, found: Listed, run_file: Path, output: str, seed: int, choices: Choices
    ) -> tuple[int, str, tuple[str, ...]]:
        return write_hearing(found, run_file, output, seed, choices)


def has_arrays(sample: Sample) -> bool:
    """Return whether a table has a column of keys and each split an .npz file beside it."""
    files = _splits(sample)[0].values()
    return _key(sample) is not None and all(_array_file(file).exists() for file in files)


def _key(sample: Sample) -> str | None:
    return next((name for name in KEY_NAMES if name in sample.names), None)


def _splits(sample: Sample) -> tuple[dict[str, Path], str | None]:
    return splits_of(sample) if sample.header else (splits_beside(sample.path), None)


def _array_file(manifest: Path) -> Path:
    return manifest.with_name(manifest.name.removesuffix(".gz").rpartition(".")[0] + ".npz")
