"""The modality of recordings."""

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from kochi.contents import File
from kochi.data.left_out import Bad, usable
from kochi.data.manifest import Row
from kochi.data.pair import Pair, Split
from kochi.extras import need
from kochi.modalities.audio.files import Recording
from kochi.modalities.audio.rows import folder_recordings, row_recording, sound_files
from kochi.modalities.audio.tables import SoundData
from kochi.modalities.frames import OfFrames
from kochi.modalities.manifests import manifest_rows, normal, with_test_manifest

if TYPE_CHECKING:
    from kochi.modalities.audio.prediction import AudioPrediction
    from kochi.modalities.audio.reader import SoundReader


class Audio(OfFrames[SoundData]):
    """Audio recordings, represented as log-mel frames."""

    name = "audio"
    sources = "recordings"
    detection = "kochi.modalities.audio.detection:AudioDetection"
    example = "RECORDING.wav"
    tables: ClassVar[dict[str, Any]] = {"sound": SoundData}

    @override
    def pairs(self, split: Split, bad: Bad) -> Iterator[Pair]:
        place: Path = self.data.folder / getattr(self.data, split)
        if place.is_dir():
            for path, text in folder_recordings(place):
                yield Pair(Recording((path,)), (text,), str(path))
            return

        def pair(row: Row) -> Pair:
            text = row.text(self.data.text_column)
            return Pair(row_recording(row, self.data), (text,), row.where)

        yield from usable(manifest_rows(self.data, place, split, bad), pair, bad)

    @override
    def files(self, split: Split) -> list[Path]:
        place = self.data.folder / getattr(self.data, split)
        if place.is_dir():
            return [path.with_suffix(".txt") for path in sound_files(place)]
        return [place]

    @override
    def with_test(self, files: Sequence[Path]) -> SoundData:
        self._only(files)
        return with_test_manifest(self.data, files[0])

    @override
    def row_files(self, row: Row) -> list[File]:
        return list(row_recording(row, self.data).paths)

    @override
    def identity(self, source: Recording) -> Hashable:
        paths = tuple(map(normal, source.paths))
        return paths, source.start_seconds or 0.0, source.end_seconds

    @override
    def reader(self) -> "SoundReader":
        need("soundfile", "soxr")
        from kochi.modalities.audio.reader import SoundReader

        return SoundReader.like(self.data)

    @override
    def load(self, file: File) -> "SoundReader":
        need("soundfile", "soxr")
        from kochi.modalities.audio.reader import SoundReader

        return SoundReader.load(file)

    @override
    def prediction(self) -> "type[AudioPrediction]":
        from kochi.modalities.audio.prediction import AudioPrediction

        return AudioPrediction
