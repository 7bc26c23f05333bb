"""The modality of text."""

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from kochi.data.left_out import Bad
from kochi.data.pair import Pair, Split
from kochi.errors import UserError
from kochi.inputs import Input, TokenInput
from kochi.modalities.attended import Attended
from kochi.modalities.base import Modality
from kochi.modalities.text.pairs import (
    data_files,
    read_huggingface,
    read_jsonl,
    read_parallel,
    read_tsv,
)
from kochi.modalities.text.tables import (
    HuggingFaceData,
    JsonlData,
    ParallelData,
    ParallelFiles,
    TextSources,
    TsvData,
)
from kochi.normal_forms import normalize

if TYPE_CHECKING:
    from kochi.contents import File
    from kochi.data.readers.base import Reader
    from kochi.data.tokenizer import Tokenizer
    from kochi.modalities.text.prediction import TextPrediction
    from kochi.view.page import Side


class Text(Modality[TextSources]):
    """Text, tokenized into characters, words or subwords."""

    name = "text"
    sources = "text"
    tables: ClassVar[dict[str, Any]] = {
        "tsv": TsvData,
        "jsonl": JsonlData,
        "parallel": ParallelData,
        "huggingface": HuggingFaceData,
    }
    in_files = False

    # ---------------------------------------------------------------------------------------- data

    @override
    def pairs(self, split: Split, bad: Bad) -> Iterator[Pair]:
        match self.data:
            case TsvData():
                return read_tsv(self.files(split)[0], self.data, bad)
            case JsonlData():
                return read_jsonl(self.files(split)[0], self.data, bad)
            case ParallelData():
                return read_parallel(self.files(split), self.data.encoding, bad)
        return read_huggingface(self.data, getattr(self.data, split), bad)

    @override
    def files(self, split: Split) -> list[Path]:
        if isinstance(self.data, HuggingFaceData):
            return [path for path in map(Path, data_files(self.data).values()) if path.is_file()]
        if not isinstance(self.data, ParallelData):
            return super().files(split)
        both = getattr(self.data, split)
        targets = both.target if isinstance(both.target, list) else [both.target]
        return [self.data.folder / path for path in (both.source, *targets)]

    @override
    def split_name(self, split: Split) -> str:
        if isinstance(self.data, HuggingFaceData):
            return f"{self.data.name} ({getattr(self.data, split)})"
        return str(self.files(split)[0])

    @override
    def with_test(self, files: Sequence[Path]) -> TextSources:
        match self.data:
            case HuggingFaceData():
                raise UserError(
                    "the run's data are a Hugging Face data set: expected dev or test as DATA"
                )
            case ParallelData():
                if len(files) < 2:
                    raise UserError(
                        "the run's data are parallel: expected a source and a target file"
                    )
                test = ParallelFiles(source=files[0], target=list(files[1:]))
                return self.data.model_copy(update={"test": test})
        return super().with_test(files)

    @override
    def identity(self, source: str) -> Hashable:
        text = normalize(source, self.data.source.normalization)
        return text.lower() if self.data.source.lowercase else text

    # ------------------------------------------------------------------------------------- reading

    @override
    def like(self) -> Input:
        return TokenInput(8)

    @override
    def both_readers(self, folder: Path) -> "tuple[Tokenizer, Tokenizer]":
        from kochi.modalities.text.tokenizers import prepare_tokenizers

        return prepare_tokenizers(self.data, folder)

    @override
    def reader(self) -> "Tokenizer":
        from kochi.modalities.text.tokenizers import train_source

        return train_source(self.data)

    @override
    def load_reader(self, file: "File") -> "Tokenizer":
        from kochi.data.tokenizer import Tokenizer

        return Tokenizer.load(file)

    @override
    def keep_tokens(self, known: "Reader[Any]", file: Path) -> None:
        from kochi.data.tokenizer import Tokenizer

        if isinstance(known, Tokenizer) and known.fits(self.data.source, self.data.tagged):
            known.save(file)

    # ---------------------------------------------------------------------------------- evaluation

    @override
    def prediction(self) -> "type[TextPrediction]":
        from kochi.modalities.text.prediction import TextPrediction

        return TextPrediction

    @override
    def metrics(self, wer: str) -> list[str]:
        match self.data.target.tokens:
            case "characters":
                return ["cer", "exact"]
            case "whitespace":
                return ["per", "wer", "exact"] if wer == "rows" else ["per", "exact"]
        return ["bleu", "chrf"]

    @override
    def rows_are_words(self, sources: Sequence[str]) -> bool:
        tokens = self.data.source.tokens, self.data.target.tokens
        if tokens != ("characters", "whitespace"):
            return False
        if self.data.tagged:  # the tags follow the text after a tab
            sources = [source.rpartition("\t")[0] for source in sources]
        single = sum(len(source.split()) == 1 for source in sources)
        return 2 * single > len(sources)

    # --------------------------------------------------------------------------------------- people

    @override
    def side(self, attended: Attended) -> "Side":
        from kochi.view.page import TextSide

        text: str = attended.source
        words = (*attended.reader.words(text), None)
        return TextSide(tuple(attended.source_tokens), tuple(text.split()), words)

    @override
    def draw(self, attended: Attended, path: Path, title: str) -> None:
        from kochi.view.picture import save_alignment

        save_alignment(
            attended.alignment, attended.source_tokens, attended.tokens, path, title=title
        )
