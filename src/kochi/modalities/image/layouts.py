"""Layouts of captioned images that training does not support; they are rewritten as manifests.

COCO's captions (https://cocodataset.org/#format-data), Karpathy's splits
(https://cs.stanford.edu/people/karpathy/deepimagesent), Flickr8k's list of ``name#number`` and
caption, lists without a header, and OpenNMT's files of names with parallel files of formulas.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from kochi.data.left_out import Bad, LeftOut, refuse
from kochi.data.lines import LONGEST_DOCUMENT, lines
from kochi.data.manifest import Row
from kochi.errors import UserError
from kochi.modalities.detection.choices import Choices
from kochi.modalities.detection.columns import Name
from kochi.modalities.detection.listed import COLUMNS, SPLITS, Listed
from kochi.modalities.detection.names import SPLIT_NAMES, splits_beside
from kochi.modalities.detection.sample import Sample, read_columns
from kochi.modalities.image.rows import ENDINGS
from kochi.modalities.text.detection import other_side, parallel_files, table_notes
from kochi.reading import parse_json

IMAGE = COLUMNS["picture"]
PEEK = 20


def layout_of(path: Path, choices: Choices) -> Listed | None:
    """Return the images of a JSON file of captions or of parallel files; None for other files.

    Raises:
        UserError: The file has such a layout, but something is missing.
    """
    if path.name.endswith(".json"):
        return _captions(path, choices)
    sibling = other_side(path)
    if sibling is not None:
        return _parallel(path, sibling, choices)
    return None


def _listed(
    path: Path, rows: Iterable[Row], rewrite: Any, splits: dict[str, Path], notes: tuple[str, ...]
) -> Listed:
    first = list(islice(rows, PEEK))
    if not first:
        raise UserError(f"{path}: holds no pictures with text; expected at least one")
    folder = _folder_of(path, [str(row.cells[IMAGE]) for row in first])
    return Listed(
        "picture",
        splits,
        {},
        IMAGE,
        "text",
        split_column="split" if "split" in first[0].cells else None,
        folder=folder,
        rewrite=rewrite,
        notes=notes,
    )


def _folder_of(path: Path, names: list[str]) -> Path:
    """Find the folder that contains most of the images; lists are often in a sibling folder."""
    above = path.parent.resolve().parent
    below = [p for base in (path.parent, above) for p in sorted(base.iterdir()) if p.is_dir()]
    deeper = [q for p in below for q in sorted(p.iterdir()) if q.is_dir()]
    for folder in (path.parent, *below, *deeper):
        if 2 * sum((folder / name).is_file() for name in names) > len(names):
            return folder
    raise UserError(
        f"{path}: the picture {names[0]} is neither in {path.parent} nor in a folder of it or "
        "beside it; put the pictures there"
    )


# ----------------------------------------------------------------------------------- JSON captions


def _captions(path: Path, choices: Choices) -> Listed | None:
    record = _document(path, choices)
    if record is None:
        return None
    images = record["images"]
    if "annotations" in record:
        layout, read = "COCO's captions", _coco
        splits = splits_beside(path)
    elif all("sentences" in image for image in images[:PEEK]):
        layout, read = "Karpathy's splits", _karpathy
        found = {row.cells["split"] for row in _karpathy(path, LeftOut(), choices=choices)}
        splits = {split: path for split in SPLITS if split in found}
    else:
        return None
    rows = read(path, LeftOut(), choices=choices)
    note = f"read as {layout}; each picture with all its captions is a row"
    return _listed(path, rows, partial(read, choices=choices), splits, (note,))


def _document(path: Path, choices: Choices) -> dict[str, Any] | None:
    """Return a JSON object with a list of images; None if there is none."""
    if path.stat().st_size > LONGEST_DOCUMENT:
        return None
    encoding = choices.encoding or "utf-8"
    try:
        found = lines(path, encoding, longest=LONGEST_DOCUMENT)
        record = parse_json("\n".join(found), str(path))
    except UserError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("images"), list):
        return None
    found = record["images"]
    return record if found and all(isinstance(image, dict) for image in found) else None


def _coco(path: Path, bad: Bad = refuse, *, choices: Choices) -> Iterator[Row]:
    record = _document(path, choices)
    if record is None or not isinstance(record.get("annotations"), list):
        raise UserError(f"{path}: expected the form of COCO's captions: images and annotations")
    names = {image.get("id"): image.get("file_name") for image in record["images"]}
    texts: dict[str, list[str]] = {}
    for number, annotation in enumerate(record["annotations"], 1):
        where = f"{path}: annotation {number}"
        name = names.get(annotation.get("image_id"))
        try:
            if not isinstance(name, str):
                found = annotation.get("image_id")
                raise UserError(f"{where}: image_id {found!r} is not the id of an image")
            texts.setdefault(name, []).append(_text(annotation.get("caption"), where, "caption"))
        except UserError as error:
            bad(error)
    for name, captions in texts.items():
        yield Row(f"{path}: image {name}", {IMAGE: name, "text": captions})


def _karpathy(path: Path, bad: Bad = refuse, *, choices: Choices) -> Iterator[Row]:
    record = _document(path, choices)
    if record is None:
        raise UserError(f"{path}: expected the form of Karpathy's splits: images with sentences")
    of_name = {name: split for split, names in SPLIT_NAMES.items() for name in names}
    for number, image in enumerate(record["images"], 1):
        where = f"{path}: image {number}"
        try:
            name = _text(image.get("filename"), where, "filename")
            texts = [_text(s.get("raw"), where, "raw") for s in image.get("sentences", [])]
        except UserError as error:
            bad(error)
            continue
        if image.get("filepath"):
            name = f"{image['filepath']}/{name}"
        split = str(image.get("split", "train")).removeprefix("rest")
        yield Row(where, {IMAGE: name, "text": texts, "split": of_name.get(split, "train")})


def _text(value: Any, where: str, field: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}: '{field}' is {value!r}, expected text")
    return value


# ------------------------------------------------------------------------------------------ tables


def rewritten_table(sample: Sample, image: Name, text: Name) -> Listed:
    """Return the images of a table without a header, or with ``name#number`` as in Flickr8k.

    Raises:
        UserError: The images cannot be found.
    """
    read = partial(_of_table, sample=sample, image=image, text=text)
    notes = table_notes(sample, {image, text})
    note = "each picture with all its captions is a row"
    return _listed(
        sample.path, read(sample.path, LeftOut()), read, splits_beside(sample.path), (*notes, note)
    )


def _of_table(
    path: Path, bad: Bad = refuse, *, sample: Sample, image: Name, text: Name
) -> Iterator[Row]:
    texts: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for where, (name, caption) in read_columns(path, sample, (image, text), bad):
        name = name.partition("#")[0]
        first.setdefault(name, where)
        texts.setdefault(name, []).append(caption)
    for name, captions in texts.items():
        yield Row(first[name], {IMAGE: name, "text": captions})


# --------------------------------------------------------------------------------- parallel files


def _parallel(path: Path, sibling: Path, choices: Choices) -> Listed | None:
    splits, *_ = parallel_files(path, sibling)
    encoding = choices.encoding or "utf-8"
    names = {split: _side_of_pictures(files, encoding) for split, files in splits.items()}
    listed = {split: name for split, name in names.items() if name is not None}
    if "train" not in listed:
        return None
    texts = {
        name: next(file for file in splits[split] if file != name) for split, name in listed.items()
    }
    read = partial(_of_lines, texts=texts, encoding=encoding)
    shown = f"{listed['train'].name} names pictures, {texts[listed['train']].name} is their text"
    return _listed(path, read(listed["train"], LeftOut()), read, listed, (shown,))


def _side_of_pictures(files: tuple[Path, ...], encoding: str) -> Path | None:
    for file in files:
        try:
            first = [line for _, line in zip(range(PEEK), lines(file, encoding), strict=False)]
        except UserError:
            continue
        if first and all(line.strip().lower().endswith(ENDINGS) for line in first):
            return file
    return None


def _of_lines(
    path: Path, bad: Bad = refuse, *, texts: dict[Path, Path], encoding: str
) -> Iterator[Row]:
    both = zip_longest(lines(path, encoding), lines(texts[path], encoding))
    for number, (name, text) in enumerate(both, 1):
        if not (name or "").strip() and not (text or "").strip():
            continue
        where = f"{path}:{number}"
        if name is None or text is None:
            raise UserError(f"unequal parallel files: {path} and {texts[path]} differ in length")
        if name.strip() and text.strip():
            yield Row(where, {IMAGE: name.strip(), "text": text})
        else:
            bad(UserError(f"{where}: empty line; remove it and that of the other file"))
