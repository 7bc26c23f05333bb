"""Pictures: headers and bodies of their formats, and files that are pictures by name only."""

import io
import struct
import zlib
from functools import cache
from pathlib import Path
from random import Random

from PIL import Image

from tests.fuzz.case import Case, Outcome, said_something
from tests.fuzz.mutate import damage, pick
from tests.seeing import picture_of

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "TGA", "PCX", "JPEG2000")
MODES = ("RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "I;16", "I", "F", "HSV", "LAB")
SIZES = (0, 1, 2, 7, 24, 255, 5_000, 30_000, 65_535, 100_000, 2**31 - 1, 2**31, 2**32 - 1)
OTHERS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 8\n%%EndComments\nshowpage\n%%EOF\n",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999999 99999999\n(x) = flush\n",
    b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n",
    b"<svg xmlns='http://www.w3.org/2000/svg' width='24' height='8'/>",
    b"P6 99999 99999 255\n",
    b"P6 1 1 255\n\xff",
    b"P1\n" + b"1 " * 5_000,
    b"GIF89a\xff\xff\xff\xff\x00\x00\x00;",
    b"#define x_width 24\n#define x_height 8\nstatic char x_bits[] = {0};\n",
    b"SIMPLE  =                    T",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n",
    b"BM" + bytes(60),
    b"8BPS\0\1" + bytes(100),
    b"\xd7\xcd\xc6\x9a" + bytes(60),
    b"DDS |" + bytes(120),
    b"text\n",
    b"",
)
NAMES = ("x.png", "x.png", "x.jpg", "x.gif", "x.bmp", "x.webp", "x.tiff", "x.eps", "x", "x.npy")


def picture(draw: Random) -> bytes:
    """Return the bytes of a picture that something may be wrong with."""
    action = draw.random()
    if action < 0.1:
        return pick(draw, OTHERS)
    if action < 0.3:
        return _png(draw)
    image = Image.fromarray(picture_of(draw.choice((("red",), ("red", "blue")))))
    file = io.BytesIO()
    form = pick(draw, FORMATS)
    if draw.random() < 0.4:
        image = image.convert("RGB").convert(
            pick(draw, ("L", "1", "P", "RGBA", "LA", "CMYK", "I", "F"))
        )
    try:
        options = {"save_all": True, "append_images": [image]} if form in ("GIF", "TIFF") else {}
        image.save(file, form, **options)
    except (OSError, ValueError):  # the format does not know these colours
        image.convert("RGB").save(file, "PNG")
    content = file.getvalue()
    return damage(draw, content, 64) if draw.random() < 0.9 else content


@cache
def _zeros(count: int) -> bytes:
    """Return zeros, packed; they take a second to pack."""
    return zlib.compress(bytes(count))


def _png(draw: Random) -> bytes:
    """Write a PNG file whose chunks are right but for what they say."""
    width, height, depth, colour, interlaced = 24, 8, 8, 2, 0
    data = zlib.compress(bytes(8 * (1 + 3 * 24)))
    extra: list[tuple[bytes, bytes]] = []
    match draw.randrange(6):
        case 0:
            width, height = pick(draw, SIZES), pick(draw, SIZES)
        case 1:
            depth, colour = draw.choice((0, 1, 3, 8, 16, 255)), draw.choice((0, 1, 3, 4, 6, 255))
        case 2:
            interlaced = draw.choice((1, 2, 255))
        case 3:
            data = pick(draw, (b"", b"x", zlib.compress(b""), _zeros(50_000_000)))
        case 4:
            side = draw.choice((5_000, 9_000, 12_000))  # whole, and packs well
            width = height = side
            depth, colour, data = 1, 0, _zeros(side * (1 + side // 8 + 1))
        case _:
            bomb = _zeros(100_000_000)
            extra = [
                pick(
                    draw,
                    (
                        (b"iCCP", b"x\0\0" + bomb),
                        (b"zTXt", b"x\0\0" + bomb),
                        (b"iTXt", b"x\0\1\0\0\0" + bomb),
                        (b"tRNS", b""),
                        (b"PLTE", bytes(5)),
                        (b"acTL", bytes(8)),
                        (b"fcTL", bytes(26)),
                        (b"eXIf", b"MM\0*" + bytes(4)),
                        (b"pHYs", b"\xff"),
                        (b"gAMA", b""),
                    ),
                )
            ]
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", head), *extra, (b"IDAT", data), (b"IEND", b"")]
    packed = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + packed


def _answered(outcome: Outcome) -> str | None:
    """Expect an answer, and that no other program was asked to read the picture."""
    return "Ghostscript" if "Ghostscript" in outcome.err else said_something(outcome)


def make(draw: Random, seeds: Path, folder: Path) -> Case:
    """Ask a model of pictures."""
    model = str(seeds / "pictures" / "model")
    content, name = picture(draw), pick(draw, NAMES)
    (folder / name).write_bytes(content)
    match draw.randrange(10):
        case 0:
            return Case(["predict", model, "-"], content, _answered)
        case 1:
            return Case(["show", model, name], check=_answered)
        case 2:
            (folder / "x.tsv").write_text(f"image\tsplit\ttext\n{folder / name}\ttest\tred\n")
            return Case(["evaluate", model, "x.tsv"], check=_answered)
        case _:
            options = pick(draw, ([], [], ["--json"], ["--with-names"]))
            return Case(["predict", model, name, *options], check=_answered)
