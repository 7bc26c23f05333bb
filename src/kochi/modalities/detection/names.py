"""Splits indicated by the names of files and folders."""

import re
from pathlib import Path

SPLIT_NAMES = {
    "train": ("train", "training", "trn"),
    "dev": ("dev", "val", "valid", "validation", "development", "tune"),
    "test": ("test", "tst", "eval"),
}
# Words that may occur in the name of one split and not in another, as in SIGMORPHON's shared tasks.
QUALIFIERS = ("high", "medium", "low", "uncovered", "gold", "large", "small")
WITHOUT_TARGETS = "covered"
_WORD = re.compile(r"[A-Za-z]+")


def split_of(path: Path) -> str | None:
    """Return the split that a file name indicates, if any.

    >>> split_of(Path("kor_dev.tsv")), split_of(Path("deu.trn")), split_of(Path("words.tsv"))
    ('dev', 'train', None)
    """
    words = {word.lower() for word in _WORD.findall(path.name)}
    return next((s for s, names in SPLIT_NAMES.items() if words.intersection(names)), None)


def splits_beside(path: Path) -> dict[str, Path]:
    """Find the dev and test files whose names match that of the training file ``path``.

    ``kor_dev.tsv`` matches ``kor_train.tsv``, ``deu.dev`` matches ``deu.trn``, ``german-dev``
    matches ``german-train-low`` and ``test_2016_flickr.en.gz`` matches ``train.en.gz``. Of several
    files, the one with the shortest name is used; files without targets (``covered``) are skipped.
    """
    for word in _WORD.finditer(path.name):
        if word.group().lower() in SPLIT_NAMES["train"]:
            before, after = path.name[: word.start()], path.name[word.end() :]
            break
    else:
        return {"train": path}
    qualifiers = "|".join(QUALIFIERS)
    plain = re.sub(rf"[-_.](?:{qualifiers})(?=[-_.]|$)", "", after)
    endings = "|".join({re.escape(after), re.escape(plain)})
    splits = {"train": path}
    files = [p for p in path.parent.iterdir() if p.is_file() and p != path]
    for split in ("dev", "test"):
        names = "|".join(SPLIT_NAMES[split])
        pattern = re.compile(
            rf"{re.escape(before)}(?:(?:{qualifiers})[-_.])?(?:{names})(?:[_-]\w+)?(?:{endings})",
            re.IGNORECASE,
        )
        matches = [p for p in files if pattern.fullmatch(p.name) and not _is_covered(p)]
        if matches:
            splits[split] = min(matches, key=lambda p: (len(p.name), p.name))
    return splits


def _is_covered(path: Path) -> bool:
    return WITHOUT_TARGETS in map(str.lower, _WORD.findall(path.name))
