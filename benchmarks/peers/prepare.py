"""Make the common data of all contestants; runs in the peers' environment (needs sentencepiece).

    prepare.py DATA WORK

DATA is a folder laid out like Multi30k's raw text: train.en, train.de, val.*, test*.*, plain or gz.
Into WORK go the unpacked text, one BPE of 8,000 sentencepiece pieces trained on both sides of the
training text (unk 0, pad 1, bos 2, eos 3), the list of its pieces, and each text cut into piece
numbers. Who works with other numbers for the special pieces translates these.
"""

import gzip
import sys
from pathlib import Path

import sentencepiece  # pyright: ignore[reportMissingImports]

PIECES = 8000
LANGUAGES = ("en", "de")


def unpack(data: Path, work: Path, prefix: str, name: str) -> None:
    for language in LANGUAGES:
        found = sorted(p for p in data.glob(f"{prefix}*") if p.name in _names(p, language))
        if not found:
            sys.exit(f"{data}: no file {prefix}*.{language} or {prefix}*.{language}.gz")
        source = found[0]
        content = source.read_bytes()
        plain = gzip.decompress(content) if source.suffix == ".gz" else content
        (work / f"{name}.{language}").write_bytes(plain)


def _names(path: Path, language: str) -> tuple[str, str]:
    """Only NAME.LANGUAGE counts; a file such as train.tokenised.en is another text."""
    stem = path.name.split(".")[0]
    return f"{stem}.{language}", f"{stem}.{language}.gz"


def train_pieces(work: Path) -> sentencepiece.SentencePieceProcessor:
    sentencepiece.SentencePieceTrainer.train(
        input=[str(work / f"train.{language}") for language in LANGUAGES],
        model_prefix=str(work / "pieces"),
        model_type="bpe",
        vocab_size=PIECES,
        character_coverage=1.0,
        unk_id=0,
        pad_id=1,
        bos_id=2,
        eos_id=3,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(work / "pieces.model"))
    names = [pieces.id_to_piece(i) for i in range(pieces.get_piece_size())]
    (work / "pieces.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    return pieces


def main() -> None:
    data, work = map(Path, sys.argv[1:])
    work.mkdir(parents=True, exist_ok=True)
    splits = {"train": "train", "val": "val", "test": "test"}
    for prefix, name in splits.items():
        unpack(data, work, prefix, name)
    pieces = train_pieces(work)
    for name in splits.values():
        for language in LANGUAGES:
            lines = (work / f"{name}.{language}").read_text(encoding="utf-8").splitlines()
            numbers = (" ".join(map(str, ids)) for ids in pieces.encode(lines))
            (work / f"{name}.{language}.ids").write_text("\n".join(numbers) + "\n")
    (work / "prepared.txt").write_text(f"{data.resolve()}\n")


if __name__ == "__main__":
    main()
