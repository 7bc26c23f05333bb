"""One case: a command in a folder of hostile files, and what is right as its outcome."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f]")  # without tab and line feed
UNALLOCATED = re.compile("allocat|MemoryError|out of memory", re.IGNORECASE)
WARNING = re.compile(r"^\S+:\d+: \w*Warning", re.MULTILINE)
LIBRARY = re.compile(r"\[src/libmpg123|Note: |Warning: ")  # what libmpg123 writes of mp3 files
CODES = (0, 1, 2)
SHOW_PROGRESS = ("train", "init")


@dataclass(frozen=True)
class Outcome:
    """What a command left behind.

    Attributes:
        code: Its exit code.
        out: What it wrote to standard output.
        err: What it wrote to standard error.
        folder: Where it ran.
    """

    code: int
    out: str
    err: str
    folder: Path


Check = Callable[[Outcome], str | None]


def said_something(outcome: Outcome) -> str | None:
    """Expect an answer, which may be an empty line."""
    return None if outcome.out else "nothing was answered"


def rows_answered(count: int) -> Check:
    """Expect as many lines of answers as there are sources."""

    def check(outcome: Outcome) -> str | None:
        found = outcome.out.count("\n")
        return None if found == count else f"{found} lines of answers, expected {count}"

    return check


def same_answer(expected: str) -> Check:
    """Expect the answer of the undamaged files."""

    def check(outcome: Outcome) -> str | None:
        return None if outcome.out == expected else "another answer than without the damage"

    return check


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
        arguments: Of ``kochi``.
        stdin: What it reads from standard input.
        check: Says what is wrong with an answer (exit code 0 or 1), or None.
    """

    arguments: list[str]
    stdin: bytes = b""
    check: Check = said_something


@dataclass(frozen=True)
class Kind:
    """A kind of cases.

    Attributes:
        make: Writes the files of a case into a folder, in which the command will run; it is given
            the folder of seeds, too.
        share: How many of 2,000 cases are of this kind.
        seeds: What is made once, by name: a function that fills a folder.
    """

    make: Callable[[Random, Path, Path], Case]
    share: int
    seeds: Mapping[str, Callable[[Path], object]]


def fault(case: Case, outcome: Outcome) -> str | None:
    """Say what is wrong with an outcome, or None."""
    if outcome.code not in CODES:
        return f"exit code {outcome.code}"
    lines = outcome.err.split("\n")
    if found := CONTROL.search(outcome.err):
        return f"control character {found.group()!r} on standard error"
    if UNALLOCATED.search(outcome.err):
        return "memory was asked for that there is not"
    if "Traceback" in outcome.err:
        return "Traceback on standard error"
    if found := WARNING.search(outcome.err):
        return f"{found.group()} on standard error"
    others = [line for line in lines if line and not line.startswith("kochi: ")]
    others = [line for line in others if not LIBRARY.match(line)]
    if others and case.arguments[0] not in SHOW_PROGRESS:
        return f"on standard error, not of kochi: {others[0]!a}"
    if outcome.code == 2:
        errors = [line for line in lines if line.startswith("kochi: ")]
        errors = [line for line in errors if not line.startswith("kochi: warning: ")]
        if len(errors) != 1 or lines[-2:] != [errors[-1], ""]:
            return f"{len(errors)} lines of error; expected one, at the end"
        return None
    if outcome.code == 1 and not outcome.err:
        return "exit code 1 without a reason"
    if "--json" in case.arguments and (what := _not_json(outcome.out)) is not None:
        return what
    return case.check(outcome)


def _not_json(text: str) -> str | None:
    """Say which line is no JSON; NaN and infinity are none."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    for line in text.splitlines():
        try:
            json.loads(line, parse_constant=refuse)
        except ValueError as error:
            return f"a line that is not JSON: {error}"
    return None
