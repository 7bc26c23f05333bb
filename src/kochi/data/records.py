"""Objects of JSON files: one per line, or in an array that may be a field of an object."""

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from kochi.data.left_out import Bad, refuse
from kochi.data.lines import LONGEST_DOCUMENT, lines
from kochi.errors import UserError
from kochi.reading import parse_json

SHOWN = 8  # fields that a message lists
CORRECT = "correct it"


def read_records(
    path: Path, encoding: str = "utf-8", bad: Bad = refuse
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Stream the objects of a JSON file, each with its location. Blank lines are skipped.

    A file of lines is streamed; one with an array is read at once.

    Args:
        path: The file.
        encoding: Encoding of the file.
        bad: Called with the error of a line that is not JSON, or of a value that is not an object.

    Raises:
        UserError: The file cannot be read, or is a single document that is not JSON.
    """
    found = enumerate(lines(path, encoding, longest=LONGEST_DOCUMENT), 1)
    stream = ((number, line) for number, line in found if line.strip())
    first = next(stream, None)
    if first is None:
        return
    second = next(stream, None)
    ahead = [first] if second is None else [first, second]
    if _is_document(first[1], second is None):
        yield from _of_document(path, chain(ahead, stream), bad)
        return
    for number, line in chain(ahead, stream):
        where = f"{path}:{number}"
        try:
            record = _checked(parse_json(line, where, CORRECT), where)
        except UserError as error:
            bad(error)
            continue
        yield where, record


def _is_document(first: str, alone: bool) -> bool:
    """Return whether a file is a single JSON value, judging by its first line."""
    if first.lstrip().startswith("["):
        return True
    try:
        record = parse_json(first, "")
    except UserError:
        return first.strip() in ("{", "[") or not first.rstrip().endswith("}")
    return alone and isinstance(record, dict) and len(_lists_of_objects(record)) == 1


def _of_document(
    path: Path, stream: Iterator[tuple[int, str]], bad: Bad
) -> Iterator[tuple[str, dict[str, Any]]]:
    numbers, texts = zip(*stream, strict=True)
    where = str(path)
    value = parse_json(
        "\n".join(texts), where, CORRECT, lambda line: f"{where}:{numbers[line - 1]}"
    )
    if isinstance(value, dict):
        found = _lists_of_objects(value)
        if len(found) != 1:
            what = ", ".join([*islice(value, SHOWN), *(["..."] * (len(value) > SHOWN))]) or "none"
            raise UserError(
                f"{path}: found one JSON object (fields: {what}); expected one object per line, an "
                "array of objects, or an object with one such array"
            )
        value = value[found[0]]
    if not isinstance(value, list):
        raise UserError(f"{path}: found {json_type(value)}, expected an array of objects")
    for number, record in enumerate(value, 1):
        where = f"{path}: item {number}"
        if isinstance(record, dict):
            yield where, record
        else:
            bad(UserError(f"{where}: found {json_type(record)}, expected an object with fields"))


def _lists_of_objects(record: dict[str, Any]) -> list[str]:
    return [
        name
        for name, value in record.items()
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
    ]


def _checked(record: Any, where: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise UserError(f"{where}: found {json_type(record)}, expected an object with fields")
    return record


def json_type(value: Any) -> str:
    """Return the name of the type of a JSON value in messages."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value"}
    return "null" if value is None else names.get(type(value), "a number")


def get_field(record: dict[str, Any], field: str, where: str, what: str = "field") -> Any:
    """Return a field; a dotted name refers to nested objects unless a field has that very name.

    Args:
        record: The object.
        field: The name.
        where: File and line, for messages.
        what: The word for a field in messages.

    Raises:
        UserError: There is no such field.
    """
    if field in record:
        return record[field]
    value: Any = record
    for part in field.split("."):
        if not isinstance(value, dict) or part not in value:
            found = ", ".join(map(str, record)) or "none"
            raise UserError(f"{where}: {what} '{field}' is missing; found: {found}")
        value = value[part]
    return value
