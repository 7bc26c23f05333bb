"""The modality of features."""

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from kochi.contents import File
from kochi.data.left_out import Bad, bad_rows, nothing_left, usable
from kochi.data.manifest import Row
from kochi.data.pair import Pair, Split
from kochi.errors import UserError
from kochi.modalities.features.row import FeatureRow
from kochi.modalities.features.tables import FeatureFiles, FeaturesData
from kochi.modalities.frames import OfFrames
from kochi.modalities.manifests import for_manifest, manifest_rows, normal
from kochi.modalities.pairs import read_pairs

if TYPE_CHECKING:
    from kochi.modalities.features.prediction import FeaturesPrediction
    from kochi.modalities.features.reader import FeatureReader


class Features(OfFrames[FeaturesData]):
    """Precomputed feature frames."""

    name = "features"
    sources = "features"
    detection = "kochi.modalities.features.detection:FeaturesDetection"
    example = "FEATURES.npy"
    tables: ClassVar[dict[str, Any]] = {"features": FeaturesData}

    @override
    def pairs(self, split: Split, bad: Bad) -> Iterator[Pair]:
        data, files = self.data, self._files(split)

        def pair(row: Row) -> Pair:
            cell = row.text(data.key_column)
            if files.arrays is None:
                source = FeatureRow(data.folder / cell, where=row.where)
            else:
                source = FeatureRow(data.folder / files.arrays, cell, row.where)
            return Pair(source, (row.text(data.text_column),), row.where)

        rows = manifest_rows(data, data.folder / files.manifest, split, bad)
        yield from usable(rows, pair, bad)

    def _files(self, split: Split) -> FeatureFiles:
        return getattr(self.data, split)

    @override
    def files(self, split: Split) -> list[Path]:
        files = self._files(split)
        named = [files.manifest] if files.arrays is None else [files.manifest, files.arrays]
        return [self.data.folder / path for path in named]

    @override
    def split_name(self, split: Split) -> str:
        return str(self.files(split)[0])

    @override
    def with_test(self, files: Sequence[Path]) -> FeaturesData:
        if len(files) > 2:
            raise UserError("the run's data are features: expected a manifest and an .npz file")
        test = FeatureFiles(manifest=files[0], arrays=files[1] if len(files) > 1 else None)
        data = for_manifest(self.data, files[0]) if test.arrays is None else self.data
        return data.model_copy(update={"test": test, "split_column": None})

    @override
    def row_files(self, row: Row) -> list[File]:
        return [self.data.folder / row.text(self.data.key_column)]

    @override
    def identity(self, source: FeatureRow) -> Hashable:
        return normal(source.path), source.key

    @override
    def reader(self) -> "FeatureReader":
        """Return a reader of frames with the size of the first readable row."""
        from kochi.modalities.features.reader import FeatureReader

        data, bad = self.data, bad_rows(self.data)
        pairs = read_pairs(data, "train", bad)
        found = next(usable(pairs, lambda pair: FeatureReader.like(pair.source, data), bad), None)
        if found is None:
            raise nothing_left(bad, "the training data hold no frames; expected at least one row")
        return found

    @override
    def load(self, file: File) -> "FeatureReader":
        from kochi.modalities.features.reader import FeatureReader

        return FeatureReader.load(file)

    @override
    def prediction(self) -> "type[FeaturesPrediction]":
        from kochi.modalities.features.prediction import FeaturesPrediction

        return FeaturesPrediction
