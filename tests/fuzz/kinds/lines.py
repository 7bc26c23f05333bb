"""Text to answer: lines with every odd character, very long ones, blank ones."""

from pathlib import Path
from random import Random

from tests.fuzz.case import Case, rows_answered
from tests.fuzz.kinds import seeds
from tests.fuzz.mutate import damage, odd_text, pick

COMMANDS = ("predict", "predict", "predict", "predict", "show", "align")


def _line(draw: Random) -> bytes:
    match draw.randrange(8):
        case 0 | 1:
            return pick(draw, seeds.WORDS).encode()
        case 2:
            return pick(draw, (b"", b" ", b"\t", b"\r", b"\0", b"\xc2\xa0"))
        case 3:
            return pick(draw, (b"a", b"ab ", b"xyz", "é".encode())) * draw.choice((100, 10_000))
        case 4:
            return draw.randbytes(draw.randint(1, 50)).replace(b"\n", b"")
        case 5:
            return damage(draw, pick(draw, seeds.WORDS).encode()).replace(b"\n", b"")
        case _:
            return odd_text(draw).encode("utf-8", "surrogatepass").replace(b"\n", b"")


def make(draw: Random, folder_of_seeds: Path, folder: Path) -> Case:
    """Answer lines of a file or of standard input, or show one, or align them."""
    model = str(folder_of_seeds / "text" / "model")
    lines = [_line(draw) for _ in range(draw.choice((1, 1, 3, 10)))]
    content = b"\n".join(lines) + (b"" if lines[-1] and draw.random() < 0.3 else b"\n")
    command = pick(draw, COMMANDS)
    if command == "show":
        text = lines[0].decode("utf-8", "surrogateescape").replace("\0", "")
        out = pick(draw, ([], [], ["--out", "x.html"]))
        return Case(["show", model, "--", text] if not out else ["show", model, *out, "--", text])
    (folder / "text").write_bytes(content)
    if command == "align":
        (folder / "targets").write_bytes(b"\n".join(_line(draw) for _ in lines) + b"\n")
        return Case(["align", model, "text", "targets"])
    count = len(content.removesuffix(b"\n").split(b"\n"))
    options = pick(draw, ([], [], [], ["--json"], ["--beam", "3"], ["--unknown", "mark"]))
    if draw.random() < 0.5:
        return Case(["predict", model, "text", *options], check=rows_answered(count))
    return Case(["predict", model, *options], content, rows_answered(count))
